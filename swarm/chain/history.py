"""What this node saw committed, kept in its own folder, so that a rewritten chain is noticed.

A local chain is one host's word, and even a public one can be rewritten by whoever controls it. A commitment that had
enough blocks on top of it must be there for ever: with the same header, in the same block. Blocks that a killed local
chain loses are not that deep. The file holds one row for each commitment, the oldest are forgotten beyond a limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm import disk, keys
from swarm.chain.abi import Event, raw
from swarm.chain.client import Chain
from swarm.chain.values import HEADER
from swarm.errors import StateError

MAX_SEEN = 20_000
LOOKS = 4  # older commitments that one check looks up, beside the newest


class Seen(BaseModel):
    """A commitment as it was when it was seen."""

    model_config = ConfigDict(extra="forbid")

    key: str
    epoch: int
    header: str  # its hash, as the ledger keeps it
    block: int
    block_hash: str
    transaction: str
    settled: bool = False  # deep enough to be final
    reported: bool = False


class Rewritten(BaseModel):
    """A commitment that should be there for ever and is not, or lies in another block: `kind` says which."""

    kind: Literal["vanished", "moved"]
    seen: Seen

    @property
    def sentence(self) -> str:
        """For people."""
        which = f"the commitment of {self.seen.key[:14]}… for epoch {self.seen.epoch}, seen in block {self.seen.block},"
        return f"the chain's history was rewritten: {which} {'is gone' if self.kind == 'vanished' else 'lies in another block now'}"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    seen: list[Seen] = []
    turn: int = Field(0, ge=0)


class History:
    """The commitments that a node has seen. `path` is its file."""

    def __init__(self, path: Path, chain: Chain):
        self.path, self.chain = path, chain
        self._file = _read(path)
        self._known = {(each.key, each.epoch, each.header, each.block_hash) for each in self._file.seen}

    @property
    def seen(self) -> list[Seen]:
        return list(self._file.seen)

    def add(self, events: Iterable[Event]) -> int:
        """Remember the commitments among some events; returns how many were new."""
        rows = [_seen(event) for event in events if event.name == "Committed"]
        new = [row for row in rows if (row.key, row.epoch, row.header, row.block_hash) not in self._known]
        self._file.seen = [*self._file.seen, *new][-MAX_SEEN:]
        self._known |= {(row.key, row.epoch, row.header, row.block_hash) for row in new}
        if new:
            self._save()
        return len(new)

    def check(self) -> list[Rewritten]:
        """Settle what is deep enough, then look up the newest settled commitment and a few others in turn; each finding is reported once.

        A commitment that a re-org took before it was settled is forgotten: it is no rewriting, and comes back as a new one.
        """
        height = self.chain.head().number
        for row in [row for row in self._file.seen if not row.settled and row.block + self.chain.depth <= height]:
            if self._block_of(row) == row.block_hash:
                row.settled = True
            else:
                self._file.seen.remove(row)
        found = [Rewritten(kind=kind, seen=row) for row in self._chosen() if (kind := self._verdict(row))]
        for each in found:
            each.seen.reported = True
        self._save()
        return found

    def _chosen(self) -> list[Seen]:
        rows = [row for row in self._file.seen if row.settled and not row.reported]
        turn, self._file.turn = self._file.turn, self._file.turn + LOOKS
        others = [rows[(turn + index) % len(rows)] for index in range(min(LOOKS, len(rows)))]
        return list({id(row): row for row in [*rows[-1:], *others]}.values())

    def _verdict(self, row: Seen) -> Literal["vanished", "moved"] | None:
        receipt = self.chain.rpc.call("eth_getTransactionReceipt", row.transaction)
        headers = {_seen(event).header for event in self._events(receipt) if event.name == "Committed"}
        if row.header not in headers:
            return "vanished"
        return None if self._block_of(row) == row.block_hash == receipt["blockHash"] else "moved"

    def _events(self, receipt: Any) -> list[Event]:
        ledger = self.chain.abi("ledger")
        logs = receipt.get("logs", []) if isinstance(receipt, dict) else []
        ours = [log for log in logs if raw(log["address"]) == self.chain.places["ledger"]]
        return [event for log in ours if (event := ledger.event(log)) is not None]

    def _block_of(self, row: Seen) -> str:
        return "0x" + (self.chain.block_hash(row.block) or b"").hex()

    def _save(self) -> None:
        disk.replace(self.path, self._file.model_dump_json().encode())


def header_hash(values: dict[str, Any]) -> bytes:
    """keccak256(abi.encode(header)) of a commitment's fields: all of them are one word."""
    words = (values[name] for name in HEADER)
    return keys.keccak(b"".join(word if isinstance(word, bytes) else word.to_bytes(32, "big") for word in words))


def _seen(event: Event) -> Seen:
    place = dict(block=event.block, block_hash="0x" + event.block_hash.hex(), transaction="0x" + event.tx.hex())
    return Seen(key="0x" + event.values["key"].hex(), epoch=event.values["epoch"], header="0x" + header_hash(event.values).hex(), **place)


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File()
    except ValidationError:
        raise StateError(f"{path} is damaged", "move it away: what was seen so far is forgotten") from None
