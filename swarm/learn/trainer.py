"""TRL's GRPOTrainer, fed with rollouts and rewards that already exist, for exactly one optimizer step.

This is the one module that touches TRL's experimental `rollout_func` and, with `one_step.py`, the insides of its trainer (written for
trl 1.16, transformers 5.23); `swarm.learn.step` is the way in. What is TRL's here: advantages, losses, clipping, KL, gradient
accumulation, LoRA, accelerate. What is replaced, and why:

- the tokenizer, by one that knows two ids: rollouts arrive as ids and no text is needed to train on them;
- the data loader, since there is nothing to load: each accumulation step asks for one slice of the rollouts;
- the shuffle between generation and training, by an order in which microbatches hold little padding, and each
  microbatch is cut to its own longest prompt and completion instead of the whole batch's;
- log, telemetry and clipping, which only report here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from swarm.learn.one_step import Ids, OneStep, arguments, no_data, schedule
from swarm.sections import Learn

if TYPE_CHECKING:
    from swarm.learn.step import TrainGroup

Rows = dict[str, torch.Tensor]


class StepTrainer(OneStep, GRPOTrainer):
    """A trainer for one step on `groups`. `lr` is in force as it is; `optimizer` carries the state."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        groups: list[TrainGroup],
        learn: Learn,
        *,
        rows: int,
        seed: int,
        pad: int,
        eos: Collection[int],
        temperature: float,
        max_tokens: int,
    ):
        self.groups = groups
        self.offpolicy = learn.offpolicy == "ratio" and any(group.logprobs is not None for group in groups)
        self.slices: list[Rows] = []
        self.seen: dict[str, float] = {}
        slices = -(-len(groups) * learn.group_size // rows)
        super().__init__(
            model=model,
            reward_funcs=self.given_rewards,
            args=_arguments(model, learn, rows, slices, seed, temperature, max_tokens),
            train_dataset=no_data(prompt=""),
            processing_class=Ids(pad, min(eos)),
            optimizers=(optimizer, schedule(optimizer)),
        )
        self.remove_callback(PrinterCallback)
        self.rollout_func = self.given_rollouts  # set here, since the constructor warns that it is experimental

    def follow(self, reference: torch.nn.Module | None, beta: float) -> None:
        """Add the KL term. Not through the constructor: it would load the start model from the hub at every step, and
        take the adapters as they are now for the start."""
        self.beta = beta
        if beta and reference is not None:
            add_fused_lm_head(reference, temperature=self.temperature)
            self.ref_model = reference

    # what TRL asks for

    def get_train_dataloader(self) -> Any:
        rows = [{"prompt": ""} for group in self.groups for _ in group.completions]
        return torch.utils.data.DataLoader([rows] * self.args.gradient_accumulation_steps, batch_size=1, collate_fn=lambda item: item[0])

    def given_rollouts(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """The groups' rollouts, group by group. A dropped completion shrinks to one masked token, so that it costs nothing
        and its length cannot hurt."""
        pad = self._tokenizer.pad_token_id
        rows = [row for group in self.groups for row in _rows(group)]
        return {
            "prompt_ids": [group.prompt for group in self.groups for _ in group.completions],
            "completion_ids": [[pad] if reward is None else ids for ids, reward, _, _ in rows],
            "env_mask": [[0] if reward is None else [int(mark) for mark in sampled] for _, reward, sampled, _ in rows],
            "logprobs": None,
        }

    def given_rewards(self, completions: list[str], **_: Any) -> list[float | None]:
        return [reward for group in self.groups for reward in group.rewards]

    # one pass: score once, then a slice per accumulation step

    def _prepare_inputs(self, generation_batch: Any) -> Rows:
        if not self.slices:
            batch = self._generate_and_score_completions(generation_batch)
            if self.offpolicy:
                batch["author_logps"] = self._author_logprobs(batch)
            self.advantages = batch["advantages"].view(len(self.groups), -1).tolist()
            self.tokens = int(batch["num_items_in_batch"])
            order = self._order(batch)
            size = self.args.per_device_train_batch_size
            self.slices = [_cut(batch, order[at : at + size]) for at in range(0, len(order), size)]
        return self.slices[self._step]

    def _order(self, batch: Rows) -> torch.Tensor:
        """Rows by prompt length, then completion length, so that microbatches hold little padding. Every loss but `bnpo`,
        which averages over the tokens of a microbatch, is the same in any order."""
        if self.loss_type == "bnpo":
            return torch.arange(len(batch["advantages"]))
        longest = batch["completion_mask"].shape[1] + 1
        return (batch["prompt_mask"].sum(1) * longest + batch["completion_mask"].sum(1)).argsort(stable=True)

    def _author_logprobs(self, batch: Rows) -> torch.Tensor:
        """Log-probabilities of the authors, float32 [rollouts, longest]; NaN where the own policy's count."""
        table = torch.full(batch["completion_ids"].shape, math.nan)
        for i, (_, reward, _, logprobs) in enumerate(row for group in self.groups for row in _rows(group)):
            if logprobs is not None and reward is not None:
                table[i, : len(logprobs)] = torch.tensor(logprobs)
        return table.to(batch["completion_ids"].device)

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's, and where an author's log-probabilities are given, they become the old ones just before TRL looks."""
        logps, entropies, aux = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        current = self.slices[self._step] if self.slices and torch.is_grad_enabled() else {}
        if "author_logps" in current:
            author = current["author_logps"]
            current["old_per_token_logps"] = torch.where(author.isnan(), logps.detach(), author)
        return logps, entropies, aux

    def _compute_loss(self, model: torch.nn.Module, inputs: Rows) -> torch.Tensor:
        """TRL's. Losses that average over a microbatch count a smaller last one by its rows."""
        loss = super()._compute_loss(model, inputs)
        rows, total = len(inputs["advantages"]), len(self.groups) * self.num_generations
        if self.loss_type == "dapo" or rows * len(self.slices) == total:
            return loss
        return loss * (rows * len(self.slices) / total)


def _rows(group: TrainGroup) -> Iterator[tuple[list[int], float | None, list[bool], list[float] | None]]:
    """Ids, reward, marks of sampled tokens, author's log-probabilities, for each completion of a group."""
    size = len(group.completions)
    sampled = group.sampled or [[True] * len(ids) for ids in group.completions]
    return zip(group.completions, group.rewards, sampled, group.logprobs or [None] * size, strict=True)


def _arguments(
    model: torch.nn.Module, learn: Learn, rows: int, slices: int, seed: int, temperature: float, max_tokens: int
) -> GRPOConfig:
    return GRPOConfig(
        **arguments(model, learn, rows, slices, seed),
        num_generations=learn.group_size,
        loss_type=learn.loss,
        scale_rewards=learn.scale_rewards,
        epsilon=learn.epsilon,
        epsilon_high=learn.epsilon_high,
        beta=0.0,  # see StepTrainer.follow
        temperature=temperature,
        max_completion_length=max_tokens,
        disable_dropout=True,
        shuffle_dataset=False,
    )


def _cut(batch: Rows, rows: torch.Tensor) -> Rows:
    """Some rows of a batch, without the columns in which all of them are padding."""
    part = {key: value if value.ndim == 0 else value[rows] for key, value in batch.items()}
    prompt, completion = (int(part[mask].sum(1).max()) for mask in ("prompt_mask", "completion_mask"))
    for key in ("prompt_ids", "prompt_mask"):
        part[key] = part[key][:, -prompt:]
    for key in part.keys() & {"completion_ids", "completion_mask", "tool_mask", "author_logps", "ref_per_token_logps"}:
        part[key] = part[key][:, :completion]
    return part
