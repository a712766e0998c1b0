"""The room of a node whose operator judges: it sends and reveals the votes that were signed on this machine, with no screen open, signs those
of its model, and hosts the markets that the person opened.

    room = SeatedRoom(votes, openings, ...)
    room.appoint(juror, scorer)         before `start`: the recipe's frozen judge votes where no person does, and watches verdicts

Votes lie in `$SWARM_HOME/votes`, drafts of markets in `$SWARM_HOME/openings`; those of other operators are left alone. What a person's own
`swarm judge` sends at the same time is the same vote: executing it twice changes nothing. A person comes first: the model votes once half of
the time to commit is over, or at once where that is no time for a person (PERSON_MS), in seats without a signed vote. Where nobody has signed
shortly before votes close, the seat abstains, which costs nothing. What a person signs after that replaces it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from judge.ballots import Ballots, Place
from judge.court import Sent, commit_due, reveal_due
from judge.errors import Refused
from judge.events import ABSTAIN
from judge.market import COMMIT, RUNNING, Market
from judge.plain import credits
from swarm.beat import Beat
from swarm.market.asking import Askings, Draft, Outcome
from swarm.market.jury import Jury
from swarm.market.room import Room
from swarm.market.voter import RoomCourt, waits
from swarm.market.watcher import Watcher

if TYPE_CHECKING:
    from swarm.market.juror import Juror
    from swarm.market.tape import Scorer

VOTE_S = ASK_S = 1.0
PERSON_MS = 10_000  # a shorter time to commit is none to read and choose in
LATEST_MS = 15_000  # before votes close, or the last tenth where that is longer: then a seat abstains


class SeatedRoom(Room):
    """A `Room` with a thread for the votes in the folder `votes`, and one for the drafts in `openings`; further arguments as of `Room`."""

    def __init__(self, votes: Path, openings: Path, *args: object, **named: object):
        super().__init__(*args, **named)
        self.askings = Askings(openings)
        self.votes, self.revealed, self.model_votes = votes, 0, 0
        self.jury: Jury | None = None
        self.watcher: Watcher | None = None
        self._court: RoomCourt | None = None
        self._told: set[str] = set()
        self._vote_s = max(0.1, min(VOTE_S, self.lag / 3000))  # a phase is three times the lag or more
        self._beats += [Beat("market votes", self._vote_s, self.vote), Beat("market openings", ASK_S, self.ask)]

    def appoint(self, juror: Juror, scorer: Scorer) -> None:
        """From `start` on this model judges; `scorer` is the room's."""
        self.jury = Jury(self, juror, scorer)
        self.watcher = Watcher(self, self.jury, self._secret)
        self._beats += [Beat("market jury", self._vote_s, self.jury.turn), Beat("market watcher", self._vote_s, self.watcher.turn)]

    def vote(self) -> None:
        """Sign for the model what nobody signed, send what was signed, reveal what is due."""
        with self.reading() as state:
            places = waits(state, self.actor)
            phases = {place: state.markets[place.market].phase for place in places}
            left = [(place, state.markets[place.market].kind) for place in places if self._is_left(state.markets[place.market])]
            late = [place for place in places if self._is_late(state.markets[place.market])]
        for place, kind in left if self.jury is not None else ():
            self._sign(place, kind)
        for place in late:
            if self.court.ballots.load(place).vote is None:
                self.court.ballots.sign(place, ABSTAIN, 0, 0, self.court.derive)
        if not any(phase != COMMIT or (self.votes / place.file).exists() for place, phase in phases.items()):
            return
        commits, reveals = commit_due(self.court, self.court.ballots), reveal_due(self.court, self.court.ballots)
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

    @property
    def court(self) -> RoomCourt:
        """For this room's thread of votes."""
        if self._court is None:
            self._court = RoomCourt(self, self._secret, Ballots(self.votes), self.votes / "reasons")
        return self._court

    def _is_left(self, one: Market) -> bool:
        """Whether persons had their time to vote in a seat of ours, and a vote is still wanted."""
        ballot = one.panel.ballots.get(self.actor)
        mine = one.phase == COMMIT and (ballot is None or ballot.choice is None)
        return mine and (one.deadline - one.since < PERSON_MS or 2 * self.now() >= one.since + one.deadline)

    def _is_late(self, one: Market) -> bool:
        """Whether nobody will vote in a seat of ours: not more than half of the time is given up, and less where a model may be thinking."""
        length, ballot = one.deadline - one.since, one.panel.ballots.get(self.actor)
        most = length // 2 if self.jury is None else length // 4
        return one.phase == COMMIT and ballot is None and one.deadline - self.now() <= min(most, max(LATEST_MS, length // 10))

    def _sign(self, place: Place, kind: str) -> None:
        """Sign the model's vote, unless a vote lies there."""
        if self.court.ballots.load(place).vote is not None:
            return
        found = self.jury.choice(place.market, kind, place.level)
        if found is not None:
            self.court.ballots.sign(place, *found, 0, self.court.derive)
            self.model_votes += 1

    def _tell(self, one: Sent) -> None:
        said = f"judge market: your vote in {one.case.name}: {one.sentence}"
        if not one.done and said not in self._told:
            self._told.add(said)
            self.say(said)
