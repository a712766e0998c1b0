"""The finished model of a job: checked against the chain, then written as a folder that `from_pretrained` loads, with its card.

    swarm finish --folder F      F/finish.json: recipe, blob, digest, root, cache, card  ->  F/finished.json, F/model/

What was delivered is the packed last state: weights, moments and counters. Its bytes have the digest that the solver named on the chain, and
its tensors the state root at which the part's unbroken chain of audited epochs ends. The recipe has the hash of the job's swarm. So nothing
but the model that was paid for passes, whoever it came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from swarm import disk, recipe
from swarm.errors import Refused
from swarm.recipe import Recipe

JOB, FINISHED, MODEL = "finish.json", "finished.json", "model"


def main(folder: Path) -> None:
    """Finish the model of a folder's job; what was found is written, also where it is refused."""
    told = json.loads((folder / JOB).read_bytes())
    rules = recipe.from_bytes(Path(told["recipe"]).read_bytes())
    try:
        data = Path(told["blob"]).read_bytes()
        finish(data, bytes.fromhex(told["digest"]), bytes.fromhex(told["root"]), rules, Path(told["cache"]), folder / MODEL, told["card"])
        found: dict[str, Any] = {"ok": True}
    except Refused as error:
        found = {"ok": False, "reason": error.reason, "what": str(error)}
    disk.replace(folder / FINISHED, json.dumps(found).encode())


def finish(data: bytes, digest: bytes, root: bytes, rules: Recipe, cache: Path, out: Path, card: list[str]) -> Path:
    """Check a delivered state and write its model to `out`. Raises Refused("digest" | "root" | "malformed" | "model") naming what does not hold."""
    if blake3(data).digest() != digest:
        raise Refused("digest", f"the model's bytes do not have the digest {digest.hex()[:16]} that was delivered", "fetch it from another member")
    from swarm.jobs import checkpoints
    from swarm.learn import export, state
    from swarm.policy import model

    tensors, scalars = checkpoints.opened(data, root)
    policy = model.load(rules, cache, "cpu")
    own = {name.removeprefix(state.MODEL): tensor for name, tensor in tensors.items() if name.startswith(state.MODEL)}
    state.restore(policy.model, own)
    return export.export(policy, out, text(rules, scalars, card))


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
        f"last state root `{part.root.hex()}`, model digest (BLAKE3) `{part.model.hex()}`",
    ]
