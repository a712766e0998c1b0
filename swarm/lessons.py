"""The rows of a recipe as its model reads them: which ones a round learns from, and their tokens.

A row's prompt is asked in the same words as in an evaluation (`answer.prompt`, the model's chat), and the completion ends as an answer ends.
Rows are never cut: one that does not fit is refused at the start, with its line. Used by nodes and, to derive the same again, by replayers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from swarm import seeds
from swarm.errors import TaskError
from swarm.learn.sft import TrainRow

if TYPE_CHECKING:
    from swarm.stages import Stages
    from swarm.tasks.rows import Row


class Lessons:
    """The rows that `stages` has, which are those of its recipe."""

    def __init__(self, stages: Stages):
        self.recipe, self.rows, self._chat = stages.recipe, stages.mix.rows, stages.chat
        end = stages.policy.tokenizer.eos_token_id
        self._end = min(stages.policy.eos) if end is None else end

    def drawn(self, epoch_seed: bytes, author: bytes, round: int) -> list[Row]:
        """The rows of a round of `author` (`seeds.author`), in the order of drawing."""
        return self.rows.drawn(seeds.rows_seed(self.recipe.hash, epoch_seed, author, round), self.recipe.learn.batch)

    def tokens(self, row: Row) -> TrainRow:
        """A row for the optimizer step. Raises TaskError where it is too long for the recipe."""
        recipe = self.recipe
        asked = self._chat.fill(recipe.answer.prompt, 1, own={"question": row.prompt, "critiques": ""}, answer="")
        prompt, completion = self._chat.prompt(asked, sys.maxsize), [*self._chat.encode(row.completion), self._end]
        where = f"{recipe.learn.data}, line {row.line}"
        if len(completion) > recipe.answer.max_tokens:
            what = f"{where}: the completion and its end are {len(completion)} tokens; answer.max_tokens = {recipe.answer.max_tokens}"
            raise TaskError(what, "raise it, or leave the row out")
        if len(prompt) > recipe.model.max_length - recipe.answer.max_tokens:
            room = f"model.max_length - answer.max_tokens = {recipe.model.max_length - recipe.answer.max_tokens}"
            raise TaskError(f"{where}: the prompt is {len(prompt)} tokens; {room}", "raise model.max_length, or leave the row out")
        return TrainRow(prompt, completion)

    def check(self) -> None:
        """Raise TaskError naming the first row that does not fit."""
        for row in (*self.rows.train, *self.rows.heldout):
            self.tokens(row)
