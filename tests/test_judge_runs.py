"""Random runs of a crowd through every phase: P17, nothing is made or lost, and a refusal changes nothing."""

from __future__ import annotations

import random

import pytest
from courts import Court, address

from judge import events
from judge.errors import Refused
from judge.events import ABSTAIN
from judge.market import Market
from judge.terms import CREDIT, WAD, Durations, terms_of

SIDES = ("buy", "spend", "sell", "sell for")
KINDS = [events.Fund, events.Evidence, events.Forecast, events.Grade, events.RoundEnd, events.Resolve, events.Draw, events.Commit, events.Close,
         events.Reveal, events.Tally, events.Dispute, events.Expire, events.Settle, events.Timeout, events.Claim, events.Sweep]  # fmt: skip


class Crowd:
    """People who do what comes to their mind: mostly something that could be due, sometimes anything."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        people = [f"p{i}" for i in range(self.rng.choice([3, 4, 6, 12, 25]))]
        rounds = self.rng.choice([1, 2])
        terms = terms_of("test", machine=Durations(2000, rounds, 2000, 2000, 2000), claim_window=20_000)
        self.court = Court(people, terms, credits=self.rng.choice([300, 3000]), stake=self.rng.choice([20, 100]), signed=False)
        self.votes: dict[tuple, int] = {}

    def act(self) -> None:
        """One attempt. Raises Refused."""
        rng, court = self.rng, self.court
        live = [market for market in court.state.markets.values() if market.phase not in ("ARCHIVED",)]
        if rng.random() < (0.5 if len(live) < 5 else 0.01):
            market = court.draft(rng.choice(court.people), kind=rng.choice("VPPH"), n=rng.choice([2, 3, 4]),
                                 authors={0: (rng.choice(court.people),)} if rng.random() < 0.3 else None)  # fmt: skip
            court.say(events.Fund, court.people[[address(name) for name in court.people].index(market.creator)], market=market.id)
        elif not live or rng.random() < 0.05:
            self.account()
        else:
            market = rng.choice(live)
            self.anything(market) if rng.random() < 0.15 else self.likely(market)

    def account(self) -> None:
        rng, court = self.rng, self.court
        name, roll = rng.choice(court.people), rng.random()
        if roll < 0.3:
            court.say(rng.choice([events.Stake, events.Unstake]), name, amount=rng.choice([1, CREDIT, 40 * CREDIT]))
        elif roll < 0.5:
            court.mint(rng.sample(court.people, 2), rng.choice([1, 50, 200]))
        elif roll < 0.7:
            court.due(events.Standing, operator=address(name), jailed=rng.choice([0, 0, 1]))
        elif roll < 0.8:
            court.say(rng.choice([events.Leave, events.Register]), name)
        else:
            weights = tuple((address(one), rng.randrange(WAD)) for one in rng.sample(court.people, 2))
            court.due(events.Bonus, number=court.state.epoch, weights=weights)

    def likely(self, market: Market) -> None:
        rng, court, name = self.rng, self.court, self.rng.choice(self.court.people)
        if market.phase == "DRAFT":
            court.t = max(court.t, market.ends)
            court.due(events.Timeout, market=market.id)
        elif market.phase == "OPEN" and rng.random() < 0.85:
            if rng.random() < 0.12:
                text = f"{rng.choice(['the', 'a', 'no'])} point {rng.randrange(9) * '.'} {rng.randrange(4)}"
                court.evidence(market, name, text, rng.choice([None, 0, WAD]), flags=rng.randrange(4))
            else:
                court.trade(market, name, rng.randrange(market.n), rng.choice([CREDIT // 3, 9 * CREDIT, 50 * CREDIT]), side=rng.choice(SIDES))
        elif market.phase == "COMMIT" and market.panel.drawn and rng.random() < 0.8:
            judges = court.seated(market)
            if judges:
                judge = rng.choice(judges)
                self.votes[market.id, judge] = rng.choice([0, 0, 0, 0, 1, market.n, ABSTAIN])
                court.commit(market, judge, self.votes[market.id, judge])
        elif market.phase == "REVEAL" and rng.random() < 0.8:
            judge = rng.choice(court.people)
            court.reveal(market, judge, self.votes.get((market.id, judge), 0), by=name)
        elif market.phase == "CHALLENGE" and rng.random() < 0.2:
            court.dispute(market, name, rng.randrange(market.n + 1))
        elif market.phase == "SETTLED":
            court.say(events.Claim, name, market=market.id) if rng.random() < 0.9 else self.sweep(market)
        else:
            self.move(market)

    def sweep(self, market: Market) -> None:
        court = self.court
        court.t = max(court.t, market.deadline)
        court.due(events.Sweep, market=market.id)

    def move(self, market: Market) -> None:
        """What comes next, by the clock."""
        court, id = self.court, market.id
        court.t = max(court.t, market.deadline)
        if market.phase == "OPEN":
            court.due(events.RoundEnd, market=id, seed=court.state.head)
        elif market.phase == "CLOSED" and market.kind == "V" and not market.by_panel:
            court.due(events.Resolve, market=id, outcome=self.rng.choice([0, 0, 0, 1, 255]))
        elif market.phase == "CLOSED" or (market.phase == "COMMIT" and not market.panel.drawn):
            court.draw(market)
        else:
            kind = {"COMMIT": events.Close, "REVEAL": events.Tally, "CHALLENGE": events.Expire, "FINAL": events.Settle, "VOID": events.Settle}
            court.due(kind[market.phase], market=id)

    def anything(self, market: Market) -> None:
        rng, court, kind = self.rng, self.court, self.rng.choice(KINDS)
        some = {
            "piece": rng.choice([*market.pieces, bytes(32)]), "marks": (rng.randrange(WAD),) * rng.choice([1, 3]), "flags": rng.randrange(4),
            "seed": court.state.head, "outcome": rng.choice([0, 1, 255]), "level": rng.randrange(3), "roll": rng.randrange(3),
            "commit": bytes(32), "judge": address(rng.choice(court.people)), "choice": 0, "sure": 0, "agree": 0, "salt": bytes(32),
            "claimed": rng.randrange(4), "bond": rng.choice([1, 40]) * CREDIT, "reason": bytes(32), "text": "x", "chances": (5000, 5000),
        }  # fmt: skip
        fields = {name: some[name] for name in kind.__dataclass_fields__ if name in some}
        if issubclass(kind, events.Signed):
            court.say(kind, rng.choice(court.people), market=market.id, **fields)
        else:
            court.due(kind, market=market.id, **fields)


def run(seed: int, taken: int) -> dict[str, int]:
    """`taken` events of a crowd, the identity after each, the state unchanged after some of the refusals. Returns the phases that ended it."""
    crowd, number = Crowd(seed), 0
    court = crowd.court
    while court.state.count < taken:
        number += 1
        before = court.state.canonical() if number % 200 == 0 else None
        count = court.state.count
        try:
            crowd.act()
        except Refused:
            if before is not None and court.state.count == count:
                assert court.state.canonical() == before
        court.t += crowd.rng.choice([0, 1, 20, 200])
        if court.state.count != count:
            court.balanced()
    ends: dict[str, int] = {}
    for market in court.state.markets.values():
        end = market.void_reason or market.phase
        ends[end] = ends.get(end, 0) + 1
    return ends


def test_p17_the_identity_holds_after_every_event_of_random_runs():
    ends: dict[str, int] = {}
    for seed in range(20):
        for end, many in run(seed, 1000).items():
            ends[end] = ends.get(end, 0) + many
    wanted = {"ARCHIVED", "it did not end in time", "its judges came to no verdict", "its question is invalid", "there are too few judges"}
    assert wanted <= set(ends), ends  # the runs reach every end there is


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.timeout(0)
def test_p17_through_a_million_events():
    for seed in range(1000):
        run(10**6 + seed, 1000)


