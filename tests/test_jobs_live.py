"""Whole jobs on a real chain with real nodes: a job is solved, verified and settled; a solver is killed, vanishes, or cheats.

Everything is a process of the real commands under one home, as in docs/market.md: python -m pytest -m slow tests/test_jobs_live.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from job_process import LEAST

from swarm.chain import link
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.values import JobPhase, Outcome
from swarm.errors import ChainError, InputError

TESTS = Path(__file__).parent
CLI = ["-m", "swarm.cli", "job"]


class Terminals:
    """Commands that run at the same time under one home; what each says is in NAME.txt."""

    def __init__(self, home: Path):
        self.home = home
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str) -> None:
        environment = os.environ | {"SWARM_HOME": str(self.home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), environment.get("PYTHONPATH", "")])
        with open(self.home / f"{name}.txt", "ab") as out:
            self.running[name] = subprocess.Popen([sys.executable, *words], stdout=out, stderr=out, env=environment)

    def post(self, steps: int, *settings: str) -> None:
        self.start("submit", str(TESTS / "job_process.py"), str(steps), *settings)
        self.until(lambda: "is posted" in self.said("submit"), 120)

    def said(self, name: str) -> str:
        path = self.home / f"{name}.txt"
        return path.read_text() if path.exists() else ""

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            told = "\n\n".join(f"== {path.stem}\n{path.read_text()[-2500:]}" for path in sorted(self.home.glob("*.txt")))
            assert time.monotonic() < end, told
            time.sleep(0.5)

    def ended(self, name: str, seconds: float = 300) -> int:
        """Wait for a command to end by itself; its exit code."""
        self.until(lambda: self.running[name].poll() is not None, seconds)
        return self.running.pop(name).returncode

    def kill(self, name: str) -> None:
        """kill -9 for a command and everything that it started."""
        root = psutil.Process(self.running.pop(name).pid)
        for process in [root, *root.children(recursive=True)]:
            process.kill()
        root.wait(20)

    def stop(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(60)

    @property
    def chain(self) -> Chain:
        return Chain(link.load(self.home / "market"))

    def events(self, *names: str) -> list[dict]:
        """What the contracts told, by the events' names; nothing while the chain changes hands."""
        try:
            found = Scanner(self.chain, ("ledger", "market", "delivery", "court", "vault")).scan().new
        except (ChainError, InputError):
            return []
        return [event.values for event in found if event.name in names]

    @property
    def accepted(self) -> list[dict]:
        return self.events("Accepted")


@contextmanager
def terminals(home: Path) -> Iterator[Terminals]:
    made = Terminals(home)
    try:
        yield made
    finally:
        made.stop()


def settled(market: Terminals, steps: int, solvers: int = 1) -> None:
    """Everything a job that came to a good end has: all steps paid once, each on the state of the one before, a model attested, no escrow left."""
    market.until(lambda: bool(market.events("Settled")), 240)
    accepted, chain = market.accepted, market.chain
    assert sum(each["steps"] for each in accepted) == steps and len({each["key"] for each in accepted}) == solvers
    job = accepted[0]["job"]
    assert accepted[-1]["root"] == chain.read("market", "partOf", job, 0).root
    assert chain.read("delivery", "isDelivered", job, 0) and JobPhase(chain.read("market", "phaseOf", job)) == JobPhase.SETTLED
    assert not convictions(market), "honest work was slashed"


def convictions(market: Terminals) -> list[dict]:
    """Slashes for more than an absence."""
    return [each for each in market.events("Slashed") if b"absence" not in bytes(each["reason"])]


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_job_is_solved_verified_attested_and_settled(tmp_path):
    with terminals(tmp_path) as market:
        market.post(2 * LEAST)
        market.start("verify", *CLI, "verify", "local", "--peers", "2", "--plain")
        market.start("solve", *CLI, "solve", "local", "--plain")
        settled(market, 2 * LEAST)
        assert len(market.events("AuditorPaid")) >= 2 * 2 - 1, "drawn verifiers were not paid"
        assert market.ended("solve") == market.ended("verify") == market.ended("submit") == 0
        assert "the market owes it" in market.said("solve") and "the market owes it" in market.said("verify")


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_solver_killed_half_way_goes_on_with_the_same_command(tmp_path):
    with terminals(tmp_path) as market:
        market.post(3 * LEAST, "proof.audit=25")  # as long as a start takes
        market.start("verify", *CLI, "verify", "--any", "--peers", "2", "--plain")
        market.start("solve", *CLI, "solve", "--any", "--plain")
        market.until(lambda: bool(market.events("Committed")), 200)
        market.kill("solve")
        market.start("again", *CLI, "solve", "--any", "--plain")
        settled(market, 3 * LEAST)
        assert "carrying on with the run" in market.said("again")


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_where_a_solver_vanishes_another_carries_on_from_the_accepted_state(tmp_path):
    with terminals(tmp_path) as market:
        market.post(2 * LEAST, "proof.epoch=25", "proof.grace=13")
        market.start("verify", *CLI, "verify", "--any", "--peers", "2", "--plain")
        market.start("solve", *CLI, "solve", "--any", "--plain")
        market.until(lambda: "is held here" in market.said("verify"), 240)
        market.kill("solve")
        for run in (tmp_path / "runs").glob("solver-*"):  # that machine is gone, with everything on it
            run.rename(tmp_path / "gone")
        market.start("another", *CLI, "solve", "--any", "--plain", "--identity", "another", "--unencrypted")
        settled(market, 2 * LEAST, solvers=2)
        assert "was taken back from a solver" in market.said("another") and "goes on from the last accepted state" in market.said("another")


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_cheating_solver_is_found_out_slashed_and_not_paid(tmp_path):
    with terminals(tmp_path) as market:
        market.post(4 * LEAST)
        market.start("verify", *CLI, "verify", "--any", "--peers", "3", "--plain")
        market.start("cheat", str(TESTS / "cheating_solver.py"), "rewards", "--any", "--plain")
        market.until(lambda: any(each["outcome"] == Outcome.FAULT for each in market.events("Finalized")), 300)
        assert not market.accepted and convictions(market)
