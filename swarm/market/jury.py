"""What this node holds of the markets that a panel decides: the frozen judge's opinion, read ahead, and what a scorer says where there is one.

    jury = Jury(room, juror, scorer)
    jury.turn()                             read what came; called by a thread of its own, since a model is slower than a network
    jury.choice(market, kind, level)        (outcome, sure in bps) for a seat, or None while nothing is known

A market is read as soon as its opening is here, since a panel's time to commit may be a second. In the first panel of a market of kind P or H the
frozen judge votes. On appeal, and where a market of kind V comes to a panel, everything that can be known counts: the market's scorer votes if
this node has it, else the frozen judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.market import RUNNING, Market

if TYPE_CHECKING:
    from swarm.market.juror import Juror, Opinion
    from swarm.market.room import Room
    from swarm.market.tape import Scorer

AT_ONCE = 4  # markets that one turn reads: seats and verdicts must not wait long
CERTAIN = 10_000  # bps: what a scorer is


class Jury:
    """The opinions of one node on the markets of its `room`. `scorer` is that of the room's tape."""

    def __init__(self, room: Room, juror: Juror, scorer: Scorer):
        self.room, self.juror, self.scorer = room, juror, scorer
        self.read = 0
        self._opinions: dict[bytes, Opinion | None] = {}
        self._truths: dict[bytes, int] = {}

    def turn(self) -> None:
        """Read some of the markets that nobody has read here, and forget those that are over."""
        with self.room.reading() as state:
            there = [one.id for one in state.markets.values() if one.phase in RUNNING and for_a_panel(one)]
        self._opinions = {id: self._opinions[id] for id in there if id in self._opinions}
        for id in [id for id in there if id not in self._opinions][:AT_ONCE]:
            found = self.room.texts(id)
            if found is not None:
                self._opinions[id] = self.juror(*found)
                self.read += 1

    def opinion(self, market: bytes) -> Opinion | None:
        """The frozen judge's; None before it has read the market, or where it has none."""
        return self._opinions.get(market)

    def truth(self, market: bytes) -> int | None:
        """What the market's scorer says; None where it has none, or this node cannot run it."""
        found = self.room.texts(market) if market not in self._truths else None
        if found is not None and found[0].scorer and (said := self.scorer(*found)) is not None:
            self._truths[market] = said
        return self._truths.get(market)

    def choice(self, market: bytes, kind: str, level: int) -> tuple[int, int] | None:
        """How to vote in a seat at `level` of a market of this kind."""
        truth = self.truth(market) if kind == "V" or level else None
        if truth is not None:
            return truth, CERTAIN
        opinion = self.opinion(market)
        return (opinion.choice, opinion.sure) if opinion is not None else None


def for_a_panel(one: Market) -> bool:
    """Whether a panel decides a market, or one was called for it."""
    return one.kind != "V" or one.by_panel or bool(one.panels)
