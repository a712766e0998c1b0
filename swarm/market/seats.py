"""The room of a node whose operator may be a person too: it sends and reveals the votes that were signed on this machine, with no screen open,
and hosts the markets that the person opened.

Votes lie in `$SWARM_HOME/votes`, drafts of markets in `$SWARM_HOME/openings`; those of other operators are left alone. What a person's own
`swarm judge` sends at the same time is the same vote: executing it twice changes nothing.
"""

from __future__ import annotations

from pathlib import Path

from judge.ballots import Ballots
from judge.court import Sent, commit_due, reveal_due
from judge.errors import Refused
from judge.market import COMMIT, RUNNING
from judge.plain import credits
from swarm.beat import Beat
from swarm.market.asking import Askings, Draft, Outcome
from swarm.market.room import Room
from swarm.market.voter import RoomCourt, waits

VOTE_S = ASK_S = 1.0


class SeatedRoom(Room):
    """A `Room` with a thread for the votes in the folder `votes`, and one for the drafts in `openings`; further arguments as of `Room`."""

    def __init__(self, votes: Path, openings: Path, *args: object, **named: object):
        super().__init__(*args, **named)
        self.askings = Askings(openings)
        self.votes, self.revealed = votes, 0
        self._court: RoomCourt | None = None
        self._told: set[str] = set()
        self._beats += [Beat("market votes", VOTE_S, self.vote), Beat("market openings", ASK_S, self.ask)]

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

    def ask(self) -> None:
        """Open what a person of this home drafted, when there is a place for it: the node's own markets hold back meanwhile."""
        drafts = self.askings.waiting(self.terms.chain_id, self.actor) if self.until else []
        self.reserved = len(drafts)
        for draft in drafts:
            outcome = self._opened(draft)
            if outcome is None:
                return
            self.askings.end(draft, outcome)

    def _opened(self, draft: Draft) -> Outcome | None:
        """Open a market; None where it has to wait for another one to end."""
        if self.texts(draft.market) is not None:
            return Outcome(True, "")  # by a process that did not live to note it
        with self.reading() as state:
            me = state.operators.get(self.actor)
            free, needed = me.free if me is not None else 0, draft.subsidy + self.terms.bond
            if sum(one.creator == self.actor and one.phase in RUNNING for one in state.markets.values()) >= self.terms.open_most:
                return None
        if free < needed:
            return Outcome(False, f"it takes {credits(needed)} credits, and your operator has {credits(free)} free ones")
        try:
            self.open(*draft.opening(self.now()))
        except Refused as why:
            return Outcome(False, why.sentence)
        return Outcome(True, "")

    def _tell(self, one: Sent) -> None:
        said = f"judge market: your vote in {one.case.name}: {one.sentence}"
        if not one.done and said not in self._told:
            self._told.add(said)
            self.say(said)
