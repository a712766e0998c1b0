"""The supervisor with fake nodes: restarts, causes, limits, order at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from swarm import ending, heartbeat, launch, recipe, runs, settings, supervisor
from swarm.ending import Machine
from swarm.errors import InputError
from swarm.launch import Choices
from swarm.limits import Limits
from swarm.supervisor import Child, Supervisor, View

FAKE = (sys.executable, str(Path(__file__).with_name("fake_node.py")))
RECIPE = {"name": "fake", "tasks": [{"name": "addition", "kind": "builtin", "source": "addition"}], "run": {"rounds": 4}}


class Heard:
    """A screen that keeps what it is told."""

    def __init__(self):
        self.said: list[str] = []
        self.views: list[View] = []

    def show(self, views: list[View]) -> None:
        self.views = views

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all tests here: its identities are made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def folder(home, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(home))
    monkeypatch.setattr(launch, "NODE", FAKE)
    monkeypatch.setenv("PYTHONPATH", str(Path(supervisor.__file__).parent.parent))
    return home


@pytest.fixture
def prepared(folder):
    """A run of three fake nodes, prepared but not started."""
    made = recipe.parse(RECIPE)
    run, _ = runs.for_recipe(made, None, fresh=True)
    choices = Choices(peers=3)
    children = launch.prepare(run, made, choices, launch.identities(run, choices))
    yield run, children
    for child in children:
        child.stop(time.monotonic() + 1)
    run.unlock()


def behave(run, index: int, **how) -> None:
    (run.peer(index) / "behave.json").write_text(json.dumps(how))


def run_all(run, children, limits=None) -> tuple[list[View], Heard]:
    screen = Heard()
    return Supervisor(children, screen, limits or Limits(), run.folder).run(), screen


def test_three_peers_run_to_the_end_and_find_each_other(prepared):
    run, children = prepared
    behave(run, 0, round_s=2)
    views, _ = run_all(run, children)
    assert [view.beat.state for view in views] == ["done"] * 3 and all(view.ended.done and view.restarts == 0 for view in views)
    boots = [json.loads((run.peer(index) / "boot.json").read_text()) for index in range(3)]
    assert boots[1] and boots[2], "a peer that does not found the swarm waits for an address of another"


def test_a_killed_peer_resumes_and_the_others_never_stop(prepared):
    run, children = prepared
    behave(run, 1, die={"2": "SIGKILL"}, once=True)
    views, screen = run_all(run, children)
    assert [view.restarts for view in views] == [0, 1, 0]
    assert all(view.beat.round == 4 and view.ended.done for view in views)
    assert any("peer 1 was killed by someone (SIGKILL" in said and "resumes after round 1" in said for said in screen.said)


def test_a_permanent_error_ends_one_peer_with_its_own_words(prepared):
    run, children = prepared
    behave(run, 2, exit={"2": 5})
    views, screen = run_all(run, children)
    assert views[2].ended.cause == "ended with code 5: it broke on purpose; mend it" and views[2].ended.code == 5
    assert views[2].restarts == 0 and views[2].beat.state == "failed"
    assert [view.ended.done for view in views] == [True, True, False]
    assert any("stays down, the others go on" in said for said in screen.said)


def test_failures_without_progress_are_given_up(prepared, monkeypatch):
    run, children = prepared
    monkeypatch.setattr(supervisor, "LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(supervisor, "FAILURES", 2)
    behave(run, 1, exit={"1": 4})
    views, _ = run_all(run, children)
    assert views[1].restarts == supervisor.FAILURES and "given up" in views[1].ended.cause and views[1].ended.code == 4


def test_a_dead_peers_address_is_forgotten(prepared):
    run, children = prepared
    behave(run, 0, exit={"2": 5})
    views, _ = run_all(run, children)
    assert views[0].beat.addresses == [] and heartbeat.read(run.peer(0) / heartbeat.FILE).addresses == []


def test_a_peer_over_its_share_of_memory_is_ended(prepared, monkeypatch):
    run, children = prepared
    monkeypatch.setattr(supervisor, "WATCH_S", 0.1)
    behave(run, 0, eat_mb=300, round_s=5)
    views, _ = run_all(run, children, Limits(max_memory=600 * 2**20))
    assert "--max-memory (200 MiB)" in views[0].ended.cause and views[0].ended.code == 5
    assert views[1].ended.done and views[2].ended.done


def test_a_run_over_its_disk_is_ended(prepared, monkeypatch):
    run, children = prepared
    monkeypatch.setattr(supervisor, "DISK_S", 0.1)
    for index in range(3):
        behave(run, index, round_s=5)
    (run.folder / "large").write_bytes(os.urandom(2**20))
    views, _ = run_all(run, children, Limits(max_disk=2**20))
    assert all("--max-disk" in view.ended.cause for view in views)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_every_child_by_its_own_id(prepared, number):
    run, children = prepared
    for index in range(3):
        behave(run, index, round_s=30)
    pids: list[int] = []

    def interrupt() -> None:
        while len(pids) < 3:
            pids[:] = [child.pid for child in children if child.pid]
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run_all(run, children)
    assert len(pids) == 3 and not any(psutil.pid_exists(pid) for pid in pids)


def test_what_a_killed_node_leaves_behind_is_ended_with_it(tmp_path):
    (tmp_path / "child.py").write_text(
        "import os, subprocess, sys, time\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[2] + '/left', 'w').write(str(left.pid)); time.sleep(60)\n"
    )
    child = Child(0, tmp_path, (sys.executable, str(tmp_path / "child.py")))
    child.start_if_due(1.0)
    while not (tmp_path / "left").exists() or not (tmp_path / "left").read_text():
        time.sleep(0.02)
    left = psutil.Process(int((tmp_path / "left").read_text()))
    os.kill(child.pid, signal.SIGKILL)
    while child.reap(time.monotonic()) is None:
        time.sleep(0.02)
    _, alive = psutil.wait_procs([left], timeout=5)
    child.stop(time.monotonic())
    assert not alive or left.status() == psutil.STATUS_ZOMBIE


def test_a_node_ends_when_its_parent_is_gone(tmp_path):
    code = "import threading, time; from swarm.parent import end_with_parent\n"
    code += "threading.Thread(target=end_with_parent, args=(0.05,), daemon=True).start(); time.sleep(60)"
    parent_code = "import subprocess, sys, time; from swarm.supervisor import environment\n"
    parent_code += f"print(subprocess.Popen([sys.executable, '-c', {code!r}], env=environment()).pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True)
    node = psutil.Process(int(parent.stdout.readline()))
    parent.kill()  # before or after the node has looked at who its parent is: both must end it
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 10
    while time.monotonic() < end and node.is_running() and node.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    assert not node.is_running() or node.status() == psutil.STATUS_ZOMBIE


def test_the_kernels_counter_names_lack_of_memory(tmp_path):
    before, after = Machine(boot_id="a", oom_kills=3), Machine(boot_id="a", oom_kills=4)
    assert "lack of memory" in ending.explain(-9, before, after, tmp_path / "log").cause
    assert "by someone" in ending.explain(-9, before, before, tmp_path / "log").cause
    assert "does not say" in ending.explain(-9, Machine(), Machine(), tmp_path / "log").cause
    assert ending.explain(-11, before, before, tmp_path / "log").cause == "ended by SIGSEGV"
    assert "lack of memory" in ending.explain_previous(before, 1, after)
    assert "restarted" in ending.explain_previous(before, 1, Machine(boot_id="b", oom_kills=0))
    assert "no cause" in ending.explain_previous(before, 1, before)
    assert ending.explain_previous(before, None, after) is None


@pytest.mark.parametrize(
    ("device", "allowed", "variables"),
    [
        ("cuda:1", None, {launch.VISIBLE: "1"}),
        ("cuda:1", "4,6", {launch.VISIBLE: "6"}),
        ("cuda:0", "GPU-8f3a, GPU-11c2", {launch.VISIBLE: "GPU-8f3a"}),
        ("auto", None, {launch.VISIBLE: "0"}),
        ("auto", "3,2", {launch.VISIBLE: "3"}),
        ("auto", "", {}),
        ("cpu", "0,1", {}),
    ],
)
def test_a_peer_sees_one_gpu(device, allowed, variables):
    assert launch.one_gpu(device, {} if allowed is None else {launch.VISIBLE: allowed}) == variables


def test_a_gpu_that_is_not_visible_is_named():
    with pytest.raises(InputError, match="shows 1 GPU"):
        launch.one_gpu("cuda:1", {launch.VISIBLE: "7"})


def test_peers_on_several_gpus_each_find_theirs_as_the_first(folder, monkeypatch):
    monkeypatch.delenv(launch.VISIBLE, raising=False)
    run, _ = runs.for_recipe(recipe.parse(RECIPE), None, fresh=True)
    choices = Choices(peers=2, devices=("cuda:0", "cuda:1"))
    children = launch.prepare(run, recipe.parse(RECIPE), choices, launch.identities(run, choices))
    assert [child.variables[launch.VISIBLE] for child in children] == ["0", "1"]
    assert [settings.load(child.folder).device for child in children] == ["cuda:0", "cuda:0"]


def test_variables_of_a_child_reach_its_process(tmp_path):
    child = Child(0, tmp_path, (sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"), {"CUDA_VISIBLE_DEVICES": "5"})
    child.start_if_due(time.monotonic())
    child.wait(30.0)
    assert (tmp_path / "log.txt").read_text() == "5\n"


def test_a_passphrase_never_reaches_a_node(monkeypatch):
    monkeypatch.setenv("SWARM_PASSPHRASE", "secret")
    monkeypatch.setenv("SWARM_PASSPHRASE_FILE", "file")
    assert not [key for key in supervisor.environment() if "PASSPHRASE" in key]
