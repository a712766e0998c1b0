"""Groups of answers that wait for the judge market: own and foreign ones, until their verdict is closed, or too late to learn from.

Lateness is counted in market durations, not in rounds: a group waits `patience` (ms) from when it came, then it is dropped and counted, like one
whose market ended VOID. What waits is on disk, with the blob and the signed shelf that a record of its training will name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack
from blake3 import blake3

from swarm.disk import replace
from swarm.groups import Group, Limits, unpack
from swarm.learn.batch import Scored
from swarm.learn.record import Source
from swarm.network.store import digest_of

if TYPE_CHECKING:
    from swarm.verdicts import Ruled, Verdicts

LATE, VOID, FULL = "verdict late", "verdict void", "too many wait for verdicts"
MOST = 256  # blobs that may wait; the oldest go first


@dataclass
class Held:
    """A blob of answers. `places`: of the groups in it that still wait; `since`: when it came, ms by the chain's clock."""

    author: bytes  # 32-byte peer
    operator: bytes  # 20-byte address
    round: int  # the author's
    since: int
    shelf: bytes  # wire bytes; of own ones the number of the epoch in which their round was recorded, 4 bytes
    blob: bytes
    groups: list[Group]
    places: set[int]
    record: bytes = b""  # of own ones: the batch record of their round, which shows that they were sampled then

    @property
    def source(self) -> Source:
        return Source(self.author, self.operator, "answer", self.round, digest_of(self.blob), self.shelf)

    @property
    def blobs(self) -> list[bytes]:
        """What an auditor will ask for."""
        return [self.blob, self.record] if self.record else [self.blob]

    def row(self) -> list[Any]:
        return [self.author, self.operator, self.round, self.since, self.shelf, self.blob, sorted(self.places), self.record]


@dataclass
class Waiting:
    """What one node waits for, in the file `path`. `patience` and `now()` are milliseconds, by the chain's clock."""

    path: Path
    limits: Limits
    patience: int
    verdicts: Verdicts
    now: Callable[[], int]
    dropped: Counter[str] = field(default_factory=Counter)  # groups, since it was last taken

    def __post_init__(self) -> None:
        self._held: dict[tuple[bytes, int], Held] = {}
        self._ready: dict[int, tuple[Held, int]] = {}  # by id(group): handed out
        self._load()

    def __len__(self) -> int:
        return sum(len(held.places) for held in self._held.values())

    def add(self, author: bytes, operator: bytes, round: int, shelf: bytes, blob: bytes, places: Sequence[int]) -> None:
        """Groups of a blob, which was checked when it came, begin to wait. Told twice, nothing changes."""
        if not places or (author, round) in self._held:
            return
        while len(self._held) >= MOST:
            gone = self._held.pop(min(self._held, key=lambda key: (self._held[key].since, key)))
            self.dropped[FULL] += len(gone.places)
        self._held[author, round] = Held(author, operator, round, self.now(), shelf, blob, unpack(blob, self.limits, author)[3], set(places))

    def unruled(self, me: bytes) -> int:
        """How many own groups have no verdict yet, and may still get one in time."""
        mine = [held for held in self._held.values() if held.author == me and self.now() <= held.since + self.patience]
        return self._ruled([(held, place) for held in mine for place in held.places]).count(None)

    def recorded(self, me: bytes, round: int, epoch: int, record: bytes) -> None:
        """The own round is recorded in this epoch, with this batch record."""
        if (held := self._held.get((me, round))) is not None:
            held.shelf, held.record = epoch.to_bytes(4, "big"), record

    def ready(self, before: int, me: bytes) -> list[Scored]:
        """Groups with verdicts that are FINAL, those of `me` only of rounds before `before`. What can get none any more is dropped, counted."""
        wanted = [(held, place) for held in self._held.values() for place in sorted(held.places) if held.author != me or held.round < before]
        found: list[Scored] = []
        self._ready = {}
        for (held, place), ruled in zip(wanted, self._ruled(wanted), strict=True):
            if ruled is not None and not ruled.void:
                found.append(Scored(held.groups[place], ruled.rewards, held.operator, held.author))
                self._ready[id(held.groups[place])] = (held, place)
            elif ruled is not None:
                self._drop(held, place, VOID)
        for held in list(self._held.values()):
            if self.now() > held.since + self.patience:
                for place in sorted(held.places - {at for one, at in self._ready.values() if one is held}):
                    self._drop(held, place, LATE)
        return found

    def source(self, group: Group) -> tuple[Source, int, list[bytes]] | None:
        """Where a group of the last `ready` lies: its source, its place there, and the blobs that show it."""
        held, place = self._ready.get(id(group), (None, 0))
        return (held.source, place, held.blobs) if held is not None else None

    def done(self, groups: Sequence[Group]) -> None:
        """These were trained on, or teach nothing: they wait no more."""
        for group in groups:
            if (found := self._ready.get(id(group))) is not None:
                self._forget(*found)

    def taken(self) -> Counter[str]:
        """What was dropped since this was asked last, by reason."""
        dropped, self.dropped = self.dropped, Counter()
        return dropped

    def save(self) -> None:
        """Write it whole."""
        content = msgpack.packb([held.row() for held in self._held.values()])
        replace(self.path, _seal(content) + content)

    def _load(self) -> None:
        if not self.path.exists():
            return
        whole = self.path.read_bytes()
        if whole[:32] != _seal(whole[32:]):
            self.dropped["damaged file of waiting groups"] += 1
            return
        for author, operator, round, since, shelf, blob, places, record in msgpack.unpackb(whole[32:]):
            groups = unpack(blob, self.limits, author)[3]
            self._held[author, round] = Held(author, operator, round, since, shelf, blob, groups, set(places), record)

    def _ruled(self, wanted: list[tuple[Held, int]]) -> list[Ruled | None]:
        return self.verdicts.of([(held.operator, held.groups[place]) for held, place in wanted])

    def _drop(self, held: Held, place: int, reason: str) -> None:
        self.dropped[reason] += 1
        self._forget(held, place)

    def _forget(self, held: Held, place: int) -> None:
        held.places.discard(place)
        if not held.places:
            self._held.pop((held.author, held.round), None)


def _seal(content: bytes) -> bytes:
    """32 bytes that tell a whole file of this format from a damaged one."""
    return blake3(b"openswarm/waiting/1" + content).digest()
