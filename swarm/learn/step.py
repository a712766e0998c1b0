"""One optimizer step of TRL's GRPOTrainer on rollouts that already exist.

The whole module is one function of (weights, optimizer state, groups, seed): `step()` builds a fresh trainer, hands it
the given completions and rewards in the given order, lets it accumulate gradients over microbatches and take one AdamW
step, and leaves no other trace: no files, no network, no patched methods, no moved random generators. The same input
gives the same bits in any process with the same torch build, device and thread count, which a replay relies on.

What touches TRL itself is in `swarm.learn.trainer`, imported at the first step since that takes ten seconds.
GRPO: Shao et al. 2024, arXiv 2402.03300.
"""

from __future__ import annotations

import contextlib
import gc
import math
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.errors import InputError
from swarm.sections import Learn

if TYPE_CHECKING:
    import torch

    from swarm.learn.trainer import StepTrainer

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
OptimizerState = dict[str, "torch.Tensor"]


@dataclass(frozen=True)
class TrainGroup:
    """G completions of one prompt, ready for the trainer.

    `rewards[i]` None means: completion i was dropped. It takes no part in its group's mean and deviation and has
    advantage 0. `sampled[i]` marks the tokens the policy chose; the others (a critique's cue, put there by the stage) are
    context and not trained. `logprobs[i]` are its author's log-probabilities in nats, float32, one per token, at the sampling
    temperature; they matter only with `offpolicy = "ratio"`, where None (for one completion or for all) means the own
    policy's, that is ratio 1.
    """

    prompt: list[int]
    completions: list[list[int]]
    rewards: list[float | None]
    logprobs: list[list[float] | None] | None = None
    sampled: list[list[bool]] | None = None
    foreign: bool = False
    key: Any = None


@dataclass(frozen=True)
class StepResult:
    """What one step did. `applied` is False where there was nothing to train on or the gradient was not finite."""

    optimizer_state: OptimizerState | None
    applied: bool
    lr: float = 0.0
    loss: float = 0.0  # near 0 is normal: with ratio 1 the advantages of a group cancel, only their gradient remains
    grad_norm: float = 0.0  # before clipping
    reward: float = 0.0  # mean over the completions that were not dropped
    advantage: float = 0.0  # mean absolute advantage
    clipped: float = 0.0  # share of tokens whose ratio was clipped
    entropy: float = 0.0  # mean over completion tokens, nats
    kl: float = 0.0  # against the start model, where beta > 0
    tokens: int = 0  # sampled tokens trained on
    advantages: list[list[float]] = field(default_factory=list)  # per group and completion, as trained
    gradient: bytes = bytes(32)  # root over the gradients before clipping (`root.gradient_root`); zeros where nothing was trained


def step(
    model: torch.nn.Module,
    optimizer_state: OptimizerState | None,
    groups: list[TrainGroup],
    learn: Learn,
    *,
    seed: int,
    pad: int,
    eos: Collection[int],
    steps_done: int,
    temperature: float = 1.0,
    max_tokens: int = 256,
    reference: torch.nn.Module | None = None,
    kind: type[torch.optim.AdamW] | None = None,
) -> StepResult:
    """Take one optimizer step on `groups`, in their order, changing `model`'s trainable tensors in place.

    `optimizer_state` maps `exp_avg/NAME`, `exp_avg_sq/NAME` and `step/NAME` to tensors (None: a fresh one); its tensors
    are taken over and updated in place, and come back in the result. `seed` seeds every generator while the step runs.
    `steps_done` counts earlier steps, for the warm-up. `temperature` is the sampling temperature, under which
    log-probabilities are taken. `max_tokens` is the constant divisor of the `dr_grpo` loss. `reference` is the frozen
    start model that `beta` > 0 needs unless the policy has adapters. `kind` is the optimizer where it is not PyTorch's own AdamW.

    Raises InputError for groups that cannot be trained (unequal sizes, empty completions, rewards that are not finite).
    A gradient that is not finite changes nothing and gives `applied=False`.
    """
    if not groups:
        return StepResult(optimizer_state, applied=False)
    _check(groups, learn, model, reference)
    lr = learning_rate(learn, steps_done)
    with garbage_apart(), no_trace(model), no_trace(reference) if reference is not None else contextlib.nullcontext():
        optimizer = adamw(model, optimizer_state, learn, lr, kind)
        settings = {"seed": seed % 2**32, "pad": pad, "eos": eos, "temperature": temperature, "max_tokens": max_tokens}
        return _take(model, optimizer, groups, learn, reference, lr, settings)


def _take(
    model: torch.nn.Module,
    optimizer: torch.optim.AdamW,
    groups: list[TrainGroup],
    learn: Learn,
    reference: torch.nn.Module | None,
    lr: float,
    settings: dict[str, Any],
) -> StepResult:
    """The step of a fresh trainer, which goes out of scope here."""
    from swarm.learn.trainer import StepTrainer

    trainer = StepTrainer(model, optimizer, groups, learn, rows=microbatch_rows(learn), **settings)
    trainer.follow(reference, learn.beta)
    loss = trainer.train().training_loss
    return _result(trainer, model, groups, lr, loss)


def learning_rate(learn: Learn, steps_done: int) -> float:
    """The rate of step number `steps_done` (from 0): linear from lr / warmup up to lr."""
    return learn.lr * min(1.0, (steps_done + 1) / learn.warmup) if learn.warmup else learn.lr


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The tensors that training changes, by name, in the model's order; tied ones once."""
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def microbatch_rows(learn: Learn) -> int:
    """Completions per forward pass: whole groups up to `learn.microbatch`, or an equal part of one larger group."""
    size, most = learn.group_size, learn.microbatch
    if most >= size:
        return most // size * size
    return max(part for part in range(1, most + 1) if size % part == 0)


