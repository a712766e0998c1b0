"""What an operator has done and earned, epoch by epoch: read out of the log by replaying it beside the state.

    follower = Follower(terms, me)
    follower.follow(entries)          bytes of entries, in order; again with the next ones
    follower.record()                 of the present epoch

It also keeps the texts that are in the log: questions and pieces of evidence. The state has their digests only.

Where the specification is silent: a market counts in the epoch in which it is FINAL, money in the epoch in which it moves. FEES are
all that a FINAL brings a judge or challenger into free credits, its own bond aside; SLASHED is what a seat's stake loses. TRADING is sales, claims
and refunds less purchases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from judge import events, scores
from judge.events import ABSTAIN
from judge.ledger import Operator, State, apply
from judge.market import COMMIT, FINAL, Market
from judge.terms import BPS, WAD, Terms

BANDS = ((0, 5000, "<50%"), (5000, 6000, "50-60%"), (6000, 7000, "60-70%"), (7000, 8000, "70-80%"), (8000, 9000, "80-90%"), (9000, BPS + 1, "90+"))


@dataclass(frozen=True)
class Past:
    """One vote, or seat without one, in a market that is FINAL."""

    epoch: int
    market: bytes
    level: int
    seats: int
    choice: int | None
    label: str
    sure: int  # bps
    agree: int
    final: int
    result: str  # coherent, incoherent, abstain, unrevealed


@dataclass(frozen=True)
class Record:
    """An operator's epoch. Seats of panels that are FINAL or that were lost; amounts in wei."""

    epoch: int = 0
    seats: int = 0
    coherent: int = 0
    incoherent: int = 0
    abstain: int = 0
    unrevealed: int = 0
    fees: int = 0
    slashed: int = 0
    bonus: int = 0
    trading: int = 0
    drawn_last: int = 0  # seats drawn in the epoch before
    drawn: int = 0
    gold_hits: int = 0  # WAD, fading
    gold_n: int = 0
    votes: tuple[Past, ...] = ()  # of all epochs
    parts: scores.Parts | None = None  # of the participation score, where the shell knows them
    peer_score: Fraction | None = None  # correlated agreement, likewise

    @property
    def net(self) -> int:
        return self.fees - self.slashed + self.bonus + self.trading

    @property
    def reveals(self) -> tuple[int, int]:
        """Seats revealed, of those that are decided."""
        return self.seats - self.unrevealed, self.seats

    @property
    def reputation(self) -> int | None:
        """WAD: gold answers hit, of those given; None without any."""
        return self.gold_hits * WAD // self.gold_n if self.gold_n else None

    @property
    def posterior(self) -> int:
        """WAD: the mean of the posterior of two labels, (hits + 2) / (n + 4)."""
        return (self.gold_hits + 2 * WAD) * WAD // (self.gold_n + 4 * WAD)

    def calibration(self) -> list[tuple[str, int, int]]:
        """(band, votes that FINAL agreed with, votes) by how sure they were."""
        spoken = [past for past in self.votes if past.result in ("coherent", "incoherent")]
        inside = [(name, [past for past in spoken if low <= past.sure < high]) for low, high, name in BANDS]
        return [(name, sum(past.result == "coherent" for past in some), len(some)) for name, some in inside if some or name != BANDS[0][2]]


