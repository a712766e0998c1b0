"""Trains on other rows than were drawn: on the first ones of the file, whose answers are short, again and again."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from benchmarks.cheats import forgery
from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own
from swarm.learn.rows_record import RowsRecord


class OtherRows(Honest):
    """Honest arithmetic over rows of its own choice, in a recipe that has rows."""

    name, recipe = "trains on other rows", "sft"

    def work(self, play: Play, own: Own, number: int) -> Work:
        self._own = own
        return self._work

    @cached_property
    def _work(self) -> Work:
        easy = self.recorded.replayer.lessons.rows.train

        def change(record: RowsRecord, leaf: object, blobs: object) -> RowsRecord:
            return replace(record, rows=tuple((row.line, row.digest) for row in easy[: len(record.rows)]))

        return forgery.of_batches(self.recorded, self._own, self.steps, change)
