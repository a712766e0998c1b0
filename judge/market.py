"""A market and its life: what it holds, in which phase which event is taken, and the transitions that no other file owns.

    DRAFT -> OPEN(1..K) -> CLOSED -> COMMIT(level, roll) -> REVEAL(level, roll) -> CHALLENGE(level) -> FINAL -> SETTLED -> ARCHIVED
    any dead end -> VOID -> SETTLED

Trades are in `judge.trade`, evidence in `judge.evidence`, panels in `judge.panel`, the money of verdicts in `judge.settlement`.
A transition is a function of (state, market, entry) that checks everything, raising Refused, before it changes anything.

Where the specification is silent:
- The creator is the market's host, and its bond is the host's bond: INVALID sends it to the treasury, a proved fault splits it.
- Orders of a round carry their author's time and may be executed in another order, so a time counts from when the phase began: an event
  signed before that, or not before the deadline, is refused. The time-weighted price takes the latest time so far.
- A verifier that fails sends its market to a panel of level 0; a disputed result of code goes to a panel of level 1 (row 14).
- A market has one panel per level. After a roll, a tie or a dispute the market is in COMMIT with seats to be drawn: `draw` comes there too,
  with a fresh seed, so that nobody knows later judges beforehand. Commit time runs from the draw.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from judge import lmsr
from judge.errors import Refused, require
from judge.events import BROKEN, Entry
from judge.terms import WAD

if TYPE_CHECKING:
    from judge.ledger import State

DRAFT, OPEN, CLOSED, COMMIT, REVEAL, CHALLENGE, FINAL, SETTLED, ARCHIVED, VOID = PHASES = (
    "DRAFT",
    "OPEN",
    "CLOSED",
    "COMMIT",
    "REVEAL",
    "CHALLENGE",
    "FINAL",
    "SETTLED",
    "ARCHIVED",
    "VOID",
)
RUNNING = (DRAFT, OPEN, CLOSED, COMMIT, REVEAL, CHALLENGE)


@dataclass
class Position:
    """What an operator holds, per outcome: shares, and what was paid for them (a record, not money).

    `pushed`: the sum of shares / b of its trades at their b, in PUSH, rounded down each: how far it moved the price by itself.
    """

    shares: list[int]
    cost: list[int]
    pushed: list[int]
    claimed: bool = False


@dataclass(frozen=True)
class Belief:
    """What an operator forecast, in basis points per outcome, signed for `t`."""

    t: int
    chances: tuple[int, ...]


@dataclass
class Piece:
    """A piece of evidence. `quality`: what it counted for, in WAD, once the round was over."""

    author: bytes
    round: int
    key: bytes  # sha256 of the folded text
    stake: int
    text: str = ""  # folded; kept while the market is OPEN, to compare with
    marks: tuple[int, ...] = ()
    flags: int = 0
    status: str = "pending"  # accepted, rejected
    quality: int = 0
    shares: list[int] = field(default_factory=list)  # minted to the author


@dataclass
class Ballot:
    """One judge's vote for all its seats of a panel, signed for `t`. `choice` is None until it is revealed."""

    commit: bytes
    t: int
    choice: int | None = None
    sure: int = 0
    agree: int = 0


@dataclass
class Panel:
    """The panel of one level. `seats`, `locks` and `ballots` are by judge; `dropped` are the seats that were lost for not revealing."""

    level: int
    drawn: bool = False  # the present roll has its seats
    size: int = 0
    small: bool = False
    seats: dict[bytes, int] = field(default_factory=dict)
    weights: dict[bytes, int] = field(default_factory=dict)  # WAD per seat, at the draw
    locks: dict[bytes, int] = field(default_factory=dict)  # wei
    ballots: dict[bytes, Ballot] = field(default_factory=dict)
    dropped: dict[bytes, int] = field(default_factory=dict)

    @property
    def quorum(self) -> int:
        """Seats that must have revealed."""
        return quorum_of(self.size)

    @property
    def revealed(self) -> int:
        """Seats whose judge has revealed."""
        return sum(self.seats[judge] for judge, ballot in self.ballots.items() if ballot.choice is not None)


@dataclass
class Verdict:
    """What a panel, or code, says. `choice` n is INVALID. Weights are WAD: per choice, of the whole panel."""

    level: int
    choice: int
    by: str  # "code" or "panel"
    weights: tuple[int, ...] = ()
    panel_weight: int = 0
    seats: int = 0
    revealed: int = 0
    small_panel: bool = False
    digest: bytes = b""

    @property
    def confidence(self) -> int:
        """WAD: the share of the spoken weight that stands behind the choice."""
        return self.weights[self.choice] * WAD // sum(self.weights) if self.weights else WAD


