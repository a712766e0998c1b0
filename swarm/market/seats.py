"""The room of a node whose operator may be a person too: it sends and reveals the votes that were signed on this machine, with no screen open.

The votes lie in `$SWARM_HOME/votes`; those of other operators are left alone. What a person's own `swarm judge` sends at the same time is
the same vote: executing it twice changes nothing.
"""

from __future__ import annotations

from pathlib import Path

from judge.ballots import Ballots
from judge.court import Sent, commit_due, reveal_due
from judge.market import COMMIT
from swarm.beat import Beat
from swarm.market.room import Room
from swarm.market.voter import RoomCourt, waits

VOTE_S = 1.0


class SeatedRoom(Room):
    """A `Room` with a thread for the votes in the folder `votes`; further arguments as of `Room`."""

    def __init__(self, votes: Path, *args: object, **named: object):
        super().__init__(*args, **named)
        self.votes, self.revealed = votes, 0
        self._court: RoomCourt | None = None
        self._told: set[str] = set()
        self._beats.append(Beat("market votes", VOTE_S, self.vote))

    def vote(self) -> None:
        """Send what was signed and reveal what is due."""
        with self.reading() as state:
            places = waits(state, self.actor)
            phases = {place: state.markets[place.market].phase for place in places}
        if not any(phase != COMMIT or (self.votes / place.file).exists() for place, phase in phases.items()):
            return
        if self._court is None:
            self._court = RoomCourt(self, self._secret, Ballots(self.votes), self.votes / "reasons")
        commits, reveals = commit_due(self._court, self._court.ballots), reveal_due(self._court, self._court.ballots)
        self.revealed += sum(one.done for one in reveals)
        for one in [*commits, *reveals]:
            self._tell(one)

    def _tell(self, one: Sent) -> None:
        said = f"judge market: your vote in {one.case.name}: {one.sentence}"
        if not one.done and said not in self._told:
            self._told.add(said)
            self.say(said)
