"""The finished model of a job: checked against the chain, then written as a folder that `from_pretrained` loads, with its card.

    swarm finish --folder F      F/finish.json: recipe, model, digest, checkpoint, root, cache, card  ->  F/finished.json, F/model/

What was delivered is the exported weights. Its bytes have the digest that the solver named on the chain. The checkpoint of the part's last
accepted epoch has the state root at which its unbroken chain of audited epochs ends, and exporting that state here gives the same tensors,
bit for bit. So nothing but the model that was paid for passes, whoever it came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from blake3 import blake3

from swarm import disk, recipe
from swarm.errors import Refused, StateError
from swarm.proof.canonical import numerics
from swarm.recipe import Recipe

JOB, FINISHED, MODEL = "finish.json", "finished.json", "model"


@dataclass(frozen=True)
class Finish:
    """What is to be checked and written: two files, with what the chain says of them (`digest` and `root`, 32 bytes each)."""

    recipe: Path
    model: Path
    digest: bytes
    checkpoint: Path
    root: bytes
    cache: Path
    card: list[str]

    def write(self, folder: Path) -> None:
        value = {name: said.hex() if isinstance(said, bytes) else said for name, said in vars(self).items()}
        disk.replace(folder / JOB, json.dumps(value, default=str).encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        value = json.loads((folder / JOB).read_bytes())
        paths = {name: Path(value[name]) for name in ("recipe", "model", "checkpoint", "cache")}
        return cls(**paths, digest=bytes.fromhex(value["digest"]), root=bytes.fromhex(value["root"]), card=value["card"])


def main(folder: Path) -> None:
    """Finish the model of a folder's job; what was found is written, also where it is refused."""
    try:
        finish(Finish.read(folder), folder / MODEL)
        found: dict[str, Any] = {"ok": True}
    except (Refused, StateError) as error:
        found = {"ok": False, "reason": getattr(error, "reason", "state"), "what": str(error)}
    disk.replace(folder / FINISHED, json.dumps(found).encode())


def finish(told: Finish, out: Path) -> Path:
    """Check a delivered model and write it to `out`. Raises Refused("digest" | "root" | "malformed" | "tensors") naming what does not hold."""
    data = told.model.read_bytes()
    if blake3(data).digest() != told.digest:
        what = f"the model's bytes do not have the digest {told.digest.hex()[:16]} that was delivered"
        raise Refused("digest", what, "fetch it from another member")
    from swarm.jobs import checkpoints, delivery
    from swarm.learn import export, state
    from swarm.policy import model

    rules = recipe.from_bytes(told.recipe.read_bytes())
    tensors, scalars = checkpoints.opened(told.checkpoint.read_bytes(), told.root)
    policy = model.load(rules, told.cache, "cpu", foreign=True)
    state.restore(policy.model, {name.removeprefix(state.MODEL): tensor for name, tensor in tensors.items() if name.startswith(state.MODEL)})
    with numerics(rules):
        if why := delivery.fits(data, policy):
            raise Refused("tensors", f"the model {why}", "it is not what was paid for: do not confirm it")
        return export.export(policy, out, text(rules, scalars, told.card))


def text(rules: Recipe, scalars: dict[str, int], facts: list[str]) -> str:
    """The card: what the model is, and what the chain says about how it came to be."""
    lines = [
        "---",
        "tags: [openswarm, compute-market]",
        "---",
        f"# A model trained for hire under the recipe `{rules.name}`",
        "",
        rules.about or "No description was given.",
        "",
        f"- start model: `{rules.model.source}`{' with LoRA' if rules.model.lora else ''}, {rules.model.dtype}",
        f"- recipe hash: `{rules.hash.hex()}`, seed {rules.seed}",
        f"- tasks: {', '.join(task.name for task in rules.tasks)}",
        f"- {scalars['steps']} optimizer steps in {scalars['round']} rounds",
        *(f"- {fact}" for fact in facts),
        "",
        "Digest and tensors were checked against the chain when this folder was written. What the audits behind it can and cannot see is in",
        "docs/proof.md. The model was trained on these tasks alone and was not tested for anything else.",
    ]
    return "\n".join(lines) + "\n"


def facts(job: Any, number: int, name: Callable[[bytes], str]) -> list[str]:
    """What the chain says about a part, for its card."""
    part = job.parts[number]
    accepted = [event.values for event in job.named("Accepted") if event.values["part"] == number]
    solvers = ", ".join(dict.fromkeys(name(said["key"]) for said in accepted)) or "nobody"
    return [
        f"job `{job.id.hex()}`, part {number}, on chain {job.chain.link.chain_id}",
        f"trained by {solvers}: {part.steps} steps in {len(accepted)} epochs, each audited and closed clean",
        f"last state root `{part.root.hex()}`, model digest (BLAKE3) `{job.deliveries[number].model.hex()}`",
    ]
