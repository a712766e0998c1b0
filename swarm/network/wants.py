"""Which blobs of which members to fetch next: fresh ones, within what one round may cost, at random.

Traffic per round does not grow with the swarm: every publication of our own earns a fixed number of fetches.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from swarm.addresses import PACKED
from swarm.groups import Limits
from swarm.network.members import Member, Members
from swarm.network.quota import TokenBucket
from swarm.recipe import Recipe
from swarm.records import Entry
from swarm.seeds import AVERAGE, STAGES

FETCHES, FETCHES_FROM_UNPROVEN = 6, 3  # at once
SETTLED = 16_384  # blobs remembered as fetched or refused
TRICKLE_S = 60.0  # a node that publishes nothing still earns a full allowance in this time


@dataclass(frozen=True)
class Want:
    """One blob to fetch, and the signed shelf that names it."""

    member: Member
    entry: Entry
    shelf: bytes

    @property
    def key(self) -> tuple[bytes, bytes]:
        return (self.member.peer, self.entry.digest)


class Wants:
    """Chooses what to fetch. Used only on the network's loop."""

    def __init__(self, members: Members, rng: random.Random):
        self._members, self._rng = members, rng
        self._limits: Limits | None = None
        self._freshness = self._per_stage = 0
        self._averages = False
        self._allowance = TokenBucket(0, 0)
        self._settled: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()

    def adopt(self, recipe: Recipe) -> None:
        """From now on blobs of this recipe are wanted: it says how large they may be and how many a round needs."""
        self._limits = Limits.of(recipe)
        self._freshness, self._averages = recipe.sharing.freshness, recipe.average.every > 0
        self._per_stage = max(8, 2 * (recipe.sharing.foreign + recipe.critique.groups))
        full = 2 * len(STAGES) * self._per_stage
        self._allowance = TokenBucket(full / TRICKLE_S, full)

    def earned(self) -> None:
        """A stage of ours was published: as many more fetches may be made."""
        self._allowance.give(self._per_stage)

    def settle(self, want: Want) -> None:
        """This blob is not wanted again."""
        self._settled[want.key] = None
        if len(self._settled) > SETTLED:
            self._settled.popitem(last=False)

    def size_limit(self, stage: str) -> int:
        """Bytes that a blob of `stage` may have under the recipe."""
        if stage == AVERAGE:
            return PACKED if self._averages else 0
        return self._limits.blob_bytes(stage) if self._limits else 0

    def choose(self, heard: Iterable[Member], active: dict[tuple[bytes, bytes], Want]) -> list[Want]:
        """What to start fetching now, given what is under way. Claims that are too large are settled and counted."""
        unproven = sum(want.member.delivered == 0 for want in active.values())
        chosen: list[Want] = []
        for want in sorted(self._open(heard), key=self._rank):
            if len(active) + len(chosen) >= FETCHES:
                break
            new = want.member.delivered == 0
            if want.key in active or (new and unproven >= FETCHES_FROM_UNPROVEN):
                continue
            if not self._allowance.allows(1):
                break
            unproven += new
            chosen.append(want)
        return chosen

    def _open(self, heard: Iterable[Member]) -> list[Want]:
        """Every fresh blob that is neither settled nor impossible."""
        found = []
        for member in heard:
            if self._limits is None or member.shelf is None or not self._members.usable(member):
                continue
            oldest = max((entry.round for entry in member.shelf.entries), default=0) - self._freshness
            for entry in member.shelf.entries:
                want = Want(member, entry, member.shelf_wire)
                stale = entry.round <= oldest and entry.stage != AVERAGE  # addresses are good until others replace them
                if stale or want.key in self._settled:
                    continue
                if 0 < entry.size <= self.size_limit(entry.stage):
                    found.append(want)
                else:
                    self._members.refused("oversize")
                    self.settle(want)
        return found

    def _rank(self, want: Want) -> float:
        """Random, with those first that have delivered before."""
        return self._rng.random() - (want.member.delivered > 0)
