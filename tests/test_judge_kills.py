"""kill -9 at a hundred random points of a voting session on a real network loses no vote.

    python -m pytest -m slow tests/test_judge_kills.py                 about six minutes
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import killed_voter
import networks
import pytest
from courts import address, key
from killed_voter import TERMS, facts_since
from markets import DOMAIN
from test_market_network import Clock, open_market, phase_of, state_of

from judge import events
from judge.ballots import Ballots, Place
from judge.market import Market
from judge.terms import CREDIT
from swarm.market.room import Room
from swarm.market.seats import SeatedRoom

KILLED, OTHER = ("ann", "ben"), "cleo"
MARKETS = 6
LONGEST_S = 1.5  # that a process lives after it has caught up, or, now and then, after it was started
CALM_S = 22.0  # before a deadline: whoever comes back that late has lost nothing by being killed


class Voter:
    """The process that is killed."""

    def __init__(self, folder: Path, *arguments: str):
        tests = Path(__file__).parent
        paths = {"PYTHONPATH": f"{tests}:{tests.parent}", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, killed_voter.__file__, str(folder), *arguments]
        self.log = open(folder.with_suffix(".log"), "w")  # noqa: SIM115 closed by `close`
        self.mother = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=os.environ | paths)
        assert self.mother.stdout.readline() == "ready\n"
        self.pid = 0

    def start(self) -> None:
        self.mother.stdin.write("go\n")
        self.mother.stdin.flush()
        self._await("started")

    def catch_up(self) -> None:
        """Wait until it has read what the others have."""
        self._await(f"up {self.pid}")

    def _await(self, what: str) -> None:
        while not (line := self.mother.stdout.readline()).startswith(what):
            assert line, "the voter's mother is gone"
        self.pid = int(line.split()[1])

    def kill(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.pid = 0

    def close(self) -> None:
        self.kill()
        self.mother.stdin.close()
        self.mother.wait(20)
        self.log.close()


@contextlib.contextmanager
def world(folder: Path):
    """A host with a real network, a judge whose node abstains, and the voters that will be killed."""
    clock, net = Clock(), networks.network(folder / "host")
    with networks.started(net), contextlib.ExitStack() as stack:
        start = clock()
        facts = facts_since(start, net.peer)
        host = Room(net, facts, TERMS, address("host"), key("host")[0], folder / "host" / "market", lambda said, texts: 1, now=clock)
        stack.callback(host.close)
        host.start()
        other = networks.network(folder / OTHER, tuple(net.addresses()[:1]))
        stack.enter_context(networks.started(other))
        around = (other, facts, TERMS, address(OTHER), key(OTHER)[0], folder / OTHER / "market", lambda said, texts: 1)
        node = SeatedRoom(folder / OTHER / "votes", folder / OTHER / "openings", *around, now=clock)
        stack.callback(node.close)
        node.start()
        for name in (*KILLED, OTHER):
            host.send(events.write(events.Stake(actor=address(name), t=clock(), amount=100 * CREDIT), DOMAIN, key(name)[0]))
        networks.until(lambda: sum(who.stake > 0 for who in state_of(host).operators.values()) == 3, 30, "the stakes came")
        voters = [Voter(folder / name, name, net.addresses()[0], str(start), net.peer.hex()) for name in KILLED]
        for voter in voters:
            stack.callback(voter.close)
        yield host, voters
        host.require_alive()


def killed_until(voter: Voter, rng: random.Random, end_ms: int) -> int:
    """Kill the voter again and again until a moment; how often. It runs when this returns."""
    kills = 0
    voter.kill()
    voter.start()
    while time.time() * 1000 < end_ms:
        if rng.random() < 0.85:
            voter.catch_up()
        time.sleep(rng.uniform(0.0, LONGEST_S))
        voter.kill()
        kills += 1
        voter.start()
    return kills


def reach(host: Room, markets: list[bytes], phase: str) -> None:
    """Wait until all of them are in a phase."""
    networks.until(lambda: all(phase_of(host, market) == phase for market in markets), 200, phase)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_kills_of_a_voters_process_lose_no_vote(tmp_path):
    kills, kept, round = 0, 0, 0
    with world(tmp_path) as (host, voters), ThreadPoolExecutor(len(KILLED)) as pool:
        while kills < 100:
            markets = [open_market(host, "host", kind="P", nonce=MARKETS * round + number + 1) for number in range(MARKETS)]
            round += 1
            for phase in ("COMMIT", "REVEAL"):
                reach(host, markets, phase)
                deadline = max(state_of(host).markets[market].deadline for market in markets)
                ends = [deadline - int(CALM_S * 1000)] * len(voters)
                kills += sum(pool.map(killed_until, voters, (random.Random(f"{name} {phase} {round}") for name in KILLED), ends))
            reach(host, markets, "SETTLED")
            kept += sum(check(tmp_path / name, name, state_of(host).markets[market]) for market in markets for name in KILLED)
    assert kept >= MARKETS
    print(f"{kills} kills in {round} rounds of {MARKETS} markets: {kept} votes signed, all opened")


def check(folder: Path, name: str, one: Market) -> int:
    """The vote on disk is the one that was committed and opened; how many there are."""
    panel, place = one.panels[0], Place(DOMAIN, one.id, 0, 0, address(name))
    if address(name) not in panel.seats:
        return 0
    kept, ballot = Ballots(folder / "votes").load(place), panel.ballots.get(address(name))
    assert kept.vote is not None and not kept.earlier, "it was asked in time, and signed once"
    assert ballot is not None and address(name) not in panel.dropped, "a vote that was signed was lost"
    assert ballot.commit == kept.vote.commitment(place)
    assert (ballot.choice, ballot.sure) == (kept.vote.choice, kept.vote.sure)
    return 1
