"""A small judge market to test with: people with keys, a log, a clock, and one method per thing that can happen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest

from judge import events, gold, keys, tree
from judge.errors import Refused
from judge.events import Entry, Event
from judge.ledger import Log, State, replay
from judge.market import CHALLENGE, CLOSED, COMMIT, FINAL, OPEN, REVEAL, VOID, Market
from judge.panel import commitment
from judge.terms import CREDIT, WAD, Terms, terms_of

START = 1_800_000_000_000
_SECRETS: dict[str, tuple[bytes, bytes]] = {}


def key(name: str) -> tuple[bytes, bytes]:
    """(secret, address) of a person, always the same."""
    if name not in _SECRETS:
        secret = hashlib.sha256(b"court" + name.encode()).digest()
        _SECRETS[name] = (secret, keys.address_of(secret))
    return _SECRETS[name]


def address(name: str) -> bytes:
    return key(name)[1]


def salt(name: str) -> bytes:
    return hashlib.sha256(b"salt" + name.encode()).digest()


class Court:
    """A log under some terms. Names are people; `t` is the present time in milliseconds, moved by hand."""

    def __init__(self, people: Iterable[str] = (), terms: Terms | None = None, credits: int = 1000, stake: int = 100, signed: bool = True):
        self.terms = terms or terms_of("test")
        self.log = Log(State(self.terms))
        self.t = START
        self.nonce = 0
        self.signed = signed  # without, entries say who signed them: a third of the time of a test
        for name in people:
            self.join(name)
        self.people = list(people)
        if self.people:
            self.mint(self.people, credits + stake)
            for name in self.people if stake else ():
                self.say(events.Stake, name, amount=stake * CREDIT)

    @property
    def state(self) -> State:
        return self.log.state

    # ---- saying things

    def entry(self, event: Event, by: str | None = None) -> Entry:
        if by is None:
            return events.write(event, self.terms.chain_id)
        if self.signed:
            return events.write(event, self.terms.chain_id, key(by)[0])
        entry = Entry(event, event.body(), bytes(65), self.terms.chain_id)
        entry.signer = address(by)
        return entry

    def take(self, event: Event, by: str | None = None) -> Entry:
        entry = self.entry(event, by)
        self.log.extend(entry)
        return entry

    def say(self, kind: type, name: str, **fields) -> Entry:
        """A signed event of a person, now."""
        if kind in (events.Stake, events.Unstake, events.Session, events.Leave, events.Register):
            self.t += 1
        return self.take(kind(**{"actor": address(name), "t": self.t, **fields}), name)

    def due(self, kind: type, **fields) -> Entry:
        """A clock event, now."""
        return self.take(kind(**{"t": self.t, **fields}))

    def join(self, name: str) -> None:
        self.say(events.Register, name)

    def mint(self, names: Iterable[str], credits: int) -> None:
        self.due(events.Epoch, number=self.state.epoch + 1, mints=tuple((address(name), credits * CREDIT) for name in names))

    # ---- a market

    def opening(self, by: str, kind: str = "P", n: int = 3, authors: dict[int, tuple[str, ...]] | None = None, **fields) -> events.Open:
        self.nonce += 1
        outcomes = tuple((f"answer {i}", b"", tuple(address(name) for name in (authors or {}).get(i, ()))) for i in range(n))
        scorer = b"\x05" * 32 if kind == "V" else b""
        given = {"nonce": self.nonce, "kind": kind, "question": "Which?", "outcomes": outcomes, "b0": 100 * CREDIT, "scorer": scorer}
        return events.Open(actor=address(by), t=self.t, **{**given, **fields})

    def draft(self, by: str, **fields) -> Market:
        event = self.opening(by, **fields)
        self.take(event, by)
        return self.state.markets[event.market(self.terms.chain_id)]

    def market(self, by: str, **fields) -> Market:
        market = self.draft(by, **fields)
        self.say(events.Fund, by, market=market.id)
        return market

    def trade(self, market: Market, name: str, outcome: int, amount: int, side: str = "buy", **fields) -> Entry:
        self.nonce += 1
        return self.say(events.Trade, name, market=market.id, nonce=self.nonce, side=side, outcome=outcome, amount=amount, **fields)

    def evidence(self, market: Market, name: str, text: str, mark: int | None = None, flags: int = 0) -> bytes:
        piece = self.say(events.Evidence, name, market=market.id, text=text).id
        if mark is not None:
            marks = (mark,) if market.kind == "V" else (mark,) * 3
            self.due(events.Grade, market=market.id, piece=piece, marks=marks, flags=flags)
        return piece

    def end_round(self, market: Market) -> None:
        self.wait(market)
        self.due(events.RoundEnd, market=market.id, seed=self.state.head)

    def end_rounds(self, market: Market) -> None:
        while market.phase == OPEN:
            self.end_round(market)

    def draw(self, market: Market) -> None:
        self.due(events.Draw, market=market.id, seed=self.state.head)

    def to_panel(self, market: Market) -> None:
        self.end_rounds(market)
        self.draw(market)

    def wait(self, market: Market) -> None:
        """Until the deadline of the present phase."""
        self.t = max(self.t, market.deadline)

    def commit(self, market: Market, judge: str, choice: int, **fields) -> Entry:
        place = {"level": market.level, "roll": market.roll, **fields}
        said = commitment(self.terms.chain_id, market.id, place["level"], place["roll"], address(judge), choice, 8000, 6000, salt(judge))
        return self.say(events.Commit, judge, market=market.id, commit=said, **place)

    def reveal(self, market: Market, judge: str, choice: int, by: str | None = None, **fields) -> Entry:
        place = {"level": market.level, "roll": market.roll, "judge": address(judge)}
        vote = {**place, "choice": choice, "sure": 8000, "agree": 6000, "salt": salt(judge)}
        return self.say(events.Reveal, by or judge, market=market.id, **{**vote, **fields})

    def seated(self, market: Market) -> list[str]:
        """Names of the judges of the present panel whose vote is open."""
        open_seats = [judge for judge in market.panel.seats if judge not in market.panel.ballots]
        return [name for name in _SECRETS if address(name) in open_seats]

    def vote(self, market: Market, choices: dict[str, int | None] | int) -> None:
        """Commit, close, reveal and tally. A judge with None stays silent; one left out of `choices` too. Time passes where one is silent."""
        judges = self.seated(market)
        votes = dict.fromkeys(judges, choices) if isinstance(choices, int) else {judge: choices.get(judge) for judge in judges}
        votes = {judge: choice for judge, choice in votes.items() if choice is not None}
        for judge, choice in votes.items():
            self.commit(market, judge, choice)
        if len(votes) < len(judges):
            self.wait(market)
        self.due(events.Close, market=market.id)
        if market.phase != REVEAL:
            return
        for judge, choice in votes.items():
            self.reveal(market, judge, choice)
        self.due(events.Tally, market=market.id)

    def dispute(self, market: Market, name: str, claimed: int, bond: int | None = None, **fields) -> Entry:
        bond = self.terms.dispute_bond(min(market.level, 1)) if bond is None else bond
        given = {"level": market.level, "claimed": claimed, "bond": bond, "reason": bytes(32)}
        return self.say(events.Dispute, name, market=market.id, **{**given, **fields})

    def expire(self, market: Market) -> None:
        self.wait(market)
        self.due(events.Expire, market=market.id)

    def settle(self, market: Market) -> None:
        self.due(events.Settle, market=market.id)

    def claim_all(self, market: Market) -> None:
        for name in list(_SECRETS):
            if market.owed(address(name)):
                self.say(events.Claim, name, market=market.id)

    def run_out(self, market: Market, choice: int | None = 0, scorer: int = 0) -> None:
        """Bring a market from wherever it is to SETTLED: all judges vote `choice`, or stay silent with None."""
        while market.phase not in ("SETTLED", "ARCHIVED"):
            self.step(market, choice, scorer)

    def step(self, market: Market, choice: int | None = 0, scorer: int = 0) -> None:
        if market.phase == OPEN:
            self.end_round(market)
        elif market.phase == CLOSED and market.kind == "V" and not market.by_panel:
            self.due(events.Resolve, market=market.id, outcome=scorer)
        elif market.phase == CLOSED or (market.phase == COMMIT and not market.panel.drawn):
            try:
                self.draw(market)
            except Refused as why:
                assert why.reason == "early"
                self.t = market.ends
                self.due(events.Timeout, market=market.id)
        elif market.phase == COMMIT:
            self.vote(market, {} if choice is None else choice)
        elif market.phase == REVEAL:
            self.wait(market)
            self.due(events.Tally, market=market.id)
        elif market.phase == CHALLENGE:
            self.expire(market)
        elif market.phase in (FINAL, VOID):
            self.settle(market)

    # ---- looking

    def free(self, name: str) -> int:
        return self.state.operators[address(name)].free

    def stake(self, name: str) -> int:
        one = self.state.operators[address(name)]
        return one.stake + one.locked

    def wealth(self) -> dict[str, int]:
        """Free credits and stake, seats included, of everybody."""
        return {name: self.free(name) + self.stake(name) for name in self.people}

    def balanced(self) -> None:
        """The accounting identity, and that the mirrors say what they mirror."""
        state = self.state
        assert state.balance() == state.minted
        locked = dict.fromkeys(state.operators, 0)
        for market in state.markets.values():
            for panel in market.panels:
                for judge, lock in panel.locks.items():
                    locked[judge] += lock
        assert {one: operator.locked for one, operator in state.operators.items()} == locked
        amounts = [operator.free for operator in state.operators.values()] + [operator.stake for operator in state.operators.values()]
        assert min([*amounts, state.treasury, state.bonus]) >= 0

    def replayed(self) -> None:
        """The log alone gives the same state."""
        if self.signed:
            assert replay(self.terms, self.log.entries).root() == self.state.root()


def a_panel(**terms) -> tuple[Court, Market]:
    """A court of twelve people whose one market has its seats drawn."""
    court = Court([f"p{i}" for i in range(12)], terms_of("test", **terms))
    market = court.market("p0")
    court.to_panel(market)
    return court, market


def traded(**fields) -> tuple[Court, Market]:
    """A market of three outcomes in a court of twelve people, in which p1 and p2 traded."""
    court = Court([f"p{i}" for i in range(12)])
    market = court.market("p0", **fields)
    court.trade(market, "p1", 0, 20 * CREDIT)
    court.trade(market, "p2", 1, 10 * CREDIT, side="spend")
    return court, market


def court_at(phase: str, kind: str = "P", **terms) -> tuple[Court, Market]:
    """A court whose one market is in `phase`, after some trades and a piece of evidence."""
    court = Court([f"p{i}" for i in range(12)], terms_of("test", **terms))
    event = court.opening("p0", kind)
    id = event.market(court.terms.chain_id)
    court.due(events.GoldRoot, number=2, root=tree.root([gold.leaf(id, 0, salt("gold"))]), count=1)
    court.mint([], 0)
    court.take(event, "p0")
    market = court.state.markets[id]
    if phase == "DRAFT":
        return court, market
    court.say(events.Fund, "p0", market=id)
    court.trade(market, "p1", 0, 20 * CREDIT)
    court.trade(market, "p2", 1, 10 * CREDIT)
    court.evidence(market, "p3", "because of this", mark=WAD if kind == "V" else WAD // 2)
    if phase == "VOID":
        court.t = market.ends
        court.due(events.Timeout, market=id)
        return court, market
    while market.phase != phase:
        if market.phase == "COMMIT" and phase == "REVEAL":
            for judge in court.seated(market):
                court.commit(market, judge, 0)
            court.due(events.Close, market=id)
        elif market.phase == "SETTLED":
            court.t = market.deadline
            court.due(events.Sweep, market=id)
        elif market.phase == "CLOSED" and phase == "COMMIT":
            court.draw(market)
        else:
            court.step(market, 0)
    return court, market


def refused(court: Court, reason: str, do, *args, **named) -> str:
    """What `do` is refused with: the state is unchanged, the reason is this one, and the sentence is a sentence. Returns it."""
    before = court.state.canonical()
    with pytest.raises(Refused) as caught:
        do(*args, **named)
    assert court.state.canonical() == before
    assert caught.value.reason == reason, caught.value.sentence
    sentence = caught.value.sentence
    assert 20 < len(sentence) < 300 and "\n" not in sentence
    return sentence
