"""The DHT: shelves in hashed buckets whose number grows with the swarm, checked by every node that holds one.

At level L there are 2**L buckets; a peer's bucket is the first L bits of a hash of (swarm, peer). It publishes at L and
L - 1, so that neighbours who judge the swarm a little larger or smaller still find it, and reads a few random buckets:
a constant amount, however many peers there are. A bucket holds about `TARGET` shelves, each under a subkey that names
operator and peer, so nobody can overwrite another's. hivemind is imported when the DHT is, never before.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from swarm.errors import Refused
from swarm.network.frames import within
from swarm.records import SKEW_S, Shelf, read
from swarm.seeds import derive

if TYPE_CHECKING:
    from hivemind.dht.node import DHTNode
    from hivemind.dht.storage import DHTLocalStorage
    from hivemind.dht.validation import RecordValidatorBase

TARGET = 16  # shelves a bucket should hold
MAX_ENTRIES = 64  # shelves a bucket may hold before the most crowded operator loses one
MAX_KEYS = 1024  # buckets one node holds for others: 64 MiB at the very worst
MAX_LEVEL = 16
WIRE_SLACK = 8  # bytes that msgpack puts around a shelf
HORIZON_S = SKEW_S + 1800  # no announcement may outlive this, by a clock that may be as wrong as records allow
REMEMBERED = 8192  # verdicts on wires that were already checked
GET_S = 8.0


def bucket_key(swarm: bytes, level: int, index: int) -> bytes:
    """The DHT key of a bucket."""
    return derive("bucket", swarm, level, index)


def bucket_of(swarm: bytes, peer: bytes, level: int) -> int:
    """The bucket of `peer` at `level`: its number in 0 .. 2**level - 1."""
    return int.from_bytes(derive("place", swarm, peer)[:4], "big") >> (32 - level) if level else 0


def subkey_of(shelf: Shelf) -> bytes:
    return shelf.operator + shelf.peer


def level_for(occupancy: float, level: int) -> int:
    """The level at which buckets hold about TARGET, given the mean `occupancy` seen at `level`; one step at a time."""
    if occupancy > 2 * TARGET:
        return min(level + 1, MAX_LEVEL)
    return max(level - 1, 0) if occupancy < TARGET / 2 else level


class Checker:
    """Decides about shelves once and remembers the verdict, so that reading a bucket again costs a lookup.

    `dropped` counts refusals by reason, each distinct record once. Used only on the network's loop.
    """

    def __init__(self, swarm: bytes, dropped: Counter[str]):
        self._swarm, self._dropped = swarm, dropped
        self._verdicts: OrderedDict[bytes, Shelf | str] = OrderedDict()

    def shelf(self, wire: bytes) -> Shelf:
        """The shelf that `wire` says. Raises Refused; the first time, the reason is counted."""
        if type(wire) is not bytes or len(wire) > Shelf.MAX_BYTES:
            self._dropped["oversize" if type(wire) is bytes else "malformed"] += 1
            raise Refused("oversize")
        verdict = self._verdicts.get(wire)
        if verdict is None:
            try:
                verdict = read(wire, self._swarm, time.time(), kind=Shelf)
            except Refused as refused:
                verdict = refused.reason
                self._dropped[verdict] += 1
            self._verdicts[wire] = verdict
            if len(self._verdicts) > REMEMBERED:
                self._verdicts.popitem(last=False)
        if isinstance(verdict, str):
            raise Refused(verdict)
        return verdict

    def placed(self, key: bytes, subkey: bytes, value: bytes, expires: float) -> None:
        """Check a DHT record: a valid shelf in a bucket of its own peer, under its own subkey, for as long as it says.

        `subkey` and `value` are msgpack bytes. Raises Refused.
        """
        if len(value) > Shelf.MAX_BYTES + WIRE_SLACK or len(subkey) > 64:
            self._dropped["oversize"] += 1
            raise Refused("oversize")
        try:
            name, wire = msgpack.unpackb(subkey, max_bin_len=64), msgpack.unpackb(value, max_bin_len=Shelf.MAX_BYTES)
        except (ValueError, msgpack.UnpackException, RecursionError):
            name = wire = None
        if type(wire) is not bytes:
            self._dropped["malformed"] += 1
            raise Refused("malformed")
        shelf = self.shelf(wire)
        if name != subkey_of(shelf) or key not in _keys_of(self._swarm, shelf.peer) or abs(expires - shelf.expires) > 0.5:
            self._dropped["wrong place"] += 1
            raise Refused("wrong place")
        if expires > time.time() + HORIZON_S:
            self._dropped["future"] += 1
            raise Refused("future")


_places: OrderedDict[tuple[bytes, bytes], frozenset[bytes]] = OrderedDict()


def _keys_of(swarm: bytes, peer: bytes) -> frozenset[bytes]:
    """The DHT ids, as bytes, of every bucket in which `peer` may announce itself."""
    from hivemind.dht.routing import DHTID

    found = _places.get((swarm, peer))
    if found is None:
        levels = range(MAX_LEVEL + 1)
        found = frozenset(DHTID.generate(bucket_key(swarm, level, bucket_of(swarm, peer, level))).to_bytes() for level in levels)
        _places[swarm, peer] = found
        if len(_places) > REMEMBERED:
            _places.popitem(last=False)
    return found


def validator(checker: Checker) -> RecordValidatorBase:
    """hivemind's hook: called for every record that others store here or send us, and for our own."""
    from hivemind.dht.validation import DHTRecord, RecordValidatorBase

    class ShelfValidator(RecordValidatorBase):
        def validate(self, record: DHTRecord) -> bool:
            try:
                checker.placed(record.key, record.subkey, record.value, record.expiration_time)
            except Refused:
                return False  # counted by the checker
            return True

    return ShelfValidator()


