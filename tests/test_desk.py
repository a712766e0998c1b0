"""The audit desk and its replayer: what is late is left to end and not answered for another job; what never ends is ended."""

import threading
import time

import pytest

from swarm import recipe
from swarm.errors import ResourceError
from swarm.proof import desk as desks
from swarm.proof.audit import Audit
from swarm.proof.desk import Desk, Pleading


class SlowReplayer:
    """A replayer whose jobs take as long as the test says."""

    def __init__(self):
        self.busy, self.jobs, self.restarts, self.result = False, [], 0, None

    def start(self):
        pass

    @property
    def ready(self):
        return not self.busy

    def give(self, do, folder):
        self.busy, self.result = True, None
        self.jobs.append(folder)

    def answer(self):
        if self.result is None:
            return None
        self.busy, found, self.result = False, self.result, None
        return found

    def close(self):
        self.busy, self.restarts = False, self.restarts + 1


@pytest.fixture
def made(tmp_path):
    replayer = SlowReplayer()
    desk = Desk(tmp_path, recipe.load("local"), None, replayer, None, 0, lambda epoch: set(), time.monotonic)
    yield desk, replayer
    desk.close()


def test_a_late_answer_is_not_taken_for_the_next_job_and_the_replayer_is_not_started_anew(made, tmp_path):
    desk, replayer = made
    assert desk._replayed("replay", tmp_path / "first", time.monotonic() + 0.2) is None
    assert replayer.busy and replayer.restarts == 0, "the job that was begun was ended: the next start costs more than its end"
    threading.Timer(0.3, lambda: setattr(replayer, "result", {"job": "first"})).start()

    def second():
        while len(replayer.jobs) < 2:
            time.sleep(0.02)
        replayer.result = {"job": "second"}

    threading.Thread(target=second, daemon=True).start()
    assert desk._replayed("replay", tmp_path / "second", time.monotonic() + 5) == {"job": "second"}


def test_a_replayer_that_is_at_work_past_the_deadline_is_no_answer(made, tmp_path):
    desk, replayer = made
    desk._replayed("replay", tmp_path / "first", time.monotonic() + 0.1)
    assert desk._replayed("replay", tmp_path / "second", time.monotonic() + 0.2) is None and replayer.jobs == [tmp_path / "first"]


def test_a_job_that_never_ends_is_ended_with_its_process(made, tmp_path, monkeypatch):
    desk, replayer = made
    monkeypatch.setattr(desks, "LONGEST", 0.001)
    desk._replayed("replay", tmp_path / "first", time.monotonic() + 0.1)
    with pytest.raises(ResourceError, match="longer"):
        desk._replayed("replay", tmp_path / "second", time.monotonic() + 5)
    assert replayer.restarts == 1


@pytest.mark.parametrize(
    ("drawn", "disputed", "verdict", "step"),
    [
        ("ok", "ok", "ok", 0),
        ("ok", "fault", "fault", 5),
        ("ok", "unavailable", "unavailable", 5),
        ("ok", "cannot", "ok", 0),
        ("fault", "ok", "fault", 2),
    ],
)
def test_a_jury_looks_at_disputed_steps_too_and_they_can_only_add_a_charge(made, monkeypatch, drawn, disputed, verdict, step):
    desk, _ = made
    looked = []

    def look(audit, part=""):
        looked.append(list(audit.drawn))
        audit.verdict, audit.value = (drawn if 2 in audit.drawn else disputed), bytes([len(audit.drawn)]) * 32
        audit.step = audit.drawn[0] if audit.verdict != "ok" else 0
        audit.epoch, audit.folder = "records", f"at {audit.drawn}"
        return audit

    monkeypatch.setattr(desk, "_look", look)
    audit = Audit(None, [2, 7], deadline=1e9, level=1, disputed=[7, 5])
    desk._audit(audit)
    assert (audit.verdict, audit.step) == (verdict, step)
    assert looked == ([[2, 7], [5]] if drawn == "ok" else [[2, 7]])
    assert verdict != "ok" or audit.value == bytes([2]) * 32, "the value is about the drawn steps"
    at = [2, 7] if verdict == "ok" or drawn == "fault" else [5]
    assert (audit.epoch, audit.folder) == ("records", f"at {at}"), "what a dispute is played from does not come with the verdict"


def test_a_move_that_is_waited_for_comes_before_the_own_training(made, monkeypatch, tmp_path):
    desk, _ = made
    clock = [1000.0]
    monkeypatch.setattr(desk, "now", lambda: clock[0])
    monkeypatch.setattr(desk, "_begin", lambda *_: None)
    pleading = Pleading([], bytes(32), tmp_path, False, bytes(32))
    desk.plead(pleading)
    assert not desk.urgent
    clock[0] += desk.recipe.proof.audit / 4
    assert desk.urgent
    pleading.answer = {"function": None, "args": []}
    assert not desk.urgent


def test_a_question_over_which_the_replayer_keeps_dying_is_given_up(made, monkeypatch, tmp_path):
    desk, _ = made
    asked = []

    def dies(*job):
        asked.append(job)
        raise ResourceError("the replayer died over a job")

    monkeypatch.setattr(desk, "_replayed", dies)
    monkeypatch.setattr(desks, "write_job", lambda *_, **__: None)
    leaf = type("Leaf", (), {"epoch": 1, "step": 2})
    pleading = Pleading([leaf], bytes(32), tmp_path, False, bytes(32))
    desk._do(desk._plead, pleading)
    assert "died over it" in pleading.answer["fault"] and len(asked) == desks.TRIES
