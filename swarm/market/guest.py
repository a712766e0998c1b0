"""The room of a voter without a node: a `Visit` that also puts at stake what it takes to be drawn, since no node does it."""

from __future__ import annotations

from judge import events
from swarm.beat import Beat
from swarm.market.visit import Visit

LOOK_S = 1.0
AGAIN_MS = 60_000  # before stake is asked for once more: an account's page needs its time


class Guest(Visit):
    """A `Visit` that keeps `stake` wei at stake, as soon as the operator has as many free credits; further arguments as of `Room`."""

    def __init__(self, stake: int, *args: object, **named: object):
        super().__init__(*args, **named)
        self._wanted, self._asked = stake, 0
        self._beats.append(Beat("market stake", LOOK_S, self.stake))

    def stake(self) -> None:
        """Stake what is missing, if it is a seat's worth at least and there."""
        free, missing = self._credits()
        if self.caught_up and self.terms.unit <= missing <= free and self.now() >= self._asked:
            self._asked = self.now() + AGAIN_MS
            self.send(self.sign(events.Stake, amount=missing))

    @property
    def waits_for(self) -> str:
        """What this voter waits for before it can be drawn: "credits", "stake", or nothing."""
        free, missing = self._credits()
        drawn = self._wanted - missing >= self.terms.stake_least
        return "" if drawn else "stake" if free >= missing else "credits"

    def _credits(self) -> tuple[int, int]:
        """Free credits, and what is missing of the stake; wei."""
        with self.reading() as state:
            me = state.operators.get(self.actor)
            return (me.free, self._wanted - me.stake - me.locked) if me is not None else (0, self._wanted)
