"""What every operator did and earned in every epoch, read out of the log by replaying it: what judging, forecasts and evidence are scored by.

    tallies = Tallies(terms)
    tallies.follow(entries)               bytes of entries, in order; again with the next ones
    tallies.of(epoch)                     operator (20 bytes) -> Tally
    tallies.ended[epoch]                  head and length of the log where the epoch ended
    tallies.running(epoch)                markets opened in it or before that are not settled

It is a function of the log and nothing else, so whoever has the log gets the same fractions (judge-spec.md 2.2).

Where the specification is silent:
- A market counts in the epoch in which it is SETTLED, with all of its panels. A seat counts once it is decided: revealed, or lost for not
  revealing. One whose host never published the votes is neither.
- Gold counts as it stands when the epoch ends, over all of an operator's time.
- Forecasts count in markets that ended with a verdict, evidence in all that are not VOID; neither in a market that the operator opened or
  answered itself: who chooses the question could choose one whose end it knows.
- `earned` is what a FINAL brings into free credits (fees, slashes of others, prizes; an own bond that comes back aside) and the peer bonus,
  `slashed` what seats lose of the stake, each in the epoch in which it moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from judge import events, gold, scores
from judge.ledger import State, apply
from judge.market import ARCHIVED, FINAL, SETTLED, Market
from judge.terms import WAD, Terms


@dataclass(frozen=True)
class Tally:
    """One operator's epoch. Gold: all votes so far, how many were right, and both as they fade (WAD). Amounts in wei."""

    seats: int = 0  # decided
    revealed: int = 0
    gold_votes: int = 0
    gold_right: int = 0
    gold_hits: int = 0
    gold_n: int = 0
    choices: int = 2  # the most answers that a gold market of its had
    forecasts: tuple[tuple[bytes, int], ...] = ()  # (market, score in WAD)
    pieces: tuple[tuple[bytes, int], ...] = ()  # (piece, quality in WAD)
    earned: int = 0
    slashed: int = 0

    @property
    def active(self) -> bool:
        """Whether there is more than a record of earlier epochs."""
        return bool(self.seats or self.forecasts or self.pieces or self.earned or self.slashed)

    @property
    def mean(self) -> Fraction:
        """Nats by which its forecasts were better than the price, on average."""
        return Fraction(sum(score for _, score in self.forecasts), max(1, len(self.forecasts)) * WAD)

    @property
    def bound(self) -> Fraction:
        """What the hit rate on gold is at least, with 90 %."""
        return scores.gold_bound(self.gold_hits, self.gold_n, self.choices)

    @property
    def J(self) -> Fraction:
        return scores.judging(self.bound, self.gold_votes, self.seats, self.revealed)

    @property
    def F(self) -> Fraction:
        return scores.forecasting([score for _, score in self.forecasts])

    @property
    def E(self) -> Fraction:
        return scores.evidence([quality for _, quality in self.pieces])


@dataclass(frozen=True)
class Ended:
    """The log where an epoch ended: its hash chain, its length, and when."""

    head: bytes
    count: int
    t: int


