"""What a market's host promises and publishes, and the faults that can be proved against it (judge-spec.md 1.3, Ordering).

    receipt   [market, phase, number, event id, t]            the host has this event and will include it
    manifest  [market, phase, number, event ids, root]        the phase's events in execution order

Both are msgpack followed by a signature of 65 bytes, of the key that signed the market's `fund`. `number` is the round of OPEN, 3 level + roll of
COMMIT and REVEAL, the level of CHALLENGE. Execution order is ascending keccak256(round seed || id) in OPEN and ascending id elsewhere.

Three faults are proved by such bytes alone, by anybody but the host: an event with a receipt that is not in the manifest, two manifests
of one phase, a manifest in the wrong order. The market is then VOID and the host's bond is split between the reporter and the treasury.
A host that vanishes has made no provable fault: `from_receipts` is the manifest that any peer may publish then, and T_max ends the market.

Where the specification is silent: where seeds are the log's head (tests, one machine) rounds run in the order of arrival, and no order of
a round can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgpack

from judge import keys, settlement, tree
from judge.errors import Refused, require
from judge.events import Entry
from judge.market import CHALLENGE, COMMIT, OPEN, REVEAL, Market

if TYPE_CHECKING:
    from judge.ledger import State

MOST = 4096  # events of one phase
PHASES = (OPEN, COMMIT, REVEAL, CHALLENGE)
SIGNATURE = 65


@dataclass(frozen=True)
class Receipt:
    """The host's word for one event."""

    market: bytes
    phase: str
    number: int
    id: bytes
    t: int

    def payload(self) -> bytes:
        return msgpack.packb([self.market, self.phase, self.number, self.id, self.t])


@dataclass(frozen=True)
class Manifest:
    """A phase's events in execution order."""

    market: bytes
    phase: str
    number: int
    ids: tuple[bytes, ...]

    @cached_property
    def root(self) -> bytes:
        return tree.root(list(self.ids))

    def payload(self) -> bytes:
        return msgpack.packb([self.market, self.phase, self.number, list(self.ids), self.root])


def stage(market: Market) -> tuple[str, int]:
    """(phase, number) of a market's present phase, as receipts and manifests name it."""
    numbers = {OPEN: market.round, COMMIT: 3 * market.level + market.roll, REVEAL: 3 * market.level + market.roll, CHALLENGE: market.level}
    if market.phase not in numbers:
        raise Refused("phase", f"{market.name} is in {market.place}, where its host orders nothing")
    return market.phase, numbers[market.phase]


def order(ids: Iterable[bytes], phase: str, seed: bytes = b"") -> tuple[bytes, ...]:
    """Execution order. `seed`: of the round, fixed after its deadline; OPEN only."""
    if phase == OPEN:
        return tuple(sorted(ids, key=lambda id: keys.keccak(seed, id)))
    return tuple(sorted(ids))


def from_receipts(receipts: Iterable[Receipt], market: bytes, phase: str, number: int, seed: bytes = b"") -> Manifest:
    """The manifest of a phase whose host published none: all events that it gave receipts for."""
    ids = {receipt.id for receipt in receipts if (receipt.market, receipt.phase, receipt.number) == (market, phase, number)}
    return Manifest(market, phase, number, order(ids, phase, seed))


def sign(said: Receipt | Manifest, chain_id: int, secret: bytes) -> bytes:
    """The bytes that the host gives out."""
    payload = said.payload()
    return payload + keys.sign(secret, keys.digest_of(payload, chain_id, _about(type(said))))


def signer(data: bytes, chain_id: int, kind: type) -> bytes | None:
    """The address that signed a receipt or manifest."""
    return keys.recover(data[-SIGNATURE:], keys.digest_of(data[:-SIGNATURE], chain_id, _about(kind)))


def read_receipt(data: bytes) -> Receipt:
    """A receipt's content, its signature unchecked. Raises Refused."""
    market, phase, number, id, t = _list(data, 5, "receipt", 256)
    require(_is(id, 32) and type(t) is int, "malformed", "a receipt names an event by 32 bytes, and a time")
    return Receipt(*_stage(market, phase, number), id, t)