@dataclass
class Challenge:
    """A dispute: who says that the verdict `against` of `level` should be `claimed`, and what they put up."""

    level: int
    against: int
    claimed: int
    until: int  # others may add to the bond before this
    reason: bytes
    bonds: dict[bytes, int]
    heard: bool = True  # a panel could be seated for it
    outcome: str = ""  # upheld, lost, neither, void

    @property
    def bond(self) -> int:
        return sum(self.bonds.values())


@dataclass
class Market:
    """One market. Everything that it holds of other people's credits is counted by `held`."""

    id: bytes
    creator: bytes
    kind: str
    question: bytes  # sha256 of the text
    outcomes: tuple[tuple[str, bytes, tuple[bytes, ...]], ...]
    scorer: bytes
    b0: int
    fee_bps: int
    phase: str = DRAFT
    round: int = 0
    level: int = 0
    roll: int = 0
    since: int = 0  # when the phase began
    deadline: int = 0  # of the phase; 0 where it has none
    ends: int = 0  # T_max
    b: int = 0
    b_min: int = 0
    liabilities: list[int] = field(default_factory=list)
    subsidy: int = 0
    pot: int = 0
    fee_pot: int = 0
    fees: dict[bytes, int] = field(default_factory=dict)
    bond: int = 0
    host_key: bytes = b""  # the address whose receipts and manifests bind the host: it signed `fund`
    slashed: int = 0
    positions: dict[bytes, Position] = field(default_factory=dict)
    traders: set[bytes] = field(default_factory=set)
    forecasts: dict[bytes, Belief] = field(default_factory=dict)
    seq: int = 0  # changes of the price or of b
    twap: list[int] = field(default_factory=list)  # sum of price x milliseconds of this round
    twap_t: int = 0
    twap_ms: int = 0
    quality: int = 0  # R
    quality_by: dict[bytes, int] = field(default_factory=dict)
    pieces: dict[bytes, Piece] = field(default_factory=dict)
    round_seeds: list[bytes] = field(default_factory=list)
    by_panel: bool = False  # a kind V whose code failed or was disputed
    panels: list[Panel] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    challenges: list[Challenge] = field(default_factory=list)
    payout: tuple[int, ...] = ()  # WAD per share, from FINAL or VOID on
    void_reason: str = ""
    gold: bool = False  # its answer was opened or checked
    epoch: int = -1  # in which it was settled
    seen: set[bytes] = field(default_factory=set)  # ids of the present phase's signed events
    _prices: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        """The number of outcomes; as a choice, INVALID."""
        return len(self.outcomes)

    @property
    def panel(self) -> Panel | None:
        """The latest panel."""
        return self.panels[-1] if self.panels else None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that stands."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def authors(self) -> set[bytes]:
        """Who wrote an answer that this market shows."""
        return {author for _, _, authors in self.outcomes for author in authors}

    @property
    def name(self) -> str:
        """What people call it."""
        return f"market {self.id.hex()[:8]}"

    @property
    def place(self) -> str:
        """The phase with its numbers, as in the specification."""
        roll = f"({self.level},{self.roll})"
        numbers = {OPEN: f"({self.round})", COMMIT: roll, REVEAL: roll, CHALLENGE: f"({self.level})"}
        return self.phase + numbers.get(self.phase, "")

    def prices(self) -> tuple[int, ...]:
        """WAD per outcome; WAD together."""
        if not self._prices:
            self._prices = lmsr.prices(self.liabilities, self.b)
        return self._prices

    def moved(self, prices: tuple[int, ...] = ()) -> None:
        """The liabilities or b changed; `prices` where they are known."""
        self.seq += 1
        self._prices = prices

    def position(self, operator: bytes) -> Position:
        """The operator's position, an empty one if it had none."""
        if operator not in self.positions:
            self.positions[operator] = Position([0] * self.n, [0] * self.n, [0] * self.n)
        return self.positions[operator]

    def pass_time(self, t: int) -> None:
        """Count the present prices up to `t`, at most to the round's deadline."""
        elapsed = min(t, self.deadline) - self.twap_t
        if elapsed > 0:
            self.twap = [sum_ + price * elapsed for sum_, price in zip(self.twap, self.prices(), strict=True)]
            self.twap_t += elapsed
            self.twap_ms += elapsed

    def mean_prices(self) -> tuple[int, ...]:
        """The time-weighted prices of the last round, rounded down: at most WAD together."""
        if not self.twap_ms:
            return self.prices()
        return tuple(sum_ // self.twap_ms for sum_ in self.twap)

    def enter(self, phase: str, t: int, deadline: int = 0) -> None:
        """Go to a phase. Ids are remembered for one phase: an older event is refused by its time, its level or its roll."""
        self.phase, self.since, self.deadline = phase, t, deadline
        self.seen = set()

    def held(self) -> int:
        """All credits that are in this market."""
        stakes = sum(piece.stake for piece in self.pieces.values())
        locks = sum(sum(panel.locks.values()) for panel in self.panels)
        return self.pot + self.fee_pot + self.bond + self.slashed + stakes + locks + sum(one.bond for one in self.challenges)

    def owed(self, operator: bytes) -> int:
        """What the operator's shares pay, in wei, from FINAL or VOID on."""
        position = self.positions.get(operator)
        if position is None or position.claimed:
            return 0
        return sum(shares * weight for shares, weight in zip(position.shares, self.payout, strict=True)) // WAD


def quorum_of(size: int) -> int:
    """Seats that must have revealed in a panel of this size."""
    return -(-2 * size // 3)


# ---- transitions


def open_market(state: State, entry: Entry) -> None:
    """A draft comes into being. It costs nothing and holds nothing."""
    event, terms = entry.event, state.terms
    creator = state.operators[event.actor]
    require(len({label for label, _, _ in event.outcomes}) == len(event.outcomes), "malformed", "two outcomes have one label: name them apart")
    if event.kind == "V" and not event.scorer:
        raise Refused("malformed", "a market of kind V is resolved by a program: name its scorer, or open it as kind P")
    if event.fee_bps > terms.fee_most_bps:
        raise Refused("limit", f"a fee of {event.fee_bps} bps: 0 to {terms.fee_most_bps} are allowed")
    if not terms.b_least <= event.b0 <= terms.b_most:
        raise Refused("limit", f"b0 is {event.b0} wei: {terms.b_least} to {terms.b_most} are allowed")
    if creator.open >= terms.open_most:
        raise Refused("limit", f"{creator.open} of your markets are not settled, and {terms.open_most} are allowed: settle one first")
    id = event.market(terms.chain_id)
    require(id not in state.markets, "duplicate", f"market {id.hex()[:8]} exists: take another nonce for another market")
    question = hashlib.sha256(event.question.encode()).digest()
    market = Market(id, event.actor, event.kind, question, event.outcomes, event.scorer, event.b0, event.fee_bps)
    market.enter(DRAFT, event.t)
    market.ends = event.t + terms.durations(event.kind).most
    market.b = event.b0
    market.b_min = max(1, event.b0 // terms.b_min_divisor)
    market.liabilities = [0] * market.n
    creator.open += 1
    state.markets[id] = market


def fund(state: State, market: Market, entry: Entry) -> None:
    """Row 1."""
    event, terms, creator = entry.event, state.terms, state.operators[entry.event.actor]
    require(event.actor == market.creator, "conflict", f"only its creator funds {market.name}")
    require(event.t < market.ends, "deadline", f"{market.name} was not funded before its end: open another one")
    subsidy = lmsr.subsidy(market.n, market.b0)
    if creator.free < subsidy + terms.bond:
        raise Refused("credits", f"{market.name} needs {subsidy + terms.bond} wei, subsidy and bond, and {creator.free} are free")
    creator.free -= subsidy + terms.bond
    market.subsidy = market.pot = subsidy
    market.bond = terms.bond
    market.host_key = entry.signer
    durations = terms.durations(market.kind)
    market.ends = event.t + durations.most
    begin_round(market, event.t, durations.evidence)


def resolve_code(state: State, market: Market, entry: Entry) -> None:
    """Row 5. A verifier that failed, or that peers disagree about, sends the market to a panel."""
    event = entry.event
    if market.kind != "V" or market.by_panel:
        raise Refused("phase", f"{market.name} is decided by a panel: draw its seats")
    in_time(market, event.t)
    if event.outcome == BROKEN:
        market.by_panel = True
        return
    if event.outcome >= market.n:
        raise Refused("malformed", f"the scorer said {event.outcome}, and {market.name} has the outcomes 0 to {market.n - 1}")
    market.verdicts.append(Verdict(market.level, event.outcome, "code"))
    market.enter(CHALLENGE, event.t, event.t + state.terms.durations(market.kind).challenge)


def due(market: Market, t: int) -> None:
    """Raise Refused unless the phase's deadline has passed."""
    if t < market.deadline:
        raise Refused("early", f"{market.name} is in {market.place} until {market.deadline}, and this says {t}: wait")


def in_time(market: Market, t: int) -> None:
    """Raise Refused where a clock event lies before its phase."""
    if t < market.since:
        raise Refused("early", f"{market.name} came to {market.place} at {market.since}, and this says {t}")


def begin_round(market: Market, t: int, length: int) -> None:
    """The next evidence round, with a time-weighted price of its own."""
    market.round += 1
    market.enter(OPEN, t, t + length)
    market.twap, market.twap_t, market.twap_ms = [0] * market.n, t, 0
