"""Epochs with one forged step, from the real model to the real court. Part of `benchmarks/audit.py`.

Every prover is an operator and a peer of its own. It plays T rounds from the start model, recorded by the real scribe, and forges one
of them, chosen at random beforehand:

ulp    after the optimizer step one weight is moved by one unit in the last place
skip   the optimizer step is left out: weights and moments stay, the record says that they were trained

and trains on honestly from there, so that nothing else in its epoch is wrong. It commits on a local chain. The court draws q steps
and the auditors; each of them audits with the real desk and the real replayer (one, in this process), from blobs fetched by digest into an
empty folder, and votes by commit and reveal; what is no clean agreement goes on to a jury, which replays too; then the case is carried out.
"""

from __future__ import annotations

import dataclasses
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from audit_chain import Member, Town, stake_of
from audit_records import record
from in_process import InProcess

from swarm.chain.client import Swarm
from swarm.chain.values import Outcome, Phase
from swarm.duties import VERDICTS
from swarm.errors import NetworkError
from swarm.seeds import derive

if TYPE_CHECKING:
    from swarm.network.store import BlobStore
    from swarm.node import Node
    from swarm.proof.desk import Desk
    from swarm.proof.epoch import Epoch
    from swarm.proof.replay import Replayer
    from swarm.recipe import Recipe

DRAWN, AUDITORS = 2, 3  # q; auditors in the swarm: two sit on a case, all three on its jury
KINDS = ("ulp", "skip")
SMALL = [f"proof.drawn={DRAWN}", "answer.questions=4", "critique.groups=2", "resolve.groups=2", "sharing.own=5", "sharing.foreign=3"]
CPU = ("record", "replay")


@dataclass
class Trial:
    """One prover's epoch. `at` is the forged step, -1 where none is."""

    member: Member
    kind: str
    at: int
    header: SimpleNamespace
    epoch: Epoch
    store: BlobStore
    staked: float
    drawn: list[int] = field(default_factory=list)
    outcome: Outcome = Outcome.OPEN
    left: float = 0.0  # of the stake, after the case

    @property
    def hit(self) -> bool:
        """Whether the forged step was drawn."""
        return self.at in self.drawn

    @property
    def right(self) -> bool:
        """Convicted and slashed exactly if the forged step was drawn."""
        wanted = (Outcome.FAULT, 0.0) if self.hit else (Outcome.CLEAN, self.staked)
        return (self.outcome, self.left) == wanted


@dataclass
class Told:
    """All trials, and what they took."""

    steps: int
    trials: list[Trial]
    auditors_lost: float
    replayed: int  # audits done, each of the drawn steps up to a fault
    cpu: Counter[str]

    @property
    def convicted(self) -> int:
        return sum(trial.outcome == Outcome.FAULT for trial in self.trials if trial.at >= 0)

    @property
    def right(self) -> bool:
        return all(trial.right for trial in self.trials) and self.auditors_lost == 0


class Shelf:
    """The network: a blob by its digest, from whichever prover has it."""

    def __init__(self):
        self.stores: list[BlobStore] = []

    def fetch(self, digest: bytes, size_limit: int, peers: list[bytes] | None = None, timeout: float = 60.0) -> bytes:
        data = next((data for store in self.stores if store.has(digest) and (data := store.get(digest))), None)
        if data is None or len(data) > size_limit:
            raise NetworkError("nobody serves it")
        return data


