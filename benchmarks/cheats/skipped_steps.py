"""Claims steps that it did not take: their records name made-up states, and the batches of rounds it did play."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own
from swarm.keys import keccak


class SkippedSteps(Honest):
    """Works the first steps and makes the others up."""

    name = "skips steps"

    def work(self, play: Play, own: Own, number: int) -> Work:
        leaves, first = list(own.epoch.leaves), len(own.epoch.leaves) - self.steps
        for step in range(first, len(leaves)):
            before = leaves[step - 1].after if step else leaves[step].before
            leaves[step] = replace(leaves[step], before=before, after=keccak(b"made up", bytes([step])))
        return Work(replace(own.epoch, leaves=tuple(leaves)), {}, frozenset(range(first, len(leaves))))
