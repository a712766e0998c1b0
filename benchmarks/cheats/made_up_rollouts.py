"""Fabricates rollouts that it did not sample: half of every group is a copy of the other half, which spares half of the sampling."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from benchmarks.cheats import forgery
from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own
from swarm.groups import Group
from swarm.learn.record import BatchRecord
from swarm.proof.leaf import Leaf


class MadeUpRollouts(Honest):
    """Cheap rollouts that look like sampled ones."""

    name = "fabricates rollouts"

    def work(self, play: Play, own: Own, number: int) -> Work:
        self._own = own
        return self._work

    @cached_property
    def _work(self) -> Work:
        def copied(group: Group) -> Group:
            half = len(group.rollouts) // 2
            return replace(group, rollouts=(*group.rollouts[:half], *group.rollouts[:half]))

        def change(record: BatchRecord, leaf: Leaf, blobs: dict[bytes, bytes]) -> BatchRecord:
            return forgery.with_groups(record, leaf, blobs, self.recorded, copied)

        return forgery.of_batches(self.recorded, self._own, self.steps, change)
