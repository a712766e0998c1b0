"""Real processes of a proved swarm, killed with -9 in the middle of everything: no commitment is doubled, no honest peer is slashed."""

import os
import random
import signal
import time
from collections import Counter

import psutil
import pytest
from test_proved_swarm import QUICK
from test_swarm import Command, wait_for

from swarm import chainhost
from swarm.chain.logs import Scanner
from swarm.chain.values import Verdict

KILLS = 50


def victims(swarm: Command) -> list[psutil.Process]:
    """Every process of the swarm but the command itself: nodes, replayers, libp2p daemons, the chain."""
    return [child for child in psutil.Process(swarm.process.pid).children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_fifty_processes_killed_at_random_double_no_commitment_and_slash_nobody(tmp_path):
    rng = random.Random(11)
    settings = [each for each in QUICK if not each.startswith("run.rounds")]
    swarm = Command(tmp_path / "home", "up", "local", "--no-alone", "--plain", "run.rounds=100000", *settings)
    killed = Counter()
    try:
        wait_for(lambda: all(swarm.beat(peer)["round"] >= 1 for peer in range(3)), [swarm])
        while killed.total() < KILLS:
            time.sleep(rng.uniform(1, 6))
            assert swarm.process.poll() is None, swarm.said()
            if found := victims(swarm):
                victim = rng.choice(found)
                words = victim.cmdline()
                peer = next((peer for peer in range(3) if swarm.beat(peer)["pid"] == victim.pid), None)
                was = swarm.beat(peer)["round"] if peer is not None else 0
                os.kill(victim.pid, signal.SIGKILL)
                killed[next((word for word in ("node", "replayer") if word in words), words[0].rsplit("/", 1)[-1])] += 1
                if peer is not None:  # who dies five times without a round between is given up
                    wait_for(lambda peer=peer, was=was: swarm.beat(peer)["round"] > was, [swarm])
        rounds = [swarm.beat(peer)["round"] for peer in range(3)]
        wait_for(lambda: all(swarm.beat(peer)["round"] > was for peer, was in enumerate(rounds)), [swarm])
        time.sleep(90)  # an epoch and its audit in peace
    finally:
        assert swarm.stop() == 130, swarm.said()
    with chainhost.reading(swarm.folder().parent / "chain") as chain:
        events = Scanner(chain, ("ledger", "court", "vault")).scan().new
    committed = Counter((e.values["key"], e.values["epoch"]) for e in events if e.name == "Committed")
    assert committed and set(committed.values()) == {1}, "an epoch was committed twice"
    faults = [e.values for e in events if e.name == "VerdictRevealed" and e.values["verdict"] == Verdict.FAULT]
    assert not faults, f"honest work was called a fault: {faults}"
    slashed = Counter(bytes(e.values["reason"]).rstrip(b"\0").decode() for e in events if e.name == "Slashed" and e.values["amount"])
    assert set(slashed) <= {"absence"}, f"honest peers lost stake: {slashed}"
    settled = {e.values["key"] for e in events if e.name == "Settled" and e.values["units"] > 0}
    print(f"killed {dict(killed)}; {len(committed)} commitments, slashed {dict(slashed)}, {len(settled)} peers earned")
    assert len({key for key, _ in committed}) == 3 and settled
