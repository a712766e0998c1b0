"""The verifier's side of a job: it holds what the others need, replays what it is drawn for, and says whether a delivered model is the one.

    the node's own duties           audits, randomness, verdicts: those of every member (`swarm.duties`), here without rounds of its own
    the duties' thread (`bring_on`) looks at the chain, says that it seeds, attests, gives scores, settles a job that is over
    the main thread (`work`)        fetches and checks: the newest accepted checkpoint of each part, the delivered models, the evaluation

A model is attested when its tensors are, bit for bit, those that the export of the accepted state gives here. The two threads share small
dicts: one side puts what is wanted, the other what was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Event, Scanner
from swarm.chain.outbox import Goal
from swarm.chain.values import JobPhase
from swarm.errors import NetworkError, Refused
from swarm.jobs import checkpoints
from swarm.jobs.delivery import fits
from swarm.jobs.exam import MAX_BYTES, WHOLE, Exam
from swarm.jobs.scoring import NO_FILE, Scoring
from swarm.learn import state
from swarm.proof.canonical import numerics

if TYPE_CHECKING:
    from swarm.network import Network
    from swarm.policy.model import Policy
    from swarm.presence import Presence
    from swarm.proof.recorder import Recorder
    from swarm.recipe import Recipe

WAIT_S = 0.3
FETCH_S = 10.0
LATE_S = 30 * 86_400
PATIENCE = 0.6  # share of the window for attesting in which a model is asked for before it is said that it cannot be had
NONE = bytes(32)


@dataclass(frozen=True)
class Wanted:
    """Something that the chain names and that is to be fetched: a part's accepted checkpoint, or its delivered model."""

    part: int
    digest: bytes
    root: bytes  # state root that it has to have
    until: int  # chain time by which something has to be said of it


