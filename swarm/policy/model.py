"""What a recipe's `[model]` becomes: weights, tokenizer, chat, and what ends a completion.

Four sources: the shipped base model, the packaged SmolLM2 (`smollm2.py`), a model of the hub (`hub.py`), a local folder. The digest of
the weights is checked before they are loaded; the last two are looked at in a child process first (`inspection.py`). Dropout is off
everywhere, since a step must give the same bits again; attention is `sdpa` in all stages, whose bits were found to depend neither on
the number of threads nor on the run. Adapters start from the recipe's hash, so that all peers start from the same weights.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from swarm.errors import InputError, Refused, ResourceError
from swarm.policy import hub, inspection, smollm2, start, weights
from swarm.policy.chat import Chat
from swarm.recipe import Recipe
from swarm.sections import Lora
from swarm.seeds import derive

BASE = Path(__file__).resolve().parent / "base"
ATTENTION = "sdpa"


@dataclass(frozen=True)
class Policy:
    """A model ready to be asked and trained. `digest` is the BLAKE3 (hex) of the weights it started from."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    chat: Chat
    eos: frozenset[int]
    pad: int
    digest: str


def load(recipe: Recipe, cache: Path, device: str | torch.device = "cpu", *, foreign: bool = False) -> Policy:
    """Load the recipe's model to `device`, in eval mode, with adapters where the recipe has them.

    `cache` is the folder for what is converted or fetched. `foreign` says that the recipe came from someone else, who may not name files of
    this machine. Raises Refused, InputError, ResourceError or NetworkError, each with a way out.
    """
    logging.disable_progress_bar()
    folder = locate(recipe, cache, foreign=foreign)
    weights.check(folder, memory())
    digest = weights.digest(folder)
    if recipe.model.digest not in (None, digest):
        what = f"the weights in {folder} have digest {digest}, the recipe says {recipe.model.digest}"
        raise Refused("model digest", what, "get the model the recipe means, or a recipe for this model")
    if recipe.model.source.startswith(("hub:", "path:")):
        inspection.inspect(folder, digest, cache / "inspected")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    model = _model(folder, getattr(torch, recipe.model.dtype))
    if recipe.model.lora:
        model = adapt(model, recipe.model.lora, derive("adapters", recipe.hash))
    if recipe.proof.profile == "canonical":
        start.settle(model, derive("adapters", recipe.hash))
    eos = _ends(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(eos)
    return Policy(model.to(device).eval(), tokenizer, Chat(tokenizer), eos, pad, digest)


def locate(recipe: Recipe, cache: Path, *, foreign: bool = False) -> Path:
    """The folder with the model's files, converted or fetched first where they must be."""
    kind, _, name = recipe.model.source.partition(":")
    match kind:
        case "base":
            if not (BASE / weights.SINGLE).is_file():
                what = f"the shipped base model is missing from {BASE}"
                raise ResourceError(what, "get the whole repository, or build it: python swarm/policy/base/pretrain.py")
            return BASE
        case "smollm2":
            return smollm2.folder(cache)
        case "hub":
            return hub.folder(name, recipe.model.revision, cache, memory())
    if foreign:
        what = f"the recipe names a folder of this machine ({name[:80]!r})"
        raise Refused("model path", what, "ask for a recipe whose model is on the hub or shipped")
    if not Path(name).expanduser().is_dir():
        raise InputError(f"model.source = path:{name}: no such folder", "give the folder with config.json, tokenizer.json and model.safetensors")
    return Path(name).expanduser()


def adapt(model: nn.Module, lora: Lora, seed: bytes) -> nn.Module:
    """`model` with adapters on the layers that the recipe names; their start values follow from `seed` (32 bytes) alone."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.targets, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM")
    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if module.__class__.__name__ in ("Linear", "Conv1D")}
    missing = [target for target in lora.targets if target not in linear]
    if missing:
        raise InputError(f"model.lora.targets names {', '.join(missing)}, which this model does not have", f"it has: {', '.join(sorted(linear))}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(seed[:8], "little"))
        return get_peft_model(model, config)


def memory() -> int:
    """Bytes of memory in this machine: no model larger than that is read or fetched."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _model(folder: Path, dtype: torch.dtype) -> nn.Module:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for key, value in config.to_dict().items():
        if ("dropout" in key or key.endswith("_pdrop")) and isinstance(value, float):
            setattr(config, key, 0.0)
    how = {"dtype": dtype, "attn_implementation": ATTENTION, "use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
    model, report = AutoModelForCausalLM.from_pretrained(folder, config=config, output_loading_info=True, **how)
    if report["missing_keys"] or report["mismatched_keys"]:
        lacking = sorted([*report["missing_keys"], *(str(entry) for entry in report["mismatched_keys"])])
        raise Refused("model files", f"the weights in {folder} lack {lacking[0]} and {len(lacking) - 1} more", "get the model again")
    return model


def _ends(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a completion: the tokenizer's, the configuration's and the generation configuration's."""
    found: set[int] = set()
    for value in (tokenizer.eos_token_id, model.config.eos_token_id, getattr(model.generation_config, "eos_token_id", None)):
        found |= set(value) if isinstance(value, list) else {value} - {None}
    if not found:
        raise Refused("model files", "the model names no token that ends a completion", "set eos_token in tokenizer_config.json")
    return frozenset(found)
