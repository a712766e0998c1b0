"""One job, played act by act: posted, seeded, claimed, trained epoch by epoch, audited, delivered, settled, with any part of it played badly.

play = Play(stage, terms, solvers=["solver"]).open()
play.epoch({"solver": Work(40, forged=1, hit=True)}, seats=(lazy,))
play.finish()
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

from benchmarks.deviations.stage import Actor, Stage
from swarm import keys
from swarm.chain.values import Outcome, Phase, Verdict
from swarm.errors import ChainRefused
from swarm.jobs.offer import Offer
from swarm.recipe import Recipe
from swarm.seeds import derive

NOBODY = bytes(32)
EVALUATION, SALT = keys.keccak(b"benchmarks/deviations evaluation"), keys.keccak(b"benchmarks/deviations salt")
COMMITMENT = keys.keccak(EVALUATION, SALT)


@dataclass(frozen=True)
class Terms:
    """The recipe as a job has it, and its offer: those of `swarm job submit` at its defaults."""

    rules: Recipe
    offer: Offer

    @property
    def drawn(self) -> int:
        return self.rules.proof.drawn


@dataclass
class Work:
    """A solver's epoch. `forged` steps cost it nothing and replay to something else; `hit`: one of them is among the drawn ones (how likely
    that is, is arithmetic; the acts play both). `planted`: it promised beforehand that the epoch holds a planted fault."""

    steps: int
    forged: int = 0
    hit: bool = False
    planted: bool = False


@dataclass
class Case:
    """A committed epoch on its way. `found` is what a replay of the drawn steps finds."""

    solver: Actor
    part: int
    work: Work
    header: SimpleNamespace
    drawn: list[int]
    found: tuple[int, int, bytes]  # verdict, step, value
    plant_salt: bytes
    opened: bool = False
    panel: list[Actor] = field(default_factory=list)  # the first one

    @property
    def seen(self) -> bool:
        return self.found[0] == Verdict.FAULT


Says = Callable[[Case], tuple[int, int, bytes]]
"""What an auditor says of a case without replaying it: verdict, step, value."""
Seats = Sequence[Says | None]


def lazy(case: Case) -> tuple[int, int, bytes]:
    """ "Fine", with a value that was made up."""
    return int(Verdict.OK), 0, os.urandom(32)


def leaked(case: Case) -> tuple[int, int, bytes]:
    """ "Fine", with the value that the solver let it know."""
    return int(Verdict.OK), 0, value_of(case.header)


def slander(case: Case) -> tuple[int, int, bytes]:
    """A fault in the first drawn step, where there is none."""
    return int(Verdict.FAULT), case.drawn[0], NOBODY


def value_of(header: SimpleNamespace) -> bytes:
    return derive("benchmarks/deviations value", header.key, header.epoch)


class Play:
    """A job with its own swarm. The verifiers are `verifiers` actors; the first two seed it."""

    def __init__(self, stage: Stage, terms: Terms, solvers: Iterable[str] = ("solver",), verifiers: int = 6, submitter: str = "submitter"):
        self.stage, self.terms, self.chain = stage, terms, stage.chain
        self.submitter = stage.actor(submitter)
        self.verifiers = [stage.actor(f"verifier-{number}") for number in range(verifiers)]
        self.solvers = [stage.actor(name) for name in solvers]
        self.swarm = stage.hire(self.submitter, terms.rules)
        self.job = self.swarm.id
        self.outcomes: list[Outcome] = []
        self.first_panel: list[Actor] = []  # of the first case

    # ---- before the work

    def open(self, claim: bool = True) -> Play:
        """Members join, the job is posted and seeded, its parts are claimed; then the first epoch begins in which everyone can be drawn."""
        stage, least = self.stage, self.swarm.terms.minStake
        for actor in self.verifiers:
            stage.enter(self.swarm, actor, least, random=True)
        for actor in self.solvers:
            stage.enter(self.swarm, actor, self.terms.offer.solverStake)
        stage.post(self.submitter, self.swarm, self.terms.offer)
        for actor in self.verifiers[:2]:
            stage.pay(actor, "market", "seed", self.job, self.key(actor))
        stage.until(self.swarm.end(self.swarm.epoch_at(stage.now)) + 1)
        stage.reveal(self.swarm, [actor.members[self.key(actor)] for actor in self.verifiers], self.swarm.epoch_at(stage.now) - 1)
        for part, actor in enumerate(self.solvers):
            if claim:
                stage.pay(actor, "market", "claim", self.job, part, self.key(actor))
        return self

    def key(self, actor: Actor) -> bytes:
        return self.swarm.key(actor.address, actor.peer)

    def enlist(self, name: str, stake: int) -> Actor:
        """A member that only challenges: it is paused, so no panel draws it."""
        actor = self.stage.actor(name)
        self.stage.pay(actor, "vault", "pause", self.stage.enter(self.swarm, actor, stake))
        return actor

    # ---- an epoch

    def epoch(self, works: dict[str, Work], seats: Seats = (), challengers: Sequence[str] = ()) -> list[Case]:
        """Commit what the solvers did, audit it, and close the cases.

        `seats` say what the seats of the first panel say instead of replaying (None: they replay). The first of `challengers` disputes every
        first verdict; the others try to do so too when they see it.
        """
        stage = self.stage
        number = self.swarm.epoch_at(stage.now)
        at_work = [(part, actor, works[actor.name]) for part, actor in enumerate(self.solvers) if actor.name in works]
        plants = [self._plant(actor, work, number) for _, actor, work in at_work]
        stage.until(self.swarm.end(number) + 1)
        cases = [self._commit(actor, part, work, number, salt) for (part, actor, work), salt in zip(at_work, plants, strict=True)]
        stage.reveal(self.swarm, [actor.members[self.key(actor)] for actor in self.verifiers], number)
        for case in cases:
            case.drawn = self.swarm.drawn_steps(case.header.key, number, case.header.steps)
            hit = case.work.forged and case.work.hit
            case.found = (int(Verdict.FAULT), case.drawn[0], NOBODY) if hit else (int(Verdict.OK), 0, value_of(case.header))
        self.judge(cases, seats, challengers)
        return cases

    def _plant(self, actor: Actor, work: Work, number: int) -> bytes:
        salt = os.urandom(32)
        if work.planted:
            hashed = self.chain.read("court", "plantHash", self.key(actor), number, 0, work.steps - 1, salt)
            self.stage.pay(actor, "court", "commitPlant", self.key(actor), hashed)
        return salt

    def _commit(self, actor: Actor, part: int, work: Work, number: int, salt: bytes) -> Case:
        key = self.key(actor)
        first = self.chain.read("ledger", "memberOf", key).last
        root, last, data = (keys.keccak(key, number.to_bytes(4, "big"), kind) for kind in (b"root", b"last", b"data"))
        self.stage.pay(actor, "ledger", "commit", key, number, work.steps, work.steps, root, last, data)
        actor.trained += work.steps - work.forged
        said = dict(key=key, epoch=number, steps=work.steps, units=work.steps, root=root, first=first, last=last, data=data)
        return Case(actor, part, work, SimpleNamespace(**said), [], (0, 0, NOBODY), salt)

    def judge(self, cases: list[Case], seats: Seats, challengers: Sequence[str]) -> None:
        """Every case from its audit to its end, then everything that follows from it."""
        number, opening = cases[0].header.epoch, []
        voted: set[tuple[bytes, int]] = set()
        while waiting := [(case, state) for case in cases if (state := self.swarm.case(case.header.key, number)).phase != Phase.CLOSED]:
            for case, state in waiting:
                if state.phase == Phase.AUDIT and (place := (case.header.key, state.level)) not in voted:
                    voted.add(place)
                    opening += self._vote(case, state, seats if state.level == 0 else ())
            if all(state.phase == Phase.REVEAL for _, state in waiting):
                for actor, args in opening:
                    self.stage.pay(actor, "court", "revealVerdict", *args)
                opening = []
            for case, state in waiting:
                if state.phase == Phase.CHALLENGE:
                    self._contest(case, state, challengers)
            self.stage.until(min(state.phaseEnds for _, state in waiting))
        for case in cases:
            self._close(case)

    def _vote(self, case: Case, state: SimpleNamespace, seats: Seats) -> list[tuple[Actor, tuple[Any, ...]]]:
        """The seats of a panel commit; returns how each is opened."""
        by_key = {self.key(actor): actor for actor in (*self.verifiers, *self.solvers)}
        opening = []
        panel = self.swarm.panel(case.header.key, case.header.epoch, state.level, state.roll)
        case.panel = case.panel or [by_key[key] for key in panel]
        self.first_panel = self.first_panel or case.panel
        for key, said in zip_longest(panel, seats[: len(panel)]):
            actor, salt = by_key[key], os.urandom(32)
            actor.replayed += 0 if said else len(case.drawn)
            verdict, step, value = said(case) if said else case.found
            where = (case.header.key, case.header.epoch, state.level)
            hashed = self.chain.read("court", "verdictHash", actor.address, *where, verdict, step, value, salt)
            self.stage.pay(actor, "court", "commitVerdict", key, *where, hashed)
            opening.append((actor, (key, vars(case.header), state.level, verdict, step, value, salt)))
        return opening

    def _contest(self, case: Case, state: SimpleNamespace, challengers: Sequence[str]) -> None:
        """What is due between a verdict and the case's end: an opened plant, a challenge."""
        if case.work.planted and not case.opened and state.level == 0:
            case.opened = True
            self.stage.pay(case.solver, "court", "openPlant", vars(case.header), 0, case.work.steps - 1, case.plant_salt)
        if challengers and state.level == 0 and not state.challenged and state.outcome != Outcome.OPEN:
            first, *others = map(self.stage.actor, challengers)
            self.challenge(case, first)
            for actor in others:
                with contextlib.suppress(ChainRefused):  # it comes too late, and has paid for its commitment
                    self.challenge(case, actor)

    def challenge(self, case: Case, actor: Actor) -> None:
        """Dispute the first verdict, by commit and reveal."""
        key, salt = self.key(actor), os.urandom(32)
        hashed = self.chain.read("court", "challengeHash", case.header.key, case.header.epoch, 0, key, salt)
        self.stage.pay(actor, "court", "commitChallenge", key, hashed)
        self.stage.until(self.stage.now + 2)
        self.stage.pay(actor, "court", "challenge", vars(case.header), key, salt)

    def _close(self, case: Case) -> None:
        """Carry a case out, and take or pay what follows."""
        key, number = case.header.key, case.header.epoch
        outcome = Outcome(self.swarm.case(key, number).outcome)
        self.outcomes.append(outcome)
        self.stage.pay(case.solver, "court", "finalize", vars(case.header))
        if not self.chain.read("ledger", "isSettled", key, number):
            self.stage.pay(case.solver, "ledger", "settle", vars(case.header))
        held = self.chain.read("market", "partOf", self.job, case.part).key == key
        if outcome == Outcome.CLEAN and held:
            self.stage.pay(case.solver, "market", "accept", self.job, case.part, vars(case.header), NOBODY)
        elif outcome == Outcome.PLANTED and case.seen and held:
            with contextlib.suppress(ChainRefused):  # not so many planted steps are paid
                self.stage.pay(case.solver, "market", "payPlant", self.job, case.part, vars(case.header))
            self.stage.pay(case.solver, "ledger", "adoptRoot", key, self.chain.read("market", "partOf", self.job, case.part).root)

    # ---- the end

    def deliver(self, part: int, attest: bool = True) -> None:
        solver, model = self.solvers[part], keys.keccak(self.job, bytes([part]))
        self.stage.pay(solver, "delivery", "deliver", self.job, part, model)
        for actor in self.verifiers[:2] if attest else ():
            self.stage.pay(actor, "delivery", "attest", self.job, part, self.key(actor), model)

    def finish(self) -> None:
        """Wait for the job's end, settle it, and let everyone take what is due."""
        self.stage.until(self.chain.read("market", "jobOf", self.job).ends + 1)
        self.stage.pay(self.submitter, "market", "settle", self.job)

    def evaluate(self, part: int, score: int) -> None:
        """The submitter opens the evaluation, and the seeders find `score` (1/10000)."""
        stage = self.stage
        stage.until(stage.now + self.terms.offer.openWindow + 1)  # for attestations
        stage.pay(self.submitter, "delivery", "openEvaluation", self.job, EVALUATION, SALT)
        window = self.terms.offer.openWindow
        stage.until(stage.now + 2)
        for actor in self.verifiers[:2]:
            where = (actor.address, bytes.fromhex(self.chain.address("delivery")[2:]), self.job, part.to_bytes(1, "big"))
            words = [word.rjust(32, b"\0") for word in (*where, score.to_bytes(4, "big"), SALT)]
            stage.pay(actor, "delivery", "commitScore", self.job, part, self.key(actor), keys.keccak(*words))
        stage.until(self.chain.read("delivery", "openedAt", self.job) + window + 1)
        for actor in self.verifiers[:2]:
            stage.pay(actor, "delivery", "revealScore", self.job, part, self.key(actor), score, SALT)

    def is_complete(self, part: int) -> bool:
        done, offer = self.chain.read("market", "partOf", self.job, part).steps, self.terms.offer
        return done >= offer.stepsEach or self.chain.read("market", "jobOf", self.job).steps >= offer.steps
