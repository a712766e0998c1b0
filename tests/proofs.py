"""Nodes whose steps are recorded, with the real base model; blobs are handed over by hand, signed as the network's are."""

from __future__ import annotations

import time
from pathlib import Path

from blake3 import blake3

from swarm import recipe
from swarm.identity import Identity, Session
from swarm.network.store import BlobStore
from swarm.node import Node
from swarm.peer import assemble
from swarm.policy import model
from swarm.proof.recorder import Recorder
from swarm.proof.replay import Replayer
from swarm.proof.scribe import Scribe
from swarm.records import Entry, Shelf, write
from swarm.seeds import STAGES
from swarm.stages import Stages
from swarm.tasks.mix import Mix
from swarm.trainee import Trainee

SWARM = b"\x07" * 32
MACHINE = b"\x0c" * 32
SMALL = ["answer.questions=4", "critique.groups=2", "resolve.groups=2", "sharing.own=5", "sharing.foreign=3", "sharing.operator_share=0.5"]


def parts(folder: Path, *overrides: str, name: str = "local") -> tuple[Stages, Trainee]:
    rules = recipe.load(name, [*(SMALL if name == "local" else []), *overrides])
    folder.mkdir(parents=True, exist_ok=True)
    stages = Stages(rules, model.load(rules, folder, "cpu"), Mix(rules, trusted=True, rows=recipe.FOLDER / (rules.learn.data or "")))
    return stages, Trainee(stages.policy, rules, folder / "checkpoints")


def a_recorded_node(folder: Path, number: int, *overrides: str, epoch_now=lambda: 0, name: str = "local") -> tuple[Node, Session]:
    """A node that records its steps; all of them fall into the epoch that `epoch_now` says."""
    stages, trainee = parts(folder, *overrides, name=name)
    trainee.resume()
    session = Identity.open_or_create_local(folder / "identity").session(SWARM, 86_400)
    node = assemble(stages, trainee, folder, session.peer, session.operator)
    store = BlobStore(folder / "blobs", 2**30)
    recorder = Recorder(folder / "proof", SWARM, session.peer, session.operator, MACHINE, store, epoch_now)
    node.scribe = Scribe(recorder, trainee, every=3, now=time.time)
    node.scribe.resume()
    return node, session


def hand_over(node: Node, session: Session, others: list[Node], round: int) -> None:
    """Give a node's blobs of `round` to the others with a signed shelf, as the network would."""
    blobs = {stage: node.journal.blob(round, stage) for stage in STAGES}
    entries = tuple(Entry(stage, round, blake3(blob).digest(), len(blob)) for stage, blob in blobs.items())
    shelf = write(Shelf(round=round, entries=entries), session, sequence=round, expires=int(time.time()) + 600)
    for other in others:
        for stage, blob in blobs.items():
            other.pool.take(node.me, node.operator, "a node", -1, stage, round, blob, time.time(), shelf)


def a_replayer(folder: Path, *overrides: str) -> Replayer:
    stages, trainee = parts(folder, *overrides)
    return Replayer(stages, trainee)


def packed_before(node: Node, place: int, replayer: Replayer, number: int = 0) -> bytes:
    """The packed state before a step, made again from the nearest stored one."""
    from swarm.learn import state

    recorder = node.scribe.recorder
    way = recorder.way_to(number, place)
    replayer.load(recorder.store.get(way[0].state), way[0].leaf)
    for step in way[:-1]:
        replayer.advance(step.leaf, recorder.store.get)
    return state.pack(replayer.trainee.tensors, replayer.trainee.scalars)
