"""Attention, as ATen computes it on a processor."""

from __future__ import annotations

import math

import torch

from swarm.proof.canonical.ops import Unsupported, attention
from swarm.proof.canonical.routes import route

aten = torch.ops.aten


def _scale(query: torch.Tensor, dropout: float, scale: float | None) -> float:
    """The scale given, or 1 / sqrt(size): both operations are correctly rounded on every machine."""
    if dropout:
        raise Unsupported("aten.scaled_dot_product_attention", f"with dropout {dropout} has no canonical form", "set attention_dropout to 0")
    return 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale


@route(aten._scaled_dot_product_flash_attention_for_cpu.default)
def forward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, dropout_p: float = 0.0, is_causal: bool = False,
    *, attn_mask: torch.Tensor | None = None, scale: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    return attention.attention(query, key, value, attn_mask, is_causal, _scale(query, dropout_p, scale))


@route(aten._scaled_dot_product_flash_attention_for_cpu_backward.default)
def backward(
    grad_out: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, out: torch.Tensor, logsumexp: torch.Tensor,
    dropout_p: float, is_causal: bool, *, attn_mask: torch.Tensor | None = None, scale: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    given = _scale(query, dropout_p, scale)
    return attention.attention_backward(grad_out, query, key, value, out, logsumexp, attn_mask, is_causal, given)
