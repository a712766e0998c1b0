"""Reductions: ATen's axes, given, negative or left out, become the operators' own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from swarm.proof.canonical.ops import Unsupported, moved, rows
from swarm.proof.canonical.routes import route

aten = torch.ops.aten
Axes = Sequence[int] | int | None


def axes(x: torch.Tensor, dim: Axes) -> list[int]:
    """The axes meant, ascending: all where none is given. Raises IndexError and RuntimeError where torch does."""
    if dim is None or dim == []:
        return list(range(x.dim()))
    given = [dim] if isinstance(dim, int) else list(dim)
    size = max(1, x.dim())  # a number has an axis, which is none
    if any(not -size <= axis < size for axis in given):
        raise IndexError(f"Dimension out of range (expected to be in range of [{-size}, {size - 1}], but got {given})")
    found = sorted(axis % size for axis in given)
    if len(set(found)) < len(found):
        raise RuntimeError(f"an axis appears twice in {given}")
    return found if x.dim() else []


def axis_of(x: torch.Tensor, dim: int) -> int:
    """The one axis meant; of a number 0."""
    return (axes(x, dim) or [0])[0]


def _float(name: str, x: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """`x` as the `dtype` asked for, which is float32 or none."""
    if dtype not in (None, torch.float32):
        raise Unsupported(name, f"in {dtype} has no canonical form")
    if x.is_floating_point():
        return x
    given = {"dtype": torch.float32}
    return moved(aten._to_copy.default, (x,), given, aten._to_copy.default(x, **given))


@route(aten.sum.default, aten.sum.dim_IntList)
def sum(x: torch.Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    return rows.sum(_float("aten.sum", x, dtype), axes(x, dim), keepdim)


@route(aten.mean.default, aten.mean.dim)
def mean(x: torch.Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    return rows.mean(_float("aten.mean", x, dtype), axes(x, dim), keepdim)


@route(aten.nansum.default)
def nansum(x: torch.Tensor, dim: Axes = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    return rows.nansum(_float("aten.nansum", x, dtype), axes(x, dim), keepdim)


def _require_euclidean(name: str, order: float | None, dtype: torch.dtype | None) -> None:
    if order not in (None, 2) or dtype not in (None, torch.float32):
        raise Unsupported(name, f"of order {order} in {dtype or torch.float32} has no canonical form")


@route(aten.linalg_vector_norm.default)
def vector_norm(x: torch.Tensor, ord: float = 2, dim: Axes = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    _require_euclidean("aten.linalg_vector_norm", ord, dtype)
    return rows.norm(x, axes(x, dim), keepdim)


@route(aten.norm.Scalar)
def norm(x: torch.Tensor, p: float = 2) -> torch.Tensor:
    _require_euclidean("aten.norm", p, None)
    return rows.norm(x, axes(x, None))


@route(aten.norm.ScalarOpt_dim)
def norm_along(x: torch.Tensor, p: float | None, dim: Axes, keepdim: bool = False) -> torch.Tensor:
    _require_euclidean("aten.norm", p, None)
    return rows.norm(x, axes(x, dim), keepdim)


@route(aten._foreach_norm.Scalar)
def norms(tensors: Sequence[torch.Tensor], ord: float = 2, dtype: torch.dtype | None = None) -> list[torch.Tensor]:
    _require_euclidean("aten._foreach_norm", ord, dtype)
    return [rows.norm(each, axes(each, None)) for each in tensors]


@route(aten.max.default, aten.amax.default)
def amax(x: torch.Tensor, dim: Axes = None, keepdim: bool = False) -> torch.Tensor:
    return rows.amax(x, axes(x, dim), keepdim)


@route(aten.min.default, aten.amin.default)
def amin(x: torch.Tensor, dim: Axes = None, keepdim: bool = False) -> torch.Tensor:
    return rows.amin(x, axes(x, dim), keepdim)


@route(aten.max.dim)
def max_along(x: torch.Tensor, dim: int, keepdim: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.amax(x, axes(x, dim), keepdim), rows.argmax(x, axes(x, dim), keepdim)


@route(aten.min.dim)
def min_along(x: torch.Tensor, dim: int, keepdim: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.amin(x, axes(x, dim), keepdim), rows.argmin(x, axes(x, dim), keepdim)


@route(aten.argmax.default)
def argmax(x: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
    return rows.argmax(x, axes(x, dim), keepdim)


@route(aten.argmin.default)
def argmin(x: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
    return rows.argmin(x, axes(x, dim), keepdim)


def _spread(operator: Any) -> tuple[Any, Any, Any]:
    """The three ways in which ATen says which variance or deviation is meant."""

    def by_correction(x: torch.Tensor, dim: Axes = None, *, correction: float | None = None, keepdim: bool = False) -> torch.Tensor:
        return operator(x, axes(x, dim), 1.0 if correction is None else float(correction), keepdim)

    def whole(x: torch.Tensor, unbiased: bool = True) -> torch.Tensor:
        return operator(x, axes(x, None), float(unbiased))

    def along(x: torch.Tensor, dim: Axes, unbiased: bool = True, keepdim: bool = False) -> torch.Tensor:
        return operator(x, axes(x, dim), float(unbiased), keepdim)

    return by_correction, whole, along


for _packet, _operator in ((aten.var, rows.var), (aten.std, rows.std)):
    for _overload, _way in zip((_packet.correction, _packet.default, _packet.dim), _spread(_operator), strict=True):
        route(_overload)(_way)


@route(aten.cumsum.default)
def cumsum(x: torch.Tensor, dim: int, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    return rows.cumsum(_float("aten.cumsum", x, dtype), axis_of(x, dim))
