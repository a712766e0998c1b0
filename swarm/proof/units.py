"""Work units: floating-point operations of a step by formula, never a peer's own number.

2 operations a weight and token forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361, section 2.1); where adapters are
trained, the backward pass costs 2 for every weight and 2 for the trained ones. Counted in MFLOP, rounded down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def units(weights: int, trainable: int, sampled: int, trained: int) -> int:
    """MFLOP of a round: `sampled` tokens drawn by a model of `weights`, `trained` tokens learned from with `trainable` of them (of rows all
    tokens, prompts too)."""
    return (2 * weights * sampled + (4 * weights + 2 * trainable) * trained) // 10**6


def sizes(model: torch.nn.Module) -> tuple[int, int]:
    """(weights, trainable weights) of a model; tied ones count once."""
    counts = [(tensor.numel(), tensor.requires_grad) for tensor in model.parameters()]
    return sum(n for n, _ in counts), sum(n for n, trained in counts if trained)
