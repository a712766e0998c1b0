"""Trains on other data than the rules choose: one group of its own again and again, in the place of the others."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from benchmarks.cheats import forgery
from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own
from swarm.learn.record import BatchRecord


class OtherData(Honest):
    """Honest arithmetic over a batch of its own choice."""

    name = "trains on other data"

    def work(self, play: Play, own: Own, number: int) -> Work:
        self._own = own
        return self._work

    @cached_property
    def _work(self) -> Work:
        def change(record: BatchRecord, leaf: object, blobs: object) -> BatchRecord:
            return replace(record, trained=record.trained[:1] * len(record.trained) if len(record.trained) > 1 else ())

        return forgery.of_batches(self.recorded, self._own, self.steps, change)
