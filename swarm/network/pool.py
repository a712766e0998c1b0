"""The pool: what other peers shared and is still fresh, with every refusal counted by reason.

A group is fresh while it is among its author's latest `freshness` rounds. The pool holds a bounded number of authors (those heard
longest ago go first), hands out every group at most once per use, and survives a restart.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
from blake3 import blake3

from swarm.disk import replace
from swarm.errors import Refused
from swarm.groups import Group, Limits, unpack

if TYPE_CHECKING:
    from swarm.records import Card

AUTHORS = 64


@dataclass(frozen=True)
class Shared:
    """A group of another peer, as it arrived."""

    author: bytes  # 32-byte peer
    operator: bytes  # 20-byte address
    name: str
    round: int  # the author's round
    group: Group

    @property
    def key(self) -> tuple[bytes, int, tuple[str, bytes, int, int], str | None]:
        return (self.author, self.round, self.group.key, self.group.answer)


@dataclass
class _Author:
    newest: int = -1
    heard: float = 0.0
    blobs: dict[tuple[str, int], list[Shared]] = field(default_factory=dict)
    raw: dict[tuple[str, int], bytes] = field(default_factory=dict)
    shelves: dict[tuple[str, int], bytes] = field(default_factory=dict)
    operator: bytes = b""
    name: str = ""
    specialty: int = -1


class Pool:
    """Fresh groups of others. `me` is the own 32-byte peer; `epoch_seeds` are the seeds a blob may name."""

    def __init__(self, me: bytes, freshness: int, limits: Limits, epoch_seeds: set[bytes], specialists: bool = False):
        self.me, self.freshness, self.limits, self.epoch_seeds, self.specialists = me, freshness, limits, epoch_seeds, specialists
        self.refused: Counter[str] = Counter()
        self._authors: OrderedDict[bytes, _Author] = OrderedDict()
        self._used: dict[str, set] = {}

    def add(self, card: Card, stage: str, round: int, data: bytes, at: float | None = None, shelf: bytes = b"") -> int:
        """Take in a blob that the network verified (hash and signature); returns the number of groups, 0 when refused."""
        return self.take(card.peer, card.operator, card.name, card.specialty, stage, round, data, at or time.time(), shelf)

    def take(
        self, peer: bytes, operator: bytes, name: str, specialty: int, stage: str, round: int, data: bytes, at: float, shelf: bytes = b""
    ) -> int:
        """`add` without a card: for what is known to be from `peer` already (saved earlier, or handed over in one process)."""
        try:
            said_stage, said_round, epoch_seed, groups = unpack(data, self.limits, peer)
            if (said_stage, said_round) != (stage, round):
                raise Refused("announced otherwise")
            if epoch_seed not in self.epoch_seeds or any(group.seed not in self.epoch_seeds for group in groups):
                raise Refused("epoch seed")
            self._check_specialty(groups, peer, specialty)
        except Refused as refusal:
            self.refused[refusal.reason] += 1
            return 0
        author = self._author(peer)
        if round <= author.newest - self.freshness:
            self.refused["stale"] += 1
            return 0
        if author.raw.get((stage, round), data) != data:
            self.refused["changed"] += 1  # a second story about one stage would get more groups looked at than one blob holds
            return 0
        author.newest, author.heard = max(author.newest, round), at
        author.operator, author.name, author.specialty = operator, name, specialty
        author.blobs[stage, round] = [Shared(peer, operator, name, round, group) for group in groups]
        author.raw[stage, round] = data
        author.shelves.setdefault((stage, round), shelf)
        self._prune(author)
        return len(groups)

    def fresh(self, use: str, stage: str | None = None) -> list[Shared]:
        """Groups not yet handed out for `use`, in a fixed order (author, round, stage, place in the blob)."""
        used = self._used.setdefault(use, set())
        found = []
        for peer in sorted(self._authors):
            for key in sorted(self._authors[peer].blobs):
                found += [s for s in self._authors[peer].blobs[key] if s.key not in used and stage in (None, s.group.stage)]
        return found

    def use(self, use: str, taken: list[Shared]) -> None:
        """Mark groups as handed out for `use`: they are not offered again."""
        self._used.setdefault(use, set()).update(shared.key for shared in taken)

    def refuse(self, reason: str, use: str, shared: Shared) -> None:
        """Count a group as refused, and do not offer it for `use` again."""
        self.refused[reason] += 1
        self.use(use, [shared])

    def source(self, shared: Shared) -> tuple[bytes, bytes, int]:
        """The blob in which a group came, the signed shelf (wire bytes) that vouches for it, and the group's place in it."""
        author, key = self._authors[shared.author], (shared.group.stage, shared.round)
        return author.raw[key], author.shelves[key], next(i for i, other in enumerate(author.blobs[key]) if other is shared)

    def name_of(self, peer: bytes) -> str:
        """The readable name of an author in the pool."""
        author = self._authors.get(peer)
        return author.name if author else peer.hex()[:8]

    def about_me(self, use: str) -> list[Shared]:
        """Critiques of own answers not yet handed out for `use`."""
        return [shared for shared in self.fresh(use, "critique") if shared.group.asker == self.me]

    def save(self, path: Path) -> None:
        """Write the raw blobs and what was used, whole."""
        blobs = [
            [peer, a.operator, a.name, a.specialty, stage, round, data, a.heard, a.shelves[stage, round]]
            for peer, a in self._authors.items()
            for (stage, round), data in a.raw.items()
        ]
        kept = {s.key for a in self._authors.values() for rows in a.blobs.values() for s in rows}
        used = {use: [list(key) for key in keys & kept] for use, keys in self._used.items()}
        content = msgpack.packb([blobs, used])
        replace(path, _seal(content) + content)

    def load(self, path: Path) -> None:
        """Take back what `save` wrote; a missing file is an empty pool, a damaged one is counted and left out."""
        if not path.exists():
            return
        whole = path.read_bytes()
        seal, content = whole[:32], whole[32:]
        if seal != _seal(content):
            self.refused["damaged pool file"] += 1
            return
        blobs, used = msgpack.unpackb(content, use_list=False)
        for peer, operator, name, specialty, stage, round, data, at, shelf in blobs:
            self.take(peer, operator, name, specialty, stage, round, data, at, shelf)
        for use, keys in used.items():
            self._used[use] = {(author, round, tuple(key), answer) for author, round, key, answer in keys}

    def _author(self, peer: bytes) -> _Author:
        if peer not in self._authors and len(self._authors) >= AUTHORS:
            self._authors.popitem(last=False)
        author = self._authors.setdefault(peer, _Author())
        self._authors.move_to_end(peer)
        return author

    def _prune(self, author: _Author) -> None:
        for key in [key for key in author.blobs if key[1] <= author.newest - self.freshness]:
            gone = {shared.key for shared in author.blobs.pop(key)}
            del author.raw[key], author.shelves[key]
            for keys in self._used.values():
                keys -= gone

    def _check_specialty(self, groups: list[Group], author: bytes, specialty: int) -> None:
        """A specialist's own questions come from the task its card names; elsewhere nobody has a specialty."""
        for group in groups:
            if not self.specialists and group.specialty != -1 or self.specialists and group.asker == author and group.specialty != specialty:
                raise Refused("specialty")


def _seal(content: bytes) -> bytes:
    """32 bytes that tell a whole file of this format from a damaged one."""
    return blake3(b"openswarm/pool/3" + content).digest()
