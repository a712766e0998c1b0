"""`benchmarks/audit.py` at small size: real draws, real trials through replay and court, and the cost of records."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

from swarm.chain.values import Outcome

pytestmark = pytest.mark.timeout(600)
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SMALL = ["answer.questions=4", "critique.groups=2", "resolve.groups=2", "sharing.own=5", "sharing.foreign=3"]


@pytest.fixture(scope="module")
def audit():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("audit")


def test_an_interval_holds_what_was_measured_and_not_everything(audit):
    assert audit.wilson(50, 100) == pytest.approx((0.3753, 0.6247), abs=1e-4)  # by hand: z = 2.5758
    assert audit.wilson(0, 40)[0] == 0.0 and audit.wilson(40, 40)[1] == 1.0
    assert audit.inside(0.25, 12, 48) and not audit.inside(0.25, 40, 48)


def test_the_court_draws_different_steps_for_every_key_and_epoch(audit, tmp_path, capsys):
    with audit.town(tmp_path, 3) as town:
        found = audit.draw(town, [(40, 2), (100, 5)], keys=3, epochs=2)
    assert [len(trials) for trials in found.values()] == [6, 6]
    assert all(len({tuple(sorted(steps)) for steps in trials}) > 1 for trials in found.values())
    assert audit.draws_table(found, [(40, 2, 0.0), (100, 5, 1.0)])
    printed = capsys.readouterr().out
    assert "1 (one)" in printed and "100 (100%)" in printed and "0.0500  yes" in printed and "1.0000  yes" in printed


def test_a_draw_that_is_not_fair_is_seen(audit, capsys):
    """The same two steps each time, which forged steps chosen anew for each trial would hide."""
    always = [[0, 1]] * 300
    assert not audit.draws_table({(40, 2): always}, [(40, 2, 0.1)])
    assert "NO" in capsys.readouterr().out
    assert audit.evenness(40, 2, always) > 100
    assert audit.evenness(40, 2, [[step, (step + 7) % 40] for step in range(40)] * 5) == 0, "as even as no chance is"
    with pytest.raises(RuntimeError, match="other than 2 different steps"):
        audit.draws_table({(40, 2): [[7, 7]]}, [(40, 2, 0.1)])


def test_forged_steps_that_are_drawn_cost_the_stake_and_nothing_else_does(audit, tmp_path, capsys):
    with audit.town(tmp_path, 0) as town:
        told = audit.audit_court.play(town, tmp_path, forging=4, honest=1, steps=3, batches=1)
    audit.audit_court.table(told)
    assert told.right and told.auditors_lost == 0
    assert 0 < told.convicted < 4, "with seed 0 some of the forged steps are drawn and some are not"
    assert told.replayed == 2 * 5 + 3 * told.convicted, "two auditors a case, and a jury of three where they found a fault"
    assert "5 of 5" not in (printed := capsys.readouterr().out) and "2 of 2" in printed and "1 of 1" in printed

    clean = next(trial for trial in told.trials if trial.outcome == Outcome.CLEAN)
    for wrong in ({"outcome": Outcome.FAULT}, {"left": clean.staked - 1}, {"at": clean.drawn[0]}):
        assert not dataclasses.replace(clean, **wrong).right


def test_records_are_timed_part_by_part_and_change_nothing(audit, tmp_path, capsys):
    records = audit.audit_records
    row = records.measure("local", 3, tmp_path, SMALL, every=2)
    assert all(row.spent.cpu[part] > 0 for part in records.PARTS)
    assert 0 < row.bookkeeping < row.step < row.with_records and row.of_round < row.of_step < 0.5
    records.table([row])
    assert "1 in 2" in capsys.readouterr().out


def test_a_forged_step_without_training_is_no_trial(audit):
    """Nothing would have been forged, and the odds would look worse than they are."""

    class Idle:
        round, optimizer, policy = 0, None, type("Policy", (), {"model": None})

        def step(self, groups, seed):
            return type("Result", (), {"applied": False})

    node = type("Node", (), {"trainee": Idle()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swarm.learn.step.trainable", lambda model: {})
        audit.audit_court.forge(node, 0, "ulp")
        with pytest.raises(RuntimeError, match="nothing was trained"):
            node.trainee.step([], b"")
