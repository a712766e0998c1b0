"""Honest epochs, recorded once: real nodes play real rounds with the shipped base model, and share their answers.

Every member's epoch 0 has the same number of steps, each from the recipe's start state on. The determinism class is this process's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from swarm import recipe
from swarm.identity import Identity
from swarm.keys import keccak
from swarm.learn import state
from swarm.network.store import BlobStore
from swarm.node import Node
from swarm.peer import assemble
from swarm.policy import model
from swarm.proof import machine
from swarm.proof.epoch import Epoch
from swarm.proof.recorder import Recorder
from swarm.proof.replay import Replayer
from swarm.proof.rows_replay import RowsReplayer
from swarm.proof.scribe import Scribe
from swarm.recipe import Recipe
from swarm.records import Entry, Shelf, write
from swarm.seeds import STAGES
from swarm.session import Session
from swarm.stages import Stages
from swarm.tasks.mix import Mix
from swarm.trainee import Trainee

SWARM = keccak(b"benchmarks/cheats")
SMALL = ["answer.questions=4", "critique.groups=2", "resolve.groups=2", "sharing.own=5", "sharing.foreign=3", "sharing.operator_share=0.5"]
# The windows of recipe `local`, ten times as long: the chain's time is moved by hand, and a slow machine must not miss one. No price changes.
LONG = ["proof.epoch=300", "proof.grace=150", "proof.beacon=80", "proof.audit=300", "proof.reveal=80", "proof.challenge=60"]


@dataclass(frozen=True)
class Own:
    """A member and its honest epoch 0, with every state before a step among the blobs."""

    identity: Identity
    epoch: Epoch
    blobs: dict[bytes, bytes]


@dataclass(frozen=True)
class Recorded:
    """Everything recorded: the recipe, the members, an epoch of the last member under a seed of its choice, and a replayer."""

    rules: Recipe
    base: bytes  # state root from which everyone starts
    machine: bytes
    members: tuple[Own, ...]
    ground: Own  # the last member's epoch under another epoch seed (the same one where the recipe has rows)
    replayer: Replayer


def record(folder: Path, members: int, steps: int, name: str = "local") -> Recorded:
    """Play `steps` rounds of `members` nodes that share, under the recipe `name`. Some 0.3 CPU-seconds a round."""
    rules = recipe.load(name, [*(SMALL if name == "local" else []), *LONG])
    rows = rules.learn.method == "sft"
    replayer = (RowsReplayer if rows else Replayer)(*_parts(folder / "replayer", rules))
    replayer.trainee.remember_start()
    base = replayer.trainee.root
    kind = machine.class_of(replayer.stages, replayer.trainee)
    nodes = [_node(folder / str(number), rules, kind) for number in range(members)]
    for round in range(1, steps + 1):
        for node, session, _ in nodes:
            node.play_round()
            _hand_over(node, session, [other for other, _, _ in nodes if other is not node], round)
    found = tuple(_own(node, identity) for node, _, identity in nodes)
    ground = found[-1] if rows else _ground(folder / "ground", rules, kind, folder / str(members - 1), steps)
    return Recorded(rules, base, kind, found, ground, replayer)


def _ground(folder: Path, rules: Recipe, kind: bytes, identity: Path, steps: int) -> Own:
    """The epoch of a peer that plays alone under the epoch seed it likes best of a few: the one whose first answers earn most."""
    node, _, found = _node(folder, rules, kind, identity)
    tried = {seed: _worth(node, seed) for seed in (keccak(b"ground", bytes([number])) for number in range(4))}
    node.stages.epoch_seed = max(tried, key=lambda seed: tried[seed])
    for _ in range(steps):
        node.play_round()
    return _own(node, found)


def _worth(node: Node, seed: bytes) -> float:
    """Mean reward of the answers of round 1 under a seed."""
    node.stages.epoch_seed = seed
    drafts = [node.draft("answer", node.me, 1, index, -1, seed=seed) for index in range(node.recipe.answer.questions)]
    rewards = [reward for group in node.author.write(drafts, 1) for reward in node.scored(group, node.me, node.operator).rewards]
    return sum(rewards) / len(rewards)


def _parts(folder: Path, rules: Recipe) -> tuple[Stages, Trainee]:
    folder.mkdir(parents=True, exist_ok=True)
    stages = Stages(rules, model.load(rules, folder, "cpu"), Mix(rules, trusted=True, rows=recipe.FOLDER / (rules.learn.data or "")))
    return stages, Trainee(stages.policy, rules, folder / "checkpoints")


def _node(folder: Path, rules: Recipe, kind: bytes, identity: Path | None = None) -> tuple[Node, Session, Identity]:
    stages, trainee = _parts(folder, rules)
    found = Identity.open_or_create_local((identity or folder) / "identity")
    session = found.session(SWARM, 86_400)
    node = assemble(stages, trainee, folder, session.peer, session.operator)
    recorder = Recorder(folder / "proof", SWARM, session.peer, session.operator, kind, BlobStore(folder / "blobs", 2**30), lambda: 0)
    node.scribe = Scribe(recorder, trainee, every=1, now=time.time)
    node.scribe.resume()
    return node, session, found


def _hand_over(node: Node, session: Session, others: list[Node], round: int) -> None:
    """Give a node's blobs of `round` to the others with a signed shelf, as the network would."""
    if node.lessons is not None:
        return  # nothing is shared there
    blobs = {stage: node.journal.blob(round, stage) for stage in STAGES}
    entries = tuple(Entry(stage, round, blake3(blob).digest(), len(blob)) for stage, blob in blobs.items())
    shelf = write(Shelf(round=round, entries=entries), session, sequence=round, expires=int(time.time()) + 600)
    for other in others:
        for stage, blob in blobs.items():
            other.pool.take(node.me, node.operator, "a node", -1, stage, round, blob, time.time(), shelf)


def _own(node: Node, identity: Identity) -> Own:
    recorder = node.scribe.recorder
    epoch = recorder.close(0, [])
    digests = {digest for step in recorder.steps(0) for digest in (*step.blobs, step.state)}
    return Own(identity, epoch, {digest: recorder.store.get(digest) for digest in digests})


def packed(trainee: Trainee) -> bytes:
    """The trainee's whole state as it is served."""
    return state.pack(trainee.tensors, trainee.scalars)
