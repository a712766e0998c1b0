"""What a run will need, by arithmetic from the recipe: no weights are read, nothing is sent. Printed by `--dry-run`,
checked by `doctor` and before every start.

The figures are rough on purpose (within a factor of two) and say so. Memory of a peer = interpreter with its libraries +
weights + what training keeps (gradients and AdamW's two moments of the trained weights, activations and logits of one
microbatch). Time counts 2 floating-point operations per weight and token forward, 4 backward.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from swarm.launch import Choices
from swarm.recipe import Recipe

LIBRARIES = 620 * 2**20  # resident bytes of a node before any model: Python, PyTorch, transformers, TRL, hivemind, libp2p
AVERAGER = 720 * 2**20  # resident bytes of the averaging process with its two children, counted as for --max-memory: shared pages in each
REPLAYER = 620 * 2**20  # resident bytes of the replayer before any model
GENERATE_FLOPS = 26e9  # a core's operations per second while sampling (98 tokens/s of 135 M weights, batch 64)
TRAIN_FLOPS = 40e9
LAYER_S = 0.00025  # a layer's fixed cost of one decoding step, on top of the arithmetic
STEP_S = 0.5  # fixed cost of an optimizer step (TRL's start, hashing, saving)
DECODE_ROWS = 64
LARGEST_CONFIG = 2**20
DISK = 3  # copies of the trained weights with optimizer state that a peer keeps


@dataclass(frozen=True)
class Shape:
    """What the arithmetic needs to know of a model."""

    weights: int
    hidden: int
    layers: int
    vocabulary: int


SHAPES = {"base": Shape(650_000, 128, 3, 128), "smollm2": Shape(134_515_008, 576, 30, 49_152)}


@dataclass(frozen=True)
class Estimate:
    """Bytes and seconds for one peer; None where the model is not on this machine yet."""

    memory: int | None
    disk: int | None
    round_s: float | None


def shape(recipe: Recipe) -> Shape | None:
    """The model's shape: of the two known models, or from the `config.json` of a local folder."""
    source = recipe.model.source
    if not source.startswith("path:"):
        return SHAPES.get(source)
    try:
        with open(Path(source.removeprefix("path:")) / "config.json") as file:
            config = json.loads(file.read(LARGEST_CONFIG))
        hidden, layers, vocabulary = (int(config[key]) for key in ("hidden_size", "num_hidden_layers", "vocab_size"))
        inner = int(config.get("intermediate_size", 4 * hidden))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Shape(layers * (4 * hidden * hidden + 3 * hidden * inner) + vocabulary * hidden, hidden, layers, vocabulary)


def estimate(recipe: Recipe, cores: float) -> Estimate:
    """What one peer with `cores` cores needs."""
    model = shape(recipe)
    if model is None:
        return Estimate(None, None, None)
    trained = _trained(recipe, model)
    size = 2 if recipe.model.dtype == "bfloat16" else 4
    length = _length(recipe)
    rows = min(recipe.learn.microbatch, _rows(recipe))
    activations = rows * length * 4 * (20 * model.hidden * model.layers + 3 * model.vocabulary)
    averager = AVERAGER + 24 * trained if recipe.average.every else 0  # its own, the mean's and a sent copy, each once in two processes
    replayer = REPLAYER + size * model.weights + 12 * trained if recipe.proof.profile != "none" else 0
    memory = LIBRARIES + averager + replayer + size * model.weights + 12 * trained + activations
    disk = DISK * 12 * trained + (size * model.weights if recipe.model.source != "base" else 0) + 64 * 2**20
    disk += 12 * trained * _stored_states(recipe)
    return Estimate(int(memory), int(disk), _round_s(recipe, model, trained, length, cores))


def flops(recipe: Recipe) -> tuple[int, int] | None:
    """MFLOP that a round samples with and trains with, as `swarm.proof.units` counts them; None where the model is not on this machine yet."""
    if (model := shape(recipe)) is None:
        return None
    sampled, trained = _tokens(recipe, _length(recipe))
    return 2 * model.weights * sampled // 10**6, (4 * model.weights + 2 * _trained(recipe, model)) * trained // 10**6


def text(recipe: Recipe, choices: Choices, as_json: bool = False) -> str:
    """The dry run's answer: resolved recipe, plan, estimates."""
    per_peer = estimate(recipe, choices.cores / choices.peers)
    if as_json:
        value = {
            "recipe": json.loads(recipe.canonical),
            "recipe_hash": recipe.hash.hex(),
            "peers": choices.peers,
            "devices": list(choices.devices),
            "rounds": recipe.run.rounds,
            "listen": choices.network.listen,
            "memory_bytes": per_peer.memory and per_peer.memory * choices.peers,
            "disk_bytes": per_peer.disk and per_peer.disk * choices.peers,
            "seconds": per_peer.round_s and round(per_peer.round_s * recipe.run.rounds),
        }
        return json.dumps(value, indent=1)
    return recipes_text(recipe) + "\n" + _plan(recipe, choices, per_peer)


