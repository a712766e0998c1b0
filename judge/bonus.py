"""Who gets how much of the peer bonus pool, out of the state: correlated agreement over the panels since the pool was last split.

The formula is `scores.peer_bonus`. A pool that nobody earned a part of stays, and so do the panels it came from: eight markets shared with
a peer may take several epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import gold, scores
from judge.events import ABSTAIN
from judge.terms import WAD

if TYPE_CHECKING:
    from judge.ledger import State
    from judge.market import Market

MARKETS_MOST = 1024  # the latest ones: a bonus is worked out in every node at once
PEOPLE_MOST = 1024  # as many as an event names


def weights(state: State, number: int, seed: bytes) -> tuple[tuple[bytes, int], ...]:
    """(operator, share in WAD) of the bonus of epoch `number`: over markets settled before it, and not counted in an earlier split."""
    settled = [one for one in state.markets.values() if one.panels and state.bonus_epoch <= one.epoch < number and not one.void_reason]
    latest = sorted(settled, key=lambda one: (-one.epoch, one.id))[:MARKETS_MOST]
    reports = {one.id: said for one in latest if (said := _reports(one))}
    most: dict[bytes, int] = {}
    for one in latest:
        for judge in reports.get(one.id, ()):
            most[judge] = max(most.get(judge, 2), one.n)
    gates = {judge: gold.weight(state.operators[judge], n, state.terms) for judge, n in most.items()}
    shares = scores.peer_bonus(WAD, reports, gates, seed)
    best = sorted(shares.items(), key=lambda row: (-row[1], row[0]))[:PEOPLE_MOST]
    return tuple(sorted((judge, share) for judge, share in best if share))


def _reports(market: Market) -> dict[bytes, int]:
    """What each judge said, in the last panel that it sat in; abstentions are none."""
    said = {judge: ballot.choice for panel in market.panels for judge, ballot in panel.ballots.items() if ballot.choice not in (None, ABSTAIN)}
    return {judge: scores.INVALID if choice == market.n else choice for judge, choice in said.items()}