class Bench:
    """The swarm's auditors, each with a desk of its own, and the model that provers play with."""

    def __init__(self, town: Town, folder: Path, steps: int):
        import torch

        from swarm import recipe
        from swarm.proof import machine

        torch.set_num_threads(1)
        self.town, self.folder, self.steps = town, folder, steps
        self.rules = recipe.load("local", SMALL)
        self.replayer, self.start = a_replayer(self.rules, folder / "replayer")
        base = self.replayer.trainee.root
        self.machine = machine.class_of(self.replayer.stages, self.replayer.trainee)
        creator = town.account("auditor", 0)
        self.swarm: Swarm = town.swarm("court", creator, self.rules.proof, base)
        self.shelf, self.usable, self.replayed, self.cpu = Shelf(), {self.rules.hash}, 0, Counter()
        self.auditors: dict[bytes, Member] = {}
        for number in range(AUDITORS):
            inviter = next(iter(self.auditors.values()), None)
            joined = town.join(self.swarm, town.account("auditor", number), derive("auditor", number), inviter)
            self.auditors[joined.key] = town.stake(self.swarm, joined, self.machine, random=True)
        self.desks = {key: self._desk(member, folder / f"auditor-{number}") for number, (key, member) in enumerate(self.auditors.items())}

    def _desk(self, member: Member, folder: Path) -> Desk:
        from swarm.learn import state
        from swarm.network.store import BlobStore
        from swarm.proof.desk import Desk
        from swarm.proof.recorder import Recorder

        store = BlobStore(folder / "blobs", 2**24)
        recorder = Recorder(folder / "proof", self.swarm.id, member.peer, member.operator, self.machine, store, lambda: 0)
        largest = 3 * len(state.pack(self.replayer.trainee.tensors, self.replayer.trainee.scalars))
        around = dict(usable_seeds=lambda epoch: self.usable, now=lambda: 0.0, say=lambda text: None)
        return Desk(folder / "audits", self.rules, recorder, InProcess(self.replayer), self.shelf, largest, **around)

    def close(self) -> None:
        for desk in self.desks.values():
            desk.close()

    def prove(self, name: int, kind: str, at: int, epoch: int) -> Trial:
        """Enrol a prover, play its epoch, and close the records."""
        begun = time.process_time()
        secret, peer = self.town.account("prover", name), derive("prover", self.town.seed, name)
        member = self.town.stake(self.swarm, self.town.join(self.swarm, secret, peer), self.machine)
        node = self._node(member, self.folder / f"prover-{name}", epoch)
        if at >= 0:
            forge(node, at, kind)
        for _ in range(self.steps):
            node.play_round()
        recorder = node.scribe.recorder
        made = recorder.close(epoch, [])
        self.cpu["record"] += time.process_time() - begun
        said = dict(key=member.key, epoch=epoch, steps=self.steps, units=min(made.units, self.swarm.terms.maxUnits))
        header = SimpleNamespace(**said, root=made.root, first=made.first, last=made.last, data=made.digest)
        return Trial(member, kind, at, header, made, recorder.store, stake_of(self.town, member.key))

    def _node(self, member: Member, folder: Path, epoch: int) -> Node:
        """A node at the start model, every state of which is stored: what a prover opens is not measured here."""
        from swarm.learn import state
        from swarm.peer import assemble
        from swarm.trainee import Trainee

        folder.mkdir(parents=True)
        stages = self.replayer.stages
        stages.epoch_seed = min(self.usable)
        state.restore(stages.policy.model, self.start)
        node = assemble(stages, Trainee(stages.policy, self.rules, folder / "checkpoints"), folder, member.peer, member.operator)
        record(node, 1, folder, self.swarm.id, self.machine, epoch)
        return node

    def commit(self, trial: Trial) -> None:
        said = trial.header
        args = (said.key, said.epoch, said.steps, said.units, said.root, said.last, said.data)
        self.town.send(trial.member.secret, "ledger", "commit", *args)
        self.shelf.stores.append(trial.store)

    def judge(self, trials: list[Trial], epoch: int) -> None:
        """From the end of the commit window to the end of every case."""
        self.town.reveal(self.swarm, list(self.auditors.values()), epoch)
        opening: list[tuple[Any, ...]] = []
        for trial in trials:
            trial.drawn = self.swarm.drawn_steps(trial.header.key, epoch, trial.header.steps)
        while waiting := [(trial, case) for trial in trials if (case := self.swarm.case(trial.header.key, epoch)).phase != Phase.CLOSED]:
            for trial, case in waiting:
                if case.phase == Phase.AUDIT:
                    opening += [self._vote(trial, case, key) for key in self.swarm.panel(trial.header.key, epoch, case.level, case.roll)]
            if all(case.phase == Phase.REVEAL for _, case in waiting):
                for secret, args in opening:
                    self.town.send(secret, "court", "revealVerdict", *args)
                opening = []
            self.town.until(min(case.phaseEnds for _, case in waiting))
        for trial in trials:
            self._finish(trial, epoch)

    def _vote(self, trial: Trial, case: SimpleNamespace, key: bytes) -> tuple[bytes, tuple[Any, ...]]:
        """One seat audits and commits its verdict; returns whose it is and how it is opened."""
        auditor, salt = self.auditors[key], os.urandom(32)
        found = self._audit(trial, self.desks[key], case.level)
        kind = int(VERDICTS[found.verdict])
        step = found.step if found.verdict == "fault" else 0
        value = found.value if found.verdict == "ok" else bytes(32)
        where = (trial.header.key, trial.header.epoch, case.level)
        hashed = self.town.chain.read("court", "verdictHash", auditor.operator, *where, kind, step, value, salt)
        self.town.send(auditor.secret, "court", "commitVerdict", key, *where, hashed)
        return auditor.secret, (key, vars(trial.header), case.level, kind, step, value, salt)

    def _audit(self, trial: Trial, desk: Desk, level: int) -> Any:
        from swarm.proof.audit import Audit, Commitment

        begun = time.process_time()
        who = {"swarm": self.swarm.id, "peer": trial.member.peer, "operator": trial.member.operator, "cap": self.swarm.terms.maxUnits}
        audit = Audit(Commitment(**vars(trial.header), **who), trial.drawn, deadline=1e9, level=level)
        desk.audit(audit)
        while audit.verdict is None:
            desk.require_alive()
            time.sleep(0.005)
        self.replayed += 1
        self.cpu["replay"] += time.process_time() - begun
        return audit

    def _finish(self, trial: Trial, epoch: int) -> None:
        """Carry the case out and look at what it did."""
        self.town.send(trial.member.secret, "court", "finalize", vars(trial.header))
        case = self.swarm.case(trial.header.key, epoch)
        trial.outcome, trial.left = Outcome(case.outcome), stake_of(self.town, trial.header.key)
        for digest in list(trial.store._sizes):
            trial.store._forget(digest)


