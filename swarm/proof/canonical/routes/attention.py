"""Attention, as ATen computes it on a processor. Where keys have fewer heads than queries (grouped queries), each serves several in a row: as if
it were repeated, so that its gradient is the sum of those of its repeats."""

from __future__ import annotations

import math

import torch

from swarm.proof.canonical.ops import Unsupported, attention, moved, rows
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
    wide = (_repeated(each, query.shape[1]) for each in (key, value))
    grads = attention.attention_backward(grad_out, query, *wide, out, logsumexp, attn_mask, is_causal, given)
    return grads[0], _joined(grads[1], key.shape[1]), _joined(grads[2], value.shape[1])


def _repeated(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(batch, fewer heads, rows, size) with every head several times in a row."""
    batch, few, rows, size = x.shape
    if few == heads or not few or heads % few:
        return x
    apart = moved(aten.unsqueeze.default, (x, 2), {}, x.unsqueeze(2))
    wide = [batch, few, heads // few, rows, size]
    spread = moved(aten.expand.default, (apart, wide), {}, apart.expand(wide))
    whole = [batch, heads, rows, size]
    return moved(aten.reshape.default, (spread, whole), {}, spread.reshape(whole))


def _joined(grad: torch.Tensor, few: int) -> torch.Tensor:
    """The gradient of what was repeated."""
    batch, heads, length, size = grad.shape
    if few == heads:
        return grad
    apart = [batch, few, heads // few, length, size]
    return rows.sum(moved(aten.view.default, (grad, apart), {}, grad.view(apart)), [2])
