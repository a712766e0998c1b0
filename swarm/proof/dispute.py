"""What a side does next in a match of the dispute court: from the match as it stands on chain to one transaction.

A match leads two traces of one step to the first word in which they differ, and there the court computes (contracts/src/DisputeCourt.sol).
Nothing has to be remembered between moves: the match, what was shown in it, and a trace that can be computed again say all. A prover plays,
a challenger, or anyone for either of them; moves that post new roots are the side's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from swarm.chain.values import Stage
from swarm.merkle import Tree
from swarm.proof import dispute_format as form
from swarm.proof.board import Board, Move
from swarm.proof.canonical.definition.machine import IMMEDIATE, Instruction, Kind, Operand
from swarm.proof.canonical.tree import WordTree
from swarm.proof.descent import Known, shown
from swarm.proof.side import Account, Side, address, place_of

Opening = dict[str, Any]
NOTHING: Opening = {"root": bytes(32), "rootProof": [], "chunk": bytes(32), "chunkProof": []}


class Player:
    """Plays one side. `salt` is what the challenger sealed its trace with."""

    def __init__(self, side: Side, is_challenger: bool, salt: bytes = bytes(32)):
        self.side, self.is_challenger, self.salt = side, is_challenger, salt

    def next(self, board: Board) -> Move | None:
        """The next transaction; None while it is the other's turn, and when all is over."""
        match = board.match
        if board.challengers_turn != self.is_challenger:
            return None
        ways: dict[int, Callable[[Board], Move | None]] = {
            Stage.ANSWER: self._answer,
            Stage.VALUES: self._descend,
            Stage.ENTRY: self._show_entry,
            Stage.PROGRAMS: self._post_program,
            Stage.PROGRAM: self._descend,
            Stage.INSTRUCTION: self._show_instruction,
            Stage.ELEMENTS: self._descend,
            Stage.RUNS: self._post_run,
            Stage.RUN: self._descend,
            Stage.SETTLE: self._settle,
            Stage.STATE: self._settle_state,
            Stage.EQUAL: self._contradict,
        }
        way = ways.get(match.stage)
        return way(board) if way else None

    def _answer(self, board: Board) -> Move:
        trace = {"count": self.side.said.count, "structure": self.side.said.structure, "values": self.side.said.values}
        if self.is_challenger:
            return Move("unseal", (board.id, trace, self.salt))
        return Move("answer", (board.match.key, board.match.epoch, board.match.step, trace))

    def _descend(self, board: Board) -> Move:
        """Go on from what the other has shown, or show one's own nodes."""
        match, reveals = board.match, board.descents[-1] if board.descents else []
        here = [each for each in reveals if (each.height, each.index) == (match.height, match.index)]
        theirs = next((each.nodes for each in here if each.by_challenger != self.is_challenger), None)
        own = shown(self._tree(board), match.height, match.index)
        if theirs is None:
            return Move("reveal", (board.id, own))
        return Move("descend", (board.id, list(theirs), own) if self.is_challenger else (board.id, own, list(theirs)))

    def _tree(self, board: Board) -> Tree | WordTree:
        """The tree that is gone down now."""
        match = board.match
        if match.stage == Stage.VALUES:
            return self.side.values
        if match.stage == Stage.PROGRAM:
            return self._account(board).made
        return WordTree(self._running(board) if match.stage == Stage.RUN else self._words(board))

    def _show_entry(self, board: Board) -> Move:
        value = self.side.trace.values[board.match.value]
        root, proof = bytes(32), []
        if value.kind == form.FINAL:
            root, proof = self.side.trace.roots[value.source], self._values(board).path(value.source)
        return Move("showEntry", (board.id, self._entry(board), self.side.structure.path(board.match.value), root, proof))

    def _post_program(self, board: Board) -> Move:
        account = self._account(board)
        return Move("postProgram", (board.id, self._entry(board), account.made.root, account.made.path(account.position)))

    def _show_instruction(self, board: Board) -> Move:
        account, position = self._account(board), board.match.position
        return Move("showInstruction", (board.id, self._entry(board), account.packed[position], account.program.path(position)))

    def _post_run(self, board: Board) -> Move:
        tree = WordTree(self._running(board))
        last = len(tree.digests) - 1
        return Move("postRun", (board.id, tree.root, tree.digests[last], tree.path(last)))

    def _settle(self, board: Board) -> Move:
        account, position = self._account(board), board.match.position
        openings = self._openings(board, account, account.instructions[position])
        return Move("settle", (board.id, self._entry(board), account.packed[position], openings))

    def _settle_state(self, board: Board) -> Move | None:
        if self.side.before is None:
            return None
        state, name = self.side.before(), self.side.trace.values[board.match.value].name
        return Move("settleState", (board.id, self._entry(board), state.opening(state.names.index(name), board.match.element)))

    def _contradict(self, board: Board) -> Move | None:
        """The traces are equal: what is wrong can only be the state that the record says came of it."""
        if (found := self.side.contradiction()) is None:
            return None
        number, element = found
        state, trace = self.side.after(), self.side.trace
        tree, chunk = WordTree(self.side.words(number)), element // form.CHUNK
        shown = {"value": number, "entry": trace.entries[number], "entryProof": self.side.structure.path(number)}
        shown |= {"root": trace.roots[number], "rootProof": self.side.values.path(number), "element": element}
        shown |= {"chunk": tree.digests[chunk], "chunkProof": tree.path(chunk)}
        return Move("contradict", (board.id, shown, state.opening(state.names.index(trace.values[number].name), element)))

    # what the last operation reads

    def _openings(self, board: Board, account: Account, done: Instruction) -> list[Opening]:
        if done.kind is Kind.UPDATE:
            return self._of_update(board, account, done, board.match.element)
        place = place_of(board.match.element, done.dims)
        if done.kind is Kind.FOLD:
            return self._of_fold(board, account, done, place)
        found = [self._opening(board, account, each, address(each, place)) for each in done.operands]
        if done.kind is Kind.GATHER:
            index = int(account.word(done.start, place).view(np.int32)[0])
            table = done.operands[0]
            start = self._opening(board, account, done.start, address(done.start, place))
            return [self._opening(board, account, table, address(table, place) + index * done.scale), start]
        return found

    def _of_fold(self, board: Board, account: Account, done: Instruction, place: tuple[int, ...]) -> list[Opening]:
        run = board.match.run
        if run == 0:
            return [NOTHING] * len(done.operands) + [self._opening(board, account, done.start, address(done.start, place))]
        operands = [self._opening(board, account, each, address(each, (*place, run - 1))) for each in done.operands]
        return [*operands, self._before(board, run) if run % form.CHUNK == 0 else NOTHING]

    def _before(self, board: Board, run: int) -> Opening:
        """The running word before one that begins a chunk."""
        tree = WordTree(self._running(board))
        chunk = run // form.CHUNK - 1
        return NOTHING | {"chunk": tree.digests[chunk], "chunkProof": Known(tree, board.descents[-1]).path(chunk)}

    def _of_update(self, board: Board, account: Account, done: Instruction, element: int) -> list[Opening]:
        under, source = done.operands
        place = under_place(under, done.dims, element)
        if place is None:
            return [self._opening(board, account, under, element), NOTHING]
        return [NOTHING, self._opening(board, account, source, address(source, place))]

    def _opening(self, board: Board, account: Account, operand: Operand, at: int) -> Opening:
        """A word of an agreed value; nothing for an immediate, and for what lies outside."""
        if operand.number == IMMEDIATE or not 0 <= at < len(account.values[operand.number]):
            return NOTHING
        taken = len(account.inputs)
        if operand.number < taken:
            value = account.inputs[operand.number]
            root, proof = self.side.trace.roots[value], self._values(board).path(value)
        else:
            made = operand.number - taken
            root, proof = account.made.digests[made], Known(account.made, board.descents[1]).path(made)
        tree = WordTree(account.values[operand.number])
        chunk = at // form.CHUNK
        return {"root": root, "rootProof": proof, "chunk": tree.digests[chunk], "chunkProof": tree.path(chunk)}

    def _values(self, board: Board) -> Known:
        return Known(self.side.values, board.descents[0])

    def _account(self, board: Board) -> Account:
        return self.side.account(board.match.value)

    def _entry(self, board: Board) -> bytes:
        return self.side.trace.entries[board.match.value]

    def _words(self, board: Board) -> np.ndarray:
        """The value that is disputed word by word."""
        if self.side.trace.values[board.match.value].kind == form.MADE:
            return self._account(board).words(board.match.position)
        return self.side.words(board.match.value)

    def _running(self, board: Board) -> np.ndarray:
        return self._account(board).running(board.match.position, board.match.element)


def under_place(under: Operand, dims: tuple[int, ...], element: int) -> tuple[int, ...] | None:
    """Which place of the view `under` shows word `element` of its value: by the strides, the largest first, which nest."""
    rest, place = element - under.offset, [0] * len(dims)
    for axis in sorted(range(len(dims)), key=lambda axis: -under.strides[axis]):
        if dims[axis] > 1 and under.strides[axis] > 0:
            place[axis] = max(0, min(rest // under.strides[axis], dims[axis] - 1))
            rest -= place[axis] * under.strides[axis]
    return tuple(place) if rest == 0 and 0 not in dims else None
