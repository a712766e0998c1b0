"""ATen operators that stay stock under canonical numerics: they move, compare or convert, and do no arithmetic on floats.

`EXACT` holds them by group, each with its reason. Those in `GUARDS` are exact only under a condition, which their guard looks at first.
Operators on integers and truth values alone are exact whatever they are called, and are in no list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from swarm.proof.canonical.ops import Unsupported

Guard = Callable[..., None]
WIDE = 2.0**31  # a float that becomes an integer is smaller
WHOLE = 2**24  # whole numbers that float32 holds
TWICE = "writes a place twice: which write is the last is a matter of threads"

_GROUPS = {
    # another look at the same words
    "views": """_unsafe_view _reshape_alias alias as_strided chunk detach diagonal expand narrow permute select.int slice.Tensor
        split.Tensor split_with_sizes squeeze squeeze.dim squeeze.dims swapaxes t transpose.int unbind.int unfold unsqueeze view view.dtype
        view_as_real detach_ squeeze_ squeeze_.dim unsqueeze_ t_ transpose_ as_strided_ lift lift_fresh
        set_.source_Storage_storage_offset set_.source_Tensor""",
    # each word of the result is a word of an operand, or +0, or a given number
    "moves": """_unsafe_index.Tensor cat clone constant_pad_nd flip gather index.Tensor index_select masked_fill.Scalar masked_fill.Tensor
        masked_fill_.Scalar masked_fill_.Tensor masked_select new_empty new_full new_ones new_zeros repeat repeat_interleave.self_int
        repeat_interleave.self_Tensor roll select_backward select_scatter slice_backward slice_scatter stack tril triu tril_ triu_
        where.self where.ScalarSelf where.ScalarOther where.Scalar _reshape_copy contiguous index_fill_.int_Scalar index_fill.int_Scalar
        value_selecting_reduction_backward diagonal_backward nan_to_num nan_to_num_ split_copy.Tensor view_copy expand_copy""",
    # no operand at all; a number given in float64 becomes the nearest float32
    "made": """empty.memory_format empty_like empty_permuted empty_strided fill.Scalar fill_.Scalar fill_.Tensor full full_like new_empty_strided
        ones ones_like scalar_tensor zero_ zeros zeros_like eye""",
    # a truth value follows from two words in one way
    "comparisons": """eq.Scalar eq.Tensor ne.Scalar ne.Tensor lt.Scalar lt.Tensor le.Scalar le.Tensor gt.Scalar gt.Tensor ge.Scalar ge.Tensor
        equal isfinite isinf isnan isneginf isposinf signbit all all.dim any any.dim logical_and logical_not logical_or logical_xor nonzero
        isin.Tensor_Tensor is_nonzero count_nonzero""",
    # out of torch into Python, with the same words
    "read": "_local_scalar_dense item is_same_size is_pinned sym_size sym_stride sym_numel",
}


def overloads(text: str) -> Iterator[Any]:
    """ATen operators by name; `default` is left out."""
    for name in text.split():
        packet, _, overload = name.partition(".")
        yield getattr(getattr(torch.ops.aten, packet), overload or "default")


EXACT: frozenset[Any] = frozenset(overload for text in _GROUPS.values() for overload in overloads(text))
GUARDS: dict[Any, Guard] = {}


def _guard(*overloads: Any) -> Callable[[Guard], Guard]:
    def enter(function: Guard) -> Guard:
        GUARDS.update(dict.fromkeys(overloads, function))
        return function

    return enter


@_guard(torch.ops.aten._to_copy.default)
def _converted(source: torch.Tensor, *, dtype: torch.dtype | None = None, **_: Any) -> None:
    _require_exact(source, dtype or source.dtype)


@_guard(torch.ops.aten.copy_.default)
def _copied(target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> None:
    _require_exact(source, target.dtype)


def _require_exact(source: torch.Tensor, kind: torch.dtype) -> None:
    """An integer becomes the nearest float32 in every build. A float becomes an integer as C does it, which leaves open what happens to
    those that do not fit; other floats than float32 have no canonical arithmetic to go to."""
    if source.dtype == kind:
        return
    for each in (source.dtype, kind):
        if each.is_floating_point and each != torch.float32 or each.is_complex:
            raise Unsupported("a conversion", f"of {source.dtype} to {kind} has no canonical form")
    if source.is_floating_point() and kind != torch.bool and not bool((source.abs() < WIDE).all()):
        raise Unsupported("a conversion", f"to {kind} of a float that is none, or not below 2^31, has no canonical form")


@_guard(torch.ops.aten.arange.default, torch.ops.aten.arange.start, torch.ops.aten.arange.start_step)
def _counted(*ends: float, dtype: torch.dtype | None = None, **_: Any) -> None:
    """Whole numbers that float32 holds; others would be sums, in the build's order."""
    if any(isinstance(end, float) and not end.is_integer() or abs(end) > WHOLE for end in ends) and (dtype is None or dtype.is_floating_point):
        raise Unsupported("aten.arange", "has a canonical form for whole numbers up to 2^24 only")


@_guard(torch.ops.aten.sort.stable)
def _sorted(source: torch.Tensor, *, stable: bool | None = None, **_: Any) -> None:
    """Equal words keep their order, or it is the build's."""
    if not stable:
        raise Unsupported("aten.sort.stable", "has a canonical form where stable=True only")


def require_put_once(target: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor) -> None:
    """No place is written twice (`index_put` without sums: routes/index.py)."""
    _require_exact(values, target.dtype)
    whole = [index for index in indices if index is not None]
    if values.numel() <= 1 or any(index.dtype in (torch.bool, torch.uint8) for index in whole):
        return
    places, axes = 0, [axis for axis, index in enumerate(indices) if index is not None]
    if any(_tells_apart(index, target.shape[axis], whole) for axis, index in zip(axes, whole, strict=True)):
        return
    for axis, index in zip(axes, torch.broadcast_tensors(*whole), strict=True):
        size = target.shape[axis]
        places = places * size + index.reshape(-1) % size
    if len(places) > 1 and len(places.unique()) != len(places):
        raise Unsupported("aten.index_put_", TWICE)


@_guard(torch.ops.aten.scatter_.src, torch.ops.aten.scatter.src)
def _scattered(target: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor) -> None:
    if index.numel() > 1:
        ordered = index.sort(dim).values
        if bool((ordered.narrow(dim, 1, index.shape[dim] - 1) == ordered.narrow(dim, 0, index.shape[dim] - 1)).any()):
            raise Unsupported("aten.scatter_", TWICE)


def _tells_apart(index: torch.Tensor, size: int, beside: Sequence[torch.Tensor]) -> bool:
    """Whether one index already names no place of its axis twice: the quick way for the usual case."""
    alone = all(other.numel() == 1 or other.shape == index.shape for other in beside)
    return alone and len({place % size for place in index.reshape(-1).tolist()}) == index.numel()
