"""Scaled dot-product attention (kernels/attention.c, attention_backward.c).

query (batch, heads, L, size), key (batch, heads, S, size), value (batch, heads, S, other); mask, which is added to the scores, broadcast to
(batch, heads, L, S).

Results lie as ATen's, so that a model's view of them needs no copy: out as the query does, the others as (batch, L, heads, size) transposed.
"""

from __future__ import annotations

import ctypes

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import Unsupported, check, operator

_forward = Kernel("canonical_attention", "ppppppwf")
_backward = Kernel("canonical_attention_backward", "ppppppppppwf")
_NONE = (0, 0, 0)


@operator("attention(Tensor query, Tensor key, Tensor value, Tensor? mask, bool causal, float scale) -> (Tensor, Tensor)")
def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, causal: bool, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The result (batch, heads, L, other) and the logsumexp of each query's scores (batch, heads, L)."""
    _require("attention", query, key, value, mask)
    out = _like(query, value.shape[3])
    query, key, value = map(_rowed, (query, key, value))
    batches, heads, queries, _ = query.shape
    sums = torch.empty(batches, queries, heads).transpose(1, 2)
    turned, way = _turned(mask, query, key)
    numbers = _numbers(query, value, causal, way, _steps(query), _steps(key), _steps(value), way[1:], _steps(out), sums.stride())
    _forward.call(*map(_at, (out, sums, query, key, value, turned)), ctypes.addressof(numbers), scale)
    return out, sums


@operator(
    "attention_backward(Tensor grad, Tensor query, Tensor key, Tensor value, Tensor out, Tensor logsumexp, Tensor? mask, bool causal, "
    "float scale) -> (Tensor, Tensor, Tensor)"
)
def attention_backward(
    grad: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, out: torch.Tensor, logsumexp: torch.Tensor,
    mask: torch.Tensor | None, causal: bool, scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Gradients of query, key and value."""
    _require("attention_backward", query, key, value, mask, grad, out, logsumexp)
    grad, query, key, value, out = map(_rowed, (grad, query, key, value, out))
    gradients = [_laid(*each.shape) for each in (query, key, value)]
    turned, way = _turned(mask, query, key)
    inputs = (_steps(query), _steps(key), _steps(value), way[1:], _steps(out), logsumexp.stride())
    numbers = _numbers(query, value, causal, way, *inputs, _steps(grad), *map(_steps, gradients))
    tensors = (*gradients, grad, query, key, value, out, logsumexp, turned)
    _backward.call(*map(_at, tensors), ctypes.addressof(numbers), scale)
    return gradients[0], gradients[1], gradients[2]


def _numbers(query: torch.Tensor, value: torch.Tensor, causal: bool, way: tuple[int, ...], *steps: tuple[int, ...]) -> ctypes.Array:
    """The struct `attention_shape`."""
    batches, heads, queries, size = query.shape
    filled = [*steps, *(_NONE,) * (10 - len(steps))]
    words = (batches, heads, queries, value.shape[2], size, value.shape[3], int(causal), way[0], *(step for each in filled for step in each))
    return (ctypes.c_int64 * len(words))(*words)


def _turned(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> tuple[torch.Tensor | None, tuple[int, ...]]:
    """The mask with queries innermost, not repeated along axes that it is broadcast over; its strides: query (0 or 1), batch, head, key."""
    if mask is None:
        return None, (0, *_NONE)
    wide = mask.expand(*query.shape[:3], key.shape[2])
    repeated = [n > 1 and step == 0 for n, step in zip(wide.shape, wide.stride(), strict=True)]
    for axis in (axis for axis in range(4) if repeated[axis]):
        wide = wide.narrow(axis, 0, 1)
    turned = wide.transpose(2, 3).contiguous()
    batch, head, row, step = (0 if again else n for n, again in zip(turned.stride(), (*repeated[:2], repeated[3], repeated[2]), strict=True))
    return turned, (step, batch, head, row)


def _rowed(x: torch.Tensor) -> torch.Tensor:
    """Its rows' words consecutive."""
    return x if x.stride(3) == 1 or x.shape[3] <= 1 else x.contiguous()


def _like(query: torch.Tensor, size: int) -> torch.Tensor:
    found = torch.empty_like(query)
    return found if found.shape[3] == size and found.stride(3) == 1 else _laid(*query.shape[:3], size)


def _laid(batches: int, heads: int, rows: int, size: int) -> torch.Tensor:
    return torch.empty(batches, rows, heads, size).transpose(1, 2)


def _steps(x: torch.Tensor) -> tuple[int, ...]:
    return x.stride()[:3]


def _require(name: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, *more: torch.Tensor) -> None:
    check(name, *(each for each in (query, key, value, mask, *more) if each is not None))
    if query.dim() != 4 or query.shape[:2] != key.shape[:2] or key.shape[:3] != value.shape[:3] or query.shape[3] != key.shape[3]:
        shapes = ", ".join(str(tuple(each.shape)) for each in (query, key, value))
        raise Unsupported(name, f"of shapes {shapes}", "repeat the key's heads first, as enable_gqa does")


def _at(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
