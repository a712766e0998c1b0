"""What a judge sees: an immutable picture of the state for one operator, made from the state alone.

    View(at=t, taken=t, you=you_of(state, me, name, locked), cases=cases_of(state, me, papers, name), record=..., epoch=state.epoch)

Prices and standing verdicts leave this module only where they cannot sway the person: see `_open_to`. Names, labels and questions
are clean here (see `judge.plain`), so that no screen and no verb has to think of it. Times are milliseconds, amounts wei, shares WAD.

Where the specification is silent: CHANGE is the price less the uniform one, VOLUME the shares outstanding; numbers of choices are the
judge's own (shuffled by keccak256 of market, judge and outcome), INVALID comes after the outcomes, and 0 is to abstain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from judge import plain
from judge.events import ABSTAIN
from judge.keys import keccak
from judge.ledger import State
from judge.market import ARCHIVED, CHALLENGE, CLOSED, COMMIT, DRAFT, OPEN, REVEAL, SETTLED, Market, Piece
from judge.panel import conflict
from judge.record import Record
from judge.terms import WAD

LABEL = 60  # characters of a label on one line
NAME = 4  # hex digits of a market's id in its name, more where two would share one


class Papers(Protocol):
    """Where texts come from: questions and evidence are in the log, full answers in the swarm's library."""

    def question(self, market: bytes) -> str | None: ...
    def piece(self, piece: bytes) -> str | None: ...
    def text(self, digest: bytes) -> str | None: ...


@dataclass(frozen=True)
class Option:
    """An outcome, or INVALID, as this judge sees it."""

    number: int  # from 1, in the judge's own order
    outcome: int  # as the ledger counts
    label: str
    authors: int = 0
    price: int | None = None  # None: hidden, or nothing is traded in it
    change: int | None = None
    volume: int | None = None


@dataclass(frozen=True)
class Exhibit:
    """A piece of evidence."""

    id: bytes
    author: str
    status: str
    quality: int
    first: str  # the beginning of its text


@dataclass(frozen=True)
class Ruling:
    """The verdict that stands: WAD behind it, of the whole spoken weight."""

    level: int
    choice: int
    by: str
    behind: int
    spoken: int
    small: bool


@dataclass(frozen=True)
class Case:
    """A market. `options` ends with INVALID. What is `mine` is this operator's."""

    id: bytes
    name: str
    kind: str
    question: str
    digest: bytes
    state: str  # the phase of judge.market
    phase: str  # in the words of the screens
    drawn: bool
    level: int
    roll: int
    since: int
    deadline: int  # 0: none
    draws_at: int  # when seats will be drawn, for a market that is open; else 0
    options: tuple[Option, ...]
    exhibits: tuple[Exhibit, ...]
    b0: int
    b: int
    shown: bool  # whether prices are
    size: int
    quorum: int
    small: bool
    seats: int  # mine
    unit: int
    commitment: bytes  # mine on the ledger, or empty
    choice: int | None  # mine, revealed
    missed: bool
    conflict: str
    ruling: Ruling | None
    disputed: bool
    bond: int  # of a dispute now; 0 at the last level
    next_seats: int
    seat_fee: int
    owed: int
    void_reason: str

    @property
    def n(self) -> int:
        return len(self.options) - 1

    @property
    def need(self) -> str:
        """What waits for this person: vote, reveal, or nothing."""
        if self.state == COMMIT and self.seats and self.drawn and not self.commitment and self.choice is None:
            return "vote"
        return "reveal" if self.state == REVEAL and self.commitment and self.choice is None else ""

    @property
    def mine(self) -> bool:
        """Whether it has to do with this person at all."""
        return bool(self.seats or self.missed or self.owed or self.choice is not None)

    @property
    def voting(self) -> bool:
        """Whether a vote of this operator would be taken, a first one or another."""
        return self.state == COMMIT and self.drawn and self.seats > 0 and self.choice is None

    def option(self, outcome: int) -> Option:
        """The option of an outcome of the ledger."""
        return next(one for one in self.options if one.outcome == outcome)

    def called(self, choice: int | None) -> str:
        """A choice of the ledger in words."""
        return "nothing" if choice is None else "abstain" if choice == ABSTAIN else self.option(choice).label

    def number(self, choice: int) -> int:
        """A choice of the ledger as this judge's number."""
        return 0 if choice == ABSTAIN else self.option(choice).number

    def outcome(self, number: int) -> int | None:
        """This judge's number as a choice of the ledger; None where there is no such number."""
        return ABSTAIN if number == 0 else next((one.outcome for one in self.options if one.number == number), None)

    @property
    def you(self) -> str:
        """What the column YOU says."""
        if self.need:
            return f"seat x{self.seats}" if self.need == "vote" else "committed"
        if self.state in (COMMIT, REVEAL) and (self.seats or self.missed):
            return "revealed" if self.choice is not None else "committed" if self.commitment else "missed" if self.missed else "too late"
        if self.state == SETTLED and self.owed:
            return f"{plain.credits(self.owed, sign=True)} claim"
        if self.choice is not None and self.ruling is not None:
            word = "" if self.choice == ABSTAIN else " ok" if self.choice == self.ruling.choice else " no"
            label = self.called(self.choice)
            return f"voted {label if len(label) < 3 else self.number(self.choice)}{word}" if word else "abstained"
        return "missed" if self.missed else "conflict" if self.conflict and self.state in (COMMIT, REVEAL) else "-"


