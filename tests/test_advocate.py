"""Advocates of two nodes play a match to its end on a real chain, as their duties' turns bring them on: a forger is disputed and loses."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.disputes.side import PEER, SWARM
from benchmarks.disputes.step import SCALARS, Step
from benchmarks.disputes.town import Member, Town
from swarm import merkle
from swarm.advocate import Advocate
from swarm.chain.abi import jsonable
from swarm.chain.client import Swarm
from swarm.chain.values import Outcome, Phase, Ruling, Stage
from swarm.cli import dispute as command
from swarm.disputing import Docket
from swarm.errors import ChainRefused
from swarm.learn.state import tensors_of
from swarm.proof import dispute_format as form
from swarm.proof.audit import Audit
from swarm.proof.board import board_of
from swarm.proof.canonical.trace import Lie
from swarm.proof.desk import Pleading
from swarm.proof.dispute import Player
from swarm.proof.epoch import Epoch
from swarm.proof.side import Side
from swarm.proof.state_tree import StateTree

BLOB = "ab" * 32  # of an audit
pytestmark = pytest.mark.slow  # a minute: pytest -m slow tests/test_advocate.py


class FakeDesk:
    """A desk whose replayer is one side of a dispute, in this process."""

    def __init__(self, side: Side, leaf: object, folder: Path):
        self.side = side
        self.recorder = SimpleNamespace(
            way_to=lambda epoch, step: [SimpleNamespace(leaf=leaf, state=bytes(32))], store=SimpleNamespace(folder=folder)
        )

    def plead(self, pleading: Pleading) -> None:
        if pleading.challenger and not (pleading.blobs / BLOB).exists():
            pleading.answer = {"fault": "a blob is missing"}
            return
        if pleading.board is None:
            said = self.side.said
            pleading.answer = jsonable({"count": said.count, "structure": said.structure, "values": said.values})
            return
        board = board_of(json.loads(json.dumps(pleading.board.row())))
        move = Player(self.side, pleading.challenger, pleading.salt).next(board)
        pleading.answer = {"function": move and move.function, "args": jsonable(list(move.args)) if move else []}


class Seat:
    """A member with its advocate; what it sends is tried at once."""

    def __init__(self, town: Town, swarm: Swarm, member: Member, side: Side, leaf: object, folder: Path):
        self.town, self.member, self.leaf, self.said, self.refused, self.sent = town, member, leaf, [], [], set()
        folder.mkdir()
        self._parts = town.chain, swarm, member.key, FakeDesk(side, leaf, folder), folder, self.send, self.said.append
        self.start()

    def start(self) -> None:
        """Also anew, after a kill: nothing is known but what is on disk, and on the chain."""
        self.advocate = Advocate(*self._parts)

    def send(self, id: str, function: str, contract: str, args: list, deadline: int, goal: object) -> bool:
        if id in self.sent:
            return False
        self.sent.add(id)
        try:
            self.town.chain.send(self.member.secret, contract, function, *json.loads(json.dumps(jsonable(args))))
        except ChainRefused as refused:
            self.refused.append((function, refused.name))
        return True


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = Town(tmp_path_factory.mktemp("advocate") / "chain")
    yield made
    made.close()


def seats(town: Town, folder: Path, lies: tuple[Lie | None, Lie | None]) -> tuple[Seat, Seat, SimpleNamespace, bytes]:
    """A prover and an auditor that found its step false, and the id that their match will have."""
    sides = [Step("tiny").side(lie) for lie in lies]
    return seated(town, folder, [side for side, _ in sides], sides[0][1])


def seated(town: Town, folder: Path, sides: list[Side], after: bytes) -> tuple[Seat, Seat, SimpleNamespace, bytes]:
    leaf = Step("tiny").leaf(SWARM, PEER, after)
    header, *members = town.game(merkle.root([leaf.digest]), leaf.after)
    swarm = Swarm(town.chain, town.chain.read("ledger", "swarmOf", header.key))
    found = [Seat(town, swarm, each, side, leaf, folder / str(n)) for n, (each, side) in enumerate(zip(members, sides, strict=True))]
    charge(found[1], header, folder)
    return *found, header, form.match_id(header.key, 0, 0, members[1].key)


def charge(seat: Seat, header: SimpleNamespace, folder: Path) -> None:
    """Its audit found the step false."""
    epoch = Epoch(SWARM, PEER, bytes(20), 0, (seat.leaf,), (bytes(32),))
    audit = Audit(None, [0], 0.0, verdict="fault", told={"where": "after"}, epoch=epoch, folder=folder / "audit")
    audit.folder.mkdir(exist_ok=True)
    (audit.folder / BLOB).write_bytes(b"a batch")
    seat.advocate.charge(header, audit)


def bring_on(town: Town, prover: Seat, challenger: Seat, id: bytes) -> SimpleNamespace:
    for _ in range(80):
        for seat in (prover, challenger):
            seat.advocate.bring_on(town.chain.head().time)
        if (match := town.chain.read("disputes", "matchOf", id)).ruling:
            return match
    raise AssertionError((match, prover.refused, challenger.refused))


def test_a_forger_is_disputed_and_convicted(town: Town, tmp_path: Path):
    prover, challenger, header, id = seats(town, tmp_path, (Lie(400, 0, 3), None))
    assert bring_on(town, prover, challenger, id).ruling == Ruling.PROVER_LOST
    case = town.chain.read("court", "caseOf", header.key, 0)
    assert (case.phase, case.outcome) == (Phase.CLOSED, Outcome.FAULT)
    assert not prover.refused and not challenger.refused
    prover.advocate.bring_on(town.chain.head().time)
    assert prover.said == ["a match about step 0 of epoch 0 is on: this node defends it", "the match about step 0 of epoch 0 is over: prover_lost"]


def test_a_challenger_that_is_killed_before_its_match_and_between_moves_still_wins(town: Town, tmp_path: Path):
    prover, challenger, _, id = seats(town, tmp_path, (Lie(400, 0, 3), None))
    for turn in range(200):
        if turn % 3 == 0:
            challenger.start()
        for seat in (challenger, prover):
            seat.advocate.bring_on(town.chain.head().time)
        if turn == 7:  # the case was closed by another's match, and this one was not heard of yet
            assert town.chain.read("disputes", "matchOf", id).stage != Stage.NONE
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(challenger.advocate, "_matches", {})
                patch.setattr(challenger.advocate._docket, "opened", lambda: [])
                patch.setattr(challenger.advocate.swarm, "case", lambda key, epoch: SimpleNamespace(phase=Phase.CLOSED))
                challenger.advocate.bring_on(town.chain.head().time)
        if (match := town.chain.read("disputes", "matchOf", id)).ruling:
            break
    assert match.ruling == Ruling.PROVER_LOST and not challenger.refused
    assert "this node disputes it" in challenger.said[0]
    challenger.start()
    assert [path.name for path in (tmp_path / "1" / "charges").iterdir()] == [id.hex()]
    challenger.advocate.bring_on(town.chain.head().time)
    assert not list((tmp_path / "1" / "charges").iterdir()), "the charge of a closed match is kept"


def test_a_challenger_that_another_overtook_takes_its_bond_home(town: Town, tmp_path: Path):
    prover, challenger, header, id = seats(town, tmp_path, (Lie(400, 0, 3), None))
    slow = Seat(town, challenger.advocate.swarm, town.others[0], challenger.advocate.desk.side, challenger.leaf, tmp_path / "2")
    charge(slow, header, tmp_path)
    other = form.match_id(header.key, 0, 0, slow.member.key)
    while town.chain.read("disputes", "matchOf", other).stage == Stage.NONE:
        slow.advocate.bring_on(town.chain.head().time)
    assert bring_on(town, prover, challenger, id).ruling == Ruling.PROVER_LOST
    town._until(town.chain.head().time + 20_000)  # whoever played on now would lose by the clock
    slow.start()
    for _ in range(3):
        slow.advocate.bring_on(town.chain.head().time)
    match = town.chain.read("disputes", "matchOf", other)
    assert (match.ruling, match.bond) == (Ruling.LATE, 0) and not slow.refused
    assert slow.said[-1].endswith("is over: late") and not list((tmp_path / "2" / "charges").iterdir())


def test_a_bond_that_hangs_on_the_panels_is_taken_home_once_they_spoke(town: Town, tmp_path: Path):
    sides = [Step("tiny").side()[0] for _ in range(2)]
    prover, challenger, _, id = seated(town, tmp_path, sides, b"\1" * 32)
    sides[1].contradiction = lambda: None  # the state behind the step was kept from it
    for _ in range(6):
        for seat in (challenger, prover):
            seat.advocate.bring_on(town.chain.head().time)
    town._until(town.chain.head().time + 20_000)
    for _ in range(3):
        prover.advocate.bring_on(town.chain.head().time)
    assert town.chain.read("disputes", "matchOf", id).ruling == Ruling.STRUCTURE
    for outcome in (Outcome.OPEN, Outcome.CLEAN):  # nothing to collect yet; nothing ever
        challenger.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(challenger.advocate.swarm, "case", lambda key, epoch, now=outcome: SimpleNamespace(phase=Phase.CLOSED, outcome=now))
            challenger.advocate.bring_on(town.chain.head().time)
        assert challenger.said[-1].endswith("structure") == (outcome == Outcome.CLEAN)
    assert not challenger.refused and town.chain.read("disputes", "matchOf", id).bond > 0
    challenger.start()
    for _ in range(2):
        challenger.advocate.bring_on(town.chain.head().time)  # the panels could not tell either
    assert not challenger.refused and town.chain.read("disputes", "matchOf", id).bond == 0
    assert challenger.said[-1].endswith("structure")


def test_the_command_shows_matches_and_their_moves(town: Town, tmp_path: Path, monkeypatch):
    prover, challenger, header, id = seats(town, tmp_path, (Lie(300, 0, 0), None))
    bring_on(town, prover, challenger, id)
    docket = Docket(town.chain)
    opened = [each for each in docket.opened() if each.id == id]
    court = (docket, {header.key: "keen-fox"}, opened)
    monkeypatch.setattr(command, "_court", lambda run_dir: contextlib.nullcontext(court))
    listed = CliRunner().invoke(command.app, ["list"]).output
    assert f"{id.hex()[:12]}  step 0 of epoch 0 of keen-fox" in listed and "prover lost" in listed
    shown = CliRunner().invoke(command.app, ["show", id.hex()[:8]]).output.splitlines()
    assert shown[1] == "  opened" and "  over: prover lost" in shown and any("they differ first at place" in line for line in shown)
    told = json.loads(CliRunner().invoke(command.app, ["show", id.hex(), "--json"]).output)
    assert told["prover"] == "keen-fox" and len(told["moves"]) > 10
    assert CliRunner().invoke(command.app, ["show", "zz"]).exit_code != 0


def test_a_state_that_an_honest_trace_does_not_end_in_is_contradicted(town: Town, tmp_path: Path):
    step = Step("tiny")
    step.trace()
    after = {name: tensor.clone() for name, tensor in tensors_of(step.model, step._own).items()}
    name = max(name for name in after if name.startswith("model/"))
    after[name].view(-1)[-1] = torch.nextafter(after[name].view(-1)[-1], torch.tensor(torch.inf))
    forged = StateTree(after, SCALARS)
    sides = [Step("tiny").side()[0] for _ in range(2)]
    sides[1].after = lambda: forged
    prover, challenger, _, id = seated(town, tmp_path, sides, forged.tree.root)
    assert bring_on(town, prover, challenger, id).ruling == Ruling.PROVER_LOST
    assert not challenger.refused


@pytest.mark.parametrize("liar", [0, 1])
def test_a_false_word_of_the_state_before_is_looked_up(town: Town, tmp_path: Path, liar: int):
    sides = [Step("tiny").side()[0] for _ in range(2)]
    bend(sides[liar], next(n for n, value in enumerate(sides[0].trace.values) if value.name.startswith("model/") and value.words > 600), 517)
    prover, challenger, _, id = seated(town, tmp_path, sides, Step("tiny").side()[1])
    assert bring_on(town, prover, challenger, id).ruling == (Ruling.PROVER_LOST, Ruling.CHALLENGER_LOST)[liar]


def bend(side: Side, value: int, element: int) -> None:
    """The side says another word of an initial value."""
    honest, again = side.trace.values[value], side.again
    words = again([value], len(side.trace.calls))[value].copy()
    words[element] ^= 1
    side.trace.values[value] = replace(honest, root=form.value_root(words))
    side.again = lambda wanted, until: again(wanted, until) | ({value: words} if value in wanted else {})


def test_an_honest_node_defends_itself(town: Town, tmp_path: Path):
    prover, challenger, _, id = seats(town, tmp_path, (None, Lie(700, 0, 1)))
    assert bring_on(town, prover, challenger, id).ruling == Ruling.CHALLENGER_LOST


def test_a_challenger_that_falls_silent_loses_by_the_clock(town: Town, tmp_path: Path):
    prover, challenger, _, id = seats(town, tmp_path, (None, Lie(700, 0, 1)))
    for _ in range(6):
        for seat in (challenger, prover):
            seat.advocate.bring_on(town.chain.head().time)
    town._until(town.chain.head().time + 20_000)
    for _ in range(3):
        prover.advocate.bring_on(town.chain.head().time)
    assert town.chain.read("disputes", "matchOf", id).ruling == Ruling.CHALLENGER_LOST
