"""The state of a swarm's judge market, and `apply`, the one way to change it.

    log = Log(State(terms))
    log.extend(entry)        the state is changed in place and the entry is kept, or Refused is raised and nothing changed
    log.state.root()         32 bytes; the same log gives the same root, everywhere

`State.head` is the hash chain of the log: keccak256(previous || bytes of the entry). Serialisation happens only for the root.
Accounting identity: free + stake + everything in markets + treasury + bonus pool = minted, to the wei, after every event.

Where the specification is silent: account events of an operator have increasing times, which is what refuses a replay. A clock event's
time is checked from below only; that it does not lie in the future is for the shell, which has a clock (T_max bounds the harm). The
audit pool is a part of the treasury, and so is what verifier markets pay to model judges without an account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import msgpack

from judge import accounts, events, evidence, gold, manifest, market, panel, settlement, trade
from judge.accounts import Operator as Operator  # part of this module's face
from judge.errors import Refused
from judge.events import Entry, Signed
from judge.keys import keccak
from judge.market import CHALLENGE, CLOSED, COMMIT, DRAFT, FINAL, OPEN, REVEAL, RUNNING, SETTLED, VOID, Market
from judge.terms import Terms


@dataclass
class State:
    """Everything. Mutated in place by `apply` only."""

    terms: Terms
    head: bytes = bytes(32)
    count: int = 0
    operators: dict[bytes, Operator] = field(default_factory=dict)
    markets: dict[bytes, Market] = field(default_factory=dict)
    treasury: int = 0
    bonus: int = 0  # the peer bonus pool
    minted: int = 0
    epoch: int = 0
    bonus_epoch: int = 0  # the last one whose bonus was paid
    gold_roots: dict[int, tuple[bytes, int]] = field(default_factory=dict)  # epoch -> (root, count)

    def root(self) -> bytes:
        """keccak256 of the canonical bytes."""
        return keccak(self.canonical())

    def canonical(self) -> bytes:
        """msgpack of plain values in a fixed order."""
        return msgpack.packb(plain(self))

    def balance(self) -> int:
        """The sum of all credits, wherever they are: equal to `minted`, always."""
        people = sum(operator.free + operator.stake for operator in self.operators.values())
        return people + sum(one.held() for one in self.markets.values()) + self.treasury + self.bonus

    def check_seed(self, seed: bytes) -> None:
        """Raise Refused where seeds are the log's head and this is another one."""
        if self.terms.seed == "head" and seed != self.head:
            raise Refused("mismatch", f"the seed is the log's head here, {self.head.hex()[:16]}..., and not {seed.hex()[:16]}...")


Transition = Callable[[State, Market, Entry], None]

# For each event of a market: the phases that take it, and what it does. Everything else is refused.
TABLE: dict[type, tuple[tuple[str, ...], Transition]] = {
    events.Fund: ((DRAFT,), market.fund),
    events.Trade: ((OPEN,), trade.trade),
    events.Evidence: ((OPEN,), evidence.submit),
    events.Forecast: ((OPEN,), trade.forecast),
    events.Grade: ((OPEN,), evidence.grade),
    events.RoundEnd: ((OPEN,), evidence.round_end),
    events.Resolve: ((CLOSED,), market.resolve_code),
    events.Draw: ((CLOSED, COMMIT), panel.draw),
    events.Commit: ((COMMIT,), panel.commit),
    events.Close: ((COMMIT,), panel.close),
    events.Reveal: ((REVEAL,), panel.reveal),
    events.Tally: ((REVEAL,), panel.tally),
    events.Dispute: ((CHALLENGE, COMMIT), settlement.dispute),
    events.Expire: ((CHALLENGE,), settlement.expire),
    events.Settle: ((FINAL, VOID), settlement.settle),
    events.Timeout: (RUNNING, settlement.timeout),
    events.Claim: ((SETTLED,), settlement.claim),
    events.Sweep: ((SETTLED,), settlement.sweep),
    events.Fault: ((OPEN, CLOSED, COMMIT, REVEAL, CHALLENGE), manifest.fault),
    events.Check: ((SETTLED,), gold.check),
    events.GoldOpen: ((FINAL, VOID, SETTLED, market.ARCHIVED), gold.open_answer),
}
TIMED = (events.Trade, events.Evidence, events.Forecast, events.Commit, events.Reveal, events.Claim)  # before the phase's deadline
ACTIVE = (events.Trade, events.Evidence, events.Open, events.Fund, events.Dispute, events.Stake)  # not from a jailed operator

