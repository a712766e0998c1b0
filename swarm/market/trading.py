"""What a node does in the judge market by itself: it opens markets about its own answers, bids by its model's belief, claims what it won.

Called by the node's thread between its stages, since bids need the model; everything else goes on in the room's threads. A node
stakes once what judging needs, opens at most `opens` markets in a round and only while fewer than `open_most` of its own are running, and says its
belief about each market of others once, with a bid where the belief beats the price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from judge import events, lmsr, trader
from judge.errors import Refused
from judge.market import OPEN, RUNNING, SETTLED, Market
from judge.terms import CREDIT, WAD
from judge.trader import Bid, Calibration, Offer, Purse, Resolved
from swarm.market import beliefs, questions
from swarm.market.testimony import Testimony

if TYPE_CHECKING:
    from swarm.groups import Group
    from swarm.market.questions import Scorer
    from swarm.market.room import Room
    from swarm.sections import Judge
    from swarm.stages import Stages

PANEL_EACH = 4  # of so many markets at most one goes to a panel though a scorer could resolve it
LATEST_MS = 500  # before a market's deadline: a bid has to reach its host
AT_ONCE = 4  # markets that one look considers: a round must not wait long for them


@dataclass
class Trading:
    """One node's trading. `operator` is its 20-byte address."""

    room: Room
    stages: Stages
    scorer: Scorer
    operator: bytes
    rules: Judge
    history: list[Resolved] = field(default_factory=list)
    calibration: Calibration = Calibration()
    bids: int = 0
    opened: int = 0
    testimony: Testimony = field(init=False)
    _seen: dict[bytes, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)  # evidence and prices by market
    _done: set[bytes] = field(default_factory=set)  # markets looked at, claims sent
    _spent: int = 0
    _staked: bool = False

    def __post_init__(self) -> None:
        said = self.stages.recipe.critique
        self.testimony = Testimony(self.room, self.scorer, (said.wrong.strip(), said.right.strip()))

    def ask(self, groups: Iterable[Group]) -> list[int]:
        """A round's own answers are there: open markets about some of them. Returns the places of those in `groups`."""
        self._spent = 0
        room = min(self.rules.opens, self.rules.open_most - self._running() - self.room.reserved)
        asked: list[int] = []
        panels = self.rules.panels
        for place, group in enumerate(groups):
            if len(asked) >= room:
                break
            said = self._opening(group, panels > 0 and self.opened % PANEL_EACH == PANEL_EACH - 1)
            if said is None or not self._affords(len(said[1])):
                continue
            try:
                self.room.open(*said)
                asked.append(place)
                self.opened, panels = self.opened + 1, panels - (said[0].kind == "P")
            except Refused as why:
                self.room.say(f"judge market: no market was opened: {why.sentence}")
                break
        return asked

    def _opening(self, group: Group, panel: bool) -> tuple[events.Open, tuple[str, ...]] | None:
        """The market about a group of own answers: of kind V where the task has a scorer, or, where `panel`, with judges whom it can check."""
        question = self.stages.question(group)
        judged = self.rules.kind if self.stages.mix.judged(question) else None
        return questions.opening(group, question, self.operator, self.room.now(), self._b0, self.stages.recipe.hash, judged, panel)

    @property
    def can_open(self) -> bool:
        """Whether a market could be opened now: fewer than may be are running, and its cost is there."""
        self.room.require_alive()
        return self._running() + self.room.reserved < self.rules.open_most and self._affords(2)

    def look(self) -> None:
        """Between two stages: stake once, bid in markets that are open, learn from those that ended, claim what they pay."""
        self.room.require_alive()
        with self.room.reading() as state:
            me = state.operators.get(self.operator)
            if me is None:
                return
            free, staked = me.free, me.stake + me.locked
            offers = [self._offer(one) for one in state.markets.values() if self._may_bid(one)]
            ended = [(one.id, one.verdict.choice) for one in state.markets.values() if one.id in self._seen and one.phase == SETTLED and one.verdict]
            owed = [one.id for one in state.markets.values() if self._claims(one)]
        self._stake(free, staked)
        for market, winner in ended:
            self._learn(market, winner)
        for market in owed:
            self._done.add(b"claim" + market)
            self._say(events.Claim, market=market)
        self.testimony.bring(free)
        for market, kind, offer in offers[:AT_ONCE]:
            self._consider(market, kind, offer, free)

    def testify(self, groups: Iterable[Group]) -> None:
        """A round's critiques are there: what they say of answers is evidence, in markets that show them."""
        self.testimony.hear(groups)

    def _consider(self, market: bytes, kind: str, offer: Offer, free: int) -> None:
        """Believe something about a market, say it, and bid where that is worth it. Who trades cannot judge: no bid where the model may."""
        self._done.add(market)
        said = self.room.texts(market)
        question = self.scorer.question(said[0]) if said is not None else None
        if said is None or question is None:
            return  # about no question of this swarm: nothing is known of it
        found = beliefs.evidence(self.stages, question, said[1])
        if found is None:
            return
        prices = tuple(price / WAD for price in lmsr.prices(offer.liabilities, offer.b))
        chances = trader.shrunk(trader.belief(found, self.calibration.temperature), prices, self.calibration.trust)
        self._say(events.Forecast, market=market, chances=_in_bps(chances))
        if kind != "V" and self.rules.model:
            return
        self._seen[market] = (found, prices)
        bid = trader.bid(offer, found, self.calibration, Purse(free, self._spent))
        if isinstance(bid, Bid):
            nonce = int.from_bytes(market[:7], "big")
            self._say(
                events.Trade, market=market, nonce=nonce, side=events.BUY, outcome=bid.outcome, amount=bid.shares, guard=bid.max_gross
            )
            self._spent += bid.max_gross
            self.bids += 1

    def _learn(self, market: bytes, winner: int) -> None:
        found, prices = self._seen.pop(market)
        if winner < len(prices):
            self.history = [*self.history, Resolved(found, prices, winner)][-trader.HISTORY :]
            self.calibration = trader.calibrate(self.history)

    def _stake(self, free: int, staked: int) -> None:
        wanted = self.rules.stake * CREDIT - staked
        if not self._staked and 0 < wanted <= free:
            self._staked = True
            self._say(events.Stake, amount=wanted)

    def _say(self, kind: type[events.Signed], **fields: object) -> None:
        try:
            self.room.send(self.room.sign(kind, **fields))
        except Refused:  # its phase is over by now; nothing is lost
            return

    def _may_bid(self, one: Market) -> bool:
        mine = one.creator == self.operator or one.id in self._done
        return one.phase == OPEN and not mine and self.room.now() + LATEST_MS < one.deadline

    def _claims(self, one: Market) -> bool:
        return one.phase == SETTLED and b"claim" + one.id not in self._done and one.owed(self.operator) > 0

    def _offer(self, one: Market) -> tuple[bytes, str, Offer]:
        most = one.subsidy * one.n * self.room.terms.exposure_percent // 100
        return one.id, one.kind, Offer(tuple(one.liabilities), one.b, one.fee_bps, most)

    def _running(self) -> int:
        with self.room.reading() as state:
            return sum(one.creator == self.operator and one.phase in RUNNING for one in state.markets.values())

    def _affords(self, outcomes: int) -> bool:
        with self.room.reading() as state:
            me = state.operators.get(self.operator)
            return me is not None and me.free >= 2 * (lmsr.subsidy(outcomes, self._b0) + self.room.terms.bond)

    @property
    def _b0(self) -> int:
        return int(self.rules.b0 * CREDIT)


def _in_bps(chances: Iterable[float]) -> tuple[int, ...]:
    """Probabilities in basis points, at least 1 each, 10,000 together."""
    whole = [max(1, int(chance * 10**4)) for chance in chances]
    whole[whole.index(max(whole))] += 10**4 - sum(whole)
    return tuple(whole)
