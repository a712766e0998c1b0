"""A watcher judges a tenth of the panels' verdicts again while they can be disputed, and disputes those that it finds wrong.

Which tenth follows from the node's session key, so nobody else knows it beforehand. The rule:
- where the market names a scorer that this node can run, a verdict is disputed if and only if the scorer says otherwise;
- else if the frozen judge gives the verdict's outcome less than DOUBT and its own best one more than SURE. It is no judge of INVALID.
The bond is the least that is taken, and at most a tenth of the free credits. Only who has staked as a judge watches, and only where judges are left
to hear a dispute of theirs: in a swarm of three that is the market's host, since the other two sat in its panel.

What came of all verdicts whose truth a scorer knows is counted from the log (`Rates`), whoever disputed them: the odds on which
`python -m benchmarks.judges` lets wrong and right verdicts be challenged.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from judge import events
from judge.errors import Refused
from judge.market import ARCHIVED, CHALLENGE, SETTLED, Market
from judge.panel import conflict
from swarm.market.jury import for_a_panel

if TYPE_CHECKING:
    from judge.ledger import State
    from judge.terms import Terms
    from swarm.market.jury import Jury
    from swarm.market.room import Room

SHARE = 0.1  # of the verdicts
DOUBT, SURE = 0.1, 0.6
PURSE = 10  # a bond is at most this part of the free credits
LATE_MS = 20_000  # after a market ended its pages are here, and its log stays as it is


@dataclass
class Rates:
    """Panels' verdicts whose time to be disputed is over, by what the scorer says of them."""

    wrong: int = 0
    wrong_disputed: int = 0
    right: int = 0
    right_disputed: int = 0

    def count(self, right: bool, disputed: bool) -> None:
        if right:
            self.right, self.right_disputed = self.right + 1, self.right_disputed + disputed
        else:
            self.wrong, self.wrong_disputed = self.wrong + 1, self.wrong_disputed + disputed


class Heard(NamedTuple):
    """A verdict that can be disputed now."""

    market: bytes
    level: int
    outcomes: int
    choice: int
    bond: int


class Watcher:
    """Watches over the markets of `room` for its operator, whose session key is `secret`."""

    def __init__(self, room: Room, jury: Jury, secret: bytes):
        self.room, self.jury, self._secret = room, jury, secret
        self.judged = self.disputed = 0
        self.rates = Rates()
        self._done: set[tuple[bytes, int]] = set()
        self._counted: set[tuple[bytes, int]] = set()

    def turn(self) -> None:
        """Judge what is new, and count what is over."""
        terms = self.room.terms
        with self.room.reading() as state:
            me = state.operators.get(self.room.actor)
            purse = me.free // PURSE if me is not None and me.stake + me.locked >= terms.stake_least else 0
            panels = [one for one in state.markets.values() if for_a_panel(one)]
            new = [heard for one in panels if (heard := self._heard(state, one)) is not None]
            over = [row for one in panels for row in self._over(one, terms)]
        for heard in new:
            purse -= self._judge(heard, purse)
        for market, level, choice, disputed in over:
            self._counted.add((market, level))
            if (truth := self.jury.truth(market)) is not None:
                self.rates.count(truth == choice, disputed)

    def watches(self, market: bytes, level: int) -> bool:
        """Whether this verdict is in this node's tenth."""
        drawn = hmac.digest(self._secret, b"openswarm/1/judge/watch|%b|%d" % (market, level), "sha256")
        return int.from_bytes(drawn[:8], "big") < SHARE * 2**64

    def objection(self, heard: Heard) -> tuple[int, str] | None:
        """(outcome, reason) that this node holds against a verdict; None where it holds nothing."""
        truth, opinion = self.jury.truth(heard.market), self.jury.opinion(heard.market)
        if truth is not None:
            return (truth, f"the task's scorer says outcome {truth}") if truth != heard.choice else None
        if opinion is None or heard.choice >= heard.outcomes or opinion.chances[heard.choice] >= DOUBT or max(opinion.chances) <= SURE:
            return None
        chance, best = opinion.chances[heard.choice], max(opinion.chances)
        return opinion.choice, f"the frozen judge gives it {chance:.2f}, and outcome {opinion.choice} {best:.2f}"

    def _judge(self, heard: Heard, purse: int) -> int:
        """Judge a verdict; the bond that was put up."""
        self._done.add((heard.market, heard.level))
        if not self.watches(heard.market, heard.level):
            return 0
        self.judged += 1
        found = self.objection(heard)
        if found is None or heard.bond > purse:
            return 0
        claimed, reason = found
        said = {"market": heard.market, "level": heard.level, "claimed": claimed, "bond": heard.bond}
        try:
            self.room.send(self.room.sign(events.Dispute, **said, reason=hashlib.sha256(reason.encode()).digest()))
        except Refused as why:
            self.room.say(f"judge market: m-{heard.market.hex()[:4]} was not disputed: {why.sentence}")
            return 0
        self.disputed += 1
        self.room.say(f"judge market: disputed m-{heard.market.hex()[:4]}: {reason}")
        return heard.bond

    def _heard(self, state: State, one: Market) -> Heard | None:
        terms = state.terms
        fresh = one.phase == CHALLENGE and (one.id, one.level) not in self._done and one.level + 1 < len(terms.seats)
        if not fresh or one.verdict.by != "panel" or not self._has_judges(state, one):
            return None
        return Heard(one.id, one.level, one.n, one.verdict.choice, terms.dispute_bond(one.level))

    def _has_judges(self, state: State, one: Market) -> bool:
        """Whether a panel could be seated for a dispute by this node, which does not sit in it: else it would only keep others from being heard."""
        able = [who for who, judge in state.operators.items() if judge.status == "active" and judge.stake + judge.locked >= state.terms.stake_least]
        return sum(who != self.room.actor and not conflict(one, who, small=True) for who in able) >= state.terms.small_least

    def _over(self, one: Market, terms: Terms) -> list[tuple[bytes, int, int, bool]]:
        """(market, level, choice, disputed) of the verdicts of a market that ended, which were not counted."""
        disputed = {challenge.level for challenge in one.challenges}
        return [
            (one.id, said.level, said.choice, said.level in disputed)
            for said in one.verdicts
            if said.by == "panel"
            and said.level + 1 < len(terms.seats)
            and (one.id, said.level) not in self._counted
            and one.phase in (SETTLED, ARCHIVED)
            and self.room.until > one.since + LATE_MS
        ]