class Verifying:
    """Member `key`'s part in verifying job `swarm.id`, under `policy`'s model."""

    def __init__(
        self,
        chain: Chain,
        swarm: Swarm,
        key: bytes,
        operator: bytes,
        recorder: Recorder,
        network: Network,
        policy: Policy,
        send: Callable[..., bool],
        state_bytes: int,
        clock: Callable[[], float],
        say: Callable[[str], None],
        recipe: Recipe,
        secret: bytes,
        until: float = float("inf"),
    ):
        """`clock()` is the chain's time, `secret` the session's key, `until` when the owner wants to stop (unix seconds)."""
        self.recipe, self.scoring = recipe, Scoring(chain, swarm.id, key, operator, secret, send)
        self.chain, self.swarm, self.key, self.operator, self.recorder, self.network = chain, swarm, key, operator, recorder, network
        self.policy, self.send, self.state_bytes, self.clock, self.say, self.until = policy, send, state_bytes, clock, say, until
        self.offer: SimpleNamespace = chain.read("market", "offerOf", swarm.id)
        self.phase = JobPhase.UNKNOWN
        self.checkpoints: dict[int, Wanted] = {}  # newest of each part
        self.models: dict[int, Wanted] = {}
        self.checked: dict[bytes, bytes] = {}  # digest of a delivered model -> what to attest: the same, or zeros
        self.evaluation: tuple[bytes, int] | None = None  # digest of its file, chain time by which something has to be said of it
        self._held: dict[int, Wanted] = {}
        self._seeds = False
        self._scanner = Scanner(chain, ("market", "delivery"))
        self._told: set[str] = set()

    # ---- the main thread

    def work(self, presence: Presence) -> None:
        """Until the job is over, or the owner wants no more."""
        while not self.done and time.time() < self.until:
            presence.proving.duties.require_alive()
            presence.state("waiting", "steps to audit" if self._seeds else "its place among the seeders")
            for wanted in [*self.checkpoints.values()]:
                self._hold(wanted)
            for wanted in [*self.models.values()]:
                self._check(wanted)
            if self.phase == JobPhase.SCORING and self.evaluation is not None:
                self._score(*self.evaluation)
            time.sleep(WAIT_S)

    @property
    def done(self) -> bool:
        return self.phase == JobPhase.SETTLED

    @property
    def waits(self) -> str:
        """What it still waits for when its work is over: nothing."""
        return ""

    def _hold(self, wanted: Wanted) -> None:
        """Have a part's newest accepted checkpoint in the store, in place of the one before."""
        before = self._held.get(wanted.part)
        if before is not None and before.digest == wanted.digest:
            return
        data = self.recorder.store.get(wanted.digest)
        try:
            data = data or checkpoints.fetched(self.network, wanted.digest, wanted.root, self.state_bytes, FETCH_S)
        except (NetworkError, Refused) as error:
            self._once(f"checkpoint {wanted.digest.hex()}", f"the accepted checkpoint of part {wanted.part} cannot be held yet: {error}")
            return
        self.recorder.hold(self.recorder.store.put(data))
        self._held[wanted.part] = wanted
        self.say(f"the accepted checkpoint of part {wanted.part} is held here: if its solver vanishes, another can go on from it")
        if before is not None:
            self.recorder.let_go(before.digest)

    def _check(self, wanted: Wanted) -> None:
        """Find out whether a delivered model is the export of the part's state."""
        if wanted.digest in self.checked:
            return
        if not self._holds(wanted):
            if self.clock() > wanted.until:
                self._decide(wanted, NONE, "cannot be checked: the accepted state could not be had")
            return
        limit = 2 * sum(tensor.nbytes for tensor in self.policy.model.state_dict().values()) + 2**20
        try:
            model = self.network.fetch(wanted.digest, limit, timeout=FETCH_S)
        except (NetworkError, Refused) as error:
            if self.clock() > wanted.until:
                self._decide(wanted, NONE, f"could not be had: {error}")
            return
        with numerics(self.recipe):
            why = fits(model, self._model_of(wanted))
        if not why:
            self.recorder.hold(self.recorder.store.put(model))
        self._decide(wanted, NONE if why else wanted.digest, why or "is the accepted state, tensor for tensor")

    def _score(self, digest: bytes, until: int) -> None:
        """Find the score of every model that fits its part, once the evaluation's file is here."""
        waiting = [wanted for wanted in self.models.values() if wanted.part not in self.scoring.scores and self._holds(wanted)]
        if not waiting:
            return
        try:
            exam = Exam.read(self.network.fetch(digest, MAX_BYTES, timeout=FETCH_S))
        except (NetworkError, Refused) as error:
            if isinstance(error, NetworkError) and self.clock() < until:
                return
            exam = None
            self.say(f"the evaluation cannot be used: {error}")
        for wanted in waiting:
            self.scoring.scores[wanted.part] = NO_FILE if exam is None else exam.of(self._model_of(wanted), self.recipe)
            self.say(f"the model of part {wanted.part} scores {self.scoring.scores[wanted.part] / WHOLE:.4f}" if exam else "no score is given")

    def _holds(self, wanted: Wanted) -> bool:
        """Whether the state is here that a delivered model has to be."""
        held = self._held.get(wanted.part)
        return held is not None and held.root == wanted.root

    def _model_of(self, wanted: Wanted) -> Policy:
        """The policy with the weights of a part's accepted state."""
        held = self._held[wanted.part]
        tensors, _ = checkpoints.opened(self.recorder.store.get(held.digest), held.root)
        own = {name.removeprefix(state.MODEL): tensor for name, tensor in tensors.items() if name.startswith(state.MODEL)}
        state.restore(self.policy.model, own)
        return self.policy

    def _decide(self, wanted: Wanted, said: bytes, why: str) -> None:
        self.say(f"the model delivered for part {wanted.part} ({wanted.digest.hex()[:16]}) {why}")
        self.checked[wanted.digest] = said

    # ---- the duties' thread

    def bring_on(self, now: int) -> None:
        """Look at the chain and send what is due. Raises ChainError where it does not answer."""
        for event in self._scanner.scan().new:
            self._take(event)
        phase = JobPhase(self.chain.read("market", "phaseOf", self.swarm.id))
        if phase in (JobPhase.SEEDING, JobPhase.WORKING) and not self._seeds:
            self._seed(now)
        for wanted in self.models.values():
            self._attest(wanted, now)
        if self._seeds:
            self.scoring.bring_on(phase, now)
        if phase == JobPhase.OVER:
            goal = Goal(contract="market", function="phaseOf", args=[self.swarm.id], value=int(JobPhase.SETTLED))
            self.send("settle job", "settle", "market", [self.swarm.id], now + LATE_S, goal)
        if phase != self.phase:
            self.say(f"the job is in phase {phase.name.lower()}")
        self.phase = phase

    def _take(self, event: Event) -> None:
        said = event.values
        if said.get("job") != self.swarm.id:
            return
        if event.name == "Accepted":
            if said["checkpoint"] != NONE:
                self.checkpoints[said["part"]] = Wanted(said["part"], said["checkpoint"], said["root"], 0)
        elif event.name == "EvaluationOpened":
            opened = self.chain.read("delivery", "evaluationOf", self.swarm.id)[0]
            self.evaluation = (said["digest"], opened + int(PATIENCE * self.offer.openWindow))
        elif event.name == "Delivered":
            where = [self.swarm.id, said["part"]]
            until = self.chain.read("delivery", "deliveryOf", *where).time + int(PATIENCE * self.offer.openWindow)
            self.models[said["part"]] = Wanted(said["part"], said["model"], self.chain.read("market", "partOf", *where).root, until)

    def _seed(self, now: int) -> None:
        """Say that this member holds and serves what the job needs: it runs, so recipe, model and rows are here."""
        if self.chain.read("market", "isSeeder", self.swarm.id, self.operator):
            self._seeds = True
        elif self.swarm.stake(self.key).active:
            goal = Goal(contract="market", function="isSeeder", args=[self.swarm.id, self.operator])
            self.send("seed", "seed", "market", [self.swarm.id, self.key], now + LATE_S, goal)

    def _attest(self, wanted: Wanted, now: int) -> None:
        said = self.checked.get(wanted.digest)
        if said is None or not self._seeds:
            return
        where = [self.swarm.id, wanted.part]
        delivered = self.chain.read("delivery", "deliveryOf", *where)
        mine = self.chain.read("market", "partOf", *where).operator == self.operator
        if delivered.model == wanted.digest and not mine:
            goal = Goal(contract="delivery", function="voteOf", args=[*where, delivered.number, self.operator], field="2")
            until = delivered.time + self.offer.openWindow
            self.send(f"attest {wanted.digest.hex()}", "attest", "delivery", [*where, self.key, said], until, goal)

    def _once(self, what: str, sentence: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.say(sentence)