def read_manifest(data: bytes) -> Manifest:
    """A manifest's content, its signature unchecked. Raises Refused."""
    market, phase, number, ids, root = _list(data, 5, "manifest", 34 * MOST + 512)
    require(type(ids) is list and len(ids) <= MOST and all(_is(id, 32) for id in ids), "malformed", f"a manifest lists up to {MOST} ids of 32 bytes")
    said = Manifest(*_stage(market, phase, number), tuple(ids))
    require(said.root == root, "malformed", "the manifest's root is not that of its ids")
    return said


def fault(state: State, market: Market, entry: Entry) -> None:
    """A proof against the market's host."""
    event = entry.event
    require(event.actor != market.creator, "conflict", "a host does not report itself")
    prove(state, market, event.fault, event.first, event.second)
    half = market.bond // 2
    state.operators[event.actor].free += half
    market.bond -= half
    settlement.void(state, market, event.t, f"its host: {event.fault}", bond_back=False)


def prove(state: State, market: Market, kind: str, first: bytes, second: bytes) -> None:
    """Raise Refused unless these bytes prove the fault against the host of `market`."""
    said = _by_host(state, market, second if kind == "omitted" else first, Manifest)
    if kind == "omitted":
        receipt = _by_host(state, market, first, Receipt)
        require((receipt.phase, receipt.number) == (said.phase, said.number), "mismatch", "receipt and manifest are of different phases: no fault")
        require(receipt.id not in said.ids, "mismatch", "the event of this receipt is in the manifest: no fault")
    elif kind == "twice":
        other = _by_host(state, market, second, Manifest)
        require((other.phase, other.number) == (said.phase, said.number), "mismatch", "these manifests are of different phases: no fault")
        require(other.ids != said.ids, "mismatch", "these manifests are the same: no fault")
    else:
        seed = b""
        if said.phase == OPEN:
            require(state.terms.seed != "head", "mismatch", "this swarm runs a round in the order of arrival: no fault")
            require(0 < said.number <= len(market.round_seeds), "early", f"round {said.number} of {market.name} has no seed yet: wait for its end")
            seed = market.round_seeds[said.number - 1]
        require(said.ids != order(set(said.ids), said.phase, seed), "mismatch", "this manifest is in the right order: no fault")


def _by_host(state: State, market: Market, data: bytes, kind: type) -> Any:
    said = read_receipt(data) if kind is Receipt else read_manifest(data)
    require(said.market == market.id, "mismatch", f"this {kind.__name__.lower()} is of another market: no fault of this one's host")
    if signer(data, state.terms.chain_id, kind) != market.host_key:
        raise Refused("signature", f"the host of {market.name} did not sign this {kind.__name__.lower()}: no fault")
    return said


def _about(kind: type) -> bytes:
    return b"/receipt" if kind is Receipt else b"/manifest"


def _stage(market: Any, phase: Any, number: Any) -> tuple[bytes, str, int]:
    good = _is(market, 32) and phase in PHASES and type(number) is int and 0 <= number < 256
    require(good, "malformed", "a market has 32 bytes, a phase one of " + ", ".join(PHASES) + ", and a small number")
    return market, phase, number


def _list(data: bytes, length: int, what: str, most: int) -> list[Any]:
    require(len(data) <= most, "oversize", f"a {what} has at most {most} bytes")
    require(len(data) > SIGNATURE, "malformed", f"this is no {what}: it ends in a signature of {SIGNATURE} bytes")
    packed = data[:-SIGNATURE]
    try:
        value = msgpack.unpackb(packed, max_ext_len=0, max_map_len=0)
        good = type(value) is list and len(value) == length and msgpack.packb(value) == packed
    except (ValueError, TypeError, RecursionError, OverflowError):
        good = False
    require(good, "malformed", f"this is no {what}: it is not the canonical list of {length} values")
    return value


def _is(value: Any, length: int) -> bool:
    return type(value) is bytes and len(value) == length
