"""The replayer: a process of its own, beside a node, that does recorded steps again. Started as `swarm replayer --folder PEER`.

It reads one job a line from stdin and answers one JSON line on stdout; jobs name files, never code. It has a model and tasks of its
own, runs at lower priority, opens no socket and holds no key. Its first line tells the machine's determinism class.

    {"do": "replay", "folder": F}   F/job.json: leaves, states, seeds, operator, verdicts, beacon; blobs by digest beside it -> verdict
    {"do": "derive", "folder": F}   the same: only the own rollouts of the steps are looked at          -> verdict
    {"do": "open", "folder": F}     F/job.json: the way from a stored state to a drawn one       -> F/<digest of the state>
    {"do": "plead", "folder": F}    F/job.json: a disputed step and the match about it           -> what to do next (`pleading`)
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from swarm.keys import keccak
from swarm.proof import judged
from swarm.proof.leaf import Leaf, leaf_of

if TYPE_CHECKING:
    from swarm.proof.derivation import Derived
    from swarm.proof.pleading import Pleader
    from swarm.proof.replay import Blobs, Replayer

NICENESS = 3  # small: an audit that comes too late costs its auditor more than a slower round
JOB = "job.json"
OK, FAULT, CANNOT = "ok", "fault", "cannot"


def main(folder: Path) -> None:
    """Serve jobs until stdin ends. `folder` is the node's own, with its `node.json`."""
    from swarm.proof.machine import class_of, facts

    os.nice(NICENESS)
    with _replayer(folder) as replayer, _stdout_apart() as answer:
        base = replayer.trainee.root
        kind = class_of(replayer.stages, replayer.trainee)
        answer({"class": kind.hex(), "base": base.hex(), "facts": facts(replayer.stages), "cpu_s": round(time.process_time(), 2)})
        for line in sys.stdin:
            job = json.loads(line)
            answer(JOBS[job["do"]](replayer, Path(job["folder"])))


def replay(replayer: Replayer, folder: Path) -> dict[str, Any]:
    """Replay the steps of a job. The answer's `value` is keccak256 over the gradient roots in the order given."""
    told = _each_step(folder, replayer.replay)
    if told["verdict"] == OK:
        gradients = [done.gradient for done in told.pop("done")]
        told |= {"value": keccak(*gradients).hex(), "gradients": [gradient.hex() for gradient in gradients]}
    return told


def derive(replayer: Replayer, folder: Path) -> dict[str, Any]:
    """Look at the own rollouts of the steps of a job. The answer counts rollouts, tokens, and tokens too near to tell."""

    from swarm.proof.replay import Fault

    def look(leaf: Leaf, packed: bytes, blobs: Blobs, seeds: set[bytes], operator: bytes, verdicts: object, beacon: bytes) -> list[Derived]:
        found = replayer.derive(leaf, packed, blobs, seeds, operator, beacon)
        if found and found[-1].difference:
            raise Fault("rollouts", f"round {leaf.round}: {found[-1].difference}")
        return found

    told = _each_step(folder, look)
    if told["verdict"] == OK:
        found = [one for step in told.pop("done") for one in step]
        near = {"near": sum(one.near for one in found), "widest": max((one.widest for one in found), default=0.0)}
        told |= {"rollouts": sum(one.rollouts for one in found), "tokens": sum(one.tokens for one in found), **near}
    return told


def _each_step(folder: Path, work: Callable[..., Any]) -> dict[str, Any]:
    """Do `work` for each step of a job, until one does not hold; its results are `done`."""
    from swarm.proof.replay import Fault, Unjudged

    job = json.loads((folder / JOB).read_bytes())
    seeds = {bytes.fromhex(seed) for seed in job["seeds"]}
    operator, beacon = bytes.fromhex(job["operator"]), bytes.fromhex(job.get("beacon", ""))
    verdicts = dict(map(judged.of_row, job.get("verdicts", [])))
    begun, blobs, done = time.process_time(), _reader(folder), []
    for at, (leaf, state) in enumerate(zip(_leaves(job), job["states"], strict=True)):
        where = {"step": leaf.step, "at": at}
        try:
            done.append(work(leaf, blobs(bytes.fromhex(state)), blobs, seeds, operator, verdicts, beacon))
        except Fault as fault:
            return {"verdict": FAULT, **where, "where": fault.where, "what": fault.what, "cpu_s": _since(begun)}
        except FileNotFoundError as error:
            return {"verdict": CANNOT, **where, "where": "data", "what": f"blob {Path(error.filename).name[:16]} is missing"}
        except Unjudged as why:
            return {"verdict": CANNOT, **where, "where": "verdict", "what": str(why), "cpu_s": _since(begun)}
    return {"verdict": OK, "done": done, "cpu_s": _since(begun)}


