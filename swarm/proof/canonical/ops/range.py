"""How a tensor of any strides is handed to kernels that reduce: as (outer, n, inner), where n is the range of each row (kernels/rows.c).

Like a `Walk` it depends on shapes and strides only, so it is kept.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import torch

MOST_KEPT = 8192


class _Struct(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("outer", "outer_step", "n", "step", "inner", "inner_step")]


class Range:
    """`at` is the struct's address; `flat` says that the tensor must be made row-major first, with `order` its axes, the reduced ones last."""

    __slots__ = ("_struct", "at", "flat", "keeping", "n", "order", "shape")

    def __init__(self, shape: Sequence[int], strides: Sequence[int], dims: Sequence[int]):
        gone = sorted(dim % len(shape) for dim in dims)
        kept = [axis for axis in range(len(shape)) if axis not in gone]
        self.order = (*kept, *gone)
        self.shape = tuple(shape[axis] for axis in kept)
        self.keeping = tuple(1 if axis in gone else n for axis, n in enumerate(shape))
        self.n = math.prod(shape[axis] for axis in gone)
        outer, inner = (_merged([(shape[axis], strides[axis]) for axis in axes]) for axes in (kept, gone))
        self.flat = len(outer) > 2 or len(inner) > 1
        if self.flat:
            outer, inner = [(math.prod(self.shape), self.n)], [(self.n, 1)]
        outer = [(1, 0), (1, 0), *outer][-2:]
        self._struct = _Struct(*outer[0], *([*inner, (1, 1)][0]), *outer[1])
        self.at = ctypes.addressof(self._struct)

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor whose data the struct describes."""
        return x.permute(self.order).contiguous() if self.flat else x

    def empty(self, keepdim: bool, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """A new result."""
        return torch.empty(self.keeping if keepdim else self.shape, dtype=dtype)


_kept: dict[Any, Range] = {}


def range_of(x: torch.Tensor, dims: Sequence[int]) -> Range:
    """How `x` is reduced over `dims`."""
    key = (x.shape, x.stride(), tuple(dims))
    found = _kept.get(key)
    if found is None:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        found = _kept[key] = Range(x.shape, x.stride(), dims)
    return found


def rows_last(x: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """`x` row-major with `dims` last: its rows are consecutive words."""
    return x.contiguous() if not x.dim() or tuple(dims) == (x.dim() - 1,) else x.permute(range_of(x, dims).order).contiguous()


def _merged(axes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbours joined where one stride leads through both, axes of size 1 left out."""
    joined: list[tuple[int, int]] = []
    for n, step in axes:
        if n == 1:
            continue
        if joined and joined[-1][1] == step * n:
            joined[-1] = (joined[-1][0] * n, step)
        else:
            joined.append((n, step))
    return joined
