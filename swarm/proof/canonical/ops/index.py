"""Rows picked by integers, and sums that go back to them (kernels/index.c). Indices are int64; one outside raises IndexError."""

from __future__ import annotations

import math

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import check, operator, require_shape

_add = Kernel("canonical_index_add", "pppnnnni")


@operator("embedding(Tensor weight, Tensor indices) -> Tensor")
def embedding(weight: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """weight[indices]: words are moved, nothing is computed."""
    check("embedding", weight)
    return weight.index_select(0, indices.reshape(-1)).view(*indices.shape, *weight.shape[1:])


@operator("embedding_backward(Tensor grad, Tensor indices, int entries, int padding) -> Tensor")
def embedding_backward(grad: torch.Tensor, indices: torch.Tensor, entries: int, padding: int) -> torch.Tensor:
    """(entries, size) sums of the rows of `grad` with that index; index `padding` gets none."""
    check("embedding_backward", grad)
    require_shape("embedding_backward", grad, *indices.shape, grad.shape[-1])
    places = _places("embedding_backward", indices.reshape(-1), entries)
    if padding >= 0:
        places = places.masked_fill(places == padding, -1)
    out, rows = torch.zeros(entries, grad.shape[-1]), grad.contiguous()
    _add.call(out.data_ptr(), rows.data_ptr(), places.data_ptr(), 1, entries, places.numel(), grad.shape[-1], 0)
    return out


@operator("index_add(Tensor base, Tensor index, Tensor source, int dim, *, Tensor(a!)? out=None) -> Tensor")
def index_add(base: torch.Tensor, index: torch.Tensor, source: torch.Tensor, dim: int, out: torch.Tensor | None = None) -> torch.Tensor:
    """base[index[p]] + source[p] along `dim`, p ascending. `out` may be `base`."""
    check("index_add", base, source)
    axis = dim % max(1, base.dim())
    require_shape("index_add", source if source.dim() else source.reshape(1), *base.shape[:axis], index.numel(), *base.shape[axis + 1 :])
    words, source = _words(base, out), source.contiguous()
    outer, entries, inner = _parts(base, dim)
    places = _places("index_add", index.reshape(-1), entries)
    _add.call(words.data_ptr(), source.data_ptr(), places.data_ptr(), outer, entries, places.numel(), inner, 0)
    return _given(words, out)


@operator("scatter_add(Tensor base, Tensor index, Tensor source, int dim, *, Tensor(a!)? out=None) -> Tensor")
def scatter_add(base: torch.Tensor, index: torch.Tensor, source: torch.Tensor, dim: int, out: torch.Tensor | None = None) -> torch.Tensor:
    """base[..., index[p], ...] + source[..., p, ...] for p along `dim` ascending; `index` may be smaller than the others. `out` may be `base`."""
    check("scatter_add", base, source)
    if not base.dim() == index.dim() == source.dim():
        raise RuntimeError(f"scatter_add: {index.dim()} axes of places and {source.dim()} of a source for {base.dim()}")
    words = _words(base, out)
    if not index.numel():
        return _given(words, out)
    axis = dim % max(1, base.dim())
    part = words
    for each, n in enumerate(index.shape):
        part = part if each == axis else part.narrow(each, 0, n)
        source = source.narrow(each, 0, n)
    some, source, places = part.contiguous(), source.contiguous(), _places("scatter_add", index, base.shape[axis] if base.dim() else 1)
    outer, entries, inner = _parts(some, dim)
    positions = places.shape[axis] if base.dim() else 1
    _add.call(some.data_ptr(), source.data_ptr(), places.data_ptr(), outer, entries, positions, inner, 1)
    if some.data_ptr() != words.data_ptr():
        part.copy_(some)
    return _given(words, out)


def _words(base: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    """What is added to: `out` itself where it is `base` and row-major, else a copy."""
    return base if out is base and base.is_contiguous() else base.clone(memory_format=torch.contiguous_format)


def _given(words: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    return words if out is None else out if out is words else out.copy_(words)


def _parts(base: torch.Tensor, dim: int) -> tuple[int, int, int]:
    if not base.dim():
        return 1, 1, 1
    axis = dim % base.dim()
    return math.prod(base.shape[:axis]), base.shape[axis], math.prod(base.shape[axis + 1 :])


def _places(name: str, index: torch.Tensor, entries: int) -> torch.Tensor:
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < entries:
        raise IndexError(f"{name}: an index outside 0 to {entries - 1}")
    return index.to(torch.int64).contiguous()
