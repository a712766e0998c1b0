"""One side of a dispute about a step: its own trace, and whatever can be asked about it.

A side is made from its own computation, right or wrong: what it claims of a value is what came out there, and where that does not follow
from the definition, the claim stands at the end of an honest account. So the same code plays for the prover, for a challenger, and, in
benchmarks, for a liar. Nothing is kept but roots; words are computed again when they are asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from swarm.keys import keccak
from swarm.learn.root import elements
from swarm.merkle import Tree
from swarm.proof import dispute_format as form
from swarm.proof.canonical.definition.codes import FOLD
from swarm.proof.canonical.definition.machine import IMMEDIATE, Instruction, Operand
from swarm.proof.canonical.trace import Trace, perform
from swarm.proof.state_tree import StateTree

Words = Mapping[int, np.ndarray]
Again = Callable[[Collection[int], int], Words]  # (values wanted, call after which to stop) -> their words, by doing the step once more
States = Callable[[], StateTree]
WORD = 2**32


@dataclass
class Account:
    """How a side says that a MADE value comes about: the values of its program (inputs first) and the instructions behind the inputs."""

    inputs: tuple[int, ...]  # numbers in the trace
    instructions: list[Instruction]
    packed: tuple[bytes, ...]
    position: int  # of the instruction whose value is the disputed one
    values: list[np.ndarray]

    @functools.cached_property
    def program(self) -> Tree:
        return Tree([keccak(each) for each in self.packed])

    @functools.cached_property
    def made(self) -> Tree:
        """Over the roots of what the instructions make."""
        return Tree([form.value_root(words) for words in self.values[len(self.inputs) :]])

    def words(self, instruction: int) -> np.ndarray:
        """What an instruction makes."""
        return self.values[len(self.inputs) + instruction]

    def running(self, instruction: int, element: int) -> np.ndarray:
        """The running words of a FOLD for one element: acc(0) .. acc(length), the last one as it is claimed."""
        done = self.instructions[instruction]
        acc = self.word(done.start, place_of(element, done.dims))
        words = [acc]
        with np.errstate(all="ignore"):
            for k in range(done.length):
                place = (*place_of(element, done.dims), k)
                acc = FOLD[done.code](acc, *(self.word(each, place) for each in done.operands))
                words.append(acc)
        words[-1] = self.words(instruction)[element : element + 1]
        return np.concatenate(words)

    def word(self, operand: Operand, place: tuple[int, ...]) -> np.ndarray:
        """What an operand reads at a place, an array of one; 0 outside of its value."""
        at = address(operand, place)
        if operand.number == IMMEDIATE:
            return np.array([at % WORD], np.uint32)
        words = self.values[operand.number]
        return words[at : at + 1] if 0 <= at < len(words) else np.zeros(1, np.uint32)


class Side:
    """`again` does the step once more and gives the words of some values. `before` and `after` give the states that the step's record names;
    the first is needed where its words are disputed, the second to show that a true trace does not lead there."""

    def __init__(self, trace: Trace, again: Again, before: States | None = None, after: States | None = None):
        self.trace, self.again, self.before, self.after = trace, again, before, after

    @functools.cached_property
    def said(self) -> form.Trace:
        return form.Trace(len(self.trace.values), self.structure.root, self.values.root)

    @functools.cached_property
    def values(self) -> Tree:
        return Tree(self.trace.roots)

    @functools.cached_property
    def structure(self) -> Tree:
        return Tree([keccak(each) for each in self.trace.entries])

    @functools.lru_cache(maxsize=2)  # noqa: B019 (a side lives as long as its match)
    def account(self, value: int) -> Account:
        """Of a MADE value."""
        made = self.trace.values[value]
        call, program = self.trace.calls[made.call], self.trace.program(made.call)
        claimed = [writing.value for writing in call.outputs]
        words = self.again([*call.inputs, *claimed], made.call)
        machine, ends = perform(call, words)
        for end, number in zip(ends, claimed, strict=True):
            machine.values[end] = words[number]
        return Account(call.inputs, machine.instructions, program.packed, program.positions[made.output], machine.values)

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def words(self, value: int) -> np.ndarray:
        """Of any value."""
        call = self._user(value)
        return self.again([value], call)[value]

    def contradiction(self) -> tuple[int, int] | None:
        """A FINAL value and a word of it that is another in the state after the step than in the trace."""
        finals = [number for number, value in enumerate(self.trace.values) if value.kind == form.FINAL]
        state = self.after() if self.after else None
        for number, words in sorted(self.again(finals, len(self.trace.calls)).items()) if state else ():
            said = elements(state.tensors[self.trace.values[number].name]).view("<u4")
            if (different := np.flatnonzero(words != said)).size:
                return number, int(different[0])
        return None

    def _user(self, value: int) -> int:
        """A call after which a value has been seen."""
        made = self.trace.values[value]
        if made.kind == form.MADE:
            return made.call
        return next((n for n, call in enumerate(self.trace.calls) if value in call.inputs), len(self.trace.calls))


def address(operand: Operand, place: tuple[int, ...]) -> int:
    """Where an operand's word lies, in its value; the word itself where it is an immediate."""
    return operand.offset + sum(at * stride for at, stride in zip(place, operand.strides, strict=True))


def place_of(element: int, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The place of a word along each axis, row-major."""
    return tuple(int(each) for each in np.unravel_index(element, dims)) if dims else ()