def play(town: Town, folder: Path, forging: int, honest: int, steps: int, batches: int) -> Told:
    """All trials, in `batches` epochs."""
    bench = Bench(town, folder, steps)
    try:
        staked = {key: stake_of(town, key) for key in bench.auditors}
        draw, names = random.Random(town.seed), range(forging + honest)
        plans = [(KINDS[n % 2], draw.randrange(steps)) if n < forging else ("honest", -1) for n in names]
        trials: list[Trial] = []
        for batch in range(batches):
            epoch = bench.swarm.epoch_at(town.now)
            this = [bench.prove(name, *plans[name], epoch) for name in names if name % batches == batch]
            town.until(bench.swarm.end(epoch) + 1)
            for trial in this:
                bench.commit(trial)
            bench.judge(this, epoch)
            trials += this
        lost = sum(staked[key] - stake_of(town, key) for key in bench.auditors)
        return Told(steps, trials, lost, bench.replayed, bench.cpu)
    finally:
        bench.close()


def a_replayer(rules: Recipe, folder: Path) -> tuple[Replayer, dict[str, Any]]:
    """A replayer at the start model, and a copy of the start weights."""
    from swarm.learn.step import trainable
    from swarm.policy import model
    from swarm.proof.replay import Replayer
    from swarm.stages import Stages
    from swarm.tasks.mix import Mix
    from swarm.trainee import Trainee

    stages = Stages(rules, model.load(rules, folder, "cpu"), Mix(rules, trusted=True))
    start = {name: tensor.detach().clone() for name, tensor in trainable(stages.policy.model).items()}
    return Replayer(stages, Trainee(stages.policy, rules, folder / "checkpoints")), start


def forge(node: Node, at: int, kind: str) -> None:
    """From now on the node forges step `at`."""
    import torch

    from swarm.learn import state
    from swarm.learn.step import trainable

    trainee, honest = node.trainee, node.trainee.step

    def step(groups: Any, seed: bytes) -> Any:
        if trainee.round != at:
            return honest(groups, seed)
        model = trainee.policy.model
        before = {name: tensor.detach().clone() for name, tensor in trainable(model).items()}
        moments = None if trainee.optimizer is None else {name: tensor.clone() for name, tensor in trainee.optimizer.items()}
        result = honest(groups, seed)
        if not result.applied:
            raise RuntimeError("nothing was trained in the round that was to be forged")
        if kind == "skip":
            state.restore(model, before)
            trainee.optimizer = moments
            return dataclasses.replace(result, gradient=os.urandom(32))
        with torch.no_grad():
            flat = next(tensor for name, tensor in trainable(model).items() if "layers.0" in name).view(-1)
            flat[0] = torch.nextafter(flat[0], torch.tensor(float("inf")))
        return result

    trainee.step = step


def table(told: Told) -> None:
    """Print what became of every kind of prover."""
    stake = told.trials[0].staked
    print(
        f"\nend to end: {told.steps} recorded steps, {DRAWN} drawn by the court, one forged; replayed by the drawn auditors; stake {stake:g} credits"
    )
    print(f"{'kind':<8}{'trials':>7} {'forged drawn':>13} {'closed fault':>13} {'closed clean':>13} {'slashed':>8} {'as they should':>15}")
    for kind in (*KINDS, "honest"):
        some = [trial for trial in told.trials if trial.kind == kind]
        counts = [sum(trial.hit for trial in some), *(sum(trial.outcome == outcome for trial in some) for outcome in (Outcome.FAULT, Outcome.CLEAN))]
        slashed, right = sum(trial.left < trial.staked for trial in some), sum(trial.right for trial in some)
        print(f"{kind:<8}{len(some):>7} {counts[0]:>13} {counts[1]:>13} {counts[2]:>13} {slashed:>8} {right:>8} of {len(some)}")
    cpu = f"{told.cpu['record']:.0f} CPU-s to play and record, {told.cpu['replay']:.0f} for {told.replayed} audits (juries too)"
    print(f"auditors lost {told.auditors_lost:g} credits; {cpu}")
