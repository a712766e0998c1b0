"""How an ATen operator that stock torch ran enters a trace: as a definition of `definition/moves.py`, its tensors and attributes.

`lowered` is asked only where words that come from floats take part. It gives None for an operator without a definition: the trace then
holds it by its own name, and a dispute that ends there ends as `structure`, before the jury. Indices that are constants become the constants
that the definitions want: integers from 0 on for a mask, the inverse of an index that is written to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

aten = torch.ops.aten
Constant = Callable[[torch.Tensor], bool]  # whether no float had a part in a tensor


@dataclass(frozen=True)
class Lowered:
    """A definition's name, the tensors it reads in order, and its attributes."""

    name: str
    tensors: list[torch.Tensor]
    attributes: dict[str, Any] = field(default_factory=dict)


Lower = Callable[..., Lowered | None]
_LOWER: dict[Any, Lower] = {}


def lowered(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: torch.Tensor, is_constant: Constant) -> Lowered | None:
    """What `out = func(*args, **kwargs)` did. In-place operators are given as they are: their first argument has changed already."""
    lower = _LOWER.get(func)
    return None if lower is None else lower(out, is_constant, *args, **kwargs)


def word_of(value: Any, dtype: torch.dtype) -> int:
    """The 32 bits of a number in a tensor of a type."""
    if dtype.is_floating_point:
        return struct.unpack("<I", struct.pack("<f", torch.tensor(value, dtype=torch.float32).item()))[0]
    return int(value) % 2**32


def kind_of(dtype: torch.dtype) -> str:
    return "float32" if dtype.is_floating_point else "bool" if dtype == torch.bool else "int"


def _lower(*overloads: Any) -> Callable[[Lower], Lower]:
    def enter(function: Lower) -> Lower:
        _LOWER.update(dict.fromkeys(overloads, function))
        return function

    return enter


def _axis(dim: int, tensor: torch.Tensor, more: int = 0) -> int:
    return dim % max(1, tensor.dim() + more)


@_lower(aten.clone.default, aten._to_copy.default, aten.contiguous.default)
def _copied(out: torch.Tensor, _: Constant, source: torch.Tensor, *__: Any, **___: Any) -> Lowered:
    if kind_of(source.dtype) != kind_of(out.dtype):
        return Lowered("convert", [source], {"source": kind_of(source.dtype), "target": kind_of(out.dtype)})
    return Lowered("copy", [source], {"shape": list(out.shape)})


@_lower(aten.copy_.default)
def _written(out: torch.Tensor, _: Constant, target: torch.Tensor, source: torch.Tensor, *__: Any) -> Lowered:
    return _copied(out, _, source.expand(target.shape))


@_lower(aten.fill_.Tensor)
def _filled_by(out: torch.Tensor, _: Constant, target: torch.Tensor, value: torch.Tensor) -> Lowered:
    return _copied(out, _, value.expand(target.shape))


@_lower(aten.fill_.Scalar, aten.fill.Scalar)
def _filled(out: torch.Tensor, _: Constant, target: torch.Tensor, value: Any) -> Lowered:
    return Lowered("fill", [], {"shape": list(target.shape), "word": word_of(value, out.dtype)})


@_lower(aten.zero_.default)
def _zeroed(out: torch.Tensor, _: Constant, target: torch.Tensor) -> Lowered:
    return Lowered("fill", [], {"shape": list(target.shape), "word": 0})


@_lower(aten.repeat.default)
def _repeated(out: torch.Tensor, _: Constant, source: torch.Tensor, times: list[int]) -> Lowered:
    return Lowered("repeat", [source], {"times": list(times)})


@_lower(aten.cat.default)
def _joined(out: torch.Tensor, _: Constant, tensors: list[torch.Tensor], dim: int = 0) -> Lowered | None:
    pieces = [each for each in tensors if tuple(each.shape) != (0,) or out.dim() == 1]  # torch skips those
    return Lowered("cat", pieces, {"dim": _axis(dim, out)}) if all(each.dtype == out.dtype for each in pieces) else None


@_lower(aten.stack.default)
def _stacked(out: torch.Tensor, _: Constant, tensors: list[torch.Tensor], dim: int = 0) -> Lowered | None:
    return _joined(out, _, [each.unsqueeze(_axis(dim, out)) for each in tensors], dim)


@_lower(aten.roll.default)
def _rolled(out: torch.Tensor, _: Constant, source: torch.Tensor, shifts: list[int], dims: list[int] = ()) -> Lowered | None:
    return Lowered("roll", [source], {"shift": shifts[0], "dim": _axis(dims[0], source)}) if len(shifts) == len(dims) == 1 else None


def _range(start: int | None, end: int | None, step: int, size: int) -> dict[str, int]:
    start, end, step = slice(start, end, step).indices(size)
    return {"start": start, "end": max(start, end), "step": step}


