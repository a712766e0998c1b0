"""What the judge market said of answers: the rewards of a group whose task no program can score (judge-spec.md 2.1).

A group's market is the first one that its author's operator opened about that very question; each rollout is the outcome with its text. A
verdict counts once a root that is final on the chain has closed the log up to it: before that a page that comes late can make another one.
From then on whoever replays the log gets the same rewards: the author, its readers, and the auditors of both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from judge import scores
from judge.market import SETTLED, Market
from judge.terms import WAD
from swarm.market.questions import nonce_of

if TYPE_CHECKING:
    from swarm.groups import Group
    from swarm.market.room import Room
    from swarm.tasks.task import Question


@dataclass(frozen=True)
class Ruled:
    """The rewards of a group's rollouts, None for one that was not judged; when its market was opened, and when it was FINAL, in ms of the chain."""

    rewards: tuple[float | None, ...]
    opened: int
    final: int

    @property
    def void(self) -> bool:
        return all(reward is None for reward in self.rewards)


class Verdicts:
    """The verdicts of a room's market. `question(group)` derives what a group answers, `soft` (0 to 0.2) is the price's share of a reward."""

    def __init__(self, room: Room, question: Callable[[Group], Question], soft: float = 0.0):
        self.room, self.question, self.soft_bps = room, question, round(soft * 10**4)

    def of(self, wanted: Iterable[tuple[bytes, Group]]) -> list[Ruled | None]:
        """For each (operator of the author, group of answers): what was ruled, or None where nothing is closed so far. Raises TaskError."""
        asked = [(operator, hashlib.sha256(self.question(group).prompt.encode()).digest(), group) for operator, group in wanted]
        places = {(operator, question) for operator, question, _ in asked}
        found: list[Ruled | None] = []
        with self.room.reading() as state:
            known: dict[tuple[bytes, bytes], list[Market]] = {}
            for one in state.markets.values():
                if one.kind != "V" and (one.creator, one.question) in places:
                    known.setdefault((one.creator, one.question), []).append(one)
            for operator, question, group in asked:
                one = self._market(known.get((operator, question), []), group)
                closed = one is not None and one.phase == SETTLED and one.since <= self.room.closed
                found.append(self._ruled(one, operator, group) if closed else None)
        return found

    def _market(self, markets: list[Market], group: Group) -> Market | None:
        """The first one about this place in its author's rounds: nobody opens a second one to be judged again."""
        nonce = nonce_of(group.round, group.index, group.specialty)
        openings = [(self.room.opening(one.id), one) for one in markets]
        said = [(page.t, one.id, one) for page, one in openings if page is not None and page.open.event.nonce == nonce]
        return min(said, key=lambda row: row[:2])[2] if said else None

    def _ruled(self, one: Market, operator: bytes, group: Group) -> Ruled:
        opening = self.room.opening(one.id)
        assert opening is not None
        outcomes = {digest: place for place, (_, digest, authors) in enumerate(one.outcomes) if operator in authors}
        ruling, prices = _ruling(one), self._prices(one, operator)
        rewards: list[float | None] = []
        for rollout in group.rollouts:
            place = outcomes.get(hashlib.sha256(rollout.text.encode()).digest()) if rollout.finished else None
            worth = None if place is None else scores.reward(scores.Completion(one.kind, place), ruling, prices[place], self.soft_bps)
            rewards.append(None if worth is None else worth / WAD)
        return Ruled(tuple(rewards), opening.t, one.since)

    def _prices(self, one: Market, operator: bytes) -> tuple[int, ...]:
        """At CLOSED, without the trades of the answers' operator."""
        if not self.soft_bps:
            return (0,) * one.n
        mine = one.positions.get(operator)
        own = scores.own_shares(mine.pushed, one.b) if mine is not None else (0,) * one.n
        return scores.loo_prices(one.liabilities, one.b, own)


def _ruling(one: Market) -> scores.Ruling | None:
    """What the last panel said; None where none did."""
    said = one.verdict
    if said is None or said.by != "panel":
        return None
    behind, invalid = said.weights[: one.n], said.weights[one.n]
    return scores.Ruling(behind, invalid, said.panel_weight, said.seats, said.revealed, final=True, void=bool(one.void_reason))