def _since(begun: float) -> float:
    return round(time.process_time() - begun, 3)


def open_state(replayer: Replayer, folder: Path) -> dict[str, Any]:
    """Make the state before the last leaf of a job again from the stored one before the first, and write it beside the job."""
    from swarm import disk
    from swarm.learn import state

    job = json.loads((folder / JOB).read_bytes())
    way, blobs, begun = _leaves(job), _reader(Path(job["blobs"])), time.process_time()
    replayer.load(blobs(bytes.fromhex(job["state"])), way[0])
    for leaf in way[:-1]:
        replayer.advance(leaf, blobs)
    packed = state.pack(replayer.trainee.tensors, replayer.trainee.scalars)
    digest = blake3(packed).hexdigest()
    disk.replace(folder / digest, packed)
    return {"digest": digest, "cpu_s": round(time.process_time() - begun, 3)}


def plead(replayer: Replayer, folder: Path) -> dict[str, Any]:
    """What to do next in a match, or what to begin one with. A step that has no trace is said to have none: a process that ended over it would be
    started again for the same job, and nothing else would be done."""
    from swarm.errors import InputError
    from swarm.proof.pleading import Pleader
    from swarm.proof.replay import Fault

    job, begun = json.loads((folder / JOB).read_bytes()), time.process_time()
    blobs, pleader = _reader(Path(job["blobs"])), _PLEADERS.setdefault(replayer, Pleader(replayer))
    try:
        found = pleader.plead(_leaves(job), blobs(bytes.fromhex(job["state"])), blobs, job)
    except (Fault, FileNotFoundError, InputError, ValueError) as error:
        return {"fault": str(error), "cpu_s": _since(begun)}
    return found | {"cpu_s": _since(begun)}


_PLEADERS: dict[Replayer, Pleader] = {}  # of this process: one
JOBS = {"replay": replay, "derive": derive, "open": open_state, "plead": plead}


def write_job(folder: Path, leaves: list[Leaf], **values: Any) -> None:
    """Write `job.json` for leaves and plain values (digests as hex)."""
    from swarm import disk

    folder.mkdir(parents=True, exist_ok=True)
    rows = [[entry.hex() if isinstance(entry, bytes) else entry for entry in leaf.row()] for leaf in leaves]
    disk.replace(folder / JOB, json.dumps({"leaves": rows, **values}).encode())


def _leaves(job: dict[str, Any]) -> list[Leaf]:
    return [leaf_of([bytes.fromhex(entry) if isinstance(entry, str) else entry for entry in row]) for row in job["leaves"]]


def _reader(folder: Path) -> Callable[[bytes], bytes]:
    """Blobs of a folder by digest, checked against it."""

    def read(digest: bytes) -> bytes:
        data = (folder / digest.hex()).read_bytes()
        if blake3(data).digest() != digest:
            raise FileNotFoundError(2, "its content is damaged", str(folder / digest.hex()))
        return data

    return read


@contextlib.contextmanager
def _replayer(folder: Path) -> Iterator[Replayer]:
    """A replayer at the recipe's start model."""
    import torch

    from swarm import recipe, settings
    from swarm.policy import model
    from swarm.proof.replay import Replayer
    from swarm.proof.rows_replay import RowsReplayer
    from swarm.stages import Stages
    from swarm.tasks.mix import Mix
    from swarm.tasks.rows import beside
    from swarm.trainee import Trainee

    chosen = settings.load(folder)
    rules = recipe.from_bytes(chosen.recipe.read_bytes())
    torch.set_num_threads(rules.proof.threads if rules.proof.profile == "pinned" else chosen.threads)
    around = dict(allow_code=chosen.allow_code, trusted=chosen.trusted, folder=chosen.recipe_folder, rows=beside(chosen.recipe))
    with Mix(rules, **around) as mix:
        policy = model.load(rules, chosen.cache, chosen.torch_device(rules), foreign=not chosen.trusted)
        trainee = Trainee(policy, rules, folder / "replays")
        trainee.remember_start()
        kind = RowsReplayer if rules.learn.method == "sft" else Replayer
        yield kind(Stages(rules, policy, mix), trainee)


@contextlib.contextmanager
def _stdout_apart() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Answers go to the real stdout; whatever libraries print goes to stderr, the log."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        out.write(json.dumps(value) + "\n")
        out.flush()

    with out:
        yield answer
