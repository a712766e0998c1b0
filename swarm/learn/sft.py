"""One optimizer step of TRL's SFTTrainer on given rows: the loss is the mean negative log-likelihood of the completions' tokens.

Like `swarm.learn.step`, whose rules for the optimizer and for leaving no trace hold here too, this is one function of (weights, optimizer
state, rows, seed), and the same input gives the same bits. What touches TRL is in `swarm.learn.sft_trainer`, imported at the first step.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarm.errors import InputError
from swarm.learn.step import OptimizerState, StepResult, adamw, garbage_apart, learning_rate, moments_of, no_trace
from swarm.sections import Learn

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TrainRow:
    """One row as token ids. The completion, with its end, is learned; the prompt is context."""

    prompt: list[int]
    completion: list[int]

    @property
    def tokens(self) -> int:
        return len(self.prompt) + len(self.completion)


def step(
    model: torch.nn.Module,
    optimizer_state: OptimizerState | None,
    rows: list[TrainRow],
    learn: Learn,
    *,
    seed: int,
    pad: int,
    eos: Collection[int],
    steps_done: int,
    kind: type[torch.optim.AdamW] | None = None,
) -> StepResult:
    """Take one optimizer step on `rows`, changing `model`'s trainable tensors in place; arguments as for `swarm.learn.step.step`.

    `tokens` of the result counts prompts too: they go through the model. Raises InputError for an empty row or no rows.
    """
    if not rows or not all(row.prompt and row.completion for row in rows):
        raise InputError("a row without a prompt or a completion, or no rows at all", "drop it before training")
    lr = learning_rate(learn, steps_done)
    with garbage_apart(), no_trace(model):
        return _take(model, adamw(model, optimizer_state, learn, lr, kind), rows, learn, lr, {"seed": seed % 2**32, "pad": pad, "eos": eos})


def _take(model: torch.nn.Module, optimizer: torch.optim.AdamW, rows: list[TrainRow], learn: Learn, lr: float, settings: dict) -> StepResult:
    """The step of a fresh trainer, which goes out of scope here."""
    from swarm.learn.sft_trainer import RowTrainer

    trainer = RowTrainer(model, optimizer, rows, learn, **settings)
    loss = trainer.train().training_loss
    return StepResult(
        optimizer_state=moments_of(trainer.optimizer, model),
        applied=math.isfinite(trainer.norm),
        lr=lr,
        loss=loss,
        grad_norm=trainer.norm,
        entropy=trainer.seen.get("entropy", 0.0),
        tokens=sum(row.tokens for row in rows),
        gradient=trainer.gradient,
    )
