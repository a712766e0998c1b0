"""Scaled dot-product attention (kernels/attention.c, attention_backward.c).

query (batch, heads, L, size), key (batch, heads, S, size), value (batch, heads, S, other); mask, which is added to the scores, broadcast to
(batch, heads, L, S). Forward, keys and values may have fewer heads, each of which serves several of the queries' in a row.

Results lie as ATen's, so that a model's view of them needs no copy: out as the query does, the others as (batch, L, heads, size) transposed.
"""

from __future__ import annotations

import ctypes

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import Unsupported, check, operator, require_shape

_forward = Kernel("canonical_attention", "ppppppwf")
_backward = Kernel("canonical_attention_backward", "ppppppppppwf")
NUMBERS = 39  # of the struct `attention_shape`
MOST_KEPT = 8192


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
    shape = _shape(query, value, causal, way, query.stride(), key.stride(), value.stride(), out.stride(), sums.stride())
    _forward.call(out.data_ptr(), sums.data_ptr(), query.data_ptr(), key.data_ptr(), value.data_ptr(), _at(turned), ctypes.addressof(shape), scale)
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
    for each in (grad, out):
        require_shape("attention_backward", each, *query.shape[:3], value.shape[3])
    require_shape("attention_backward", logsumexp, *query.shape[:3])
    grad, query, key, value, out = map(_rowed, (grad, query, key, value, out))
    gradients = [_laid(*each.shape) for each in (query, key, value)]
    turned, way = _turned(mask, query, key)
    strides = [each.stride() for each in (query, key, value, out, logsumexp, grad, *gradients)]
    tensors, shape = (*gradients, grad, query, key, value, out, logsumexp, turned), _shape(query, value, causal, way, *strides)
    _backward.call(*map(_at, tensors), ctypes.addressof(shape), scale)
    return gradients[0], gradients[1], gradients[2]


_kept: dict[tuple[int, ...], ctypes.Array] = {}


def _shape(query: torch.Tensor, value: torch.Tensor, causal: bool, way: tuple[int, ...], *strides: tuple[int, ...]) -> ctypes.Array:
    """The struct `attention_shape`; it is kept, since a model asks for the same one in every layer."""
    batches, heads, queries, size = query.shape
    group = heads // max(1, value.shape[1])
    words = (batches, heads, queries, *value.shape[2:], size, causal, group, *way, *(step for each in strides for step in each[:3]))
    found = _kept.get(words)
    if found is None:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        found = _kept[words] = (ctypes.c_int64 * NUMBERS)(*map(int, words))
    return found


def _turned(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> tuple[torch.Tensor | None, tuple[int, ...]]:
    """The mask with queries innermost, not repeated along axes that it is broadcast over; its strides: query (0 or 1), batch, head, key."""
    if mask is None:
        return None, (0, 0, 0, 0)
    wide = mask.expand(*query.shape[:3], key.shape[2])
    batch, head, row, column = wide.stride()
    if row == 0 or query.shape[2] == 1:
        return wide, (0, batch, head, column)
    repeated = [step == 0 for step in (batch, head, row, column)]
    for axis in (axis for axis in range(4) if repeated[axis] and wide.shape[axis] > 1):
        wide = wide.narrow(axis, 0, 1)
    turned = wide.transpose(2, 3).contiguous()
    steps = [0 if again else step for again, step in zip((*repeated[:2], repeated[3]), turned.stride(), strict=False)]
    return turned, (1, *steps)


def _rowed(x: torch.Tensor) -> torch.Tensor:
    """Its rows' words consecutive."""
    return x if x.stride(3) == 1 or x.shape[3] <= 1 else x.contiguous()


def _like(query: torch.Tensor, size: int) -> torch.Tensor:
    found = torch.empty_like(query)
    return found if found.shape[3] == size and found.stride(3) == 1 else _laid(*query.shape[:3], size)


def _laid(batches: int, heads: int, rows: int, size: int) -> torch.Tensor:
    return torch.empty(batches, rows, heads, size).transpose(1, 2)


def _require(name: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, *more: torch.Tensor) -> None:
    check(name, *(each for each in (query, key, value, mask, *more) if each is not None))
    fits = query.dim() == key.dim() == value.dim() == 4 and key.shape[:3] == value.shape[:3]
    fits = fits and query.shape[0] == key.shape[0] and query.shape[3] == key.shape[3]
    if fits and query.shape[1] != key.shape[1]:
        fits = name == "attention" and key.shape[1] > 0 and query.shape[1] % key.shape[1] == 0
    if not fits:
        shapes = ", ".join(str(tuple(each.shape)) for each in (query, key, value))
        raise Unsupported(name, f"of shapes {shapes}")


def _at(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