@_lower(aten.slice_scatter.default)
def _sliced_in(
    out: torch.Tensor, _: Constant, base: torch.Tensor, source: torch.Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Lowered:
    axis = _axis(dim, base)
    return Lowered("slice_scatter", [base, source], {"dim": axis} | _range(start, end, step, base.shape[axis]))


@_lower(aten.select_scatter.default)
def _selected_in(out: torch.Tensor, _: Constant, base: torch.Tensor, source: torch.Tensor, dim: int, index: int) -> Lowered:
    axis = _axis(dim, base)
    return Lowered("select_scatter", [base, source], {"dim": axis, "index": index % base.shape[axis]})


@_lower(aten.slice_backward.default)
def _sliced_back(out: torch.Tensor, _: Constant, grad: torch.Tensor, sizes: list[int], dim: int, start: int, end: int, step: int) -> Lowered:
    axis = _axis(dim, out)
    return Lowered("slice_backward", [grad], {"shape": list(sizes), "dim": axis} | _range(start, end, step, sizes[axis]))


@_lower(aten.select_backward.default)
def _selected_back(out: torch.Tensor, _: Constant, grad: torch.Tensor, sizes: list[int], dim: int, index: int) -> Lowered:
    axis = _axis(dim, out)
    return Lowered("select_backward", [grad], {"shape": list(sizes), "dim": axis, "index": index % sizes[axis]})


@_lower(aten.where.self)
def _chosen(out: torch.Tensor, _: Constant, condition: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> Lowered | None:
    return Lowered("where", [condition, x, y]) if x.dtype == y.dtype and condition.dtype == torch.bool else None


@_lower(aten.masked_fill.Scalar, aten.masked_fill_.Scalar)
def _masked(out: torch.Tensor, _: Constant, x: torch.Tensor, mask: torch.Tensor, value: Any) -> Lowered:
    return Lowered("masked_fill", [x, mask], {"word": word_of(value, out.dtype)})


@_lower(aten.masked_fill.Tensor, aten.masked_fill_.Tensor)
def _masked_by(out: torch.Tensor, _: Constant, x: torch.Tensor, mask: torch.Tensor, value: torch.Tensor) -> Lowered | None:
    return Lowered("masked_fill_tensor", [x, mask, value]) if value.dtype == x.dtype else None


@_lower(aten.nan_to_num.default)
def _numbered(out: torch.Tensor, _: Constant, x: torch.Tensor, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Lowered:
    limits = torch.finfo(torch.float32)
    values = [0.0 if nan is None else nan, limits.max if posinf is None else posinf, limits.min if neginf is None else neginf]
    return Lowered("nan_to_num", [x], dict(zip(("nan", "above", "below"), [word_of(value, out.dtype) for value in values], strict=True)))


@_lower(aten.gather.default)
def _gathered(out: torch.Tensor, _: Constant, x: torch.Tensor, dim: int, index: torch.Tensor, **__: Any) -> Lowered:
    return Lowered("gather", [x, index], {"dim": _axis(dim, x)})


@_lower(aten.index_select.default)
def _indexed_along(out: torch.Tensor, _: Constant, x: torch.Tensor, dim: int, index: torch.Tensor) -> Lowered:
    return Lowered("index", [x, index], {"dims": [_axis(dim, x)]})


@_lower(aten.index.Tensor)
def _indexed(out: torch.Tensor, is_constant: Constant, x: torch.Tensor, indices: list[torch.Tensor | None]) -> Lowered | None:
    found = _integers(x, indices, is_constant)
    return None if found is None else Lowered("index", [x, *found.values()], {"dims": list(found)})


@_lower(aten.index_put_.default, aten.index_put.default)
def _put(
    out: torch.Tensor, is_constant: Constant, base: torch.Tensor, indices: list[torch.Tensor | None], values: torch.Tensor, accumulate: bool = False
) -> Lowered | None:
    found = _integers(base, indices, is_constant)
    if accumulate or found is None or values.dtype != base.dtype or not all(is_constant(each) for each in indices if each is not None):
        return None
    places = torch.arange(base.numel()).reshape(base.shape)[tuple(found.get(axis, slice(None)) for axis in range(base.dim()))]
    return _inverse(base, places, values.expand(places.shape))


@_lower(aten.scatter_.src, aten.scatter.src)
def _scattered(out: torch.Tensor, is_constant: Constant, base: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor) -> Lowered | None:
    if not is_constant(index):
        return None
    places = torch.arange(base.numel()).reshape(base.shape).gather(dim, index)
    return _inverse(base, places, source[tuple(slice(n) for n in index.shape)])


def _inverse(base: torch.Tensor, places: torch.Tensor, source: torch.Tensor) -> Lowered:
    if places.numel() == 0:
        return Lowered("copy", [base], {"shape": list(base.shape)})
    inverse = torch.full((base.numel(),), -1)
    inverse.scatter_reduce_(0, places.reshape(-1), torch.arange(places.numel()), "amax")  # of equal words for one place the last, in any order
    return Lowered("put", [base, source, inverse.reshape(base.shape)])


def _integers(x: torch.Tensor, indices: list[torch.Tensor | None], is_constant: Constant) -> dict[int, torch.Tensor] | None:
    """Axis -> index of integers from 0 on. None where a mask came from floats (how many it holds would be no structure), or a place counted from
    the end."""
    found: dict[int, torch.Tensor] = {}
    axis = 0
    for each in indices:
        if each is None:
            axis += 1
        elif not is_constant(each):
            if each.dtype == torch.bool or bool((each < 0).any()):
                return None
            found[axis], axis = each, axis + 1
        elif each.dtype in (torch.bool, torch.uint8):
            for part in each.nonzero(as_tuple=True):
                found[axis], axis = part, axis + 1
        else:
            found[axis], axis = torch.where(each < 0, each + x.shape[axis], each), axis + 1
    return found


_RELATIONS = ("eq", "ne", "lt", "le", "gt", "ge")


def _comparison(relation: str) -> None:
    @_lower(getattr(aten, relation).Tensor)
    def _pair(out: torch.Tensor, _: Constant, x: torch.Tensor, y: torch.Tensor) -> Lowered | None:
        integers = not x.dtype.is_floating_point
        return Lowered("compare", [x, y], {"relation": relation, "integers": integers}) if integers != y.dtype.is_floating_point else None

    @_lower(getattr(aten, relation).Scalar)
    def _one(out: torch.Tensor, _: Constant, x: torch.Tensor, value: Any) -> Lowered | None:
        integers = not x.dtype.is_floating_point
        if integers and not (isinstance(value, int) and -(2**31) <= value < 2**31):
            return None
        return Lowered("compare_scalar", [x], {"relation": relation, "word": word_of(value, x.dtype), "integers": integers})


for _relation in _RELATIONS:
    _comparison(_relation)


def _unary(name: str, *overloads: Any) -> None:
    @_lower(*overloads)
    def _one(out: torch.Tensor, _: Constant, x: torch.Tensor) -> Lowered | None:
        return Lowered(name, [x])


for _name in ("isnan", "isinf", "isfinite"):
    _unary(_name, getattr(aten, _name).default)


@_lower(aten.logical_not.default, aten.bitwise_not.default, aten.logical_not_.default, aten.bitwise_not_.default)
def _not(out: torch.Tensor, _: Constant, x: torch.Tensor) -> Lowered | None:
    return Lowered("logical_not", [x]) if x.dtype == torch.bool else None


def _integer(operation: str) -> None:
    @_lower(getattr(aten, operation).Tensor)
    def _pair(out: torch.Tensor, _: Constant, x: Any, y: Any, alpha: int = 1) -> Lowered | None:
        x, y = (each if isinstance(each, torch.Tensor) else torch.tensor(each) for each in (x, y))
        if operation == "mul" and x.dtype == y.dtype == torch.bool:
            return Lowered("logical", [x, y], {"relation": "and"})
        whole = all(each.dtype in (torch.int64, torch.int32) for each in (x, y, out)) and alpha == 1
        return Lowered("integers", [x, y], {"operation": operation}) if whole else None


for _name in ("add", "sub", "mul"):
    _integer(_name)


def _logic(relation: str, *overloads: Any) -> None:
    @_lower(*overloads)
    def _pair(out: torch.Tensor, _: Constant, x: torch.Tensor, y: torch.Tensor) -> Lowered | None:
        return Lowered("logical", [x, y], {"relation": relation}) if x.dtype == y.dtype == torch.bool else None


for _relation in ("and", "or"):  # these give the same once more: in place, the left one has changed already
    _logic(_relation, *(getattr(aten, f"logical_{_relation}{place}").default for place in ("", "_")))
    _logic(_relation, *(getattr(aten, f"bitwise_{_relation}{place}").Tensor for place in ("", "_")))
_logic("xor", aten.logical_xor.default, aten.bitwise_xor.Tensor)


@_lower(aten.sum.default, aten.sum.dim_IntList)
def _counted(out: torch.Tensor, _: Constant, x: torch.Tensor, dims: list[int] | None = None, keepdim: bool = False, **__: Any) -> Lowered | None:
    axes = [_axis(dim, x) for dim in dims] if dims else list(range(x.dim()))
    small = x.dtype == torch.bool and out.dtype == torch.int64 and x.numel() < 2**24
    return Lowered("count", [x], {"dims": axes, "keep": keepdim}) if small else None


def _quantifier(name: str) -> None:
    @_lower(getattr(aten, name).default)
    def _over_all(out: torch.Tensor, _: Constant, x: torch.Tensor) -> Lowered | None:
        return Lowered(name, [x], {"dims": list(range(x.dim()))}) if x.dtype == torch.bool else None

    @_lower(getattr(aten, name).dim)
    def _over_one(out: torch.Tensor, _: Constant, x: torch.Tensor, dim: int, keepdim: bool = False) -> Lowered | None:
        return Lowered(name, [x], {"dims": [_axis(dim, x)], "keep": keepdim}) if x.dtype == torch.bool else None


for _name in ("any", "all"):
    _quantifier(_name)
