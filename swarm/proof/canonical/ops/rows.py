"""Reductions (kernels/rows.c, kernels/places.c): over `dims`, which are given one by one; none is every element for itself."""

from __future__ import annotations

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import Unsupported, check, operator
from swarm.proof.canonical.ops.range import range_of, rows_last

SUM, MEAN, NANSUM, NORM, HIGHEST, LOWEST = range(6)  # as in kernels/rows.c

_reduce = Kernel("canonical_reduce", "ippw")
_place = Kernel("canonical_place", "ppnni")
_variance = Kernel("canonical_variance", "ppnnfi")
_running = Kernel("canonical_running", "ppnn")


def _reduced(name: str, kind: int, x: torch.Tensor, dims: list[int], keepdim: bool) -> torch.Tensor:
    check(name, x)
    way = range_of(x, dims)
    if not way.n and kind in (HIGHEST, LOWEST):
        raise Unsupported(name, "of nothing")
    out, x = way.empty(keepdim), way.of(x)
    _reduce.call(kind, out.data_ptr(), x.data_ptr(), way.at)
    return out


@operator("sum(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def sum(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    return _reduced("sum", SUM, x, dims, keepdim)


@operator("mean(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def mean(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    return _reduced("mean", MEAN, x, dims, keepdim)


@operator("nansum(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def nansum(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    """The sum of the words that are numbers."""
    return _reduced("nansum", NANSUM, x, dims, keepdim)


@operator("norm(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def norm(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    """The Euclidean one."""
    return _reduced("norm", NORM, x, dims, keepdim)


@operator("amax(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def amax(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    return _reduced("amax", HIGHEST, x, dims, keepdim)


@operator("amin(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def amin(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    return _reduced("amin", LOWEST, x, dims, keepdim)


@operator("argmax(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def argmax(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    """The first place of the greatest word, or of what is not a number; int64, counted through `dims` row-major."""
    return _found("argmax", x, dims, keepdim, 0)


@operator("argmin(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def argmin(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    """The first place of the least word, or of what is not a number."""
    return _found("argmin", x, dims, keepdim, 1)


def _found(name: str, x: torch.Tensor, dims: list[int], keepdim: bool, least: int) -> torch.Tensor:
    check(name, x)
    way = range_of(x, dims)
    if not way.n:
        raise Unsupported(name, "of nothing")
    out, rows = way.empty(keepdim, torch.int64), rows_last(x, dims)
    _place.call(out.data_ptr(), rows.data_ptr(), out.numel(), way.n, least)
    return out


@operator("var(Tensor x, int[] dims, float correction, bool keepdim=False) -> Tensor")
def var(x: torch.Tensor, dims: list[int], correction: float, keepdim: bool = False) -> torch.Tensor:
    return _spread("var", x, dims, correction, keepdim, 0)


@operator("std(Tensor x, int[] dims, float correction, bool keepdim=False) -> Tensor")
def std(x: torch.Tensor, dims: list[int], correction: float, keepdim: bool = False) -> torch.Tensor:
    return _spread("std", x, dims, correction, keepdim, 1)


def _spread(name: str, x: torch.Tensor, dims: list[int], correction: float, keepdim: bool, root: int) -> torch.Tensor:
    check(name, x)
    way = range_of(x, dims)
    out, rows = way.empty(keepdim), rows_last(x, dims)
    _variance.call(out.data_ptr(), rows.data_ptr(), out.numel(), way.n, max(0.0, way.n - correction), root)
    return out


@operator("cumsum(Tensor x, int dim) -> Tensor")
def cumsum(x: torch.Tensor, dim: int) -> torch.Tensor:
    check("cumsum", x)
    rows = x.movedim(dim, -1).contiguous() if x.dim() else x
    out = torch.empty_like(rows)
    n = rows.shape[-1] if x.dim() else 1
    _running.call(out.data_ptr(), rows.data_ptr(), out.numel() // max(1, n), n)
    return out.movedim(-1, dim).contiguous() if x.dim() else out
