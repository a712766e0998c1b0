"""A program that judges: what it is asked, what it may say, and that whatever else it does is an abstention with a reason."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from courts import address
from seats import court_of, judges, local, voting

from judge.ballots import Ballots
from judge.court import place_of
from judge.delegate import SAID, Delegate
from judge.events import ABSTAIN

CHOOSE = 'import json, sys; said = json.load(sys.stdin); print(json.dumps({"choice": said["answers"][-1]["number"], "sure": 80}))'


class Desk:
    """A judge with a program, on a market in VOTE."""

    def __init__(self, home: Path, code: str, timeout_s: float = 20.0):
        self.court = court_of()
        self.market = voting(self.court)
        self.name = judges(self.market)[0]
        self.mine, self.ballots, self.told = local(self.court, self.name), Ballots(home / "votes"), []
        program = [sys.executable, "-c", code]
        self.delegate = Delegate(self.mine, self.ballots, program, lambda what, market, **more: self.told.append((what, more)), timeout_s)

    def vote(self) -> int:
        """Turns until it has voted; the choice on disk."""
        end = time.monotonic() + 30
        self.delegate.turn()
        while self.delegate.waits:
            assert time.monotonic() < end
            time.sleep(0.02)
            self.delegate.turn()
        place = place_of(self.mine, self.case)
        vote = self.ballots.load(place).vote
        assert self.case.commitment == vote.commitment(place), "what is on disk is what the ledger has"
        return vote.choice

    @property
    def case(self):
        return self.mine.view().find(self.market.id)

    def why(self) -> str:
        return " ".join(more["why"] for what, more in self.told if what == "abstained")


def test_a_program_gets_the_market_votes_once_and_its_vote_is_opened(tmp_path):
    desk = Desk(tmp_path, f"import sys, pathlib; pathlib.Path({str(tmp_path)!r}, 'runs').open('a').write('x'); {CHOOSE}")
    assert desk.vote() == desk.case.options[2].outcome
    vote = desk.ballots.load(place_of(desk.mine, desk.case)).vote
    assert [what for what, _ in desk.told] == ["asked", "voted", "committed"]
    again = Delegate(desk.mine, desk.ballots, desk.delegate.program, lambda *some, **more: None)
    for _ in range(3):
        again.turn()
    assert (tmp_path / "runs").read_text() == "x", "a signed vote is not asked for again, in another process neither"
    desk.court.wait(desk.market)
    desk.mine.tick()
    desk.delegate.turn()
    assert ("revealed", {}) in desk.told
    assert desk.market.panels[0].ballots[address(desk.name)].choice == vote.choice


def test_it_gets_nothing_that_others_think_and_texts_without_controls(tmp_path):
    desk = Desk(tmp_path, f"import pathlib, sys; said = sys.stdin.read(); pathlib.Path({str(tmp_path)!r}, 'said').write_text(said); print(1)")
    desk.vote()
    said = json.loads((tmp_path / "said").read_text())
    assert set(said) == {"market", "id", "kind", "level", "seats", "question", "answers", "evidence", "deadline"}
    assert [one["number"] for one in said["answers"]] == [1, 2, 3] and any(one["text"].startswith("The sum is 1189") for one in said["answers"])
    assert {piece["text"] for piece in said["evidence"]} == {"the second term is 604, not 640", "a unit check that fails on the third line"}
    assert "price" not in json.dumps(said) and said["deadline"] == desk.case.deadline / 1000


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("print('two')", "one JSON object"),
        ("print('[' * 60000)", "one JSON object"),
        ("print('[1, 2]')", "nothing else"),
        ('print(\'{"choice": 1, "sure": 80, "price": 1}\')', "nothing else"),
        ('print(\'{"choice": 4, "sure": 80}\')', "from 1 to 3"),
        ('print(\'{"choice": true, "sure": 80}\')', "from 1 to 3"),
        ('print(\'{"choice": 1, "sure": 49}\')', "50 to 100"),
        ('print(\'{"choice": 1, "sure": 80.5}\')', "50 to 100"),
        ('print(\'{"choice": 1}\')', "50 to 100"),
        ('print(\'{"choice": 1, "sure": 80}\'); raise SystemExit(3)', "exit code 3"),
        (f"print(' ' * {2 * SAID})", "more than"),
        ("pass", "one JSON object"),
        ('print(\'{"choice": "abstain"}\')', "the program does"),
    ],
)
def test_a_bad_answer_abstains_and_says_so(tmp_path, code, why):
    desk = Desk(tmp_path, code)
    assert desk.vote() == ABSTAIN
    assert why in desk.why()


def test_a_program_that_hangs_is_ended_with_its_children_and_abstains(tmp_path):
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    desk = Desk(tmp_path, code, timeout_s=1.0)
    begun = time.monotonic()
    assert desk.vote() == ABSTAIN and time.monotonic() - begun < 15
    assert "longer than 1.0 s" in desk.why()


def test_invalid_is_a_choice_and_a_program_that_is_not_there_abstains(tmp_path):
    assert Desk(tmp_path, 'print(\'{"choice": "invalid", "sure": 99}\')').vote() == 3
    desk = Desk(tmp_path / "b", "")
    desk.delegate.program = [str(tmp_path / "none")]
    assert desk.vote() == ABSTAIN and "could not be started" in desk.why()
