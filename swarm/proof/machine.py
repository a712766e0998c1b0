"""The determinism class of a machine: equal for machines that give equal bits under one recipe.

A digest of what is known to change bits, and of a *probe*: one fixed optimizer step and one fixed decoding of the recipe's start model. So a
class cannot be announced by naming it: whoever computes otherwise gets another digest. Under `pinned` much is known to change the bits of
stock PyTorch (its build, the processor, the vector instructions ATen takes, threads, attention, microbatch, optimizer variant). Under
`canonical` nothing of the machine is: only the definition's version and the digests of its conformance cases, so there is one class. It begins
so that the dispute court knows it: who stakes in it answers for every bit, on chain.
"""

from __future__ import annotations

import platform
import random
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
from blake3 import blake3

from swarm.keys import keccak
from swarm.learn.sft import TrainRow
from swarm.learn.step import TrainGroup
from swarm.proof import canonical
from swarm.proof.canonical.vectors import conformance
from swarm.seeds import derive

if TYPE_CHECKING:
    from swarm.stages import Stages
    from swarm.trainee import Trainee

OPTIMIZER = "adamw single-tensor"  # as in swarm.learn.step
GROUPS, PROMPT, TOKENS = 2, 8, 12  # of the probe
CANONICAL = keccak(b"openswarm/canonical/1")[:8]  # canonical classes begin so: DisputeCourt.CLASS


def facts(stages: Stages) -> dict[str, str]:
    """What is known to change bits, for people and for the class."""
    if stages.recipe.proof.profile != "canonical":
        return _machine(stages)
    return {"numerics": f"canonical {canonical.VERSION}", "cases": conformance(), "recipe": stages.recipe.hash.hex()}


def _machine(stages: Stages) -> dict[str, str]:
    """The facts under stock PyTorch."""
    import torch

    model, recipe = stages.policy.model, stages.recipe
    return {
        "torch": torch.__version__ + " " + blake3(torch.__config__.show().encode()).hexdigest()[:16],
        "processor": processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "device": model.device.type,
        "attention": str(getattr(model.config, "_attn_implementation", "unknown")),
        "microbatch": str(recipe.learn.microbatch),
        "optimizer": OPTIMIZER,
        "recipe": recipe.hash.hex(),
    }


def class_of(stages: Stages, trainee: Trainee) -> bytes:
    """The 32-byte class of this machine under a recipe. `trainee` must be at the start model; it is changed."""
    digest = blake3(b"openswarm/1/class" + msgpack.packb([sorted(facts(stages).items()), probe(stages, trainee)])).digest()
    return CANONICAL + digest[len(CANONICAL) :] if stages.recipe.proof.profile == "canonical" else digest


def probe(stages: Stages, trainee: Trainee) -> bytes:
    """32 bytes that only computing yields: state and gradient after a fixed step, and fixed samples drawn before it."""
    from swarm.policy import sampler

    recipe, policy = stages.recipe, stages.policy
    draw, size = random.Random(0), recipe.learn.group_size
    vocabulary = len(policy.tokenizer)
    prompts = [[draw.randrange(vocabulary) for _ in range(PROMPT)] for _ in range(GROUPS)]
    noise = [[derive("probe", n, g) for g in range(size)] for n in range(GROUPS)]
    with canonical.numerics(recipe):
        samples = sampler.generate(policy.model, prompts, noise, max_tokens=TOKENS, eos=set(), pad=policy.pad, rows=recipe.sampling.rows)
    if recipe.learn.method == "sft":
        rows = [TrainRow(prompt, list(s.ids)) for prompt, row in zip(prompts, samples, strict=True) for s in row]
        result = trainee.step_on_rows(rows, derive("probe step"))
    else:
        rewards = [float(i % 2) for i in range(size)]
        groups = [TrainGroup(prompt, [list(s.ids) for s in row], rewards) for prompt, row in zip(prompts, samples, strict=True)]
        result = trainee.step(groups, derive("probe step"))
    told = [[list(s.ids), list(s.logprobs)] for row in samples for s in row]
    return blake3(msgpack.packb([told, result.gradient, trainee.root])).digest()


def processor() -> str:
    """Vendor, family and model of the processor; the architecture where the system does not tell more."""
    found = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("vendor_id", "cpu family", "model"):
                found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    return " ".join([platform.machine(), *found.values()])
