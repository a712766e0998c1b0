"""Operators and their credits: coming, staking, leaving, and what the chain says about them.

An operator is an address. It counts once, however many peers and session keys it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from judge.errors import Refused, require
from judge.events import Entry

if TYPE_CHECKING:
    from judge.ledger import State


@dataclass
class Operator:
    """An operator's account. `locked` mirrors what seats hold of its stake; the credits themselves are in the markets."""

    session: bytes = b""  # address of the key that may sign for it
    status: str = "active"  # jailed, left
    t: int = -1  # of its last account event
    free: int = 0
    stake: int = 0
    locked: int = 0
    open: int = 0  # markets that it created and that are not settled
    gold_hits: int = 0  # WAD, fading
    gold_n: int = 0  # WAD, fading
    gold_votes: int = 0


def register(state: State, entry: Entry) -> None:
    """An operator comes, or comes back."""
    event = entry.event
    operator = state.operators.get(event.actor)
    if operator is None:
        state.operators[event.actor] = Operator(event.session, t=event.t)
        return
    require(operator.status == "left", "duplicate", f"operator {event.actor.hex()[:8]}... is registered")
    _newer(operator, event.t)
    operator.status, operator.session, operator.t = "active", event.session, event.t


def enter(state: State, entry: Entry) -> None:
    """The chain says that an operator came, came back, or has another session key. Only where the shell reads a chain."""
    event = entry.event
    require(state.terms.seed == "beacon", "standing", "operators register themselves here, since no chain stands behind this log")
    operator = state.operators.get(event.operator)
    if operator is None:
        state.operators[event.operator] = Operator(event.session)
        return
    known = operator.status != "left" and operator.session == event.session
    require(not known, "duplicate", f"operator {event.operator.hex()[:8]}... is registered with this session key")
    operator.session = event.session
    operator.status = "active" if operator.status == "left" else operator.status


def session(state: State, entry: Entry) -> None:
    """Another session key, or none."""
    operator = _account(state, entry)
    operator.session, operator.t = entry.event.session, entry.event.t


def stake(state: State, entry: Entry) -> None:
    """Free credits become stake."""
    operator, event = _account(state, entry), entry.event
    if event.amount > operator.free:
        raise Refused("credits", f"{event.amount} wei cannot be staked: {operator.free} are free")
    operator.free -= event.amount
    operator.stake += event.amount
    operator.t = event.t


def unstake(state: State, entry: Entry) -> None:
    """Stake that no seat holds becomes free."""
    operator, event = _account(state, entry), entry.event
    require(operator.status != "jailed", "standing", "a jailed operator's stake stays where it is")
    if event.amount > operator.stake:
        raise Refused("credits", f"{event.amount} wei cannot be taken out: {operator.stake} are in no seat, {operator.locked} are locked in seats")
    operator.stake -= event.amount
    operator.free += event.amount
    operator.t = event.t


def leave(state: State, entry: Entry) -> None:
    """The operator goes, and takes its stake with it."""
    operator, event = _account(state, entry), entry.event
    require(operator.status == "active", "standing", "a jailed operator cannot leave")
    if operator.locked or operator.open:
        raise Refused("conflict", f"{operator.locked} wei of your stake are in seats, {operator.open} of your markets are not settled: wait for them")
    operator.free += operator.stake
    operator.stake = 0
    operator.status, operator.session, operator.t = "left", b"", event.t


def standing(state: State, entry: Entry) -> None:
    """What the chain says. A jailed operator keeps its seats and is drawn for no others."""
    event = entry.event
    operator = state.operators.get(event.operator)
    require(operator is not None, "unknown", f"there is no operator {event.operator.hex()[:8]}... here")
    require(operator.status != "left", "standing", f"operator {event.operator.hex()[:8]}... has left")
    status = "jailed" if event.jailed else "active"
    require(operator.status != status, "duplicate", f"operator {event.operator.hex()[:8]}... is {status}")
    operator.status = status


def epoch(state: State, entry: Entry) -> None:
    """The next epoch, with what it mints."""
    event = entry.event
    if event.number != state.epoch + 1:
        raise Refused("early" if event.number > state.epoch else "duplicate", f"this is epoch {state.epoch}; the next one is {state.epoch + 1}")
    for operator, _ in event.mints:
        require(operator in state.operators, "unknown", f"credits for {operator.hex()[:8]}..., who is not registered")
    for operator, amount in event.mints:
        state.operators[operator].free += amount
        state.minted += amount
    state.epoch = event.number


def bonus(state: State, entry: Entry) -> None:
    """Split the peer bonus pool; what no division gives goes to the treasury. Without any weight the pool stays for later."""
    event = entry.event
    if not state.bonus_epoch < event.number <= state.epoch:
        raise Refused("duplicate" if event.number <= state.bonus_epoch else "early", f"the bonus of epoch {event.number} was paid, or is not due")
    for operator, _ in event.weights:
        require(operator in state.operators, "unknown", f"a bonus for {operator.hex()[:8]}..., who is not registered")
    require(len({operator for operator, _ in event.weights}) == len(event.weights), "malformed", "an operator is named twice")
    whole = sum(weight for _, weight in event.weights)
    if whole:
        left = state.bonus
        for operator, weight in event.weights:
            share = state.bonus * weight // whole
            state.operators[operator].free += share
            left -= share
        state.treasury += left
        state.bonus = 0
    state.bonus_epoch = event.number


def _account(state: State, entry: Entry) -> Operator:
    operator = state.operators[entry.event.actor]
    _newer(operator, entry.event.t)
    return operator


def _newer(operator: Operator, t: int) -> None:
    if t <= operator.t:
        raise Refused("duplicate", f"your account changed at {operator.t}, and this was signed for {t}: an account's events have increasing times")