ACCOUNTS: dict[type, Callable[[State, Entry], None]] = {
    events.Register: accounts.register,
    events.Session: accounts.session,
    events.Leave: accounts.leave,
    events.Stake: accounts.stake,
    events.Unstake: accounts.unstake,
    events.Standing: accounts.standing,
    events.Enter: accounts.enter,
    events.Epoch: accounts.epoch,
    events.Bonus: accounts.bonus,
    events.GoldRoot: gold.root,
    events.Open: market.open_market,
}


def apply(state: State, entry: Entry) -> State:
    """Change `state` by one event. Raises Refused, and then nothing has changed."""
    event = entry.event
    if isinstance(event, Signed):
        _said(state, entry)
    if type(event) in ACCOUNTS:
        ACCOUNTS[type(event)](state, entry)
    else:
        _in_market(state, entry)
    state.head = keccak(state.head, entry.data)
    state.count += 1
    return state


class Log:
    """The entries that were taken, and the state after them."""

    def __init__(self, state: State):
        self.state = state
        self.entries: list[bytes] = []

    def extend(self, entry: Entry) -> None:
        """Take an entry. Raises Refused, and then it is not kept."""
        apply(self.state, entry)
        self.entries.append(entry.data)


def replay(terms: Terms, entries: list[bytes]) -> State:
    """The state after a log. Raises Refused where an entry of it would not have been taken."""
    state = State(terms)
    for data in entries:
        apply(state, events.read(data, terms.chain_id))
    return state


def plain(value: Any) -> Any:
    """Lists, ints, bytes and strings in a fixed order; what begins with an underscore can be computed and is left out."""
    if type(value) is int:
        return value if -(2**63) <= value < 2**63 else str(value)
    if value is None or type(value) in (bytes, str, bool):
        return value
    if type(value) in (list, tuple):
        return [plain(one) for one in value]
    if type(value) is dict:
        return [[plain(key), plain(value[key])] for key in sorted(value)]
    if type(value) is set:
        return sorted(value)
    if is_dataclass(value):
        return [plain(getattr(value, one.name)) for one in fields(value) if one.name[0] != "_"]
    raise TypeError(f"a state has no {type(value).__name__}")


def _said(state: State, entry: Entry) -> None:
    event = entry.event
    operator = state.operators.get(event.actor)
    keys = {event.actor} if event.OPERATOR_KEY or operator is None else {event.actor, operator.session}
    if entry.signer is None or entry.signer not in keys:
        raise Refused("signature", f"this {type(event).__name__} is not signed by {event.actor.hex()[:8]}..., whom it names: sign it with that key")
    if operator is None and not isinstance(event, events.Register):
        raise Refused("standing", f"operator {event.actor.hex()[:8]}... is not registered: register first")
    if operator is not None and operator.status == "left" and not isinstance(event, (events.Register, events.Claim, events.Reveal)):
        raise Refused("standing", f"operator {event.actor.hex()[:8]}... has left: register again first")
    if operator is not None and operator.status == "jailed" and isinstance(event, ACTIVE):
        raise Refused("standing", f"operator {event.actor.hex()[:8]}... is jailed: it can vote in seats it has, and claim, and nothing else")


def _in_market(state: State, entry: Entry) -> None:
    event = entry.event
    phases, transition = TABLE[type(event)]
    one = state.markets.get(event.market)
    if one is None:
        raise Refused("unknown", f"there is no market {event.market.hex()[:8]} in this log")
    if one.phase not in phases:
        raise Refused("phase", f"{one.name} is in {one.place}; a {type(event).__name__} is taken in {' or '.join(phases)} only")
    signed = isinstance(event, Signed)
    if signed:
        _in_phase(one, entry)
    transition(state, one, entry)
    if signed:
        one.seen.add(entry.id)


def _in_phase(one: Market, entry: Entry) -> None:
    event = entry.event
    if entry.id in one.seen:
        raise Refused("duplicate", f"{one.name} has taken this {type(event).__name__} already")
    if event.t < one.since:
        raise Refused("deadline", f"{one.name} came to {one.place} at {one.since}, and this was signed for {event.t}: sign it again")
    if isinstance(event, TIMED) and one.deadline and event.t >= one.deadline:
        raise Refused("deadline", f"{one.place} of {one.name} ended at {one.deadline}, and this was signed for {event.t}: too late")
