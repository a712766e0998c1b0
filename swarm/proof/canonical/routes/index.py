"""Rows picked by integers and sums that go back to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from swarm.proof.canonical.ops import Unsupported, index, moved
from swarm.proof.canonical.routes import route
from swarm.proof.canonical.routes.exact import require_put_once
from swarm.proof.canonical.routes.rows import axis_of

aten = torch.ops.aten
Indices = Sequence[torch.Tensor | None]


@route(aten.embedding.default)
def embedding(weight: torch.Tensor, indices: torch.Tensor, *_: Any) -> torch.Tensor:
    return index.embedding(weight, indices)


@route(aten.embedding_dense_backward.default)
def embedding_backward(grad: torch.Tensor, indices: torch.Tensor, num_weights: int, padding_idx: int, scale_grad_by_freq: bool) -> torch.Tensor:
    if scale_grad_by_freq:
        raise Unsupported("aten.embedding_dense_backward", "with scale_grad_by_freq has no canonical form")
    return index.embedding_backward(grad, indices, num_weights, padding_idx)


def _require_one(name: str, alpha: float) -> None:
    if alpha != 1:
        raise Unsupported(name, f"with alpha {alpha} has no canonical form")


@route(aten.index_add.default)
def index_add(x: torch.Tensor, dim: int, places: torch.Tensor, source: torch.Tensor, *, alpha: float = 1) -> torch.Tensor:
    _require_one("aten.index_add", alpha)
    return index.index_add(x, places, source, axis_of(x, dim))


@route(aten.index_add_.default)
def index_add_(x: torch.Tensor, dim: int, places: torch.Tensor, source: torch.Tensor, *, alpha: float = 1) -> torch.Tensor:
    _require_one("aten.index_add_", alpha)
    return index.index_add(x, places, source, axis_of(x, dim), out=x)


@route(aten.scatter_add.default)
def scatter_add(x: torch.Tensor, dim: int, places: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return index.scatter_add(x, places, source, axis_of(x, dim))


@route(aten.scatter_add_.default)
def scatter_add_(x: torch.Tensor, dim: int, places: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return index.scatter_add(x, places, source, axis_of(x, dim), out=x)


@route(aten.index_put.default)
def index_put(x: torch.Tensor, indices: Indices, values: torch.Tensor, accumulate: bool = False) -> torch.Tensor:
    """Exact without `accumulate`; with it, sums into places."""
    return _added(x, indices, values, False) if accumulate else _put(aten.index_put.default, x, indices, values)


@route(aten.index_put_.default)
def index_put_(x: torch.Tensor, indices: Indices, values: torch.Tensor, accumulate: bool = False) -> torch.Tensor:
    return _added(x, indices, values, True) if accumulate else _put(aten.index_put_.default, x, indices, values)


def _put(stock: Any, x: torch.Tensor, indices: Indices, values: torch.Tensor) -> torch.Tensor:
    require_put_once(x, indices, values)
    return _moved(stock, x, indices, values)


def _moved(stock: Any, *given: Any) -> torch.Tensor:
    return moved(stock, given, {}, stock(*given))


def _added(x: torch.Tensor, indices: Indices, values: torch.Tensor, here: bool) -> torch.Tensor:
    """Several indexed axes become one, the first."""
    whole = _integers(indices)
    chosen = [axis for axis, each in enumerate(whole) if each is not None]
    places = torch.broadcast_tensors(*(whole[axis] for axis in chosen))
    others = [axis for axis in range(x.dim()) if axis not in chosen]
    if len(chosen) == 1 and places[0].dim() == 1:
        shape = [places[0].numel() if axis == chosen[0] else n for axis, n in enumerate(x.shape)]
        wide = values if list(values.shape) == shape else _moved(aten.expand.default, values, shape)
        return index.index_add(x, _wrapped(places[0], x.shape[chosen[0]]), wide, chosen[0], out=x if here else None)
    flat = torch.zeros_like(places[0])
    for axis, each in zip(chosen, places, strict=True):
        flat = flat * x.shape[axis] + _wrapped(each, x.shape[axis])
    source = _source(values, list(places[0].shape), [x.shape[axis] for axis in others], chosen)
    order = [*chosen, *others]
    moves = _moved(aten.permute.default, x, order)
    rows = _moved(aten.reshape.default, moves, [math.prod(x.shape[axis] for axis in chosen), *(x.shape[axis] for axis in others)])
    sums = index.index_add(rows, flat.reshape(-1), source, 0)
    back = _moved(aten.permute.default, _moved(aten.view.default, sums, list(moves.shape)), [order.index(axis) for axis in range(x.dim())])
    return _moved(aten.copy_.default, x, back) if here else back


def _integers(indices: Indices) -> list[torch.Tensor | None]:
    """A truth value for each place becomes the places that are true."""
    found: list[torch.Tensor | None] = []
    for each in indices:
        found += list(each.nonzero().unbind(1)) if each is not None and each.dtype in (torch.bool, torch.uint8) else [each]
    return found


def _wrapped(places: torch.Tensor, size: int) -> torch.Tensor:
    """-1 is the last."""
    return torch.where(places < 0, places + size, places)


def _source(values: torch.Tensor, picked: list[int], rest: list[int], chosen: list[int]) -> torch.Tensor:
    """`values` as (positions, rest...): in ATen's result the picked axes stand where the first indexed one was if those are neighbours,
    else in front."""
    place = chosen[0] if chosen == list(range(chosen[0], chosen[-1] + 1)) else 0
    wide = _moved(aten.expand.default, values, [*rest[:place], *picked, *rest[place:]])
    n = len(picked)
    order = [*range(place, place + n), *range(place), *range(place + n, wide.dim())]
    return _moved(aten.reshape.default, _moved(aten.permute.default, wide, order), [math.prod(picked), *rest])
