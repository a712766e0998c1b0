"""The solver's side of a job: one part brought on from its claim to its delivery, by what the chain says.

    the node's thread (`play`)      plays rounds until the steps that are on their way are all that the part still needs; goes back to the
                                    last paid state where an epoch came out badly, or where the part was another's before
    the duties' thread (`bring_on`) looks at the chain, has clean epochs paid one after the other, clears the way back, delivers

The two share `now`, a standing that is replaced whole. Everything that is sent goes through the duties' outbox, so that a kill at any line
costs a round at most. Work that goes back is lost, and must not be committed: the ledger would take it for a continuation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Event, Scanner
from swarm.chain.outbox import Goal, Intent
from swarm.chain.values import JobPhase, Outcome, amount, header_of
from swarm.jobs import checkpoints
from swarm.jobs.delivery import MODEL
from swarm.jobs.line import Line, Made, line
from swarm.learn import state
from swarm.proof.desk import Opening

if TYPE_CHECKING:
    import torch

    from swarm.network import Network
    from swarm.node import Node
    from swarm.proof.desk import Desk
    from swarm.proof.recorder import Recorder
    from swarm.proof.schedule import Schedule

    State = tuple[dict[str, torch.Tensor], dict[str, int]]

WAIT_S = 0.3
FETCH_S = 30.0
LATE_S = 30 * 86_400
NONE = bytes(32)
ATTESTERS = 2  # that a delivery needs


@dataclass(frozen=True)
class Standing:
    """The own part, as the chain has it. `committed` is the newest epoch of this member that is on the chain."""

    part: SimpleNamespace
    line: Line
    phase: JobPhase
    left: int  # steps that are not accepted yet
    committed: int
    closing: bool  # an epoch that ends from now on is paid no more
    mine: bool

    @property
    def complete(self) -> bool:
        return self.mine and self.left == 0

    @property
    def ended(self) -> bool:
        """Whether nothing more can come of it."""
        return not self.mine or self.phase >= JobPhase.OVER


class Solving:
    """The part of job `swarm.id` that member `key` has claimed."""

    def __init__(
        self,
        chain: Chain,
        swarm: Swarm,
        key: bytes,
        schedule: Schedule,
        recorder: Recorder,
        desk: Desk,
        network: Network,
        send: Callable[..., bool],
        waiting: Callable[[], list[Intent]],
        start_state: Callable[[], State],
        state_bytes: int,
        say: Callable[[str], None],
        until: float = float("inf"),
        refused: Callable[[], str] = str,
    ):
        """`waiting()` is what the outbox has not sent yet, `start_state()` makes the swarm's first state again, `until` is when the owner
        wants no more rounds (unix seconds), `refused()` says why no part can be claimed, empty where one may."""
        self.chain, self.swarm, self.key, self.schedule, self.recorder, self.desk = chain, swarm, key, schedule, recorder, desk
        self.network, self.send, self.waiting, self.start_state, self.state_bytes, self.say = network, send, waiting, start_state, state_bytes, say
        self.until, self.refused = until, refused
        self.offer: SimpleNamespace = chain.read("market", "offerOf", swarm.id)
        self.number: int | None = None  # of the part
        self.now: Standing | None = None
        self.model = NONE  # digest of the file to deliver
        self._confirmed: set[int] = set()  # parts whose submitter has the model
        self._attesters: dict[tuple[int, bytes], set[bytes]] = {}  # of a part's delivered file: operators that have checked it
        self._scanner = Scanner(chain, ("ledger", "market", "delivery"))
        self._made: dict[int, Made] = {}
        self._packed: dict[bytes, bytes] = {}  # root -> digest of checkpoints that the store has
        self._wanted: bytes | None = None  # root that the node is to go on from
        self._cleared: bytes | None = None  # root that the ledger continues from, with nothing older on its way there
        self._needed: bytes | None = None  # root of a checkpoint that only the node's thread can make
        self._opening: Opening | None = None
        self._told: set[str] = set()
        self._looked = False
        self._step_s: float | None = None  # that the last round took

    # ---- the node's thread

    def play(self, node: Node) -> None:
        """Play until the part is complete, lost or over, or the owner wants no more."""
        while (now := self.now) is None or not (now.complete or now.ended or self._enough(now)):
            node.presence.proving.duties.require_alive()
            self._pack(node)
            if now is None:
                if self.refused():
                    return
                self._rest(node, "a part to be claimed")
            elif self._astray(node, now):
                self._go_back(node, now)
            elif self.wants(now) and self._is_late(now):
                self._rest(node, "the next epoch to begin: the few steps that still fit into this one would pay their auditors themselves")
            elif self.wants(now):
                begun = time.monotonic()
                node.play_round()
                self._step_s = time.monotonic() - begun
            else:
                self._rest(node, "its steps to be audited and accepted")
        if now.complete and node.scribe.root != now.part.root:
            node.go_on_from(*self._state_at(now.part.root))
        self._pack(node)

    def wants(self, now: Standing) -> bool:
        """Whether more rounds are to be played: those on their way would not complete the part."""
        if now.closing or time.time() > self.until:
            return False
        return now.line.steps + self._uncommitted(now) < now.left

    def _is_late(self, now: Standing) -> bool:
        """Whether so little of an epoch is left, in which nothing was done yet, that it would hold fewer steps than its auditors cost."""
        epoch = self.recorder.epoch_now()
        if self.recorder.since(epoch - 1):
            return False
        wanted = min(self.offer.leastSteps, now.left)
        most = self.schedule.epoch / 2  # a slow machine has to begin some time
        return self.schedule.end(epoch) - self.desk.now() < (most if self._step_s is None else min(most, wanted * self._step_s))

    def deliver(self, folder: Path) -> bytes:
        """Serve the exported model and have it delivered; its digest. Nothing where the part is not complete."""
        if self.now is None or not self.now.complete:
            return NONE
        self.model = self.network.put((folder / MODEL).read_bytes())
        return self.model

    @property
    def attested(self) -> bool:
        """Whether two operators, or the submitter, say that the delivered file is the accepted state."""
        return self.number in self._confirmed or len(self._attesters.get((self.number, self.model), ())) >= ATTESTERS

    @property
    def waits(self) -> str:
        """What a solver whose rounds are played still waits for; empty where that is nothing."""
        now = self.now
        if now is None or not now.complete or now.ended or self.attested:
            return ""
        return "its model to be fetched, checked and attested"

    def _enough(self, now: Standing) -> bool:
        """Whether the owner's time is over, and everything that was done is decided."""
        return time.time() > self.until and not now.line.made and not self._uncommitted(now)

    def _astray(self, node: Node, now: Standing) -> bool:
        """Whether the present state, or the records on the way to it, do not continue what can still be paid."""
        steps = self.recorder.since(now.committed)
        begins = steps[0].leaf.before if steps else node.scribe.root
        return begins != now.line.tail or self.recorder.head not in (b"", node.scribe.root)

    def _uncommitted(self, now: Standing) -> int:
        return len(self.recorder.since(now.committed))

    def _rest(self, node: Node, why: str) -> None:
        node.hear()
        node.presence.state("waiting", why)
        time.sleep(WAIT_S)

    def _pack(self, node: Node) -> None:
        """Make the checkpoint that is needed of the present state."""
        root = self._needed
        if root is not None and node.scribe.root == root:
            self._hold(root, self.recorder.store.put(state.pack(node.trainee.tensors, node.trainee.scalars)))
            self._needed = None

    def _go_back(self, node: Node, now: Standing) -> None:
        """Take up the last paid state, once nothing of what was built on another one is on its way any more."""
        if now.line.made:
            return self._rest(node, "earlier steps to be accepted: later ones are lost")
        self._wanted = now.part.root
        if self._cleared != now.part.root:
            return self._rest(node, "the way back to the last accepted state")
        node.go_on_from(*self._state_at(now.part.root))
        used = {step.leaf.epoch_seed for step in self.recorder.all_steps}
        while node.epoch_seeds.newest in used:  # a round of one seed is played once
            self._rest(node, "the seed of the next epoch")
        self._wanted = self._cleared = None
        self.say(f"it goes on from the last accepted state {now.part.root.hex()[:8]}, after round {node.trainee.round}")

    def _state_at(self, root: bytes) -> State:
        """The state of an accepted root: the start state, a checkpoint that is here, or one that others hold.

        Raises NetworkError where nobody hands it over: the node starts again and asks again.
        """
        if root == self.swarm.base:
            return self.start_state()
        digest = self._packed.get(root, self.now.part.checkpoint)
        data = self.recorder.store.get(digest) or checkpoints.fetched(self.network, digest, root, self.state_bytes, FETCH_S)
        found = checkpoints.opened(data, root)
        self._hold(root, self.recorder.store.put(data))
        return found

    # ---- the duties' thread

    def bring_on(self, now: int) -> None:
        """Look at the chain and send what is due. Raises ChainError where it does not answer."""
        for event in self._scanner.scan().new:
            self._take(event)
        self._looked = True
        if self.number is None:
            return
        standing = self._look(now)
        if standing.mine:
            self._accept(standing, now)
            self._clear(standing, now)
            self._deliver(standing, now)
        self._tell(standing)
        self.now = standing

    def _take(self, event: Event) -> None:
        said = event.values
        if event.name == "Committed" and said["key"] == self.key:
            self._made[said["epoch"]] = Made(header_of(said), said["late"])
        elif said.get("job") != self.swarm.id:
            return
        elif event.name == "Claimed" and said["key"] == self.key:
            self.number = said["part"]
        elif event.name == "Confirmed":
            self._confirmed.add(said["part"])
        elif event.name == "Attested":
            self._attesters.setdefault((said["part"], said["model"]), set()).add(said["operator"])
        elif event.name in ("Expired", "Quit") and said["key"] == self.key and not self._looked:
            self.number = None  # before this start: another claim may come
            self.say(f"part {said['part']} was taken back while this node was off: what was accepted before is paid")

    def _look(self, now: int) -> Standing:
        part = self.chain.read("market", "partOf", self.swarm.id, self.number)
        job = self.chain.read("market", "jobOf", self.swarm.id)
        next = self.chain.read("market", "nextOf", self.key)
        for epoch, made in self._made.items():
            if epoch >= next and made.counts and made.outcome == Outcome.OPEN:
                outcome = Outcome(self.chain.read("court", "outcomeOf", self.key, epoch))
                self._made[epoch] = Made(made.header, made.late, outcome)
        left = max(0, min(self.offer.stepsEach - part.steps, self.offer.steps - job.steps))
        found = line(part.root, next - 1, self._made.values())
        closing = self.schedule.end(self.schedule.epoch_at(now)) > job.deadline
        return Standing(part, found, JobPhase(job.phase), left, max(self._made, default=-1), closing, part.key == self.key)

    def _accept(self, standing: Standing, now: int) -> None:
        """Have the first clean epoch of the line paid, with its checkpoint."""
        made = standing.line.payable
        if made is None or (digest := self._checkpoint(made)) is None:
            return
        goal = Goal(contract="market", function="nextOf", args=[self.key], op="gt", value=made.epoch)
        args = [self.swarm.id, self.number, vars(made.header), digest]
        if self.send(f"accept {made.epoch}", "accept", "market", args, now + LATE_S, goal, lane="accept"):
            self.say(f"epoch {made.epoch} closed clean: its {made.header.steps} steps are handed in for payment")

    def _checkpoint(self, made: Made) -> bytes | None:
        """Digest of the state at an epoch's end, once the store has it: made again from the records, or by the node's thread."""
        root = made.header.last
        if root in self._packed:
            return self._packed[root]
        follower = next((step for step in self.recorder.since(made.epoch) if step.leaf.before == root), None)
        if follower is None:
            self._needed = root
        elif self.recorder.store.has(follower.state):
            self._hold(root, follower.state)
            return follower.state
        elif self._opening is None or self._opening.done:
            self._opening = Opening(follower.leaf.epoch, follower.leaf.step)
            self.desk.open(self._opening)
        return None

    def _hold(self, root: bytes, digest: bytes) -> None:
        """Keep a checkpoint, and no more than the two newest."""
        self.recorder.hold(digest)
        self._packed[root] = digest
        for old in list(self._packed)[:-2]:
            self.recorder.let_go(self._packed.pop(old))

    def _clear(self, standing: Standing, now: int) -> None:
        """Where the node goes back: nothing else may be on its way to the ledger, which then continues from the wanted state."""
        root = self._wanted
        if root is None or self._cleared == root:
            return
        sent = {intent.args[1] for intent in self.waiting() if intent.function in ("commit", "commitLate")}
        self.recorder.abandon(set(self._made) | sent)
        if sent:
            return
        if self.swarm.member(self.key).last == root:
            self._cleared = root
            return
        goal = Goal(contract="ledger", function="memberOf", args=[self.key], field="last", value=root)
        self.send(f"adopt {standing.committed} {root.hex()}", "adoptRoot", "ledger", [self.key, root], now + LATE_S, goal)

    def _deliver(self, standing: Standing, now: int) -> None:
        """Name the model's digest. What was kept back for it is paid when the seeders' ballot is over, by whoever settles the job."""
        if not standing.complete or self.model == NONE:
            return
        where = [self.swarm.id, self.number]
        if not self.chain.read("delivery", "isDelivered", *where):
            goal = Goal(contract="delivery", function="deliveryOf", args=where, field="model", value=self.model)
            self.send(f"deliver {self.model.hex()}", "deliver", "delivery", [*where, self.model], now + LATE_S, goal)

    def _tell(self, standing: Standing) -> None:
        """Say once what changed for the solver."""
        part = standing.part
        if not standing.mine:
            whose = "is free again" if part.key == NONE else "has another solver"
            self._once("lost", f"part {self.number} was taken back after its patience and {whose}: what was accepted is paid, the bond is burned")
        elif standing.phase >= JobPhase.OVER and not standing.complete:
            self._once("over", f"the job is over with {standing.left} steps of part {self.number} not accepted")
        elif standing.complete:
            self._once("complete", f"part {self.number} is complete: {part.own} of its steps are yours; next its model is delivered")
        if self.attested:
            self._once("attested", f"the model of part {self.number} is attested: {amount(part.kept)} credits more are due when that is final")

    def _once(self, what: str, sentence: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.say(sentence)
