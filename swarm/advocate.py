"""A node's advocate: answers for its own steps before the dispute court, and disputes steps that its audits found false.

Under canonical numerics anyone may open a match about a committed step, and who does not move on its clock loses: so every node pleads for
itself. An audit of canonical steps that ended at another state (`after`) is brought to the court in the case's challenge window, beside the
vote; what it is played from is on disk until then (`swarm.charges`). Everything else that is known of a match is on chain; the replayer says
the next move (`swarm.proof.pleading`), the outbox sends it. So the node can be killed at any line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swarm.chain.client import Chain, Swarm
from swarm.chain.outbox import Goal
from swarm.chain.values import Outcome, Phase, Ruling, Stage
from swarm.charges import Charge, Charges
from swarm.commitments import LATE_S
from swarm.disputing import ROLE, Docket, Salts
from swarm.proof import dispute_format as form
from swarm.proof.audit import Audit
from swarm.proof.board import Board
from swarm.proof.desk import Desk, Pleading
from swarm.proof.leaf import Leaf

DISPUTED = "after"  # where a fault lies that a court can compute
Send = Callable[[str, str, str, list[Any], int, Goal | None], bool]
Say = Callable[[str], None]
Place = tuple[int, int, int, bool, bool]
Source = tuple[list[Leaf], bytes, Path]  # way, digest of the state before it, folder of blobs


@dataclass
class _Match:
    """A match in which this node plays. `asked` is where it stood when the replayer was last asked about it."""

    id: bytes
    epoch: int
    step: int
    challenger: bool
    source: Source | None  # None: it is not here
    asked: Place | None = None
    pleading: Pleading | None = None
    over: bool = False


class Advocate:
    """Of member `key`. `send` puts a transaction into the node's outbox; `folder` keeps charges, and what traces were sealed with."""

    def __init__(self, chain: Chain, swarm: Swarm, key: bytes, desk: Desk, folder: Path, send: Send, say: Say):
        self.chain, self.swarm, self.key, self.desk, self.send, self.say = chain, swarm, key, desk, send, say
        self._docket, self._salts = Docket(chain, key), Salts(folder)
        self._matches: dict[bytes, _Match] = {}
        self._charges, self._sealing = Charges(folder), dict[bytes, Pleading]()

    def charge(self, header: SimpleNamespace, audit: Audit) -> None:
        """An audit found a fault. It is disputed where a court can compute who is right, also by a node that was started anew meanwhile."""
        id = form.match_id(header.key, header.epoch, audit.step, self.key)
        disputed = audit.told.get("where") == DISPUTED and audit.epoch is not None
        if disputed and id not in self._charges and not self._charges.keep(id, header, audit):
            self.say(f"step {audit.step} of epoch {header.epoch} is not disputed: {len(self._charges)} charges are kept already; the vote stands")
        if audit.folder is not None:  # whatever is needed is kept
            for blob in audit.folder.glob("?" * 64):
                blob.unlink(missing_ok=True)

    def bring_on(self, now: int) -> None:
        """Look at the court once and do what is due."""
        for opened in self._docket.opened():
            if opened.id not in self._matches and self.key in (opened.key, opened.challenger):
                found = self.chain.read(ROLE, "matchOf", opened.id)
                over = found.stage == Stage.CLOSED and (found.bond == 0 or opened.challenger != self.key)
                self._matches[opened.id] = _Match(opened.id, 0, 0, False, None, over=True) if over else self._match(opened)
        for match in [match for match in self._matches.values() if not match.over]:
            self._play(match, now)
        for id, charge in self._charges.items():
            self._bring(id, charge)

    def _match(self, opened: SimpleNamespace) -> _Match:
        challenger = opened.challenger == self.key
        source = self._charged(opened.id) if challenger else self._own(opened)
        self.say(f"a match about step {opened.step} of epoch {opened.epoch} is on: this node {'disputes' if challenger else 'defends'} it")
        if source is None:
            self.say("what that step was made from is not here any more: the match will be lost by the clock")
        return _Match(opened.id, opened.epoch, opened.step, challenger, source)

    def _charged(self, id: bytes) -> Source | None:
        charge = self._charges.get(id)
        return charge and _source(charge)

    def _own(self, opened: SimpleNamespace) -> Source | None:
        recorder = self.desk.recorder
        try:
            way = recorder.way_to(opened.epoch, opened.step)
        except (LookupError, StopIteration):
            return None
        return [step.leaf for step in way], way[0].state, recorder.store.folder

    def _play(self, match: _Match, now: int) -> None:
        board = self._docket.board(match.id)
        if board.match.stage == Stage.NONE:  # the block that opened it is gone
            del self._matches[match.id]
            return
        if match.challenger and self._collect(match, board, now):
            return
        if board.match.stage == Stage.CLOSED:
            match.over = True
            return self.say(f"the match about step {match.step} of epoch {match.epoch} is over: {Ruling(board.match.ruling).name.lower()}")
        challengers, spent, left = self.chain.read(ROLE, "clockOf", match.id)
        if challengers != match.challenger:
            if spent > left:
                self._move(match, board, "timeout", [match.id], now + self.swarm.terms.challenge)
            return
        if match.source is None:
            return
        if match.asked != (place := _place(board)):
            if match.pleading is None or match.pleading.answer is not None:
                match.asked, match.pleading = place, self._ask(match.source, match.challenger, match.id, board)
        elif match.pleading is not None and (told := match.pleading.answer) is not None:
            if told.get("function"):
                self._move(match, board, told["function"], told["args"], now + left - spent)
            elif "fault" in told and match.source is not None:
                match.source = None
                self.say(f"the disputed step cannot be done again here: {told['fault']}")

    def _collect(self, match: _Match, board: Board, now: int) -> bool:
        """Whether only the bond is left to wait for: of a match that the end of its case overtook, or whose ruling leaves it to the panels. Played
        on it could only be lost, by the clock."""
        closed = board.match.stage == Stage.CLOSED
        if board.match.bond == 0 or (closed and board.match.ruling != Ruling.STRUCTURE):
            return False
        outcome = self.swarm.case(board.match.key, match.epoch).outcome
        if outcome == Outcome.FAULT or (closed and outcome not in (Outcome.OPEN, Outcome.CLEAN)):
            goal = Goal(contract=ROLE, function="matchOf", args=[match.id], field="bond", value=0)
            self.send(f"match {match.id.hex()[:16]} collect", "collect", ROLE, [match.id], now + LATE_S, goal)
            return True
        return closed and outcome == Outcome.OPEN

    def _bring(self, id: bytes, charge: Charge) -> None:
        """Open a match about what an audit found, once the case's challenge window is there; forget it once all is over."""
        if id in self._matches:
            return self._forget(id) if self._matches[id].over else None
        case = self.swarm.case(charge.header.key, charge.header.epoch)
        if case.phase == Phase.CLOSED:
            if self.chain.read(ROLE, "matchOf", id).stage in (Stage.NONE, Stage.CLOSED):  # another's match may close a case under one that goes on
                self._forget(id)
        elif id not in self._sealing:
            self._sealing[id] = self._ask(_source(charge), True, id, None)
        elif case.phase == Phase.CHALLENGE and (told := self._sealing[id].answer) is not None and "values" in told:
            said = form.Trace(told["count"], bytes.fromhex(told["structure"][2:]), bytes.fromhex(told["values"][2:]))
            header, leaf = charge.header, charge.leaf
            sealed = said.sealed(self.key, header.key, header.epoch, leaf.step, self._salts.of(id))
            args = [vars(header), leaf.step, leaf.encoded(), charge.proof, self.key, sealed]
            goal = Goal(contract=ROLE, function="matchOf", args=[id], field="stage", op="ne", value=0)
            self.send(f"match {id.hex()[:16]}", "open", ROLE, args, case.phaseEnds, goal)

    def _forget(self, id: bytes) -> None:
        self._charges.forget(id)
        self._sealing.pop(id, None)

    def _ask(self, source: Source, challenger: bool, id: bytes, board: Board | None) -> Pleading:
        salt = self._salts.of(id) if challenger else bytes(32)
        pleading = Pleading(*source, challenger, salt, board)
        self.desk.plead(pleading)
        return pleading

    def _move(self, match: _Match, board: Board, function: str, args: list[Any], deadline: int) -> None:
        where = ".".join(str(int(each)) for each in _place(board))
        self.send(f"match {match.id.hex()[:16]} {function} {where}", function, ROLE, args, deadline, None)


def _source(charge: Charge) -> Source:
    return [charge.leaf], charge.state, charge.blobs


def _place(board: Board) -> Place:
    """What changes with every move."""
    match = board.match
    return int(match.stage), match.height, match.index, board.challengers_turn, bool(match.running != bytes(32))
