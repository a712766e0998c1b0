"""Grinds seeds: tries several epoch seeds of its own making and plays its rounds, honestly, under the one whose answers earn most."""

from __future__ import annotations

from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own


class GroundSeeds(Honest):
    """Really worked, under questions and noise of its choice."""

    name = "grinds seeds"

    def work(self, play: Play, own: Own, number: int) -> Work:
        epoch, blobs = self.recorded.ground.epoch, self.recorded.ground.blobs
        return Work(epoch, blobs, frozenset(range(len(epoch.leaves))))
