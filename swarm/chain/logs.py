"""Events of the contracts, block by block, with a small cursor, across re-orgs of a few blocks.

The last blocks are read again each time, so what a re-org took away is reported as gone and what it brought as new.
Chains bound how much one question may cover: a range that is refused is halved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm import disk
from swarm.chain.abi import Event, jsonable
from swarm.chain.client import Chain
from swarm.chain.rpc import AnswerTooLarge, RpcError
from swarm.errors import ChainError, StateError

RANGE = 5_000  # blocks in one question
MAX_EVENTS = 100_000  # that one `scan` keeps in hand


class Cursor(BaseModel):
    """Where reading goes on: everything below `next` was read, `marks` names the events in the blocks that are read again."""

    model_config = ConfigDict(extra="ignore")

    next: int = Field(0, ge=0)
    marks: dict[str, int] = Field({}, max_length=MAX_EVENTS, description="block hash:transaction:index of an event to its block")


@dataclass
class Found:
    """What a scan brought: events new since the last one, in order, and marks of those that a re-org took."""

    new: list[Event] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Scanner:
    """Reads the events of some roles. `path` keeps the cursor over restarts; None: it lives with this object."""

    def __init__(self, chain: Chain, roles: Iterable[str] = ("registry", "ledger", "vault", "court", "beacon"), path: Path | None = None):
        self.chain, self.roles, self.path = chain, tuple(roles), path
        self.cursor = _read(path) if path else Cursor()
        self.cursor.next = max(self.cursor.next, chain.link.since)
        self._range = RANGE

    def scan(self) -> Found:
        """Everything up to the newest block that was not reported yet. Saves the cursor: act on what is found before the next call.

        Raises ChainError where the chain cannot answer; the next call goes on from where this one came to.
        """
        head = self.chain.head().number
        first = max(self.chain.link.since, min(self.cursor.next, head + 1) - self.chain.depth)
        found, seen = Found(), {}
        while first <= head and len(found.new) < MAX_EVENTS:
            last = min(head, first + self._range - 1)
            if (events := self._events(first, last)) is None:
                continue
            for event in events:
                seen[mark(event)] = event.block
                if mark(event) not in self.cursor.marks:
                    found.new.append(event)
            first = last + 1
        found.gone = [each for each, block in self.cursor.marks.items() if each not in seen and block < first]
        self.cursor = Cursor(next=first, marks={each: block for each, block in seen.items() if block >= first - self.chain.depth})
        return found

    def save(self) -> None:
        """Keep the cursor: what was found has been dealt with."""
        if self.path is not None:
            disk.replace(self.path, self.cursor.model_dump_json().encode())

    def _events(self, first: int, last: int) -> list[Event] | None:
        """Decoded events of a range in order; None where the range must be smaller, which it is from now on."""
        where = [self.chain.address(role) for role in self.roles]
        try:
            logs = self.chain.rpc.call("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last), "address": where})
        except (RpcError, AnswerTooLarge) as error:  # chains word "too much" in many ways
            if self._range == 1:
                raise ChainError(f"the chain at {self.chain.rpc.name} does not answer for block {first}: {error}", "use another --rpc") from None
            self._range = max(1, self._range // 2)
            return None
        return sorted(self._decoded(logs), key=lambda event: (event.block, event.index))

    def _decoded(self, logs: Any) -> Iterable[Event]:
        roles = {self.chain.places[role]: role for role in self.roles}
        try:
            for log in logs:
                role = roles.get(bytes.fromhex(log["address"][2:]))
                if role is not None and (event := self.chain.abi(role).event(log)) is not None:
                    yield event
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ChainError(f"the chain at {self.chain.rpc.name} gives damaged events ({error})", "use another --rpc") from None


def mark(event: Event) -> str:
    """What tells an event from the same one in another block."""
    return f"{event.block_hash.hex()[:32]}:{event.tx.hex()[:32]}:{event.index}"


def row(event: Event) -> dict[str, Any]:
    """An event as JSON has it."""
    return {"event": event.name, **jsonable(event.values), "block": event.block, "transaction": "0x" + event.tx.hex()}


def _read(path: Path) -> Cursor:
    try:
        return Cursor.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Cursor()
    except ValidationError:
        raise StateError(f"{path} is damaged", "delete it: the events are read again from the beginning") from None
