"""Two real nodes and a member that only attacks: nothing of it is accepted, all of it is counted, and learning goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from test_swarm import QUICK, Command, wait_for

from swarm import metrics

# What a victim's heartbeat calls each kind of attack.
REASONS = {
    "forged_signatures": {"bad signature"},
    "records_of_others": {"wrong place", "foreign card"},
    "gigabyte_claims": {"oversize"},
    "huge_rewards": {"malformed"},
    "not_a_number": {"not finite"},
    "wrong_digests": {"wrong digest"},
}
SETTLED = 4  # rounds after which two peers use each other's groups


class Hostile:
    """A `hostile_peer.py`; `last` is the newest line it printed."""

    def __init__(self, invite: str, folder: Path):
        folder.mkdir()
        tests = Path(__file__).parent
        paths = {"PYTHONPATH": f"{tests}:{tests.parent}", "OMP_NUM_THREADS": "1"}
        self.log = (folder / "log").open("wb")
        command = [sys.executable, str(tests / "hostile_peer.py"), invite, str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, **paths})
        self.last: dict = {"name": "", "rotations": 0, "done": {}}
        self._folder = folder
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for text in self.process.stdout:
            self.last = json.loads(text)

    def said(self) -> str:
        return f"{self.last}\n{(self._folder / 'log').read_text()[-2000:]}"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):  # in the middle of an attack on a busy machine: what it did is told already
            self.process.wait(30)
        self.process.kill()
        self.process.wait()
        self.log.close()
        self._reader.join(5)


def rows(command: Command, peer: int) -> list[dict]:
    return metrics.read(command.folder(peer) / metrics.FILE)


def window(command: Command, rounds: int, also: Hostile | None = None) -> list[list[dict]]:
    """The rows of both peers over their next `rounds` rounds."""
    begins = [command.beat(peer)["round"] for peer in (0, 1)]
    wait_for(lambda: all(command.beat(peer)["round"] >= begin + rounds for peer, begin in enumerate(begins)), [command, *([also] if also else [])])
    return [rows(command, peer)[begin : begin + rounds] for peer, begin in enumerate(begins)]


def honest_rate(found: list[list[dict]], honest: set[str]) -> float:
    """Groups of the other honest peer trained on, per round."""
    return sum(count for peer in found for row in peer for name, count in row["trained"]["author"].items() if name in honest) / sum(map(len, found))


def attacked(root: Path, rounds: int, rotations: int) -> None:
    """A swarm of two before an attacker joins and while it attacks: `rotations` attackers, since who serves a wrong digest is skipped for long."""
    swarm = Command(root / "honest", "up", "local", "--peers", "2", "--plain", "--no-alone", "run.rounds=100000", *QUICK)
    attackers: list[Hostile] = []
    try:
        wait_for(lambda: all(swarm.beat(p)["round"] >= SETTLED and swarm.beat(p)["groups"]["used"] > 0 for p in (0, 1)), [swarm])
        pids = [swarm.beat(peer)["pid"] for peer in (0, 1)]
        before = window(swarm, rounds)
        environment = os.environ | {"SWARM_HOME": str(swarm.home)}
        invite = subprocess.run([sys.executable, "-m", "swarm.cli", "invite"], env=environment, capture_output=True, text=True).stdout.split()[0]
        begins = [swarm.beat(peer)["round"] for peer in (0, 1)]
        for number in range(rotations):
            attackers.append(Hostile(invite, root / f"hostile-{number}"))
            wait_for(lambda: attackers[-1].last["rotations"] >= 1, [swarm, *attackers])
        window(swarm, rounds, attackers[-1])
        during = [rows(swarm, peer)[begin:] for peer, begin in enumerate(begins)]
        beats = [swarm.beat(peer) for peer in (0, 1)]
        assert [beat["pid"] for beat in beats] == pids, "a node was started again"
    finally:
        for hostile in attackers:
            hostile.stop()
        swarm.stop()
    honest = {beat["name"] for beat in beats}
    check(before, during, beats, honest, {hostile.last["name"] for hostile in attackers})


def check(before: list[list[dict]], during: list[list[dict]], beats: list[dict], honest: set[str], attackers: set[str]) -> None:
    """Nothing accepted, everything counted, learning goes on at the same rate."""
    for was, now, beat in zip(before, during, beats, strict=True):
        refused = Counter(now[-1]["refused"]) - Counter(was[-1]["refused"])
        for kind, reasons in REASONS.items():
            assert refused.keys() >= reasons, f"{kind} left no trace in {refused}"
            assert beat["network"]["dropped"].keys() >= reasons
        assert sum(row["dropped"].get("rollout improbable", 0) for row in now) > sum(row["dropped"].get("rollout improbable", 0) for row in was)
        used = {name for row in now for name in row["trained"]["author"]}
        assert used <= honest and not used & attackers, "a group of an attacker was trained on"
        assert [row["round"] for row in now] == list(range(now[0]["round"], now[0]["round"] + len(now)))
        assert all(row["learn"]["applied"] for row in now), "a round without a step"
    rate, usual = honest_rate(during, honest), honest_rate(before, honest)
    print(f"honest groups used a round: {usual:.2f} before, {rate:.2f} under attack ({rate / usual:.0%})")
    assert rate >= 0.8 * usual


@pytest.mark.timeout(600)
def test_an_attacker_is_counted_and_costs_honest_peers_nothing(tmp_path):
    attacked(tmp_path, rounds=8, rotations=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_attacker_that_stays_is_counted_and_costs_honest_peers_nothing(tmp_path):
    attacked(tmp_path, rounds=30, rotations=5)
