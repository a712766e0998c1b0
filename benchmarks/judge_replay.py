"""How long a node takes to replay a log of the judge market: a real mix of events, signature checks included, in two processes.

    python benchmarks/judge_replay.py [--events 100000] [--operators 60] [--profile]

Builds a log (trades, evidence with marks, forecasts, votes of panels, disputes, settlements, claims, sweeps), replays it in two fresh
processes with different hash seeds, and prints the counts, the seconds of each replay and whether both end with the same root.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import os
import pstats
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from judge import events, keys, ledger  # noqa: E402
from judge.errors import Refused  # noqa: E402
from judge.market import COMMIT, SETTLED  # noqa: E402
from judge.panel import commitment  # noqa: E402
from judge.terms import CREDIT, SECOND, WAD, terms_of  # noqa: E402

TERMS = terms_of("test", claim_window=10 * 60 * SECOND)


class Builder:
    """Plays markets one after the other, each to its end, until the log is long enough."""

    def __init__(self, operators: int):
        self.log = ledger.Log(ledger.State(TERMS))
        self.random = random.Random(7)
        self.t, self.nonce = 1_800_000_000_000, 0
        secrets = [hashlib.sha256(b"operator %d" % number).digest() for number in range(operators)]
        self.secrets = {keys.address_of(secret): secret for secret in secrets}
        for actor in self.secrets:
            self.say(events.Register, actor)
        self.due(events.Epoch, number=1, mints=tuple((actor, 100_000 * CREDIT) for actor in self.secrets))
        for actor in self.secrets:
            self.say(events.Stake, actor, amount=1000 * CREDIT)

    def say(self, kind: type, actor: bytes, **fields) -> events.Entry:
        self.t += 1
        entry = events.write(kind(actor=actor, t=self.t, **fields), TERMS.chain_id, self.secrets[actor])
        self.log.extend(entry)
        return entry

    def due(self, kind: type, **fields) -> None:
        self.log.extend(events.write(kind(t=self.t, **fields), TERMS.chain_id))

    def play(self) -> None:
        """One market, from its question to the claims."""
        people = self.random.sample(list(self.secrets), 14)
        market = self.open(people[0], self.random.choice("VPPP"))
        for step in range(30):
            self.trade(market, people[1 + step % 9])
        for step, author in enumerate(people[10:13]):
            self.evidence(market, author, step)
        self.say(events.Forecast, people[13], market=market.id, chances=(1000, 2000, 3000, 4000))
        self.t = market.deadline
        self.due(events.RoundEnd, market=market.id, seed=self.log.state.head)
        if market.kind == "V":
            self.due(events.Resolve, market=market.id, outcome=0)
        else:
            self.panel(market)
            if market.level == 0 and self.random.random() < 0.1:
                other = (market.verdict.choice + 1) % 4
                self.say(events.Dispute, people[1], market=market.id, level=0, claimed=other, bond=12 * CREDIT, reason=bytes(32))
                self.panel(market)
        self.t = max(self.t, market.deadline)
        self.due(events.Expire, market=market.id)
        self.due(events.Settle, market=market.id)
        for holder in list(market.positions):
            if market.owed(holder):
                self.say(events.Claim, holder, market=market.id)
        self.sweep()

    def open(self, creator: bytes, kind: str):
        self.nonce += 1
        outcomes = tuple((f"answer {letter} of {self.nonce}", hashlib.sha256(bytes([i])).digest(), ()) for i, letter in enumerate("ABCD"))
        event = events.Open(actor=creator, t=self.t, nonce=self.nonce, kind=kind, question=f"Which is right? ({self.nonce})", outcomes=outcomes,
                            b0=100 * CREDIT, scorer=b"s" * 32 if kind == "V" else b"")  # fmt: skip
        self.log.extend(events.write(event, TERMS.chain_id, self.secrets[creator]))
        market = self.log.state.markets[event.market(TERMS.chain_id)]
        self.say(events.Fund, creator, market=market.id)
        return market

    def trade(self, market, trader: bytes) -> None:
        self.nonce += 1
        side = self.random.choice(["buy", "spend", "spend", "sell"])
        fields = {"side": side, "outcome": self.random.randrange(4), "amount": self.random.randrange(CREDIT // 10, 3 * CREDIT)}
        try:
            self.say(events.Trade, trader, market=market.id, nonce=self.nonce, **fields)
        except Refused:
            self.say(events.Trade, trader, market=market.id, nonce=self.nonce, **{**fields, "side": "spend"})

    def evidence(self, market, author: bytes, step: int) -> None:
        words = [hashlib.sha256(b"%d %d %d" % (self.nonce, step, i)).hexdigest()[:7] for i in range(80)]
        piece = self.say(events.Evidence, author, market=market.id, text=" ".join(words)).id
        marks = (WAD,) if market.kind == "V" else (WAD // 3, WAD // 2, WAD)
        self.due(events.Grade, market=market.id, piece=piece, marks=marks)

    def panel(self, market) -> None:
        self.due(events.Draw, market=market.id, seed=self.log.state.head)
        votes = {judge: self.random.choice([0, 0, 0, 0, 1]) for judge in market.panel.seats}
        salts = {judge: os.urandom(32) for judge in votes}
        for judge, choice in votes.items():
            said = commitment(TERMS.chain_id, market.id, market.level, market.roll, judge, choice, 8000, 6000, salts[judge])
            self.say(events.Commit, judge, market=market.id, level=market.level, roll=market.roll, commit=said)
        self.due(events.Close, market=market.id)
        for judge, choice in votes.items():
            fields = {"level": market.level, "roll": market.roll, "judge": judge, "choice": choice, "sure": 8000, "agree": 6000, "salt": salts[judge]}
            self.say(events.Reveal, judge, market=market.id, **fields)
        self.due(events.Tally, market=market.id)
        if market.phase == COMMIT:  # a tie: the next level
            self.panel(market)

    def sweep(self) -> None:
        for market in list(self.log.state.markets.values())[-200:-100]:
            if market.phase == SETTLED and self.t >= market.deadline:
                self.due(events.Sweep, market=market.id)


def replayed(path: Path, profile: bool) -> None:
    """Replay a file of length-prefixed entries and say what it took."""
    data, entries = path.read_bytes(), []
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        entries.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    wall, cpu = time.perf_counter(), time.process_time()
    state = ledger.replay(TERMS, entries)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    profiler.disable()
    began = time.process_time()
    root = state.root()
    assert state.balance() == state.minted
    print(f"{cpu:.1f} s of CPU, {wall:.1f} s by the clock, {time.process_time() - began:.1f} s for the root {root.hex()}")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--operators", type=int, default=60)
    parser.add_argument("--profile", action="store_true", help="print where one replay spends its time")
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.replay:
        replayed(given.replay, given.profile)
        return
    began = time.process_time()
    builder = Builder(given.operators)
    while builder.log.state.count < given.events:
        builder.play()
    entries = builder.log.entries
    kinds = Counter(type(events.read(data, TERMS.chain_id).event).__name__ for data in entries)
    print(f"built {len(entries)} events, {sum(map(len, entries)) / 1e6:.1f} MB, in {time.process_time() - began:.1f} s of CPU")
    print(", ".join(f"{name} {many}" for name, many in kinds.most_common()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"".join(len(data).to_bytes(4, "big") + data for data in entries))
        roots = set()
        for seed in ("1", "2"):
            command = [sys.executable, __file__, "--replay", str(path)] + ["--profile"] * (given.profile and seed == "2")
            done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
            print(f"replay {seed}: {done.stdout.strip()}")
            roots.add(done.stdout.split()[-1] if not (given.profile and seed == "2") else builder.log.state.root().hex())
    assert roots == {builder.log.state.root().hex()}, "the replays differ"
    print("both replays end with the builder's root")


if __name__ == "__main__":
    main()
