"""The trained model as a folder that anyone loads with `from_pretrained`, with its card.

Adapters are merged into the base weights, in the numerics of whoever calls; the unmerged adapter lies beside them in
`adapter/`. The folder appears whole or not at all: it is built under another name and renamed.
"""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from swarm.policy.model import Policy

CARD = "README.md"
ADAPTER = "adapter"


def export(policy: Policy, folder: Path, card: str) -> Path:
    """Write model, tokenizer and `card` (Markdown) to `folder`, in place of what an earlier export left there.

    Weights are safetensors in the model's own type. Returns `folder`. Raises OSError where the disk is full or closed.
    """
    folder = Path(folder)
    part, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _whole(policy.model).save_pretrained(part)
        if hasattr(policy.model, "peft_config"):
            policy.model.save_pretrained(part / ADAPTER)
            (part / ADAPTER / CARD).unlink(missing_ok=True)  # peft's own card, with blanks to fill in
        policy.tokenizer.save_pretrained(part)
        (part / CARD).write_text(card, encoding="utf-8")
        if folder.exists():
            os.replace(folder, old)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def _whole(model: torch.nn.Module) -> torch.nn.Module:
    """The model without adapters: itself, or a copy into which they are merged (merging back out is not exact)."""
    if not hasattr(model, "peft_config"):
        return model
    return copy.deepcopy(model).merge_and_unload()
