"""Withholds data: makes steps up, and when one of them is drawn, nobody can have its records any more."""

from __future__ import annotations

from benchmarks.cheats.conduct import Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.skipped_steps import SkippedSteps


class WithheldData(SkippedSteps):
    """Hopes for the price of absence in the place of that of fraud."""

    name = "withholds a drawn step"

    def drawn(self, play: Play, work: Work, steps: list[int]) -> set[bytes]:
        leaves = work.epoch.leaves
        return {leaves[step].batch for step in steps if step in work.forged}


class WithheldEpoch(SkippedSteps):
    """The same with the blob that names everything else."""

    name = "withholds the epoch"

    def drawn(self, play: Play, work: Work, steps: list[int]) -> set[bytes]:
        return {work.epoch.digest} if work.forged & set(steps) else set()