@dataclass
class Follower:
    """Replays a log and keeps one operator's account of it. The entries were taken by a log before, so signatures are not checked again."""

    terms: Terms
    me: bytes
    questions: dict[bytes, str] = field(default_factory=dict)
    pieces: dict[bytes, str] = field(default_factory=dict)
    epochs: dict[int, Record] = field(default_factory=dict)
    past: list[Past] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = State(self.terms)

    def follow(self, entries: Iterable[bytes]) -> None:
        """Take further entries of the log."""
        for data in entries:
            self._take(events.read(data, self.terms.chain_id))

    def record(self) -> Record:
        """Of the present epoch."""
        account = self.state.operators.get(self.me)
        this, before = self._epoch(self.state.epoch), self._epoch(self.state.epoch - 1)
        hits, n = (account.gold_hits, account.gold_n) if account else (0, 0)
        return replace(this, drawn_last=before.drawn, gold_hits=hits, gold_n=n, votes=tuple(self.past))

    def _epoch(self, number: int) -> Record:
        return self.epochs.get(number, Record(number))

    def _add(self, **more: int) -> None:
        one = self._epoch(self.state.epoch)
        self.epochs[one.epoch] = replace(one, **{name: getattr(one, name) + value for name, value in more.items()})

    def _take(self, entry: events.Entry) -> None:
        event = entry.event
        if isinstance(event, events.Signed) and not isinstance(event, events.Fund):
            entry.signer = event.actor
        market = self.state.markets.get(getattr(event, "market", b"") if not isinstance(event, events.Open) else b"")
        before = _Before.of(self.state, market, self.me)
        apply(self.state, entry)
        self._texts(entry)
        if before is not None:
            self._money(event, before, market)
        if market is not None:
            self._seats(before, market)

    def _texts(self, entry: events.Entry) -> None:
        event = entry.event
        if isinstance(event, events.Open):
            self.questions[event.market(self.terms.chain_id)] = event.question
        elif isinstance(event, events.Evidence):
            self.pieces[entry.id] = event.text

    def _money(self, event: events.Event, before: _Before, market: Market | None) -> None:
        account = self.state.operators[self.me]
        free = account.free - before.free
        stake = account.stake + account.locked - before.stake
        if isinstance(event, events.Bonus):
            self._add(bonus=free)
        elif isinstance(event, events.Trade) and event.actor == self.me or isinstance(event, events.Claim):
            self._add(trading=free)
        elif isinstance(event, events.Clock) and market is not None:
            if stake < 0:
                self._add(slashed=-stake)
            self._add(**self._returned(before, market, free))

    def _returned(self, before: _Before, market: Market, free: int) -> dict[str, int]:
        """What a clock event of a market paid, without what was the operator's own and came back."""
        if market.phase == FINAL and before.phase != FINAL:
            back = sum(bond for bond, one in zip(before.bonds, market.challenges, strict=True) if one.outcome != "lost")
            return {"fees": free - back}
        if market.void_reason and before.phase != market.phase:
            refund = market.fees.get(self.me, 0) if not before.void else 0
            return {"trading": refund}
        return {}

    def _seats(self, before: _Before | None, market: Market) -> None:
        panel = market.panel
        if before is None or panel is None:
            return
        mine = sum(one.seats.get(self.me, 0) for one in market.panels)
        dropped = sum(one.dropped.get(self.me, 0) for one in market.panels)
        if market.phase == COMMIT and mine > before.seats and panel.drawn:
            self._add(drawn=mine - before.seats)
        if dropped > before.dropped:
            lost = dropped - before.dropped
            self._add(seats=lost, unrevealed=lost)
            self.past.append(Past(self.state.epoch, market.id, panel.level, lost, None, "", 0, 0, -1, "unrevealed"))
        if market.phase == FINAL and before.phase != FINAL:
            self._judged(market)

    def _judged(self, market: Market) -> None:
        final = market.verdict.choice
        for panel in market.panels:
            ballot, seats = panel.ballots.get(self.me), panel.seats.get(self.me, 0)
            if ballot is None or ballot.choice is None:
                continue
            result = "abstain" if ballot.choice == ABSTAIN else "coherent" if ballot.choice == final else "incoherent"
            self._add(seats=seats, **{result: seats})
            label = market.outcomes[ballot.choice][0] if ballot.choice < market.n else result if ballot.choice == ABSTAIN else "INVALID"
            said = (ballot.choice, label, ballot.sure, ballot.agree, final, result)
            self.past.append(Past(self.state.epoch, market.id, panel.level, seats, *said))


@dataclass(frozen=True)
class _Before:
    """What an event may change, before it."""

    free: int
    stake: int
    phase: str = ""
    void: bool = False
    seats: int = 0
    dropped: int = 0
    bonds: tuple[int, ...] = ()

    @classmethod
    def of(cls, state: State, market: Market | None, me: bytes) -> _Before | None:
        account: Operator | None = state.operators.get(me)
        if account is None:
            return None
        money = account.free, account.stake + account.locked
        if market is None:
            return cls(*money)
        seats = sum(panel.seats.get(me, 0) for panel in market.panels)
        dropped = sum(panel.dropped.get(me, 0) for panel in market.panels)
        return cls(*money, market.phase, bool(market.void_reason), seats, dropped, tuple(one.bonds.get(me, 0) for one in market.challenges))