@dataclass(frozen=True)
class You:
    """The operator whose view this is."""

    address: bytes
    name: str
    stake: int
    free: int
    units: int
    status: str  # active, jailed, left, or unknown where it is not registered
    locked: bool  # the key


@dataclass(frozen=True)
class View:
    """Everything that the screens show. `at`: the present time; `taken`: when the data was last known to be fresh."""

    at: int
    taken: int
    you: You
    cases: tuple[Case, ...]
    record: Record
    epoch: int
    peers: int | None = None  # None: a single machine
    stale_since: int | None = None

    @property
    def needed(self) -> tuple[Case, ...]:
        """The markets that wait for this person."""
        return tuple(case for case in self.cases if case.need)

    @property
    def next_draw(self) -> int:
        """When the next seats will be drawn, as far as open markets tell; 0 where none is open."""
        return min((case.draws_at for case in self.cases if case.draws_at), default=0)

    def find(self, market: bytes) -> Case | None:
        """The market with this id."""
        return next((case for case in self.cases if case.id == market), None)


def named(ids: Iterable[bytes]) -> dict[bytes, str]:
    """A short name per market: `m-5c1e`, longer for those that would share one."""
    names, together = {}, [(id, NAME) for id in ids]
    while together:
        groups: dict[str, list[bytes]] = {}
        digits = together[0][1]
        for id, _ in together:
            groups.setdefault(id.hex()[:digits], []).append(id)
        together = []
        for text, group in groups.items():
            if len(group) == 1:
                names[group[0]] = f"m-{text}"
            else:
                together += [(id, digits + 2) for id in group]
    return names


def order_for(market: bytes, judge: bytes, n: int) -> list[int]:
    """The outcomes in this judge's own order."""
    return sorted(range(n), key=lambda outcome: keccak(market, judge, bytes([outcome])))


def cases_of(state: State, me: bytes, papers: Papers, name: Callable[[bytes], str]) -> tuple[Case, ...]:
    """All markets: what needs the person first, then what runs, by what ends first; what is over comes last, the latest on top."""
    names = named(state.markets)
    cases = [_case(state, market, me, papers, name, names[market.id]) for market in state.markets.values() if market.phase != DRAFT]
    over = (SETTLED, ARCHIVED)
    return tuple(sorted(cases, key=lambda one: (not one.need, one.state in over, -one.since if one.state in over else one.deadline, one.id)))


