"""The commitments of one member: an epoch that has ended is closed, one of its steps is replayed here first, then its root is committed.

One epoch after the other: each continues the states of the one before, and the ledger takes them for continuous. Where the chain was out
of reach for a whole window, this machine does not agree with itself, or the records do not continue what the chain knows (state that was
lost or taken from an old copy), the epoch is committed late, unpaid: better than to be accused.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from swarm.chain.client import Swarm
from swarm.chain.outbox import Goal, Outbox
from swarm.enrolment import UNBONDING_EPOCHS
from swarm.errors import Refused
from swarm.proof import coherence, odds
from swarm.proof.desk import Desk, Rehearsal
from swarm.proof.epoch import Epoch
from swarm.proof.recorder import Recorder
from swarm.proof.schedule import Schedule

LATE_S = 30 * 86_400  # a late commitment and a settlement may wait this long for the chain
REHEARSAL = 0.6  # share of the grace within which the own replay before a commitment has to end


class Commitments:
    """The commitments of member `key`. `send` puts a transaction into the outbox, `on_chain(epoch)` tells whether one was seen there."""

    def __init__(
        self,
        swarm: Swarm,
        key: bytes,
        schedule: Schedule,
        recorder: Recorder,
        desk: Desk,
        outbox: Outbox,
        send: Callable[..., bool],
        heard: Callable[[], list[bytes]],
        say: Callable[[str], None],
        on_chain: Callable[[int], bool],
    ):
        self.swarm, self.key, self.schedule, self.recorder, self.desk = swarm, key, schedule, recorder, desk
        self.outbox, self.send, self.heard, self.say, self._on_chain = outbox, send, heard, say, on_chain
        self.next = recorder.closed + 1  # the epoch to be closed next
        self._rehearsals: dict[int, Rehearsal] = {}
        self._troubles: dict[int, str] = {}  # why an epoch waits for its window to be over

    def bring_on(self, now: int) -> None:
        """Close every epoch that has ended and commit it."""
        while self.schedule.end(self.next) < now and not self.recorder.pending:
            self.recorder.close(self.next, self.heard())
            self.next += 1
        for number in self.recorder.unsettled:
            if not self._handed_over(number, now):
                return  # one after the other: each continues the states of the one before, and the ledger takes them for continuous

    def _handed_over(self, number: int, now: int) -> bool:
        """Bring the commitment of a closed epoch one step on; whether it is on the chain, or too late and so on its way there unpaid."""
        if self._on_chain(number):
            return True
        if any(intent.id in (f"commit {number}", f"late {number}") for intent in self.outbox.waiting):
            return False
        if number in self.recorder.unposted:
            return self._rehearsed(number, now) and self._post(number, now)
        if self.swarm.member(self.key).next > number:
            return True  # mined, and its event not read yet
        return now > self.schedule.commit_until(number) and self._post(number, now)  # the chain was out of reach during its window

    def _rehearsed(self, number: int, now: int) -> bool:
        """Whether an epoch may be committed: one of its steps, drawn by this node alone, was replayed, or there is no more time for that."""
        if now > self.schedule.end(number) + self.schedule.grace * REHEARSAL:
            return True
        rehearsal = self._rehearsals.get(number)
        if rehearsal is None:
            steps = self.recorder.steps(number)
            rehearsal = self._rehearsals[number] = Rehearsal(number, secrets.choice(steps).leaf.step)
            self.desk.rehearse(rehearsal)
        return rehearsal.verdict is not None

    def _post(self, number: int, now: int) -> bool:
        """Send the commitment of a closed epoch; late, which is unpaid but keeps the row of states, where its window is over. Whether it was late."""
        epoch = self.recorder.epoch(number)
        assert epoch is not None
        late = now > self.schedule.commit_until(number)
        if not late and (trouble := self._trouble(epoch)):
            self._troubles[number] = trouble
            return False  # it waits until its window is over
        if late:
            self._send_late(epoch, now)
        else:
            self._send_paid(epoch)
        for kept in (self._rehearsals, self._troubles):
            kept.pop(number, None)
        self.recorder.posted(number)
        return late

    def _trouble(self, epoch: Epoch) -> str:
        """Why an epoch cannot be committed in its window: an honest peer with such records would look like a forger. Empty where it can."""
        rehearsal = self._rehearsals.get(epoch.number)
        if rehearsal is not None and rehearsal.verdict == "fault":
            return f"the own replay of step {rehearsal.step} disagrees ({rehearsal.what}); is this machine's memory sound?"
        try:
            coherence.check_row(epoch, self._earlier(epoch.number), self.swarm.base)
        except Refused as error:
            return f"{error}; was an old copy of this peer's state taken up?"
        known = self.swarm.member(self.key).last
        if epoch.first != known:
            return f"its records begin at state {epoch.first.hex()[:8]}, the last one on the chain is {known.hex()[:8]}; was this peer's state lost?"
        return ""

    def _earlier(self, number: int) -> list[Epoch]:
        """The own epochs that an auditor of epoch `number` looks at too."""
        found = [self.recorder.epoch(each) for each in self.schedule.seeds_for(number)[:-1] if self._on_chain(each)]
        return [epoch for epoch in found if epoch is not None]

    def _send_late(self, epoch: Epoch, now: int) -> None:
        args = [self.key, epoch.number, len(epoch.leaves), epoch.root, epoch.last, epoch.digest]
        goal = Goal(contract="ledger", function="memberOf", args=[self.key], field="next", op="gt", value=epoch.number)
        self.send(f"late {epoch.number}", "commitLate", "ledger", args, now + LATE_S, goal, lane="commit")
        if why := self._troubles.get(epoch.number):
            self.say(f"epoch {epoch.number}: {why}")
        self.say(f"epoch {epoch.number}: {len(epoch.leaves)} steps are committed after its window: they keep the row of states, and earn nothing")
        self.recorder.settled(epoch.number)

    def _send_paid(self, epoch: Epoch) -> None:
        steps, units = len(epoch.leaves), min(epoch.units, self.swarm.terms.maxUnits)
        args = [self.key, epoch.number, steps, units, epoch.root, epoch.last, epoch.digest]
        goal = Goal(contract="ledger", function="memberOf", args=[self.key], field="next", op="gt", value=epoch.number)
        self.send(f"commit {epoch.number}", "commit", "ledger", args, self.schedule.commit_until(epoch.number), goal, lane="commit")
        self.say(f"epoch {epoch.number}: {steps} steps, {units} units; {odds.sentence(steps, self.swarm.terms.segments, UNBONDING_EPOCHS)}")
