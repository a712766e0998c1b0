"""A model of the dispute court: the rules of contracts/src/DisputeCourt.sol in Python, without clocks, bonds and members.

It is what the contract is compared with, and what games in the default tests are played before. A call that the contract would revert raises
Reverted.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import numpy as np

from swarm import merkle
from swarm.chain.values import Ruling, Stage
from swarm.keys import keccak
from swarm.policy.noise import bits
from swarm.proof import dispute_format as form
from swarm.proof.board import DESCENTS, Board
from swarm.proof.canonical.definition.codes import FOLD, SCALAR, Code
from swarm.proof.canonical.definition.machine import IMMEDIATE, Kind, Operand
from swarm.proof.descent import Reveal
from swarm.proof.dispute import under_place
from swarm.proof.side import address, place_of


class Reverted(Exception):
    """What a contract does."""


class ModelCourt:
    """One match. `board` is what a player sees; calls are the contract's."""

    def __init__(self, sealed: bytes = bytes(32)):
        fields = dict(key=bytes(32), challenger=bytes(32), epoch=0, step=0, stage=Stage.ANSWER, ruling=Ruling.NONE, challengersTurn=False)
        fields |= dict(height=0, index=0, leaves=0, size=0, value=0, position=0, element=0, length=0, run=0, acc=0, folds=False)
        fields |= dict(proverWord=0, challengerWord=0, proverNode=b"", challengerNode=b"", program=b"", running=b"", entry=b"", instruction=b"")
        self.m = SimpleNamespace(**fields, sealedTrace=sealed)
        self.step = SimpleNamespace(answeredAt=0, trace=None)
        self.descents: list[list[Reveal]] = []
        self.word: int | None = None  # what was computed in the end

    @property
    def board(self) -> Board:
        return Board(bytes(32), SimpleNamespace(**vars(self.m)), self.step, [list(each) for each in self.descents])

    def call(self, function: str, args: tuple[Any, ...]) -> None:
        getattr(self, function)(*args)

    def answer(self, key: bytes, epoch: int, step: int, trace: dict[str, Any]) -> None:
        _require(self.step.answeredAt == 0)
        self.step = SimpleNamespace(answeredAt=1, trace=SimpleNamespace(**trace))

    def unseal(self, id: bytes, trace: dict[str, Any], salt: bytes) -> None:
        self._in(Stage.ANSWER)
        said, own = form.Trace(**trace), self.step.trace
        _require(own is not None and said.sealed(self.m.challenger, self.m.key, self.m.epoch, self.m.step, salt) == self.m.sealedTrace)
        if (said.count, said.structure) != (own.count, own.structure):
            self._end(Ruling.STRUCTURE)
        elif said.values == own.values:
            self.m.stage, self.m.challengersTurn = Stage.EQUAL, True
        else:
            self._enter(Stage.VALUES, said.count, own.values, said.values)

    def reveal(self, id: bytes, nodes: list[bytes]) -> None:
        _require(self.m.stage in DESCENTS)
        self._check_nodes(nodes, self.m.challengerNode if self.m.challengersTurn else self.m.proverNode)
        self._tell(self.m.challengersTurn, nodes)
        self.m.challengersTurn = not self.m.challengersTurn

    def descend(self, id: bytes, provers: list[bytes], challengers: list[bytes]) -> None:
        _require(self.m.stage in DESCENTS)
        self._check_nodes(provers, self.m.proverNode)
        self._check_nodes(challengers, self.m.challengerNode)
        self._tell(False, provers)
        depth = min(form.DEPTH, self.m.height)
        place = next(i for i, (a, b) in enumerate(zip(provers, challengers, strict=True)) if a != b)
        self.m.height, self.m.index = self.m.height - depth, (self.m.index << depth) + place
        bottom = self.m.height == 0
        self.m.proverNode, self.m.challengerNode = provers[place], challengers[place]
        if bottom:
            self._arrive()

    def showEntry(self, id: bytes, entry: bytes, proof: list[bytes], source: bytes, source_proof: list[bytes]) -> None:
        self._in(Stage.ENTRY)
        trace = self.step.trace
        _require(merkle.verify(trace.structure, trace.count, self.m.value, keccak(entry), proof))
        self.m.entry, self.m.challengersTurn = entry, False
        kind = entry[0]
        if kind == form.GIVEN:
            self._compare(entry[5:37])
        elif kind == form.FINAL:
            _require(merkle.verify(trace.values, trace.count, struct.unpack_from(">I", entry, 15)[0], source, source_proof))
            self._compare(source)
        elif kind == form.INITIAL:
            self._enter_elements(struct.unpack_from(">I", entry, 1)[0])
        else:
            _require(kind == form.MADE)
            single = self._length() == 1
            self.m.stage, self.m.challengersTurn = (Stage.INSTRUCTION, True) if single else (Stage.PROGRAMS, False)

    def postProgram(self, id: bytes, entry: bytes, root: bytes, proof: list[bytes]) -> None:
        self._in(Stage.PROGRAMS)
        node = self.m.challengerNode if self.m.challengersTurn else self.m.proverNode
        position = struct.unpack_from(">I", entry, 5)[0]
        _require(entry == self.m.entry and merkle.verify(root, self._length(), position, node, proof))
        if self.m.challengersTurn:
            self._enter(Stage.PROGRAM, self._length(), self.m.program, root)
        else:
            self.m.program, self.m.challengersTurn = root, True

    def showInstruction(self, id: bytes, entry: bytes, instruction: bytes, proof: list[bytes]) -> None:
        self._in(Stage.INSTRUCTION)
        _require(entry == self.m.entry and merkle.verify(entry[13:45], self._length(), self.m.position, keccak(instruction), proof))
        self.m.instruction = instruction
        read = Packed(instruction)
        self.m.folds, self.m.length = read.kind is Kind.FOLD, read.length
        self._enter_elements(read.length if read.kind is Kind.UPDATE else int(np.prod(read.dims, dtype=np.int64)))

    def postRun(self, id: bytes, root: bytes, chunk: bytes, proof: list[bytes]) -> None:
        self._in(Stage.RUNS)
        claimed = self.m.challengerWord if self.m.challengersTurn else self.m.proverWord
        count, last = -(-(self.m.length + 1) // 8), self.m.length
        _require(merkle.verify(root, count, last // 8, chunk, proof) and _word(chunk, last % 8) == claimed)
        if self.m.challengersTurn:
            self._enter(Stage.RUN, count, self.m.running, root)
        else:
            self.m.running, self.m.challengersTurn = root, True

    def settle(self, id: bytes, entry: bytes, instruction: bytes, openings: list[dict[str, Any]]) -> None:
        self._in(Stage.SETTLE)
        _require(entry == self.m.entry and instruction == self.m.instruction)
        read = Packed(instruction)
        _require(len(openings) == len(read.operands))
        self._decide({Kind.MAP: self._map, Kind.FOLD: self._fold, Kind.GATHER: self._gather, Kind.UPDATE: self._update}[read.kind](read, openings))

    # the last word

    def _map(self, read: Packed, openings: list[dict[str, Any]]) -> int:
        place = place_of(self.m.element, read.dims)
        words = [self._read(each, address(each, place), opening) for each, opening in zip(read.operands, openings, strict=True)]
        return _scalar(SCALAR, read.code, words)

    def _fold(self, read: Packed, openings: list[dict[str, Any]]) -> int:
        place, start = place_of(self.m.element, read.dims), read.operands[-1]
        if self.m.run == 0:
            return self._read(start, address(start, place), openings[-1])
        if self.m.run % 8 == 0:
            count, before = -(-(self.m.length + 1) // 8), openings[-1]
            _require(merkle.verify(self.m.running, count, self.m.run // 8 - 1, before["chunk"], before["chunkProof"]))
            self.m.acc = _word(before["chunk"], 7)
        place = (*place, self.m.run - 1)
        words = [self._read(each, address(each, place), opening) for each, opening in zip(read.operands[:-1], openings[:-1], strict=True)]
        return _scalar(FOLD, read.code, [self.m.acc, *words])

    def _gather(self, read: Packed, openings: list[dict[str, Any]]) -> int:
        place, (table, index) = place_of(self.m.element, read.dims), read.operands
        steps = self._read(index, address(index, place), openings[1])
        return self._read(table, address(table, place) + (steps - 2**32 * (steps >> 31)) * read.scale, openings[0])

    def _update(self, read: Packed, openings: list[dict[str, Any]]) -> int:
        base, source = read.operands
        place = under_place(base, read.dims, self.m.element)
        if place is None:
            return self._read(base, self.m.element, openings[0])
        return self._read(source, address(source, place), openings[1])

    def _read(self, operand: PackedOperand, at: int, opening: dict[str, Any]) -> int:
        if operand.number == IMMEDIATE:
            return at % 2**32
        if not 0 <= at < operand.words:
            return 0
        self._check_root(operand.number, opening)
        _require(merkle.verify(opening["root"], -(-operand.words // 8), at // 8, opening["chunk"], opening["chunkProof"]))
        return _word(opening["chunk"], at % 8)

    def _check_root(self, number: int, opening: dict[str, Any]) -> None:
        (inputs,) = struct.unpack_from(">H", self.m.entry, 45)
        if number < inputs:
            trace, value = self.step.trace, struct.unpack_from(">I", self.m.entry, 47 + 8 * number)[0]
            _require(value < self.m.value and merkle.verify(trace.values, trace.count, value, opening["root"], opening["rootProof"]))
        else:
            _require(number - inputs < self.m.position)
            _require(merkle.verify(self.m.program, self._length(), number - inputs, opening["root"], opening["rootProof"]))

    # on the way

    def _in(self, stage: Stage) -> None:
        _require(self.m.stage == stage)

    def _tell(self, by_challenger: bool, nodes: list[bytes]) -> None:
        self.descents[-1].append(Reveal(bool(by_challenger), self.m.height, self.m.index, tuple(nodes)))

    def _length(self) -> int:
        return struct.unpack_from(">I", self.m.entry, 9)[0]

    def _enter(self, stage: Stage, leaves: int, prover: bytes, challenger: bytes) -> None:
        self.m.stage, self.m.challengersTurn = stage, False
        self.m.height, self.m.index, self.m.leaves = max(0, leaves - 1).bit_length(), 0, leaves
        self.m.proverNode, self.m.challengerNode = prover, challenger
        self.descents.append([])

    def _enter_elements(self, size: int) -> None:
        if size == 0:
            return self._compare(bytes(32))
        self.m.size = size
        self._enter(Stage.ELEMENTS, -(-size // 8), self.m.proverNode, self.m.challengerNode)

    def _arrive(self) -> None:
        stage, self.m.challengersTurn = self.m.stage, True
        if stage == Stage.VALUES:
            self.m.value, self.m.stage = self.m.index, Stage.ENTRY
        elif stage == Stage.PROGRAM:
            self.m.position, self.m.stage = self.m.index, Stage.INSTRUCTION
        else:
            self._arrive_at_word(stage == Stage.RUN)

    def _arrive_at_word(self, running: bool) -> None:
        prover, challenger = self.m.proverNode, self.m.challengerNode
        i = next(i for i in range(8) if _word(prover, i) != _word(challenger, i))
        self.m.proverWord, self.m.challengerWord = _word(prover, i), _word(challenger, i)
        word = 8 * self.m.index + i
        if word >= (self.m.length + 1 if running else self.m.size):
            self._decide(0)
        elif running:
            self.m.run, self.m.stage, self.m.acc = word, Stage.SETTLE, _word(prover, i - 1) if i else self.m.acc
        elif self.m.folds:
            self.m.element, self.m.stage, self.m.challengersTurn = word, Stage.RUNS, False
        else:
            self.m.element, self.m.stage = word, Stage.SETTLE if self.m.instruction else Stage.STATE

    def _check_nodes(self, nodes: list[bytes], node: bytes) -> None:
        depth = min(form.DEPTH, self.m.height)
        width = ((self.m.leaves - 1) >> (self.m.height - depth)) + 1
        _require(len(nodes) == min(width - (self.m.index << depth), 1 << depth))
        row = [keccak(b"\0", each) for each in nodes] if depth == self.m.height else list(nodes)
        while len(row) > 1:
            row = merkle.tree.above(row)
        _require(row[0] == node)

    def _decide(self, word: int) -> None:
        self.word = word
        self._end(Ruling.CHALLENGER_LOST if self.m.proverWord == word else Ruling.PROVER_LOST)

    def _compare(self, root: bytes) -> None:
        self._end(Ruling.CHALLENGER_LOST if self.m.proverNode == root else Ruling.PROVER_LOST)

    def _end(self, ruling: Ruling) -> None:
        self.m.stage, self.m.ruling = Stage.CLOSED, ruling


class PackedOperand(Operand):
    """With the words of the value that it names."""

    words: int = 0


class Packed:
    """A packed instruction, read."""

    def __init__(self, data: bytes):
        kind, code, axes, count, self.length, self.scale = struct.unpack_from(">BBBBIq", data)
        self.kind, self.code = Kind(kind), Code(code)
        self.dims, at = struct.unpack_from(f">{axes}I", data, 16), 16 + 4 * axes
        self.operands: list[PackedOperand] = []
        for place in range(count):
            strides = axes + (self.kind is Kind.FOLD and place < count - 1)
            number, words, offset, *steps = struct.unpack_from(f">IIq{strides}q", data, at)
            operand = PackedOperand(number, offset, tuple(steps))
            object.__setattr__(operand, "words", words)
            self.operands.append(operand)
            at += 16 + 8 * strides
        self.seed = data[at:]

    def noise(self, element: int) -> int:
        """A word of NOISE."""
        position, entry = divmod(element, self.length)
        return int(bits(self.seed, range(self.scale + position, self.scale + position + 1), self.length)[0, entry])


def _scalar(table: dict[Code, Any], code: Code, words: list[int]) -> int:
    with np.errstate(all="ignore"):
        return int(table[code](*(np.array([word], np.uint32) for word in words))[0])


def _word(chunk: bytes, place: int) -> int:
    return struct.unpack_from("<I", chunk, 4 * place)[0]


def _require(condition: Any) -> None:
    if not condition:
        raise Reverted
