"""`benchmarks/deviations` at small size: the money of two deviations, and of honest conduct beside them, on real contracts."""

from __future__ import annotations

import pytest

from benchmarks.deviations import acts
from benchmarks.deviations.__main__ import main, rows, terms
from benchmarks.deviations.play import Play, Work, lazy
from benchmarks.deviations.stage import Prices, stage
from swarm.chain.values import WEI, Outcome


@pytest.fixture
def theatre(tmp_path):
    with stage(tmp_path, 0) as found:
        yield acts.Theatre(found, terms(30), Prices(0.1, 0.1, 0.0))


@pytest.mark.timeout(240)
def test_an_honest_epoch_pays_and_an_auditor_that_does_not_replay_loses_a_quarter_of_its_stake(theatre):
    offer = theatre.terms.offer
    play = Play(theatre.stage, theatre.terms, verifiers=acts.CREW).open()
    paid = theatre.profits(["solver"], lambda: play.epoch({"solver": Work(offer.leastSteps)}))["solver"]
    pay = offer.leastSteps * offer.price / offer.steps / WEI
    assert paid == pytest.approx(pay * (1 - offer.deliveryBps / 10_000) - 0.1 * offer.leastSteps), "its work is taken off, a tenth is kept back"
    got, case = theatre.seat(Work(offer.leastSteps), (lazy,))
    assert play.outcomes == [Outcome.CLEAN] and not case.seen
    assert got == pytest.approx(-theatre.terms.rules.proof.stake / 4, abs=0.5)


def test_the_script_says_which_deviations_there_are_and_refuses_others(capsys, monkeypatch):
    assert {"lying", "lazy", "pair-2", "denunciation", "frivolous", "copycat", "disputes", "squatter"} <= set(rows(100))
    monkeypatch.setattr("sys.argv", ["deviations", "--only", "luck"])
    with pytest.raises(SystemExit):
        main()
    assert "no deviation luck: one step" in capsys.readouterr().err


def test_a_row_at_or_above_zero_is_a_failure(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["deviations", "--only", "squatter"])
    monkeypatch.setattr(acts, "squatter", lambda theatre: acts.Row("solver", "claims", 0.0, "nothing was lost"))
    assert main() == 1 and "at or above zero: squatter" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_deviation_loses(monkeypatch, capsys):
    """`python -m pytest -m slow tests/test_deviations.py`: every row, with eight disputes."""
    monkeypatch.setattr("sys.argv", ["deviations", "--disputes", "8"])
    assert main() == 0, capsys.readouterr().out
