"""Gold: markets whose answer is known beside their panel, and what that says about the judges (judge-spec.md 1.6, 2.2).

Two sources. A gold set is committed to before an epoch (leaves keccak256(market || answer || salt)) and opened after it; until then its markets
are like any other, but somebody has to choose them. A check is written where the task's own program knows the answer of a market that
a panel settled: nobody chooses, and a judge who runs the program can tell which markets those are. Either counts once for every vote
that was revealed there, abstentions aside: hits and n fade by 2^(-1/50) a gold vote, in WAD. In a check the opener's own vote counts
nothing: it chose the question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import tree
from judge.errors import Refused, require
from judge.events import ABSTAIN, Check, Entry, GoldOpen
from judge.keys import keccak
from judge.market import Market, in_time
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
    _count(state, market, event)


def check(state: State, market: Market, entry: Entry) -> None:
    """What the task's program says of a market that a panel settled."""
    event = entry.event
    in_time(market, event.t)
    require(market.kind != "V" and not market.void_reason, "phase", f"{market.name} was not settled by a panel: there are no votes to compare with")
    require(not market.gold, "duplicate", f"the answer of {market.name} was checked or opened")
    require(event.answer < market.n, "malformed", f"{market.name} has the answers 0 to {market.n - 1}, not {event.answer}")
    _count(state, market, event)


def counted(market: Market, event: Check | GoldOpen) -> list[tuple[bytes, bool]]:
    """(judge, whether it was right) for every vote that counts, in a fixed order."""
    own = {market.creator} if isinstance(event, Check) else set()
    votes = [(judge, panel.ballots[judge].choice) for panel in market.panels for judge in sorted(panel.ballots) if judge not in own]
    return [(judge, choice == event.answer) for judge, choice in votes if choice not in (None, ABSTAIN)]


def _count(state: State, market: Market, event: Check | GoldOpen) -> None:
    market.gold = True
    for judge, hit in counted(market, event):
        count_vote(state.operators[judge], hit, state.terms)


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
