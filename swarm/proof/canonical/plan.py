"""A machine that runs nothing: it only writes down which instructions a definition has, for operands of given sizes.

A trace commits to the program of every operator; computing them all would take a definition hours. `Planner` knows how many words each value
has and never looks at one.
"""

from __future__ import annotations

import math

import numpy as np

from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import DIMS, Instruction, Kind, Machine, View, _operand, _row_major


def _blank(words: int) -> np.ndarray:
    """An array that has a length and takes no memory; no view of it is ever looked through."""
    return np.broadcast_to(np.uint32(0), (words,))


class Planner(Machine):
    """A `Machine` whose values have a length only."""

    def reserve(self, words: int) -> View:
        """An input."""
        self.taken += 1
        self.values.append(_blank(words))
        return View(len(self.values) - 1, self.values[-1], 0, (words,), (1,))

    def map(self, code: Code, *operands: View) -> View:
        shape = np.broadcast_shapes(*(each.shape for each in operands))
        return self._plan(Instruction(Kind.MAP, code, shape, 0, 0, tuple(_operand(each.expand(*shape)) for each in operands)))

    def fold(self, code: Code, start: View, *operands: View) -> View:
        whole = np.broadcast_shapes(*(each.shape for each in operands))
        wide = tuple(_operand(each.expand(*whole)) for each in operands)
        return self._plan(Instruction(Kind.FOLD, code, whole[:-1], whole[-1], 0, wide, _operand(start.expand(*whole[:-1]))))

    def _require_places(self, index: View, size: int) -> None:
        """Which they are is not looked at."""

    def pick(self, table: View, index: View, scale: int) -> View:
        return self._plan(Instruction(Kind.GATHER, Code.MOV, table.shape, 0, scale, (_operand(table),), _operand(index)))

    def update(self, under: View, source: View) -> View:
        length = len(under.words)
        operands = (_operand(under), _operand(source.expand(*under.shape)))
        return self._plan(Instruction(Kind.UPDATE, Code.MOV, under.shape, length, 0, operands), (length,))

    def noise(self, seed: bytes, start: int, positions: int, vocabulary: int) -> View:
        return self._plan(Instruction(Kind.NOISE, Code.MOV, (positions, vocabulary), vocabulary, start, (), None, seed))

    def _plan(self, instruction: Instruction, shape: tuple[int, ...] | None = None) -> View:
        if len(instruction.dims) > DIMS:
            raise ValueError(f"{len(instruction.dims)} axes; a primitive operation has at most {DIMS}")
        shape = instruction.dims if shape is None else shape
        self.instructions.append(instruction)
        self.values.append(_blank(math.prod(shape)))
        return View(len(self.values) - 1, self.values[-1], 0, tuple(shape), _row_major(shape))
