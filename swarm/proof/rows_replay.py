"""Replay of steps that were taken on rows (`learn.method = "sft"`): the draw is derived again, then the step is taken again.

A record may only name the rows that epoch seed, author and round give; whoever trains on others has a record that says so, or a state that the
drawn rows do not lead to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm import seeds
from swarm.lessons import Lessons
from swarm.proof.replay import Blobs, Fault, Replayer

if TYPE_CHECKING:
    from swarm.learn.rows_record import RowsRecord
    from swarm.learn.step import StepResult
    from swarm.proof.leaf import Leaf
    from swarm.stages import Stages
    from swarm.trainee import Trainee


class RowsReplayer(Replayer):
    """A replayer under a recipe that has rows."""

    def __init__(self, stages: Stages, trainee: Trainee):
        super().__init__(stages, trainee)
        self.lessons = Lessons(stages)
        self._known = {row.line: row for row in self.lessons.rows.train}

    def take(self, leaf: Leaf, blobs: Blobs) -> None:
        """The optimizer step on the rows of a record, wherever it leads."""
        self._learn(leaf, self.record(leaf, blobs))

    def _again(self, leaf: Leaf, record: RowsRecord, blobs: Blobs) -> StepResult:
        if record.data != self.lessons.rows.digest:
            raise Fault("rows", f"round {leaf.round} names rows of another file than the recipe's")
        drawn = self.lessons.drawn(leaf.epoch_seed, seeds.author(self._operator, leaf.peer), leaf.round)
        if [line for line, _ in record.rows] != [row.line for row in drawn]:
            raise Fault("rows", f"round {leaf.round} {_first_difference([line for line, _ in record.rows], [row.line for row in drawn])}")
        result = self._learn(leaf, record)
        self._require_counts(leaf, 0, result)
        return result

    def _learn(self, leaf: Leaf, record: RowsRecord) -> StepResult:
        """The step on the rows that the record names."""
        rows = [self._known.get(line) for line, _ in record.rows]
        if [row and row.digest for row in rows] != [digest for _, digest in record.rows]:
            raise Fault("rows", f"round {leaf.round} names rows that the recipe's file does not have, or that are held out")
        result = self.trainee.step_on_rows([self.lessons.tokens(row) for row in rows], seeds.derive("step", leaf.epoch_seed, leaf.peer, leaf.round))
        self.trainee.round = leaf.round
        return result


def _first_difference(said: list[int], drawn: list[int]) -> str:
    place = next((place for place, (a, b) in enumerate(zip(said, drawn, strict=False)) if a != b), None)
    if place is None:
        return f"trains on {len(said)} rows where {len(drawn)} are drawn"
    return f"trains on line {said[place]} where line {drawn[place]} is drawn (row {place + 1} of {len(drawn)})"