def recipes_text(recipe: Recipe) -> str:
    """The resolved recipe as TOML with a sentence per key."""
    from swarm.ui.toml import document

    return document(recipe)


def _plan(recipe: Recipe, choices: Choices, one: Estimate) -> str:
    unknown = "unknown until the model is on this machine"
    rows = {
        "recipe hash": recipe.hash.hex(),
        "peers": f"{choices.peers} on {', '.join(choices.devices)}, {choices.threads} thread(s) each",
        "a round": _work(recipe),
        "rounds": f"{recipe.run.rounds}, held-out evaluation before and after ({recipe.evaluate.questions} questions a task)",
        "listening on": ", ".join(choices.network.listen),
        "memory": f"about {_gb(one.memory * choices.peers)} ({_gb(one.memory)} a peer)" if one.memory else unknown,
        "disk": f"about {_gb(one.disk * choices.peers)}" if one.disk else unknown,
        "time": f"about {_time(one.round_s * recipe.run.rounds)} ({one.round_s:.1f} s a round)" if one.round_s else unknown,
    }
    lines = [f"{name + ':':<14}{value}" for name, value in rows.items()]
    return "\n".join(["# The plan (estimates are rough):", *lines, "nothing was started (--dry-run)"])


def _work(recipe: Recipe) -> str:
    """What a round does, in words."""
    if recipe.learn.method == "sft":
        return f"one step on {recipe.learn.batch} rows of {recipe.learn.data}"
    stages = f"answer {recipe.answer.questions} questions x {recipe.learn.group_size}"
    stages += f", critique {recipe.critique.groups} groups, resolve {recipe.resolve.groups} groups" if recipe.critique.groups else ""
    batch = f"train on {recipe.sharing.own} own + {recipe.sharing.foreign} shared groups ({recipe.sharing.join})"
    return f"{stages}; {batch}"


def _trained(recipe: Recipe, model: Shape) -> int:
    lora = recipe.model.lora
    return 2 * model.hidden * lora.rank * len(lora.targets) * model.layers if lora else model.weights


def _stored_states(recipe: Recipe) -> int:
    """States that are kept for audits at most: those of every epoch whose case can be open at once, undisputed."""
    proof = recipe.proof
    if proof.profile == "none":
        return 0
    return math.ceil((1 + proof.closed_after / proof.epoch) * proof.steps / proof.stored_every) + 1


def _length(recipe: Recipe) -> int:
    """Tokens of a typical rollout or row with its prompt; prompts are guessed at half an answer plus the template."""
    longest = max([recipe.answer.max_tokens, *([recipe.resolve.max_tokens] if recipe.learn.method == "grpo" else [])])
    return min(recipe.model.max_length, 48 + 3 * longest // 2)


def _stages(recipe: Recipe) -> list[tuple[int, int]]:
    """Groups and longest completion of each stage; none where the recipe has rows."""
    if recipe.learn.method == "sft":
        return []
    return [
        (recipe.answer.questions, recipe.answer.max_tokens),
        (recipe.critique.groups, recipe.critique.max_tokens),
        (recipe.resolve.groups, recipe.resolve.max_tokens),
    ]


def _tokens(recipe: Recipe, length: int) -> tuple[int, int]:
    """Tokens that a round samples, and that its step trains on, at most."""
    group = recipe.learn.group_size
    return sum(groups * group * most for groups, most in _stages(recipe)), _rows(recipe) * length


def _round_s(recipe: Recipe, model: Shape, trained: int, length: int, cores: float) -> float:
    group = recipe.learn.group_size
    tokens, trained_tokens = _tokens(recipe, length)
    steps = sum(math.ceil(groups * group / DECODE_ROWS) * most for groups, most in _stages(recipe))
    work = tokens * 2 * model.weights / GENERATE_FLOPS + trained_tokens * (4 * model.weights + 2 * trained) / TRAIN_FLOPS
    return work / cores + (steps * model.layers * LAYER_S + STEP_S) / min(1.0, cores)


def _rows(recipe: Recipe) -> int:
    """Rollouts or rows of a step."""
    sharing, learn = recipe.sharing, recipe.learn
    return learn.batch if learn.method == "sft" else (sharing.own + sharing.foreign) * learn.group_size


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
