"""One play: members commit, draw, audit, judge and settle epochs through the real contracts, until every case is closed.

The chain's time jumps from one thing that is due to the next. What a node's duties do (swarm/duties.py) is done here for all members at once,
so that an epoch takes a second instead of minutes; the verdicts of honest auditors come from the real desk.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from benchmarks.cheats.conduct import Honest, Honestly, Opinion, Work
from benchmarks.cheats.ground import Call, Ground, call
from benchmarks.cheats.inspection import Inspection
from benchmarks.cheats.recorded import SWARM, Own
from swarm import enrolment
from swarm.chain.values import Phase
from swarm.keys import address_of, checksum, keccak
from swarm.proof.audit import Commitment
from swarm.proof.onion import Onion

TURNS = 200  # of one play, at most
LINKS = 16


@dataclass
class Member:
    """A member of the play. `key` is its name on the chain."""

    own: Own
    key: bytes
    session: bytes
    onion: Onion
    conduct: Honest
    work: dict[int, Work] = field(default_factory=dict)  # what it committed, by epoch

    @property
    def secret(self) -> bytes:
        return self.own.identity.secret

    @property
    def operator(self) -> bytes:
        return self.own.identity.address

    @property
    def peer(self) -> bytes:
        return self.conduct.peer or self.own.identity.peer


@dataclass
class Seat:
    """One verdict on its way: who sits where, and what it thinks."""

    member: Member
    opinion: Opinion
    salt: bytes
    opened: bool = False


@dataclass
class Case:
    """A commitment whose case is not closed yet."""

    header: SimpleNamespace
    prover: Member
    work: Work
    drawn: list[int] = field(default_factory=list)
    seats: dict[tuple[int, int, bytes], Seat] = field(default_factory=dict)  # by level, roll, member
    contested: bool = False


class Play:
    """A play of `epochs` epochs from the start of the swarm. `members` in the order of their enrolment."""

    def __init__(self, ground: Ground, inspection: Inspection, members: list[Member], folder: Path, epochs: int):
        self.ground, self.inspection, self.members, self.epochs = ground, inspection, members, epochs
        self.chain, self.swarm, self.schedule, self.shelves = ground.chain, ground.swarm, ground.schedule, inspection.shelves
        self.cases: list[Case] = []
        self.closed: list[Case] = []
        self.refused: list[str] = []
        self.earlier: dict[bytes, list[SimpleNamespace]] = {}  # headers by member
        self._committed, self._forfeited, self._shown = 0, 0, set()
        self._renewal = Onion(folder / f"{secrets.token_hex(8)}.key", LINKS)
        self.shelves.withheld.clear()

    def run(self) -> None:
        """Play until everything is closed."""
        first = self.members[0]  # a new chain of hashes of one member is new randomness for the play
        self.send([call(first.session, "beacon", "setTip", first.key, self._renewal.tip)])
        first.onion = self._renewal
        for member in self.members:
            for each in member.conduct.prepare(self, member):  # one may need the one before
                self.send([each])
        for _ in range(TURNS):
            self.turn(self.ground.now)
            if (due := self._next_time()) is None:
                break
            self.ground.jump(due)
        else:
            raise RuntimeError("the play does not end")
        for member in self.members:
            member.conduct.after(self, member)

    def turn(self, now: int) -> None:
        """Do everything that is due."""
        self._commit(now)
        self._randomness(now)
        states = [(case, self.swarm.case(case.header.key, case.header.epoch)) for case in self.cases]
        self.send([each for case, state in states if state.phase == Phase.AUDIT for each in self._sit(case, state)])
        self.send([each for case, state in states if state.phase == Phase.REVEAL for each in self._open(case, state)])
        self.send([each for case, state in states if state.phase == Phase.CHALLENGE for each in self._contest(case)])
        over = [case for case, state in states if state.phase == Phase.CLOSED]
        self.send([call(case.prover.session, "court", "finalize", vars(case.header)) for case in over])
        self.send([call(case.prover.session, "ledger", "settle", vars(case.header)) for case in over if not self._settled(case)])
        self.closed += over
        self.cases = [case for case in self.cases if case not in over]

    def send(self, calls: list[Call]) -> None:
        """Put calls into one block; what the contracts refuse is kept."""
        if calls:
            self.refused += self.ground.send(calls)

    def _commit(self, now: int) -> None:
        """Everyone commits the epoch that has just ended."""
        number = self._committed
        if number >= self.epochs or now <= self.schedule.end(number):
            return
        self._committed += 1
        found = {member.key: work for member in self.members if (work := member.conduct.work(self, member.own, number)) is not None}
        makers = [member for member in self.members if member.key in found]
        self.send([each for member in makers for each in member.conduct.before_commit(self, member, number)])
        headers = [self._header(member, found[member.key].epoch) for member in makers]
        fields = ("key", "epoch", "steps", "units", "root", "last", "data")
        self.send([call(m.session, "ledger", "commit", *(getattr(h, name) for name in fields)) for m, h in zip(makers, headers, strict=True)])
        for member, header in zip(makers, headers, strict=True):
            if not self.chain.read("ledger", "isCommitted", vars(header)):
                continue
            work = member.work[number] = found[member.key]
            self.shelves.blobs |= member.own.blobs | work.blobs | {header.data: work.epoch.pack()}
            self.cases.append(Case(header, member, work))
            self.earlier.setdefault(member.key, []).append(header)

    def _header(self, member: Member, epoch: object) -> SimpleNamespace:
        first = self.swarm.member(member.key).last
        units = min(epoch.units, self.swarm.terms.maxUnits)
        around = dict(root=epoch.root, first=first, last=epoch.last, data=epoch.digest)
        return SimpleNamespace(key=member.key, epoch=epoch.number, steps=len(epoch.leaves), units=units, **around)

    def _randomness(self, now: int) -> None:
        """Everyone shows a link while its window is open; after it, whoever did not is charged."""
        for epoch in range(self._committed):
            opens, closes = self.schedule.commit_until(epoch) + 1, self.schedule.beacon_until(epoch)
            if opens <= now < closes and epoch not in self._shown:
                self._shown.add(epoch)
                self.send([each for member in self.members if member.conduct.online(self) for each in self._link(member, epoch)])
        while self._forfeited < self._committed and now >= self.schedule.beacon_until(self._forfeited):
            self.charge(self._forfeited)
            self._forfeited += 1

    @staticmethod
    def account(member: Member) -> str:
        """The 0x address of a member's session key."""
        return checksum(address_of(member.session))

    def charge(self, epoch: int) -> None:
        """Charge everyone who kept back its part of the randomness after `epoch`."""
        first = self.members[0]
        missed = [m for m in self.members if self.chain.read("beacon", "missed", m.key, epoch + 1)]
        self.send([call(first.session, "vault", "forfeit", member.key, epoch + 1) for member in missed])

    def _link(self, member: Member, epoch: int) -> list[Call]:
        if not self.chain.read("vault", "weightAt", member.key, epoch):
            return []
        held = self.chain.read("beacon", "chainOf", member.key)
        link = member.onion.below(held.next if held.next != bytes(32) and held.__dict__["from"] <= epoch else held.current)
        return [] if link is None else [call(member.session, "beacon", "reveal", member.key, epoch + 1, link)]

    def _sit(self, case: Case, state: SimpleNamespace) -> list[Call]:
        """The drawn members give their verdicts."""
        header = case.header
        if not case.drawn:
            case.drawn = self.swarm.drawn_steps(header.key, header.epoch, header.steps)
            self.shelves.withheld |= case.prover.conduct.drawn(self, case.work, case.drawn)
        panel = self.swarm.panel(header.key, header.epoch, state.level, state.roll)
        calls = []
        for member in self.members:
            place = (state.level, state.roll, member.key)
            if member.key in panel and place not in case.seats and member.conduct.online(self):
                opinion = member.conduct.opinion(self, member, case, self._finder(case, state))
                seat = case.seats[place] = Seat(member, opinion, secrets.token_bytes(32))
                hashed = self._hash(case, state.level, seat)
                calls.append(call(member.session, "court", "commitVerdict", member.key, header.key, header.epoch, state.level, hashed))
        return calls

    def _finder(self, case: Case, state: SimpleNamespace) -> Honestly:
        """The honest verdict, found when it is asked for."""
        header, prover = case.header, case.prover
        recent = self.schedule.seeds_for(header.epoch)[:-1]
        earlier = tuple((made.steps, made.data) for made in self.earlier.get(prover.key, []) if made.epoch in recent)
        around = dict(swarm=SWARM, cap=self.swarm.terms.maxUnits, earlier=earlier)
        said = Commitment(**vars(header), peer=prover.peer, operator=prover.operator, **around)

        return Honestly(lambda: self.inspection.audit(said, case.drawn, state.phaseEnds, self.ground.now))

    def _hash(self, case: Case, level: int, seat: Seat) -> bytes:
        opinion, header = seat.opinion, case.header
        said = (int(opinion.kind), opinion.step, opinion.value, seat.salt)
        return self.chain.read("court", "verdictHash", seat.member.operator, header.key, header.epoch, level, *said)

    def _open(self, case: Case, state: SimpleNamespace) -> list[Call]:
        """The verdicts of the panel in session are opened."""
        calls = []
        for (level, roll, _), seat in case.seats.items():
            if (level, roll) == (state.level, state.roll) and not seat.opened:
                seat.opened, said = True, seat.opinion
                args = (seat.member.key, vars(case.header), level, int(said.kind), said.step, said.value, seat.salt)
                calls.append(call(seat.member.session, "court", "revealVerdict", *args))
        return calls

    def _contest(self, case: Case) -> list[Call]:
        if case.contested:
            return []
        case.contested = True
        return case.prover.conduct.contest(self, case.prover, case)

    def _settled(self, case: Case) -> bool:
        return self.chain.read("ledger", "isSettled", case.header.key, case.header.epoch)

    def _next_time(self) -> int | None:
        """Chain time of the next thing that is due; None where nothing is."""
        now = self.ground.now
        times = [self.swarm.case(case.header.key, case.header.epoch).phaseEnds for case in self.cases]
        if self._committed < self.epochs:
            times.append(self.schedule.end(self._committed) + 1)
        for epoch in range(self._committed):
            times += [self.schedule.commit_until(epoch) + 1, self.schedule.beacon_until(epoch)]
        ahead = [time for time in times if time > now]
        return min(ahead) if ahead else None


def enter(ground: Ground, owns: tuple[Own, ...], conducts: list[Honest]) -> list[Member]:
    """The members of a play with their keys."""
    members = []
    for own, folder, onion, conduct in zip(owns, ground.folders, ground.onions, conducts, strict=False):
        key = ground.swarm.key(own.identity.address, own.identity.peer)
        members.append(Member(own, key, enrolment.session_key(folder), onion, conduct))
    return members


def token(*parts: bytes) -> bytes:
    """32 bytes that nobody else made."""
    return keccak(b"benchmarks/cheats", *parts, secrets.token_bytes(16))
