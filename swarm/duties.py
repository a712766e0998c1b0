"""What a node owes its swarm each epoch, in a thread beside its rounds: commit, reveal randomness, open, audit, vote, settle.

    epoch ends        close the records, commit their root                                        (`Commitments`)
    commits are over  show one link of the chain of hashes; out of all of them come draws and seed (`Shares`)
    draws are known   serve the own drawn states; audit what this peer was drawn for              (`_open`, `_seats`)
    audits are over   open the verdicts, then the salts of the own drawn steps                    (`_reveal`)
    case is closed    carry it out, add the units, release the blobs                              (`_settle`)
    besides           what others ask for, such as the judge market's anchors                     (`take_on`)

The chain is asked anew at every turn, and everything that is sent goes through the outbox, so the thread can be killed at any line.
A chain that does not answer is said once and asked again; the node trains on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swarm.beat import Beat
from swarm.chain.client import Chain, Swarm
from swarm.chain.history import History
from swarm.chain.logs import Event, Scanner
from swarm.chain.outbox import Goal, Intent, Outbox
from swarm.chain.values import Outcome, Phase, Verdict, header_of
from swarm.commitments import LATE_S, Commitments
from swarm.epochseeds import EpochSeeds
from swarm.errors import ChainError
from swarm.keys import address_of, checksum
from swarm.proof.audit import Audit, Commitment
from swarm.proof.ballots import Ballot, Ballots, name, new_salt
from swarm.proof.desk import Desk, Opening
from swarm.proof.onion import Onion
from swarm.proof.recorder import Recorder
from swarm.proof.schedule import Clock, Schedule
from swarm.recipe import KEPT
from swarm.shares import Shares

TURN_S = 1.0
CLOSE_S = 15.0
LEAVE_S = 2.0
REMEMBER_S = 30  # between two looks at what was seen on the chain before
VERDICTS = {"ok": Verdict.OK, "fault": Verdict.FAULT, "unavailable": Verdict.UNAVAILABLE, "cannot": Verdict.CANNOT}
PAUSED = "it is in no draw and has no weight, neither in panels nor for the judge market's roots, until `swarm resume`"
NEVER = 2**62
LONGEST_REST = 16  # epochs
CLOSED_KEPT = KEPT + 4  # of each member: cases remembered after they were settled, and commitments

Say = Callable[[str], None]


@dataclass
class Told:
    """What is shown of the duties: counts since the start, and the last trouble with the chain."""

    commitments: int = 0
    audits: int = 0
    agreed: int = 0
    settled: int = 0
    units: int = 0
    trouble: str = ""


@dataclass
class _Case:
    """A commitment that is not settled yet, as far as this node has to do with it."""

    header: SimpleNamespace
    peer: bytes
    operator: bytes
    opened: bool = False
    served: set[int] = field(default_factory=set)  # own steps whose states are there for panels
    audits: dict[str, Audit] = field(default_factory=dict)  # by seat


class Duties:
    """The duties of member `key`, done with its session key `secret`."""

    def __init__(
        self,
        chain: Chain,
        swarm: Swarm,
        key: bytes,
        secret: bytes,
        schedule: Schedule,
        clock: Clock,
        recorder: Recorder,
        seeds: EpochSeeds,
        desk: Desk,
        onion: Onion,
        folder: Path,
        heard: Callable[[], list[bytes]],
        say: Say = print,
    ):
        """`heard()` are the peers whose announcements were seen lately; `folder` holds outbox and ballots."""
        self.chain, self.swarm, self.key, self.schedule, self.clock = chain, swarm, key, schedule, clock
        self.recorder, self.seeds, self.desk, self.heard, self.say = recorder, seeds, desk, heard, say
        self.account, self._secret = checksum(address_of(secret)), secret
        self.outbox = Outbox(folder / "outbox.json", chain, [secret])
        self.ballots = Ballots(folder / "ballots")
        self.told = Told()
        self._scanner = Scanner(chain, ("registry", "ledger"))
        self._history, self._remembered = History(folder / "history.json", chain), 0
        self._members: dict[bytes, tuple[bytes, bytes]] = {}  # key -> (operator, peer)
        self._cases: dict[tuple[bytes, int], _Case] = {}
        self._settled: dict[tuple[bytes, int], None] = {}
        self._blobs: dict[tuple[bytes, int], tuple[int, bytes]] = {}  # steps and data of every recent commitment in time
        self._late: dict[tuple[bytes, int], tuple[int, bytes]] = {}  # of those that came late
        self._sent: set[str] = set()
        self._shares = Shares(chain, swarm, key, schedule, onion, self.send, say)
        self._alone, self._out = False, NEVER  # the epoch in which this peer was first seen paused
        self._rests, self._resting = 0, False  # since the last audit in time; whether an audit too late put this peer out of the draws
        self._excused = 0  # chain time until which a pause is that of an audit too late, and not the owner's
        parts = (schedule, recorder, desk, self.outbox, self.send, heard, say)
        self._commitments = Commitments(swarm, key, *parts, lambda number: (key, number) in self._blobs)
        self._further: list[Callable[[int], None]] = []
        self.accuse: Callable[[SimpleNamespace, Audit], None] = lambda header, audit: None  # hears of every fault that an own audit found
        self._beat = Beat("duties", TURN_S, self._try)

    def start(self) -> None:
        self._beat.start()

    def take_on(self, duty: Callable[[int], None]) -> None:
        """Do this too at every turn, with the chain's time (s). It may `send`, and raise ChainError."""
        self._further = [*self._further, duty]

    def close(self, leaves: bool = False) -> None:
        """End the thread. `leaves`: this member ends in order and is not to be drawn while it is away; its next start resumes."""
        self._beat.stop()
        self._beat.await_end(CLOSE_S)
        if leaves:
            with contextlib.suppress(ChainError):  # then it is drawn, and pays for an absence
                self._leave(Chain(self.chain.link, timeout_s=1.0))

    def _leave(self, chain: Chain) -> None:
        now = chain.read("vault", "stakeOf", self.key)
        if now.active and not now.paused:
            chain.send(self._secret, "vault", "pause", self.key, timeout_s=LEAVE_S)

    def require_alive(self) -> None:
        """A bug that ended the duties' thread must not look like a quiet chain."""
        self._beat.require_alive()

    def committed(self, key: bytes, epoch: int) -> tuple[int, bytes] | None:
        """Steps and data of a recent commitment of a member, in time or late; None where there is none on the chain."""
        return self._blobs.get((key, epoch)) or self._late.get((key, epoch))

    @property
    def done(self) -> bool:
        """Whether every own step is committed and every case this node is part of is settled."""
        last = max((step.leaf.epoch for step in self.recorder.all_steps), default=-1)
        owed = any(epoch <= last for _, epoch in list(self._cases))  # of others too: they need auditors
        return last <= self.recorder.closed and not (owed or self.recorder.unsettled or self.outbox.waiting or self.desk.waiting)

    def turn(self) -> None:
        """Look at the chain once and do what is due. Raises the first ChainError where it does not answer, after all that could be done."""
        head = self.chain.head()
        self.clock.observe(head.time)
        now = head.time
        trouble: list[ChainError] = []
        duties = (self._learn, self._come_back, self._company, self._commitments.bring_on, self._shares.show, self._report, self._remember)
        cases = [lambda now, case=case: self._serve(case, now) for case in self._cases.values()]
        for part in (*duties, *cases, *self._further, self._pump):
            try:
                part(now)
            except ChainError as error:  # what one question meets does not stop the others: deadlines pass
                trouble.append(error)
        self._clean(now)
        if trouble:
            raise trouble[0]

    def _report(self, now: int) -> None:
        self._shares.report(now, list(self._members))

    def _pump(self, now: int) -> None:
        for moved in self.outbox.pump():
            self._tell(moved)
        if self.outbox.trouble:
            raise ChainError(self.outbox.trouble)

    def _try(self) -> None:
        self.desk.require_alive()
        try:
            self.turn()
            self.told.trouble = ""
        except ChainError as error:
            if str(error) != self.told.trouble:
                self.say(f"chain: {error}; training goes on, and what is due is sent later")
            self.told.trouble = str(error)

    def _learn(self, now: int) -> None:
        """New members, commitments and seeds."""
        found = self._scanner.scan().new
        self._history.add(found)
        for event in found:
            self._take(event)
        for epoch in range(max(1, self.seeds.known), self.schedule.epoch_at(now) + 1):
            seed = self.swarm.epoch_seed(epoch)
            if seed is not None:
                self.seeds.learn(epoch, seed)

    def _take(self, event: Event) -> None:
        values = event.values
        if event.name == "Entered" and values["swarm"] == self.swarm.id:
            self._members[values["key"]] = (values["operator"], values["peer"])
        elif event.name == "Committed" and values["key"] in self._members:
            place = (values["key"], values["epoch"])
            if values["late"]:
                self._late[place] = (values["steps"], values["data"])
                return
            self._blobs[place] = (values["steps"], values["data"])
            if place not in self._settled:
                operator, peer = self._members[values["key"]]
                header = header_of(values)
                self._cases.setdefault(place, _Case(header, peer, operator))

    def _come_back(self, now: int) -> None:
        """A member that missed a duty has paid for it and is out of the draws, without capacity, until it says that it is back."""
        stake, epoch = self.swarm.stake(self.key), self.schedule.epoch_at(now)
        if not stake.paused or stake.lapsed:
            self._out = NEVER
        elif self._out == NEVER:
            self._out, self._resting = epoch, now <= self._excused
        if self._out != NEVER and self._resting:
            return self._rest(epoch, now)
        if self._out < epoch and f"paused {self._out}" not in self._sent:  # a start resumes, which takes a moment
            self._sent.add(f"paused {self._out}")
            self.say(f"this peer is paused by its owner: {PAUSED}")
        if stake.lapsed:
            goal = Goal(contract="vault", function="stakeOf", args=[self.key], field="lapsed", value=False)
            if self.send(f"resume {epoch}", "resume", "vault", [self.key], now + self.schedule.epoch, goal):
                self.say("a duty was missed: this peer has paid for an absence and comes back into the draws")

    def _rest(self, epoch: int, now: int) -> None:
        """A member that could not replay in time is out of the draws; it comes back by itself, after longer and longer rests if that goes on."""
        if epoch < self._out + min(LONGEST_REST, 2**self._rests):
            return
        goal = Goal(contract="vault", function="stakeOf", args=[self.key], field="paused", value=False)
        if self.send(f"rested {epoch}", "resume", "vault", [self.key], now + self.schedule.epoch, goal):
            self._rests += 1
            self.say("an audit came too late here, which put this peer out of the draws: it comes back into them")

    def _company(self, now: int) -> None:
        """Say once an epoch whether enough others of this machine's class could audit it: without them its work scores nothing."""
        epoch = self.schedule.epoch_at(now)
        if f"company {epoch}" in self._sent or not self.swarm.stake(self.key).active:
            return
        self._sent.add(f"company {epoch}")
        others, needed = self.chain.read("vault", "othersAt", self.key, epoch)
        few = f"{others} other operators of this machine's class can audit it, {needed} are needed: its work scores nothing until more join"
        alone = others < needed
        if alone != self._alone:
            self.say(few if alone else "enough others of this machine's class can audit it now: its work scores")
        self._alone = alone

    def _remember(self, now: int) -> None:
        """Look now and then whether the chain still says what this node saw it say: its owner could rewrite a local one."""
        if now - self._remembered >= REMEMBER_S:
            self._remembered = now
            for each in self._history.check():
                self.say(f"the chain was rewritten: {each.sentence}")

    def _serve(self, case: _Case, now: int) -> None:
        """Everything that this node owes to one case now."""
        header = case.header
        if now < self.schedule.beacon_until(header.epoch):
            return
        state = self.swarm.case(header.key, header.epoch)
        if header.key == self.key:
            self._open(case, state)
        if state.phase == Phase.AUDIT:
            self._seat(case, state, now)
        if state.phase in (Phase.REVEAL, Phase.CHALLENGE):
            self._reveal(case, state, now)
        if state.phase == Phase.CLOSED:
            self._settle(case, state, now)

    def _open(self, case: _Case, state: SimpleNamespace) -> None:
        """Serve the drawn states of an own commitment, and the disputed ones to a jury."""
        steps = self.swarm.disputed_steps(self.key, case.header.epoch) if state.level > 0 and self._holds(case.header) else []
        if not case.opened:
            case.opened = True
            if not self._holds(case.header):
                self.say(f"epoch {case.header.epoch}: its records are not here any more, so nobody can audit it: no score, and an absence at most")
                return
            steps += self.swarm.drawn_steps(self.key, case.header.epoch, case.header.steps)
        for step in {*steps} - case.served:
            case.served.add(step)
            self.desk.open(Opening(case.header.epoch, step))

    def _holds(self, header: SimpleNamespace) -> bool:
        """Whether the records of an own commitment are still here: a peer whose state was lost keeps its name and what it had committed."""
        epoch = self.recorder.epoch(header.epoch)
        return epoch is not None and epoch.digest == header.data

    def _seat(self, case: _Case, state: SimpleNamespace, now: int) -> None:
        """Audit what this member was drawn for, and commit the verdict."""
        header = case.header
        seat = name(header.key, header.epoch, state.level, state.roll)
        seated = seat in case.audits or self.key in self.swarm.panel(header.key, header.epoch, state.level, state.roll)
        if header.key == self.key or not seated:
            return
        if (ballot := self.ballots.get(seat)) is None:
            ballot = self._audited(case, state, seat, now)
        if ballot is not None:
            where = [header.key, header.epoch, state.level, state.roll, self.key]
            goal = Goal(contract="court", function="voteOf", args=where, field="commitment", value=bytes.fromhex(ballot.hash))
            args = [self.key, header.key, header.epoch, state.level, bytes.fromhex(ballot.hash)]
            self.send(f"verdict {seat}", "commitVerdict", "court", args, state.phaseEnds, goal)

    def _audited(self, case: _Case, state: SimpleNamespace, seat: str, now: int) -> Ballot | None:
        """The ballot of an audit that is done; begins the audit where it was not begun."""
        header, audit = case.header, case.audits.get(seat)
        if audit is None:
            drawn = self.swarm.drawn_steps(header.key, header.epoch, header.steps)
            who = {"swarm": self.swarm.id, "peer": case.peer, "operator": case.operator, "cap": self.swarm.terms.maxUnits}
            earlier = [self._blobs.get((header.key, epoch)) for epoch in self.schedule.seeds_for(header.epoch)[:-1]]
            said = Commitment(**vars(header), **who, earlier=tuple(filter(None, earlier)), base=self.swarm.base)
            beacon = self.swarm.audit_beacon(header.epoch) or b""
            disputed = self.swarm.disputed_steps(header.key, header.epoch) if state.level > 0 else []
            audit = case.audits[seat] = Audit(said, drawn, state.phaseEnds, state.level, disputed, beacon)
            self.desk.audit(audit)
        if audit.verdict is None:
            return None
        kind, salt = VERDICTS[audit.verdict], new_salt()
        if kind == Verdict.FAULT:
            self.accuse(header, audit)
        if kind == Verdict.CANNOT:
            level = self.schedule.audit + self.schedule.reveal + self.schedule.challenge
            self._excused = now + 2 * level + self.schedule.epoch  # its case is closed by then
        else:
            self._rests = 0
        value = audit.value if kind == Verdict.OK else audit.missing if kind == Verdict.UNAVAILABLE else bytes(32)
        step = audit.step if kind in (Verdict.FAULT, Verdict.UNAVAILABLE) else 0
        operator = self._members[self.key][0]
        hashed = self.chain.read(
            "court", "verdictHash", operator, header.key, header.epoch, state.level, int(kind), step, value, bytes.fromhex(salt)
        )
        ballot = Ballot(header.key.hex(), header.epoch, state.level, state.roll, int(kind), step, value.hex(), salt, hashed.hex())
        self.ballots.put(ballot)
        self.told.audits += 1
        self.told.agreed += kind == Verdict.OK
        return ballot

    def _reveal(self, case: _Case, state: SimpleNamespace, now: int) -> None:
        """Open the own verdict; then, as the prover, the salts of the drawn steps."""
        header = case.header
        seat = name(header.key, header.epoch, state.level, state.roll)
        ballot = self.ballots.get(seat)
        where = [header.key, header.epoch, state.level, state.roll, self.key]
        if ballot is not None and state.phase == Phase.REVEAL:
            goal = Goal(contract="court", function="voteOf", args=where, field="verdict", op="ne", value=0)
            opened = [ballot.kind, ballot.step, bytes.fromhex(ballot.value), bytes.fromhex(ballot.salt)]
            args = [self.key, vars(header), state.level, *opened]
            self.send(f"open {seat}", "revealVerdict", "court", args, state.phaseEnds, goal)
        if header.key == self.key and state.phase == Phase.CHALLENGE and state.level == 0 and self._holds(header):
            drawn = self.swarm.drawn_steps(self.key, header.epoch, header.steps)
            salts = {step.leaf.step: step.salt for step in self.recorder.steps(header.epoch)}
            self.send(f"salts {header.epoch}", "openSalt", "court", [vars(header), [salts[step] for step in drawn]], state.phaseEnds, None)

    def _settle(self, case: _Case, state: SimpleNamespace, now: int) -> None:
        """Carry out an own closed case. Others' cases are forgotten: their provers settle them."""
        header = case.header
        if header.key == self.key:
            args, until = [vars(header)], now + LATE_S
            if not state.finalized:
                goal = Goal(contract="court", function="caseOf", args=[self.key, header.epoch], field="finalized")
                self.send(f"finalize {header.epoch}", "finalize", "court", args, until, goal, lane="settle")
                return
            if not self.chain.read("ledger", "isSettled", self.key, header.epoch):
                goal = Goal(contract="ledger", function="isSettled", args=[self.key, header.epoch])
                self.send(f"settle {header.epoch}", "settle", "ledger", args, until, goal, lane="settle")
                return
            self._say_outcome(header, state)
            self.recorder.settled(header.epoch)
        del self._cases[header.key, header.epoch]
        self._settled[header.key, header.epoch] = None

    def _say_outcome(self, header: SimpleNamespace, state: SimpleNamespace) -> None:
        outcome = Outcome(state.outcome)
        panel = ", small panel" if state.smallPanel else ""
        self.told.settled += 1
        if outcome == Outcome.CLEAN:
            self.told.units += header.units
            self.say(f"epoch {header.epoch} is closed: clean{panel}, {header.units} work units verified")
        else:
            self.say(f"epoch {header.epoch} is closed: {outcome.name.lower()}{panel}, no score")

    def _clean(self, now: int) -> None:
        """Release the blobs of epochs whose own cases are settled, and old ballots."""
        self.recorder.forget(min([*self.recorder.unsettled, self._commitments.next]))
        oldest = min([epoch for _, epoch in self._cases] + [self._commitments.next])
        self.ballots.forget_before(oldest - 1)
        while len(self._settled) > CLOSED_KEPT * max(1, len(self._members)):
            del self._settled[next(iter(self._settled))]
        for blobs in (self._blobs, self._late):
            while len(blobs) > CLOSED_KEPT * max(1, len(self._members)):
                del blobs[next(iter(blobs))]

    def send(self, id: str, function: str, contract: str, args: list[Any], deadline: int, goal: Goal | None, lane: str = "") -> bool:
        """Put a transaction into the outbox; False where it lies there already, or has been done."""
        intent = Intent(id=id, contract=contract, function=function, args=args, account=self.account, deadline=deadline, goal=goal, lane=lane or id)
        return self.outbox.add(intent)

    def _tell(self, intent: Intent) -> None:
        if intent.state == "dropped":
            self.say(f"chain: {intent.function} ({intent.id}) was not done: {intent.why}")
        if intent.state == "mined" and intent.function == "commit":
            self.told.commitments += 1