def bounded_storage() -> DHTLocalStorage:
    """A DHT storage that no flood can fill: at most MAX_KEYS buckets of MAX_ENTRIES shelves each."""
    from hivemind.dht.storage import DHTLocalStorage, DictionaryDHTValue
    from hivemind.utils.timed_storage import ValueWithExpiration

    class BoundedStorage(DHTLocalStorage):
        def get(self, key: Any) -> ValueWithExpiration | None:
            """A copy: hivemind's search merges what other nodes answer into what it is given here."""
            held = super().get(key)
            if held is None or not isinstance(held.value, DictionaryDHTValue):
                return held
            copy = DictionaryDHTValue()
            for subkey, entry in held.value.items():
                copy.store(subkey, entry.value, entry.expiration_time)
            return ValueWithExpiration(copy, held.expiration_time)

        def store_subkey(self, key: Any, subkey: Any, value: bytes, expiration_time: float) -> bool:
            held = super().get(key)
            bucket = held.value if held is not None and isinstance(held.value, DictionaryDHTValue) else DictionaryDHTValue()
            _make_room(bucket, subkey)
            stored = bucket.store(subkey, value, expiration_time)
            if stored and (held is None or expiration_time > held.expiration_time):
                self.store(key, bucket, expiration_time)
            return stored

    return BoundedStorage(maxsize=MAX_KEYS)


def _make_room(bucket: Any, subkey: bytes) -> None:
    """Drop entries of the operators with most of them until one more fits."""
    while len(bucket) >= MAX_ENTRIES and subkey not in bucket:
        names = [name for name, _ in bucket.items()]
        crowd = Counter(name[:20] for name in names)
        most = max(crowd.values())
        del bucket[random.choice([name for name in names if crowd[name[:20]] == most])]


@dataclass
class Sight:
    """What one look at the DHT saw: verified shelves with their wires, and how full the buckets of our level were."""

    shelves: list[Shelf]
    wires: list[bytes]
    occupancy: float


class Directory:
    """Publishing and reading shelves on one DHT node. Every call is bounded in time."""

    def __init__(self, node: DHTNode, swarm: bytes, checker: Checker, level: int = 0):
        self._node, self._swarm, self._checker = node, swarm, checker
        self.level = level

    async def publish(self, wire: bytes, shelf: Shelf) -> None:
        """Store our shelf at both levels. What the DHT returns is not believed: ask `holders` afterwards."""
        keys = self._own_keys(shelf)
        stored = self._node.store_many(keys, [wire] * len(keys), float(shelf.expires), subkeys=[subkey_of(shelf)] * len(keys))
        await _within(stored, GET_S)

    async def holders(self, shelf: Shelf, others: int = 2) -> tuple[int, int]:
        """How many of the nearest other nodes hold this shelf or a newer one, and how many were asked."""
        from hivemind.dht.routing import DHTID

        key = DHTID.generate(self._own_keys(shelf)[0])
        nearest = await _within(self._node.find_nearest_nodes([key], k_nearest=others, exclude_self=True), GET_S)
        peers = list(nearest[key].values()) if nearest else []
        answers = await asyncio.gather(*(_within(self._node.protocol.call_find(peer, [key]), GET_S) for peer in peers))
        return sum(self._holds(answer, key, shelf) for answer in answers), len(peers)

    async def look(self, rng: random.Random, buckets: int = 2) -> Sight:
        """Read a few random buckets of our level and one of the level below; at most MAX_ENTRIES of each are considered."""
        here = rng.sample(range(2**self.level), min(buckets, 2**self.level))
        keys = [bucket_key(self._swarm, self.level, index) for index in here]
        if self.level:
            keys.append(bucket_key(self._swarm, self.level - 1, rng.randrange(2 ** (self.level - 1))))
        found = await _within(self._node.get_many(keys, sufficient_expiration_time=math.inf), GET_S) or {}
        sizes, wires = [], []
        for key in keys:
            value = found[key].value if found.get(key) is not None else {}
            entries = [entry.value for entry in value.values()] if isinstance(value, dict) else []
            sizes.append(len(entries))
            wires += rng.sample(entries, min(len(entries), MAX_ENTRIES))
        return self._sight(wires, sum(sizes[: len(here)]) / len(here))

    def _sight(self, wires: list[bytes], occupancy: float) -> Sight:
        sight = Sight([], [], occupancy)
        for wire in wires:
            try:
                sight.shelves.append(self._checker.shelf(wire))
                sight.wires.append(wire)
            except Refused:
                continue  # counted by the checker
        return sight

    def _own_keys(self, shelf: Shelf) -> list[bytes]:
        levels = {self.level, max(self.level - 1, 0)}
        return [bucket_key(self._swarm, level, bucket_of(self._swarm, shelf.peer, level)) for level in sorted(levels, reverse=True)]

    def _holds(self, answer: Any, key: Any, shelf: Shelf) -> bool:
        item = answer.get(key, (None, None))[0] if answer else None
        entry = item.value.get(subkey_of(shelf)) if item is not None and hasattr(item.value, "get") else None
        if entry is None:
            return False
        try:
            return self._checker.shelf(msgpack.unpackb(entry.value, max_bin_len=Shelf.MAX_BYTES)).sequence >= shelf.sequence
        except (Refused, ValueError, msgpack.UnpackException):
            return False


async def _within(work: Any, seconds: float) -> Any:
    """The result of an awaitable, or None where it took longer."""
    try:
        return await within(seconds, work)
    except TimeoutError:
        return None
