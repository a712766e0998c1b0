"""Whole swarms: real commands, real node processes, real libp2p daemons, and what happens when pieces of them are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from swarm import metrics

QUICK = ["evaluate.questions=10", "answer.questions=4", "critique.groups=2", "resolve.groups=2"]
QUICK += ["sharing.own=5", "sharing.foreign=3", "sharing.operator_share=0.5"]
PATIENCE_S = 150.0


class Command:
    """One running `swarm` command with a home of its own."""

    def __init__(self, home: Path, *arguments: str):
        home.mkdir(exist_ok=True)
        self.home = home
        environment = os.environ | {"SWARM_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        self.log = open(home / "log", "wb")  # noqa: SIM115 closed by stop()
        self.process = subprocess.Popen([sys.executable, "-m", "swarm.cli", *arguments], stdout=self.log, stderr=self.log, env=environment)

    def folder(self, peer: int = 0) -> Path:
        found = sorted((self.home / "runs").glob(f"*/peer-{peer}"))
        return found[-1] if found else self.home / "nothing yet"

    def beat(self, peer: int = 0) -> dict:
        try:
            return json.loads((self.folder(peer) / "heartbeat.json").read_bytes())
        except FileNotFoundError:
            return {"round": 0, "pid": 0, "peers_heard": 0, "groups": {"used": 0}, "network": {"restarts": 0}, "state": ""}

    def said(self) -> str:
        log = self.folder() / "log.txt"
        return (self.home / "log").read_text()[-3000:] + (log.read_text()[-3000:] if log.exists() else "")

    def stop(self) -> int:
        """Ctrl-C, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()
            self.log.close()


def wait_for(condition, who: list[Command], seconds: float = PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "\n\n".join(command.said() for command in who)
        assert all(command.process.poll() is None for command in who), "\n\n".join(command.said() for command in who)
        time.sleep(0.3)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A swarm of one, and two that joined it with its invite."""
    root = tmp_path_factory.mktemp("three")
    commands = [Command(root / "a", "up", "local", "--peers", "1", "--plain", "run.rounds=100000", *QUICK)]
    try:
        wait_for(lambda: commands[0].beat()["round"] >= 1, commands)
        home = os.environ | {"SWARM_HOME": str(root / "a")}
        invited = subprocess.run([sys.executable, "-m", "swarm.cli", "invite"], env=home, capture_output=True, text=True)
        invite = invited.stdout.split()[0]
        commands += [Command(root / name, "join", invite, "--plain") for name in ("b", "c")]
        wait_for(lambda: all(c.beat()["peers_heard"] == 2 and c.beat()["groups"]["used"] > 0 for c in commands), commands, 2 * PATIENCE_S)
        yield commands
    finally:
        codes = [command.stop() for command in commands]
    assert codes == [130] * len(commands)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(root) in " ".join(p.info["cmdline"] or [])], "a process was left behind"


@pytest.mark.timeout(600)
def test_strangers_join_with_one_string_and_learn_from_each_other(three):
    assert all(command.beat()["groups"]["used"] > 0 for command in three)


@pytest.mark.timeout(600)
def test_a_node_killed_in_mid_round_resumes_it_and_the_others_never_stop(three):
    first, victim, third = three
    before = [command.beat() for command in three]
    wait_for(lambda: victim.beat()["stage"] in ("critique", "resolve", "learn") and victim.beat()["round"] > before[1]["round"], three)
    done = victim.beat()["round"]
    os.kill(victim.beat()["pid"], signal.SIGKILL)
    wait_for(lambda: victim.beat()["pid"] not in (0, before[1]["pid"]) and victim.beat()["round"] >= done + 2, three)
    rounds = [row["round"] for row in metrics.read(victim.folder() / metrics.FILE)]
    assert rounds == list(range(1, len(rounds) + 1)), "a round is missing or was counted twice"
    for command, was in ((first, before[0]), (third, before[2])):
        assert command.beat()["pid"] == was["pid"] and command.beat()["round"] > was["round"]


@pytest.mark.timeout(600)
def test_the_network_process_killed_inside_a_peer_costs_no_round(three):
    victim = three[2]
    wait_for(lambda: victim.beat()["state"] == "running", three)
    node = psutil.Process(victim.beat()["pid"])
    daemon = next(child for child in node.children(recursive=True) if "p2pd" in child.name())
    before = victim.beat()
    daemon.kill()
    wait_for(lambda: victim.beat()["network"]["restarts"] > before["network"]["restarts"], three)
    used = victim.beat()["groups"]["used"]
    wait_for(lambda: victim.beat()["round"] >= before["round"] + 2 and victim.beat()["peers_heard"] == 2, three)
    wait_for(lambda: victim.beat()["groups"]["used"] > used, three)
    assert victim.beat()["pid"] == before["pid"], "the node itself was restarted"
    rounds = [row["round"] for row in metrics.read(victim.folder() / metrics.FILE)]
    assert rounds == list(range(1, len(rounds) + 1))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_of_a_peer_does_not_creep_up(tmp_path):
    command = Command(tmp_path / "home", "up", "local", "--peers", "2", "--plain", "--no-alone", "run.rounds=52", "evaluate.every=0", *QUICK)
    try:
        command.process.wait(800)
        for peer in (0, 1):
            rows = {row["round"]: row["memory_mb"] for row in metrics.read(command.folder(peer) / metrics.FILE)}
            assert rows[50] <= 1.05 * rows[5], f"{rows[5]} MiB after round 5, {rows[50]} MiB after round 50"
    finally:
        command.stop()
