"""What a node writes down about itself: metrics that survive a kill, totals that survive a restart, a journal that stays bounded."""

import json
import time

import pytest

from swarm import metrics, recipe
from swarm.groups import Limits
from swarm.heartbeat import Heartbeat
from swarm.heartbeat import read as read_beat
from swarm.journal import Journal
from swarm.presence import Presence
from swarm.result import Heldout
from swarm.told import SETTLED, Totals

ROW = {
    "answer": {"groups": 4, "reward": 0.5},
    "critique": {"groups": 2, "reward": 0.75, "judged": 16, "judged_right": 12},
    "resolve": {"groups": 1, "reward": 0.5, "gain": 0.25},
    "learn": {"applied": True},
    "trained": {"own": 3, "foreign": 2, "stage": {"answer": 5}, "author": {"amber-otter": 2}},
    "dropped": {"no advantage": 1},
    "heard": 2,
}


@pytest.fixture
def limits():
    return Limits.of(recipe.load("local"))


def test_a_half_line_and_rounds_that_are_done_again_are_dropped(tmp_path):
    written = metrics.Metrics(tmp_path, 0)
    for round in (1, 2, 3):
        written.write({"round": round})
    with open(written.path, "a") as file:
        file.write('{"round": 4, "rew')
    assert [row["round"] for row in metrics.read(metrics.Metrics(tmp_path, 2).path)] == [1, 2]


def test_totals_come_back_from_a_checkpoint_and_make_the_report():
    totals = Totals()
    for round in range(1, 6):
        totals.add(ROW | {"round": round})
    again = Totals.of(json.loads(json.dumps(totals.as_dict())))
    assert again == totals
    report = again.result("amber-otter", 5, Heldout(), 12.0)
    assert (report.steps, report.trained.foreign, report.groups.dropped) == (5, 10, {"no advantage": 5})
    assert (report.critique_accuracy, report.critique_constant, report.resolve_gain) == (0.75, 0.75, 0.25)
    assert report.heard_two == 1.0 and SETTLED == 3


def test_rounds_in_which_fewer_than_two_were_heard_count_against_the_peer():
    totals = Totals()
    for round in range(1, 8):
        totals.add(ROW | {"round": round, "heard": 2 if round % 2 else 1})
    assert totals.result("x", 7, Heldout(), 1.0).heard_two == 0.5


def test_a_journal_forgets_old_rounds_and_shrugs_off_damage(tmp_path, limits):
    journal = Journal(tmp_path / "own", b"\1" * 32, limits, rounds=2)
    for round in range(1, 6):
        journal.keep(round, "answer", b"not a blob")
        journal.forget_before(round)
    assert sorted(path.name for path in journal.folder.iterdir()) == ["00000004-answer.blob", "00000005-answer.blob"]
    assert journal.groups(5, "answer") is None, "a damaged stage is written anew"


def test_a_heartbeat_says_stage_progress_and_processor_time_of_all_starts(tmp_path):
    presence = Presence(tmp_path / "heartbeat.json", Heartbeat())
    presence.resumed(7, 100.0)
    presence.begin()
    presence.enter("answer")
    presence.warn("text with \x1b[31m a trick", "nothing")
    presence.state("evaluating")
    beat = read_beat(tmp_path / "heartbeat.json")
    assert (beat.round, beat.state) == (7, "evaluating") and beat.cpu_s > 100.0
    assert "\x1b" not in beat.warnings[-1].text


def test_a_long_step_does_not_look_like_a_dead_process(tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.presence.PULSE_S", 0.05)
    presence = Presence(tmp_path / "heartbeat.json", Heartbeat())
    presence.enter("learn")
    presence.enter("save")
    presence.enter("learn")
    first = read_beat(tmp_path / "heartbeat.json").updated
    presence.keep_fresh()
    time.sleep(0.5)
    assert read_beat(tmp_path / "heartbeat.json").updated > first