def _check(groups: list[TrainGroup], learn: Learn, model: torch.nn.Module, reference: torch.nn.Module | None) -> None:
    for group in groups:
        if not len(group.completions) == len(group.rewards) == learn.group_size:
            counts = f"{len(group.completions)} completions, {len(group.rewards)} rewards"
            raise InputError(f"group {group.key}: {counts}; learn.group_size is {learn.group_size}", "groups of one swarm have one size")
        if not group.prompt or not all(group.completions):
            raise InputError(f"group {group.key}: an empty prompt or completion", "drop it before training")
        if not all(reward is None or math.isfinite(reward) for reward in group.rewards):
            raise InputError(f"group {group.key}: a reward that is not a finite number: {group.rewards}", "look at the task's scorer")
        for ids, logprobs in zip(group.completions, group.logprobs or [None] * len(group.completions), strict=True):
            if logprobs is not None and len(logprobs) != len(ids):
                raise InputError(f"group {group.key}: {len(logprobs)} log-probabilities for {len(ids)} tokens", "drop it before training")
        if group.sampled is not None and [len(row) for row in group.sampled] != [len(ids) for ids in group.completions]:
            raise InputError(f"group {group.key}: the marks of sampled tokens do not fit the completions", "mark every token")
    if learn.beta > 0 and reference is None and not hasattr(model, "peft_config"):
        raise InputError(f"learn.beta = {learn.beta} needs the start model", "pass `reference`, or set learn.beta=0")


@contextlib.contextmanager
def garbage_apart() -> Iterator[None]:
    """Collect what a step leaves behind, and only that.

    accelerate collects garbage at every start, which takes 0.2 s over all that was imported unless it is set aside; and a
    trainer's cycles, kept until Python next looks through everything, were 1 MiB a step.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


@contextlib.contextmanager
def no_trace(model: torch.nn.Module) -> Iterator[None]:
    """Undo everything a trainer does besides changing weights.

    TRL patches `forward` on the instance at every construction (they would pile up), transformers switches the cache
    off and aligns token ids in the configs, and both seed the process's random generators.
    """
    import numpy
    import torch

    base = model.get_base_model() if hasattr(model, "peft_config") else model
    configs = [(config, dict(vars(config))) for config in (base.config, base.generation_config)]
    patched = base.__dict__.get("forward")
    generators = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    training = model.training
    try:
        yield
    finally:
        random.setstate(generators[0])
        numpy.random.set_state(generators[1])
        torch.set_rng_state(generators[2])
        base.__dict__.pop("forward", None)
        if patched is not None:
            base.__dict__["forward"] = patched
        for config, content in configs:
            vars(config).clear()
            vars(config).update(content)
        model.train(training)
        model.zero_grad(set_to_none=True)


def adamw(
    model: torch.nn.Module, state: OptimizerState | None, learn: Learn, lr: float, kind: type[torch.optim.AdamW] | None = None
) -> torch.optim.AdamW:
    """AdamW, of `kind` or PyTorch's own, in its plainest variant (one tensor after another), so that a replay knows every operation."""
    import torch

    tensors = trainable(model)
    optimizer = (kind or torch.optim.AdamW)(
        tensors.values(), lr=lr, betas=learn.betas, eps=1e-8, weight_decay=learn.weight_decay, foreach=False, fused=False
    )
    for name, tensor in tensors.items():
        if state is None:
            zeros = torch.zeros_like(tensor, memory_format=torch.preserve_format)
            optimizer.state[tensor] = {"exp_avg": zeros, "exp_avg_sq": zeros.clone(), "step": torch.tensor(0.0)}
        else:
            optimizer.state[tensor] = {moment: _moment(state, moment, name) for moment in MOMENTS}
    return optimizer


def moments_of(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> OptimizerState:
    """AdamW's state after a step; accelerate's wrapper hands the stock optimizer's through."""
    state = optimizer.state
    return {f"{moment}/{name}": state[tensor][moment] for name, tensor in trainable(model).items() for moment in MOMENTS}


def _moment(state: OptimizerState, moment: str, name: str) -> torch.Tensor:
    try:
        return state[f"{moment}/{name}"]
    except KeyError:
        raise InputError(f"the optimizer state has no {moment} of {name}", "it belongs to another model") from None


def _result(trainer: StepTrainer, model: torch.nn.Module, groups: list[TrainGroup], lr: float, loss: float) -> StepResult:
    rewards = [reward for group in groups for reward in group.rewards if reward is not None]
    flat = [advantage for row in trainer.advantages for advantage in row]
    return StepResult(
        optimizer_state=moments_of(trainer.optimizer, model),
        applied=math.isfinite(trainer.norm),
        lr=lr,
        loss=loss,
        grad_norm=trainer.norm,
        reward=sum(rewards) / max(1, len(rewards)),
        advantage=sum(map(abs, flat)) / len(flat),
        clipped=trainer.seen.get("clip_ratio/region_mean", 0.0),
        entropy=trainer.seen.get("entropy", 0.0),
        kl=trainer.seen.get("kl", 0.0),
        tokens=trainer.tokens,
        advantages=trainer.advantages,
        gradient=trainer.gradient,
    )
