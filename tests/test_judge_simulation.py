"""`benchmarks.judges` at small size: honest panels are right, a majority wins, no credit is lost, the same seed gives the same run."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are no installed package

from benchmarks.judges import tables  # noqa: E402
from benchmarks.judges.__main__ import main  # noqa: E402
from benchmarks.judges.odds import majority  # noqa: E402
from benchmarks.judges.people import HARDER, SKILL, population  # noqa: E402
from benchmarks.judges.play import Result, Run, Setting, play  # noqa: E402
from benchmarks.judges.tasks import HARD, drawn  # noqa: E402
from judge import events  # noqa: E402
from judge.errors import Refused  # noqa: E402

ALONE = SKILL[0] / sum(SKILL) - HARD * HARDER  # what one honest judge is right about: .7125


def test_honest_panels_are_right_far_more_often_than_one_judge():
    found = play(Setting(tasks=100), seed=1)
    assert found.measured == 90 and found.right > ALONE + 0.15, found
    assert abs((1 + found.honest.coherence) / 2 - ALONE) < 0.1, found  # a seat is as good as the model says
    assert found.attackers.seats == 0 < found.honest.seats


def test_the_accounting_identity_holds_and_a_run_stops_where_it_does_not():
    run = Run(Setting("always", 0.3, tasks=20), seed=2)
    run.play()
    state = run.room.state
    assert state.balance() == state.minted and state.treasury > 0 and state.bonus > 0
    assert run.result.purse > 0 and run.result.attackers.pay < 0 < run.result.honest.pay  # it was not for want of money that moved
    broken = Run(Setting(tasks=10), seed=2)
    broken.room.state.treasury += 1
    with pytest.raises(AssertionError, match="accounting identity"):
        broken.play()


def test_a_majority_coalition_wins_and_a_small_one_does_not():
    taken, held = (play(Setting("always", share, appeals=False, gold=0, tasks=50), seed=3) for share in (0.7, 0.1))
    assert taken.right < 0.2 < 0.7 < held.right, (taken, held)


def test_gold_takes_the_weight_of_those_who_always_lie():
    found = play(Setting("always", 0.3, tasks=100), seed=4)
    assert found.attackers.weight < 0.05 < 0.4 < found.honest.weight, found
    assert found.honest.gold_votes > 3 and found.attackers.coherence < -0.5 < found.honest.coherence


def test_the_same_seed_gives_the_same_run_and_another_another():
    setting = Setting("target", 0.4, tasks=30)
    assert play(setting, 5) == play(setting, 5)
    assert play(setting, 5).root != play(setting, 6).root
    assert drawn(5, 30, 10) == drawn(5, 30, 10) != drawn(6, 30, 10)


def test_signatures_are_made_and_checked_when_asked_for():
    assert play(Setting("always", 0.3, tasks=10, signed=True), seed=7).panels > 1
    room = Run(Setting(tasks=10, signed=True), seed=7).room
    one, other = (room.person(name) for name in ("one", "other"))
    with pytest.raises(Refused, match="not signed by"):
        room.take(events.Leave(actor=one.address, t=room.t + 1), other)


@pytest.mark.parametrize("share", [0.2, 0.3, 0.45])
def test_attackers_own_the_share_that_a_cell_says(share):
    people = population(1, share)
    units = sum(one.units for one in people if one.attacks)
    assert len(people) == 72 and abs(units / sum(one.units for one in people) - share) < 0.002
    assert max(one.units for one in people if one.attacks) <= 26  # of an honest judge's 72: about three identities per stake


def test_a_majority_of_seats_is_as_likely_as_the_integral_says():
    found = majority(7, 0.4, draws=1000)
    assert found.inside and found.exact == pytest.approx(0.2898, abs=1e-3) == found.uncapped
    alone = majority(7, 0.25, draws=200, judges=4, split=1)  # one operator, at most three seats
    assert alone.seen == 0 and alone.exact == pytest.approx(0, abs=1e-6) and alone.uncapped > 0.05


def test_a_cell_far_from_the_specification_is_marked():
    cells = [tables.Cell("built", Setting(), [Result(right=right), Result(right=right)], 0.95) for right in (0.91, 0.93)]
    assert "0.910±0.000 0.950*" in tables.grid({"row": cells}) and "0.930±0.000 0.950 " in tables.grid({"row": cells}) + " "


def test_the_command_prints_tables_and_json(capsys):
    main(["--quick", "--only", "panel"])
    printed = capsys.readouterr().out
    assert "collude target" in printed and "s = 0.45" in printed and "CPU-seconds" in printed
    main(["--quick", "--only", "panel", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 11 and all(line["measured"] > 0 and 0 <= line["right"] <= 1 for line in lines)
