"""One peer, opened from its folder: session, tasks, model, state, network; evaluated before, put to work, and reported at the end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import evaluation, heartbeat, metrics, recipe, result, settings, supply
from swarm.disk import replace
from swarm.engagement import open_job
from swarm.heartbeat import Heartbeat
from swarm.journal import Journal
from swarm.judging import open_judging
from swarm.keeping import keeping
from swarm.keys import base58_of
from swarm.limits import Governor
from swarm.limits import Limits as HardwareLimits
from swarm.node import Node
from swarm.presence import Presence
from swarm.proof.canonical import numerics
from swarm.proving import Proving, open_proving, started_replayer
from swarm.result import Heldout
from swarm.session import Session
from swarm.stages import Stages

if TYPE_CHECKING:
    from swarm.averaging import Averaging
    from swarm.jobs.solve import Solving
    from swarm.jobs.verify import Verifying
    from swarm.network import Network
    from swarm.policy.model import Policy
    from swarm.recipe import Recipe
    from swarm.settings import NodeSettings
    from swarm.tasks.mix import Mix
    from swarm.trainee import Trainee

MODEL = "model"
BEFORE = "before.json"  # held-out accuracy of the start model, measured once
LOSS_BEFORE = "loss.json"  # its loss on held-out rows, where the recipe has rows
CLOSING = "its last epochs to be audited and closed"
GRACE_S = 120.0  # how long a finished peer serves its blobs to others of its run that are not done


@dataclass
class Peer:
    """An opened peer."""

    settings: NodeSettings
    node: Node
    folder: Path
    proving: Proving | None = None
    job: Solving | Verifying | None = None  # in a job's swarm

    def work(self) -> None:
        """What this peer is here for: the recipe's rounds, the part of a job that it solves, or a job that it verifies."""
        if self.settings.job is not None and self.settings.job.role == "verifier":
            self.job.work(self.node.presence)
            self._serve_the_others()
            self.node.presence.state("done")
        else:
            self._train()

    def _train(self) -> None:
        """Evaluate, play all rounds, evaluate again, export, report; then serve until the others of this run are done."""
        node, presence = self.node, self.node.presence
        heldout = node.stages.mix.heldout(node.recipe.evaluate.questions)
        before = self._once(BEFORE, lambda: self._evaluate(heldout))
        lost = self._once(LOSS_BEFORE, lambda: self._loss("before"))
        presence.beat.accuracy_constant = constant = evaluation.constants(node.stages, heldout)
        presence.accuracy(before, before)
        if not self.settings.alone:  # the comparison run spends all its processor seconds on learning
            node.evaluate = lambda: self._evaluate(heldout)
        if self.job is not None:
            self.job.play(node)
        else:
            node.run(self.settings.rounds, self._enough)
        after = self._evaluate(heldout) if node.trainee.round else before
        presence.accuracy(before, after)
        found = Heldout(before=before, after=after, constant=constant, loss=lost | self._loss("after"))
        report = node.totals.result(presence.beat.name, node.trainee.round, found, presence.cpu_s)
        if not self.settings.alone:
            presence.state("waiting", "saving the model")
            self._export(report)
        if self.job is not None:
            self.job.deliver(self.folder / MODEL)
        report.write(self.folder / result.FILE)
        self._serve_the_others()
        presence.state("done")

    def _enough(self) -> bool:
        limit = self.settings.cpu_s
        return limit is not None and self.node.presence.cpu_s >= limit

    def _once(self, name: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What was measured at the first start of this peer."""
        path = self.folder / name
        if not path.exists():
            replace(path, json.dumps(measure()).encode())
        return json.loads(path.read_bytes())

    def _loss(self, when: str) -> dict[str, float]:
        node = self.node
        if node.lessons is None:
            return {}
        return {when: evaluation.loss(node.lessons, node.trainee.policy, node.recipe.evaluate.questions)}

    def _evaluate(self, heldout: dict) -> dict[str, float]:
        presence = self.node.presence
        presence.state("evaluating")
        presence.enter("evaluate")
        return evaluation.accuracy(self.node.stages, heldout, presence.progress)

    def _export(self, report: result.PeerResult) -> None:
        from swarm.learn import export
        from swarm.ui import card

        with numerics(self.node.recipe):
            export.export(self.node.trainee.policy, self.folder / MODEL, card.text(self.node.recipe, report))

    def _serve_the_others(self) -> None:
        """Keep serving blobs while others of this run still work; they would miss this peer's last rounds."""
        import time

        more = self.node.recipe.proof.epoch + self.node.recipe.proof.closed_after if self.proving else 0
        end = time.monotonic() + GRACE_S + more
        while self.node.network and time.monotonic() < end:
            unsettled = self._unsettled()
            waits = self.job.waits if self.job is not None else ""
            end += 0.5 if waits else 0.0  # the chain's windows bound that
            self.node.presence.state("waiting", waits or (CLOSING if unsettled else "the other peers to finish"))
            if not (waits or unsettled or any(map(_at_work, self.settings.siblings))):
                break
            time.sleep(0.5)
            self.node.presence.network(self.node.network, self.node.pool)

    def _unsettled(self) -> bool:
        """Whether epochs of this peer, or audits it owes, are still open on the chain."""
        if self.proving is None:
            return False
        self.proving.duties.require_alive()
        return not self.proving.duties.done


def _at_work(file: Path) -> bool:
    beat = heartbeat.read(file)
    if beat is None or beat.pid == 0 or beat.age_s >= GRACE_S:
        return False
    return beat.state in ("running", "evaluating", "paused") or beat.waits_for == CLOSING


@contextlib.contextmanager
def open_peer(folder: Path) -> Iterator[Peer]:
    """Open everything a peer stands on, in the order in which it may fail cheaply; close it in reverse."""
    chosen = settings.load(folder)
    rules = recipe.from_bytes(chosen.recipe.read_bytes())
    session = Session.load(chosen.session)
    with contextlib.ExitStack() as stack:
        if not chosen.alone:
            stack.enter_context(session.claim())
        presence = _presence(folder, chosen, session)
        replayer = stack.enter_context(started_replayer(folder, rules, chosen))
        governor = Governor(chosen.limits, on_pause=presence.pausing)
        governor.apply(chosen.cores_of_run)
        mix = stack.enter_context(_mix(rules, chosen, presence))
        policy = _policy(rules, chosen)
        trainee = _trainee(policy, rules, folder, presence)
        network = None if chosen.alone else stack.enter_context(_network(session, chosen, rules, folder, presence))
        stages = Stages(rules, policy, mix)
        around = dict(specialty=chosen.specialty, network=network, presence=presence, governor=governor)
        if network is not None and rules.average.every:
            around["averaging"] = stack.enter_context(_averaging(session, chosen, rules, folder, network, presence, trainee.round))
        node = assemble(stages, trainee, folder, session.peer, session.operator, **around)
        if node.lessons is not None:
            node.lessons.check()
        proving = job = None
        if replayer is not None and network is not None:
            proving = stack.enter_context(open_proving(folder, chosen, rules, session, trainee, network, presence, replayer))
            job = open_job(folder, chosen, proving, node, session)
            proving.attach(node)
            stack.enter_context(keeping(proving.duties.swarm.chain, session.swarm, session.operator, network, presence.note))
            if judging := stack.enter_context(open_judging(folder, chosen, rules, session, stages, network, presence)):
                judging.attach(node, proving)
        yield Peer(chosen, node, folder, proving, job)


def _presence(folder: Path, chosen: NodeSettings, session: Session) -> Presence:
    import os

    path = folder / heartbeat.FILE
    beat = heartbeat.read(path) or Heartbeat()
    beat.pid, beat.name, beat.peer, beat.rounds = os.getpid(), session.name, base58_of(session.peer), chosen.rounds
    presence = Presence(path, beat)
    presence.state("starting", "loading the model")
    presence.keep_fresh()
    return presence


def _mix(rules: Recipe, chosen: NodeSettings, presence: Presence) -> Mix:
    from swarm.tasks.mix import Mix
    from swarm.tasks.rows import beside

    mix = Mix(rules, allow_code=chosen.allow_code, trusted=chosen.trusted, folder=chosen.recipe_folder, rows=beside(chosen.recipe))
    mix.check()
    for note in mix.notes:
        presence.warn(note, "")
    return mix


def _policy(rules: Recipe, chosen: NodeSettings) -> Policy:
    import torch

    from swarm.policy import model

    torch.set_num_threads(chosen.threads)
    return model.load(rules, chosen.cache, chosen.torch_device(rules), foreign=not chosen.trusted)


def _trainee(policy: Policy, rules: Recipe, folder: Path, presence: Presence) -> Trainee:
    from swarm.trainee import Trainee

    trainee = Trainee(policy, rules, folder / "checkpoints")
    trainee.remember_start()
    for warning in trainee.resume():
        presence.warn(warning, "rounds since then are done again")
    presence.resumed(trainee.round, trainee.notes.get("cpu_s", 0.0))
    return trainee


@contextlib.contextmanager
def _network(session: Session, chosen: NodeSettings, rules: Recipe, folder: Path, presence: Presence) -> Iterator[Network]:
    from swarm.network import Network, NetworkSettings
    from swarm.tasks.rows import beside

    presence.state("starting", "the network")
    own = {"boot": tuple(chosen.boot_addresses()), "max_upload": chosen.limits.max_upload or 0}
    if chosen.limits.max_disk is not None:
        own["max_disk"] = chosen.limits.max_disk // 2  # the other half is for checkpoints, the journal and the model
    terms = NetworkSettings(**chosen.network.for_network() | own)
    network = Network(session, folder / "network", terms, rules)
    network.start()
    try:
        network.put(rules.canonical)
        if rules.learn.method == "sft":
            network.put(beside(chosen.recipe).read_bytes())
        for table in supply.held_tables(chosen.recipe, rules).values():
            network.put(table)
        yield network
    finally:
        network.close()


@contextlib.contextmanager
def _averaging(
    session: Session, chosen: NodeSettings, rules: Recipe, folder: Path, network: Network, presence: Presence, round: int
) -> Iterator[Averaging | None]:
    from swarm.averaging import Averaging, open_averager

    if chosen.network.client:
        presence.warn("this peer only dials and cannot be dialled", "it takes no part in averaging")
        yield None
        return
    presence.state("starting", "the averaging process")
    with contextlib.closing(open_averager(session.swarm, folder / "averager", rules.average, chosen.network.listen)) as averager:
        averaging = Averaging(averager, session, network, presence)
        averaging.start(round)
        yield averaging


def assemble(
    stages: Stages,
    trainee: Trainee,
    folder: Path,
    me: bytes,
    operator: bytes,
    *,
    specialty: int = -1,
    network: Network | None = None,
    presence: Presence | None = None,
    governor: Governor | None = None,
    averaging: Averaging | None = None,
) -> Node:
    """A node on its folder: pool, journal and metrics as they were left. Without a network it plays alone (or is fed by hand)."""
    from swarm.groups import Limits
    from swarm.network.pool import Pool

    rules, bounds = stages.recipe, Limits.of(stages.recipe)
    pool = Pool(me, rules.sharing.freshness, bounds, {stages.epoch_seed}, rules.sharing.specialists)
    pool.load(folder / "pool.msgpack")
    journal = Journal(folder / "own", me, bounds, 2 * rules.sharing.freshness + 1)  # an answer, then its critique, may each be that old
    presence = presence or Presence(folder / heartbeat.FILE, Heartbeat())
    governor = governor or Governor(HardwareLimits())
    written = metrics.Metrics(folder, trainee.round)
    return Node(me, operator, specialty, stages, trainee, pool, network, journal, written, presence, governor, folder, averaging=averaging)