def you_of(state: State, me: bytes, name: Callable[[bytes], str], locked: bool) -> You:
    """The operator's account."""
    account = state.operators.get(me)
    if account is None:
        return You(me, plain.line(name(me), 24), 0, 0, 0, "unknown", locked)
    stake = account.stake + account.locked
    return You(me, plain.line(name(me), 24), stake, account.free, stake // state.terms.unit, account.status, locked)


def _case(state: State, market: Market, me: bytes, papers: Papers, name: Callable[[bytes], str], called: str) -> Case:
    terms, panel, phase = state.terms, market.panel, market.phase
    durations = terms.durations(market.kind)
    ballot = panel.ballots.get(me) if panel else None
    shown = _open_to(market, me)
    ahead = durations.evidence * (durations.rounds - market.round)
    above = market.level + 1 < len(terms.seats)
    return Case(
        id=market.id,
        name=called,
        kind=market.kind,
        question=plain.line(papers.question(market.id) or "(this question's text is not here)", 300),
        digest=market.question,
        state=phase,
        phase=_word(market, durations.rounds),
        drawn=bool(panel and panel.drawn),
        level=market.level,
        roll=market.roll,
        since=market.since,
        deadline=market.deadline if phase in (OPEN, COMMIT, REVEAL, CHALLENGE) else 0,
        draws_at=market.deadline + ahead if phase == OPEN and market.kind != "V" else 0,
        options=_options(market, me, shown),
        exhibits=tuple(_exhibit(id, piece, papers, name) for id, piece in market.pieces.items()),
        b0=market.b0,
        b=market.b,
        shown=shown,
        size=panel.size if panel else 0,
        quorum=panel.quorum if panel else 0,
        small=bool(panel and panel.small),
        seats=panel.seats.get(me, 0) if panel else 0,
        unit=terms.unit,
        commitment=ballot.commit if ballot else b"",
        choice=_choice(market, me),
        missed=bool(panel and me in panel.dropped),
        conflict=_conflict(market, me),
        ruling=_ruling(market) if shown else None,
        disputed=bool(market.challenges),
        bond=terms.dispute_bond(market.level) if above else 0,
        next_seats=terms.seats[market.level + 1] if above else 0,
        seat_fee=_seat_fee(state, market),
        owed=market.owed(me) if phase == SETTLED else 0,
        void_reason=market.void_reason,
    )


def _choice(market: Market, me: bytes) -> int | None:
    """What this operator revealed: in the present panel where it sits there (an earlier juror of a small swarm can sit again), else the last time."""
    panels = market.panels[-1:] if market.panel and me in market.panel.seats else market.panels
    revealed = [one.ballots[me].choice for one in panels if me in one.ballots and one.ballots[me].choice is not None]
    return revealed[-1] if revealed else None


def _open_to(market: Market, me: bytes) -> bool:
    """Whether this operator may see prices and verdicts: nothing that others think reaches a judge who has not committed.

    Who trades, asked, or wrote an answer knows the prices anyway. For everybody else they are hidden as long as a seat may come.
    """
    panel = market.panel
    if panel is not None and me in panel.seats and market.phase in (COMMIT, REVEAL):
        return me in panel.ballots
    if me in market.traders or me in market.authors or me == market.creator:
        return True
    if any(me in one.ballots for one in market.panels):
        return True
    return market.phase not in (OPEN, CLOSED, COMMIT, REVEAL)


def _word(market: Market, rounds: int) -> str:
    if market.phase == OPEN:
        return f"OPEN {market.round}/{rounds}"
    if market.phase == COMMIT:
        return "VOTE" if market.panel.drawn else "DRAW"
    return "VOID" if market.void_reason and market.phase == SETTLED else market.phase


def _options(market: Market, me: bytes, shown: bool) -> tuple[Option, ...]:
    prices, even = market.prices() if shown else (), WAD // market.n
    options = []
    for place, outcome in enumerate(order_for(market.id, me, market.n)):
        label, _, authors = market.outcomes[outcome]
        figures = (prices[outcome], prices[outcome] - even, market.liabilities[outcome]) if shown else ()
        options.append(Option(place + 1, outcome, plain.line(label, LABEL), len(set(authors)), *figures))
    return (*options, Option(market.n + 1, market.n, "INVALID question"))


def _exhibit(id: bytes, piece: Piece, papers: Papers, name: Callable[[bytes], str]) -> Exhibit:
    text = papers.piece(id)
    first = "(its text is not here)" if text is None else plain.line(text, 120)
    return Exhibit(id, plain.line(name(piece.author), 24), piece.status, piece.quality, first)


def _ruling(market: Market) -> Ruling | None:
    said = market.verdict
    if said is None:
        return None
    behind, spoken = (said.weights[said.choice], sum(said.weights)) if said.weights else (WAD, WAD)
    return Ruling(said.level, said.choice, said.by, behind, spoken, said.small_panel)


def _conflict(market: Market, me: bytes) -> str:
    panel = market.panel
    if panel is not None and me in panel.seats:
        return ""
    if me in market.authors:
        wrote = [str(place + 1) for place, outcome in enumerate(order_for(market.id, me, market.n)) if me in market.outcomes[outcome][2]]
        return f"wrote answer {' and '.join(wrote)}"
    return conflict(market, me, bool(panel and panel.small))


def _seat_fee(state: State, market: Market) -> int:
    """What a coherent seat would get if all were: its part of the fees so far, or the floor of a higher panel."""
    seats = sum(sum(panel.seats.values()) for panel in market.panels)
    judges = market.fee_pot * state.terms.judge_percent // 100 * (100 - state.terms.bonus_percent) // 100
    floor = state.terms.seat_fee if market.level else 0
    return max(floor, judges // seats if seats else 0)
