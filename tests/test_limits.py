"""Limits that hold: pauses by the clock, real affinity and priority, and what counts as others' work."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from swarm import limits
from swarm.errors import InputError
from swarm.limits import Governor, Limits


class Clock:
    """Time that passes only in sleep."""

    def __init__(self):
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_sizes_and_cores_are_read_and_refused():
    assert limits.size("500MB", "--x") == 500_000_000 and limits.size("1.5 GiB", "--x") == 3 * 2**29 and limits.size("200k/s", "--x") == 200_000
    assert limits.cores("50%") == (os.cpu_count() or 1) / 2 and limits.cores("0.5") == 0.5
    for text in ("", "0", "-1GB", "many", "1 XB"):
        with pytest.raises(InputError, match="--max-disk"):
            limits.size(text, "--max-disk")
    for text in ("", "0", "101%", "-1", "1e9"):
        with pytest.raises(InputError, match="--max-cpu"):
            limits.cores(text)


def test_a_share_divides_the_whole():
    assert Limits(max_cpu=1.0, max_memory=900, max_upload=1).share(3) == Limits(max_cpu=1 / 3, max_memory=300, max_upload=1)
    assert Limits().share(3) == Limits()


def test_processor_seconds_beyond_the_allowance_are_slept_off(monkeypatch):
    clock, used = Clock(), [0.0]
    monkeypatch.setattr(limits, "own_cpu_s", lambda: used[0])
    reasons: list[str] = []
    governor = Governor(Limits(max_cpu=0.5), clock=clock, sleep=clock.sleep, on_pause=reasons.append)
    for _ in range(20):
        used[0] += 1.0
        clock.now += 1.0  # a busy second on one core
        governor.pause_if_needed("answer")
    assert used[0] / (clock.now - 100.0) == pytest.approx(0.5, rel=0.1)
    assert governor.paused_s == pytest.approx(sum(clock.slept)) and "--max-cpu" in reasons[0]


def test_unused_allowance_is_not_saved_up(monkeypatch):
    clock, used = Clock(), [0.0]
    monkeypatch.setattr(limits, "own_cpu_s", lambda: used[0])
    governor = Governor(Limits(max_cpu=0.5), clock=clock, sleep=clock.sleep)
    clock.now += 3600
    governor.pause_if_needed("answer")
    used[0] += 10
    clock.now += 10
    assert governor.pause_if_needed("answer") == pytest.approx(10.0, abs=1.5)


def test_without_limits_nothing_is_slept():
    clock = Clock()
    assert Governor(Limits(), clock=clock, sleep=clock.sleep).pause_if_needed("answer") == 0.0 and not clock.slept


def test_only_idle_waits_until_others_have_been_quiet(monkeypatch):
    clock = Clock()
    governor = Governor(Limits(only_idle=True), clock=clock, sleep=clock.sleep)
    busy = iter([1.5, 1.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    monkeypatch.setattr(governor, "_others_cores", lambda: next(busy))
    assert governor.pause_if_needed("answer") >= limits.QUIET_S + 3
    assert next(busy) == 0.0, "it stopped looking once it was quiet"


def test_others_work_is_told_from_our_own(monkeypatch):
    busy = [sys.executable, "-c", "while True: pass"]
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    own = subprocess.Popen(busy)
    stranger = subprocess.Popen(wait)
    try:
        time.sleep(0.2)
        mine = Governor(Limits(only_idle=True), family=os.getpid())._others_cores
        theirs = Governor(Limits(only_idle=True), family=stranger.pid)._others_cores
        difference = theirs() - mine()
        assert difference > 0.02, "a busy child counts for another family, not for ours"
    finally:
        for process in (own, stranger):
            process.kill()
            process.wait()


def test_priority_and_affinity_are_set_for_real():
    code = (
        "import os, psutil\nfrom swarm.limits import Governor, Limits\n"
        "Governor(Limits(only_idle=True)).apply(0.5)\n"
        "print(os.sched_getscheduler(0) == os.SCHED_IDLE, psutil.Process().nice(), len(psutil.Process().cpu_affinity()), flush=True)\n"
        "os._exit(0)"  # an idle process may wait long for its turn to end in order
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == ["True", "19", "1"]


def test_own_processor_time_includes_children():
    before = limits.own_cpu_s()
    subprocess.run([sys.executable, "-c", "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"], check=True)
    assert limits.own_cpu_s() - before >= 0.25
    assert psutil.Process().cpu_times().user < limits.own_cpu_s()
