"""What a start model has besides its weights' bytes, computed so that it is the same bits on every machine (profile `canonical`).

Loading computes two things with PyTorch's own functions, whose last bits depend on its build: the rotary frequencies base^(-2i/d), and the
start of adapters. Here the first are the float32 nearest to the exact value, by decimal arithmetic (Su et al. 2021, arXiv 2104.09864; `llama3`
scaling as transformers has it), and the second are integers of Philox under the adapter's name, of which one float32 product is taken.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from swarm.errors import InputError
from swarm.policy.noise import bits
from swarm.seeds import derive

DIGITS = 60
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
DOWN = "lora_A"  # the half of an adapter that does not start at 0


def settle(model: nn.Module, seed: bytes) -> None:
    """Put the start values of this page in place of those that loading computed. Raises InputError for frequencies that it does not know."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if hasattr(module, "inv_freq"):
                found = _frequencies(name, module)
                module.inv_freq.copy_(found)
                module.original_inv_freq.copy_(found)
        for name, tensor in model.named_parameters():
            if DOWN in name.split("."):
                tensor.copy_(_uniform(derive("adapter", seed, name), *tensor.shape))


def _frequencies(name: str, module: nn.Module) -> torch.Tensor:
    config = module.config
    rope, kind = config.rope_parameters, getattr(module, "rope_type", "unknown")
    if kind not in ("default", "linear", "llama3") or not hasattr(module, "original_inv_freq"):
        what = f"{name} has rotary frequencies of type {kind}, for which there is no canonical form"
        raise InputError(what, "take a model with default, linear or llama3 ones, or proof.profile = pinned")
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = int(size * rope.get("partial_rotary_factor", 1.0))
    with localcontext(Context(prec=DIGITS)):
        base = Decimal(rope["rope_theta"])
        exact = [(base ** (Decimal(-2 * i) / size)) for i in range(size // 2)]
        if kind == "linear":
            exact = [each / Decimal(rope["factor"]) for each in exact]
        if kind == "llama3":
            exact = [_llama3(each, rope) for each in exact]
        return torch.from_numpy(np.array([_nearest(each) for each in exact], np.float32))


def _llama3(frequency: Decimal, rope: dict[str, Any]) -> Decimal:
    """Low frequencies divided by `factor`, high ones as they are, a straight line between."""
    factor, low, high = (Decimal(rope[key]) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    turns = rope["original_max_position_embeddings"] * frequency / (2 * PI)
    if turns < low:
        return frequency / factor
    if turns > high:
        return frequency
    smooth = (turns - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency


def _nearest(value: Decimal) -> np.float32:
    """The float32 nearest to a positive value, ties to even: by integers, since a float64 on the way would round twice."""
    exponent = math.frexp(float(value))[1] - 24
    scaled = value * Decimal(2) ** -exponent
    return np.float32(math.ldexp(int(scaled.to_integral_value(rounding="ROUND_HALF_EVEN")), exponent))


def _uniform(seed: bytes, rows: int, columns: int) -> torch.Tensor:
    """Uniform in (-b, b), b the float32 of 1 / sqrt(columns), as peft starts adapters: the odd multiples of 2^-23 in (-1, 1) times b."""
    unit = (bits(seed, range(rows), columns) * 2 + 1 - 2**23).astype(np.float32) * np.float32(2.0**-23)
    return torch.from_numpy(unit * np.float32(1 / math.sqrt(columns)))
