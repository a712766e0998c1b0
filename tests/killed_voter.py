"""A voter that is killed again and again: each line on stdin is a new process of it, whose id goes to stdout, and again when it has caught up.

    python killed_voter.py FOLDER NAME BOOT START HOST       PACE below is that of its market

It imports everything once and forks, so that a start takes as long as dialling and catching up.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import networks
from courts import address, key
from markets import DOMAIN
from test_market_network import Clock, facts_from

from judge.ballots import Ballots
from judge.delegate import Delegate
from judge.terms import Durations, Terms
from swarm.market.visit import Visit
from swarm.market.voter import RoomCourt

PACE = Durations(6000, 1, 75_000, 60_000, 4000)
TERMS = Terms(chain_id=DOMAIN, machine=PACE, human=PACE, seed="beacon")
# Takes its time, and another run of it is sure of something else. All agree on the answer, so that no market goes to a second panel.
PROGRAM = "import json,os,sys,time;a=json.load(sys.stdin)['answers'];time.sleep(os.urandom(1)[0]/256);" + (
    "print(json.dumps({'choice':min(a,key=lambda one:one['text'])['number'],'sure':50+os.urandom(1)[0]%51}))"
)


def facts_since(start: int, host: bytes):
    """The same facts in every process."""
    facts = facts_from(start, host=host)
    facts.beacons(300_000, 900_000, 500)
    facts.seen = 2**47
    return facts


def vote(folder: Path, name: str, boot: str, start: int, host: bytes) -> None:
    """What the process does until it is killed."""
    network = networks.network(folder / "visits" / str(time.time_ns()), (boot,), client=True)
    network.start()
    room = Visit(network, facts_since(start, host), TERMS, address(name), key(name)[0], folder / "judge", lambda said, texts: 1, now=Clock())
    room.start()
    ballots = Ballots(folder / "votes")
    court = RoomCourt(room, key(name)[0], ballots, folder / "reasons")
    tell = lambda what, market, **more: print(what, market, more.get("why", ""), file=sys.stderr, flush=True)  # noqa: E731
    delegate = Delegate(court, ballots, [sys.executable, "-S", "-E", "-c", PROGRAM], tell)
    mother = os.getppid()
    while not room.caught_up:
        time.sleep(0.02)
    print(f"up {os.getpid()}", flush=True)
    while os.getppid() == mother:  # nothing is left behind
        delegate.turn()
        time.sleep(0.02)


if __name__ == "__main__":
    given = (Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]), bytes.fromhex(sys.argv[5]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    given[0].mkdir(exist_ok=True)
    print("ready", flush=True)
    for _ in sys.stdin:
        if (child := os.fork()) == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                vote(*given)
            finally:
                os._exit(1)
        print(f"started {child}", flush=True)
