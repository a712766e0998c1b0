"""What TRL's trainers are given and made to do alike, so that each takes exactly one step and leaves its gradient's root behind.

`OneStep` comes before a TRL trainer in a class; with `trainer.py` and `sft_trainer.py` it is all that touches their insides (written for
trl 1.16, transformers 5.23).
"""

from __future__ import annotations

import functools
import math
import tempfile
import warnings
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from swarm.learn.root import gradient_root
from swarm.sections import Learn

warnings.filterwarnings("ignore", message=".*gradient_checkpointing. is deprecated", category=FutureWarning)  # TRL asks, not we


class Ids(PreTrainedTokenizerBase):
    """The least a trainer asks of a tokenizer: the padding id, an end id, and some text per completion (unused)."""

    def __init__(self, pad: int, eos: int):  # the base class would build vocabularies; nothing here needs them
        self.ids = {"pad_token_id": pad, "eos_token_id": eos, "pad_token": "<pad>"}

    def __getattr__(self, name: str) -> Any:
        if name.endswith(("_token", "_token_id")):
            return self.__dict__["ids"].get(name)
        raise AttributeError(name)

    def batch_decode(self, sequences: list[list[int]], **_: Any) -> list[str]:
        return [""] * len(sequences)


class OneStep:
    """`norm` and `gradient` are those of the step's gradient before clipping, `seen` what the trainer reported."""

    norm = math.nan
    gradient = bytes(32)

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        """TRL's. Without a finite norm the gradients are thrown away, and AdamW then leaves weights and state alone."""
        self.gradient = gradient_root({name: t.grad for name, t in model.named_parameters() if t.grad is not None})
        norm = super()._clip_grad_norm(model)
        self.norm = float(norm)
        if not math.isfinite(self.norm):
            model.zero_grad(set_to_none=True)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        self.seen = {**logs, **{key: sum(values) / len(values) for key, values in self._metrics["train"].items() if values}}

    def _send_telemetry(self) -> None:
        """A peer tells nobody that it trains."""


def arguments(model: torch.nn.Module, learn: Learn, rows: int, slices: int, seed: int) -> dict[str, Any]:
    """Of any trainer's configuration: one step over `slices` forward passes of `rows` rows, nothing written and nobody told."""
    return dict(
        output_dir=tempfile.gettempdir(),  # must exist; nothing is written
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=slices,
        max_steps=1,
        max_grad_norm=learn.max_grad_norm,
        seed=seed,
        use_cpu=model.device.type == "cpu",
        bf16=False,
        activation_checkpointing=False,
        remove_unused_columns=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    """The optimizer's own rate, in force as it is."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)


@functools.cache
def no_data(**columns: Any) -> Dataset:
    """TRL insists on a data set; what is trained on comes from elsewhere."""
    return Dataset.from_dict({name: [value] for name, value in columns.items()})
