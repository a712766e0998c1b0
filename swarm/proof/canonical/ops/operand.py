"""How tensors of any strides are handed to element-by-element kernels.

A `Walk` holds the common shape of some tensors after broadcasting, axes merged where every operand allows it, as the C struct `walk`
(kernels/walk.h). It depends on shapes and strides only, so it is kept: the second call with the same ones is a look-up.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from swarm.proof.canonical.ops import check

AXES, OPERANDS = 12, 8
MOST_KEPT = 8192
FLOAT, _empty = torch.float32, torch.empty_strided  # looked up at every call


class _Struct(ctypes.Structure):
    _fields_ = [
        ("axes", ctypes.c_int64),
        ("operands", ctypes.c_int64),
        ("size", ctypes.c_int64 * AXES),
        ("stride", (ctypes.c_int64 * AXES) * OPERANDS),
    ]


class Walk:
    """`at` is the struct's address, `shape` and `strides` are of a new output."""

    __slots__ = ("_struct", "at", "shape", "strides")

    def __init__(self, shape: tuple[int, ...], strides: tuple[int, ...], operands: list[tuple[int, ...]]):
        self.shape, self.strides = shape, strides
        axes = _merged(shape, operands)
        if len(axes) > AXES or len(operands) > OPERANDS:
            raise ValueError(f"{len(axes)} axes of {len(operands)} operands; at most {AXES} of {OPERANDS}")
        self._struct = _Struct(len(axes), len(operands))
        for place, (size, steps) in enumerate(axes):
            self._struct.size[place] = size
            for operand, step in enumerate(steps):
                self._struct.stride[operand][place] = step
        self.at = ctypes.addressof(self._struct)


_kept: dict[Any, Walk] = {}


def ready1(name: str, a: torch.Tensor, out: torch.Tensor | None) -> tuple[Walk, torch.Tensor, torch.Tensor]:
    """An operator's walk, output (a new one where `out` is None) and input. Raises Unsupported where one is not float32; RuntimeError, as torch
    does, for a bad `out`."""
    if a.dtype is not FLOAT or not a.is_cpu:
        check(name, a)
    if out is None:
        key = (a.shape, a.stride())
        walk = _kept.get(key) or _keep(key, None, a)
        return walk, _empty(walk.shape, walk.strides), a
    (a,) = _apart(name, out, a)
    key = (a.shape, a.stride(), out.shape, out.stride())
    return _kept.get(key) or _keep(key, out, a), out, a


def ready2(name: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None) -> tuple[Walk, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of two inputs, which broadcast."""
    if a.dtype is not FLOAT or b.dtype is not FLOAT or not (a.is_cpu and b.is_cpu):
        check(name, a, b)
    if out is None:
        key = (a.shape, a.stride(), b.shape, b.stride(), None)
        walk = _kept.get(key) or _keep(key, None, a, b)
        return walk, _empty(walk.shape, walk.strides), a, b
    a, b = _apart(name, out, a, b)
    key = (a.shape, a.stride(), b.shape, b.stride(), out.shape, out.stride())
    return _kept.get(key) or _keep(key, out, a, b), out, a, b


def ready3(
    name: str, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor | None
) -> tuple[Walk, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of three inputs."""
    check(name, a, b, c)
    if out is not None:
        a, b, c = _apart(name, out, a, b, c)
    key = (a.shape, a.stride(), b.shape, b.stride(), c.shape, c.stride(), None if out is None else (out.shape, out.stride()))
    walk = _kept.get(key) or _keep(key, out, a, b, c)
    return walk, _empty(walk.shape, walk.strides) if out is None else out, a, b, c


def _apart(name: str, out: torch.Tensor, *tensors: torch.Tensor) -> list[torch.Tensor]:
    """The inputs of an operator that writes into `out`, copied where they share words with it in another layout: all are read before any
    word is written."""
    if out.dtype is not FLOAT or not out.is_cpu:
        check(name, out)
    return [tensor if tensor is out or not _clashes(tensor, out) else tensor.clone() for tensor in tensors]


def _clashes(tensor: torch.Tensor, out: torch.Tensor) -> bool:
    if not torch._C._is_alias_of(tensor, out) or not torch._C._overlaps(tensor, out):
        return False
    return tensor.data_ptr() != out.data_ptr() or tensor.shape != out.shape or tensor.stride() != out.stride()


def _keep(key: Any, out: torch.Tensor | None, *tensors: torch.Tensor) -> Walk:
    shape = tuple(torch.broadcast_shapes(*(each.shape for each in tensors)))
    if out is not None and tuple(out.shape) != shape:
        raise RuntimeError(f"an output of shape {tuple(out.shape)} for a result of shape {shape}")
    strides = _layout(*tensors) if out is None else out.stride()
    if out is not None and out.numel() and any(n > 1 and not step for n, step in zip(shape, strides, strict=True)):
        raise RuntimeError("an output with several places in one word: clone it first")
    operands = [tuple(strides), *(each.expand(shape).stride() for each in tensors)]
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[key] = Walk(shape, tuple(strides), operands)
    return _kept[key]


def _layout(*tensors: torch.Tensor) -> tuple[int, ...]:
    """The strides that torch gives the result of an element-by-element operator on these: code that follows may take a view of it."""
    like = [torch.empty_strided(each.shape, each.stride(), device="meta") for each in tensors]
    with torch._C._DisableTorchDispatch():
        total = torch.addcmul(*like) if len(like) == 3 else torch.add(*like) if len(like) == 2 else torch.neg(*like)
    return total.stride()


def _merged(shape: tuple[int, ...], operands: list[tuple[int, ...]]) -> list[tuple[int, tuple[int, ...]]]:
    """Axes as (size, stride of each operand), innermost last: ordered by the output's strides, of size 1 left out, neighbours joined where
    the outer one's stride is the inner one's whole length in every operand."""
    axes = [(n, tuple(each[axis] for each in operands)) for axis, n in enumerate(shape) if n != 1]
    axes.sort(key=lambda axis: -axis[1][0])  # stable: an expanded output never is
    joined: list[tuple[int, tuple[int, ...]]] = []
    for n, steps in axes:
        if joined and joined[-1][1] == tuple(step * n for step in steps):
            joined[-1] = (joined[-1][0] * n, steps)
        else:
            joined.append((n, steps))
    return joined or [(1, (1,) * len(operands))]