@dataclass
class Tallies:
    """All epochs of one log. The entries were taken by a log before, so signatures are not checked again."""

    terms: Terms
    ended: dict[int, Ended] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = State(self.terms)
        self._epochs: dict[int, dict[bytes, Tally]] = {}
        self._opened: dict[bytes, int] = {}  # markets that are not settled -> epoch in which each was opened
        self._gold: dict[bytes, tuple[int, int]] = {}  # operator -> (right, choices)

    def follow(self, entries: Iterable[bytes]) -> None:
        """Take further entries of the log."""
        for data in entries:
            entry = events.read(data, self.terms.chain_id)
            if isinstance(entry.event, events.Signed) and not isinstance(entry.event, events.Fund):  # whose signer is the host's key
                entry.signer = entry.event.actor
            self._take(entry)

    def of(self, epoch: int) -> dict[bytes, Tally]:
        """Everyone who did something in an epoch, or has a record on gold; of the running one as it stands."""
        rows = self._epochs.get(epoch, {})
        return rows if epoch in self.ended or epoch > self.state.epoch else self._with_gold(rows)

    def running(self, epoch: int) -> int:
        """How many markets that were opened in an epoch or before are not settled."""
        return sum(opened <= epoch for opened in self._opened.values())

    def _take(self, entry: events.Entry) -> None:
        event = entry.event
        market = self.state.markets.get(getattr(event, "market", b"")) if not isinstance(event, events.Open) else None
        before = _Purse.of(self.state, market) if isinstance(event, events.Bonus) or (market and isinstance(event, events.Clock)) else {}
        if isinstance(event, events.Epoch):
            self._end(event.t)
        apply(self.state, entry)
        if isinstance(event, events.Open):
            self._opened[event.market(self.terms.chain_id)] = self.state.epoch
        elif isinstance(event, events.Bonus):
            self._pay(before, None)
        elif isinstance(event, events.Check | events.GoldOpen):
            self._learn(market, event)
        elif before:
            self._pay(before, market)
        if market is not None and market.phase == SETTLED and isinstance(event, events.Settle):
            self._settled(market)

    def _end(self, t: int) -> None:
        epoch = self.state.epoch
        self._epochs[epoch] = self._with_gold(self._epochs.get(epoch, {}))
        self.ended[epoch] = Ended(self.state.head, self.state.count, t)

    def _with_gold(self, rows: dict[bytes, Tally]) -> dict[bytes, Tally]:
        found = dict(rows)
        for operator, (right, choices) in self._gold.items():
            one = self.state.operators[operator]
            record = {"gold_votes": one.gold_votes, "gold_hits": one.gold_hits, "gold_n": one.gold_n}
            found[operator] = replace(found.get(operator, Tally()), gold_right=right, choices=choices, **record)
        return found

    def _learn(self, market: Market, event: events.Check | events.GoldOpen) -> None:
        for judge, hit in gold.counted(market, event):
            right, choices = self._gold.get(judge, (0, 2))
            self._gold[judge] = right + hit, max(choices, market.n)

    def _add(self, operator: bytes, **more: int | tuple) -> None:
        rows = self._epochs.setdefault(self.state.epoch, {})
        one = rows.get(operator, Tally())
        rows[operator] = replace(one, **{name: getattr(one, name) + value for name, value in more.items()})

    # ---- a market is settled

    def _settled(self, market: Market) -> None:
        self._opened.pop(market.id, None)
        for panel in market.panels:
            for judge, seats in panel.seats.items():
                ballot = panel.ballots.get(judge)
                if ballot is not None and ballot.choice is not None:
                    self._add(judge, seats=seats, revealed=seats)
            for judge, seats in panel.dropped.items():
                self._add(judge, seats=seats)
        if market.void_reason:
            return
        own = {market.creator, *market.authors}
        for operator in sorted(set(market.forecasts) - own):
            self._add(operator, forecasts=((market.id, _forecast(market, operator)),))
        for id, piece in sorted(market.pieces.items()):
            if piece.status == "accepted" and piece.author not in own:
                self._add(piece.author, pieces=((id, piece.quality),))

    # ---- money

    def _pay(self, before: dict[bytes, _Purse], market: Market | None) -> None:
        final = market is None or (market.phase == FINAL and next(iter(before.values())).phase != FINAL)
        for operator, purse in before.items():
            now = self.state.operators[operator]
            lost, got = purse.stake - now.stake - now.locked, now.free - purse.free - purse.back(market) if final else 0
            if lost > 0 or got > 0:
                self._add(operator, slashed=max(0, lost), earned=max(0, got))


@dataclass(frozen=True)
class _Purse:
    """What an operator had before a clock event that may pay or slash it."""

    free: int
    stake: int
    phase: str = ""
    bonds: tuple[int, ...] = ()

    @classmethod
    def of(cls, state: State, market: Market | None) -> dict[bytes, _Purse]:
        """Of everybody whom the event can reach: the market's people, or all."""
        if market is not None and market.phase in (SETTLED, ARCHIVED):
            return {}
        people = state.operators if market is None else _people(market)
        phase, challenges = (market.phase, market.challenges) if market is not None else ("", [])
        found = {}
        for who in people:
            one = state.operators[who]
            found[who] = cls(one.free, one.stake + one.locked, phase, tuple(challenge.bonds.get(who, 0) for challenge in challenges))
        return found

    def back(self, market: Market | None) -> int:
        """What was the operator's own and came back."""
        challenges = market.challenges if market is not None else []
        return sum(bond for bond, one in zip(self.bonds, challenges, strict=True) if one.outcome != "lost")


def _people(market: Market) -> set[bytes]:
    judges = {judge for panel in market.panels for judge in (*panel.seats, *panel.dropped)}
    return {market.creator, *judges, *(who for one in market.challenges for who in one.bonds)}


def _forecast(market: Market, operator: bytes) -> int:
    """The score of an operator's last forecast against the price without its own trades."""
    position = market.positions.get(operator)
    own = scores.own_shares(position.pushed, market.b) if position is not None else (0,) * market.n
    prices = scores.loo_prices(market.liabilities, market.b, own)
    return scores.forecast_score(market.forecasts[operator].chances, prices, market.verdict.choice)
