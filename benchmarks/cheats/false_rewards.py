"""Forges rewards: the first rollout of every trained group earns what it did not, and the step is taken on that."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from benchmarks.cheats import forgery
from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own
from swarm.learn.record import BatchRecord, Trained


class FalseRewards(Honest):
    """Learns what it likes to learn."""

    name = "forges rewards"

    def work(self, play: Play, own: Own, number: int) -> Work:
        self._own = own
        return self._work

    @cached_property
    def _work(self) -> Work:
        def turned(trained: Trained) -> Trained:
            (digest, reward, advantage), *others = trained.rollouts
            return replace(trained, rollouts=((digest, 1.0 - (reward or 0.0), advantage), *others))

        def change(record: BatchRecord, leaf: object, blobs: object) -> BatchRecord:
            return replace(record, trained=tuple(map(turned, record.trained)))

        return forgery.of_batches(self.recorded, self._own, self.steps, change)
