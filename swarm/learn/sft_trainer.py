"""TRL's SFTTrainer, fed with rows that are token ids already, for exactly one optimizer step.

With `one_step.py` this is all that touches its insides (written for trl 1.16); `swarm.learn.sft` is the way in. What is TRL's here: the loss,
its mean over all completion tokens of a step whatever the microbatches, padding, gradient accumulation, LoRA, accelerate. What is replaced:
the tokenizer, the preparation of a data set, and the data loader, which hands over the rows by length, so that microbatches hold little padding.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from swarm.learn.one_step import Ids, OneStep, arguments, no_data, schedule
from swarm.sections import Learn

if TYPE_CHECKING:
    from swarm.learn.sft import TrainRow

CONTEXT = -100  # the label of a token that is not learned


class RowTrainer(OneStep, SFTTrainer):
    """A trainer for one step on `rows`. The optimizer's rate is in force as it is; it carries the state."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        rows: list[TrainRow],
        learn: Learn,
        *,
        seed: int,
        pad: int,
        eos: Collection[int],
    ):
        self.rows = sorted(rows, key=lambda row: row.tokens)
        self.seen: dict[str, float] = {}
        size = min(learn.microbatch, len(rows))
        super().__init__(
            model=model,
            args=SFTConfig(
                **arguments(model, learn, size, -(-len(rows) // size), seed),
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            data_collator=DataCollatorForLanguageModeling(pad_token_id=pad),
            train_dataset=no_data(input_ids=(0,), labels=(0,)),
            processing_class=Ids(pad, min(eos)),
            optimizers=(optimizer, schedule(optimizer)),
        )
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> Any:
        made = [{"input_ids": row.prompt + row.completion, "labels": [CONTEXT] * len(row.prompt) + row.completion} for row in self.rows]
        return torch.utils.data.DataLoader(made, batch_size=self.args.per_device_train_batch_size, collate_fn=self.data_collator)
