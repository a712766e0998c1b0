"""Gold: markets whose answer was committed to before the epoch, and what opening them says about the judges (judge-spec.md 1.6, 2.2).

A gold set's leaves are keccak256(market || answer || salt). Until an entry is opened, after the epoch, its market is like any other.
Opening it counts once for every vote that was revealed there, abstentions aside: hits and n fade by 2^(-1/50) a gold vote, in WAD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import tree
from judge.errors import Refused, require
from judge.events import ABSTAIN, Entry
from judge.keys import keccak
from judge.market import Market
from judge.terms import WAD

if TYPE_CHECKING:
    from judge.accounts import Operator
    from judge.ledger import State
    from judge.terms import Terms


def leaf(market: bytes, answer: int, salt: bytes) -> bytes:
    """The digest of one gold answer."""
    return keccak(market, bytes([answer]), salt)


def root(state: State, entry: Entry) -> None:
    """The root of an epoch to come."""
    event = entry.event
    require(event.number > state.epoch, "deadline", f"epoch {event.number} has begun: a gold root comes before its epoch")
    require(event.number not in state.gold_roots, "duplicate", f"epoch {event.number} has a gold root")
    state.gold_roots[event.number] = (event.root, event.count)


def open_answer(state: State, market: Market, entry: Entry) -> None:
    """One answer of a past epoch."""
    event = entry.event
    known = state.gold_roots.get(event.number)
    require(known is not None, "unknown", f"epoch {event.number} has no gold root")
    require(event.number < state.epoch, "early", f"the gold answers of epoch {event.number} are opened after it, and this is epoch {state.epoch}")
    require(not market.gold, "duplicate", f"the gold answer of {market.name} was opened")
    if event.answer > market.n:
        raise Refused("malformed", f"{market.name} has the answers 0 to {market.n}")
    top, count = known
    if not tree.verify(top, count, event.index, leaf(market.id, event.answer, event.salt), list(event.path)):
        raise Refused("mismatch", f"this answer of {market.name} is not the one under the gold root of epoch {event.number}")
    market.gold = True
    for panel in market.panels:
        for judge in sorted(panel.ballots):
            choice = panel.ballots[judge].choice
            if choice not in (None, ABSTAIN):
                count_vote(state.operators[judge], choice == event.answer, state.terms)


def count_vote(judge: Operator, hit: bool, terms: Terms) -> None:
    """One more gold vote of a judge; the older ones fade."""
    judge.gold_hits = judge.gold_hits * terms.fade // WAD + (WAD if hit else 0)
    judge.gold_n = judge.gold_n * terms.fade // WAD + WAD
    judge.gold_votes += 1


def weight(judge: Operator, outcomes: int, terms: Terms) -> int:
    """WAD: what a judge's seat weighs. w = 0.02 + 0.98 clamp((g - 1/C)/0.30, 0, 1), g = (hits + 4/C)/(n + 4), as one fraction rounded down."""
    hits, n, prior = judge.gold_hits, judge.gold_n, terms.prior * WAD
    above = max(0, hits * outcomes - n)  # (g - 1/C) C (n + 4)
    share = min(WAD, above * WAD * 10**4 // (terms.skill_bps * outcomes * (n + prior)))
    floor = WAD * terms.floor_bps // 10**4
    return floor + (WAD - floor) * share // WAD
