"""Operators that move, compare or convert words and round nothing: stock torch runs them, a dispute needs their meaning all the same.

Views are affine maps and no operations, so `copy` alone stands for clone, contiguous, copy_, expand and repeat; `put` takes the inverse
of its index ("which place of the source lands here, or -1"), which is a constant wherever the index is. What is not here (sorting, masks
computed from floats as indices) ends a dispute as `structure`: the drawn jury replays it. Integer operands are int32 words, truth values 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View


@defined("copy")
def copy(m: Machine, x: View, *, shape: Sequence[int]) -> View:
    """x broadcast to a shape."""
    return x.expand(*shape)


@defined("repeat")
def repeat(m: Machine, x: View, *, times: Sequence[int]) -> View:
    """x side by side, `times` along each axis (new ones in front)."""
    wide = x.expand(*(1,) * (len(times) - len(x.shape)), *x.shape)
    out, shape = wide, tuple(n * t for n, t in zip(wide.shape, times, strict=True))
    for axis, count in reversed(list(enumerate(times))):
        out = out.grown(axis, count)
    return m.packed(m.map(Code.MOV, out)).reshape(*shape)


@defined("convert")
def convert(m: Machine, x: View, *, source: str, target: str) -> View:
    """Among `float32`, `int` (towards 0) and `bool` (is it other than 0?)."""
    if target == source or (source, target) == ("bool", "int"):
        return x
    if target == "float32":
        return m.map(Code.I2F, x)
    if target == "int":
        return m.map(Code.F2I, x)
    return _not(m, m.map(Code.EQ if source == "float32" else Code.IEQ, x, m.word(0)))


@defined("cat")
def cat(m: Machine, *pieces: View, dim: int) -> View:
    """The pieces one after the other along an axis."""
    lengths = [piece.shape[dim] for piece in pieces]
    shape = list(pieces[0].shape)
    shape[dim] = sum(lengths)
    out, start = m.map(Code.MOV, m.word(0).expand(*shape)), 0
    for piece, length in zip(pieces, lengths, strict=True):
        out = m.update(out.cut(dim, start, start + length), piece).reshape(*shape)
        start += length
    return out


@defined("roll")
def roll(m: Machine, x: View, *, shift: int, dim: int) -> View:
    """out[i] = x[(i - shift) modulo n] along an axis."""
    n = x.shape[dim]
    if n == 0 or shift % n == 0:
        return x
    return cat(m, x.cut(dim, n - shift % n, n), x.cut(dim, 0, n - shift % n), dim=dim)


@defined("slice_scatter")
def slice_scatter(m: Machine, base: View, source: View, *, dim: int, start: int, end: int, step: int) -> View:
    """base with `source` in base[start:end:step]."""
    whole = m.map(Code.MOV, base)
    return m.update(whole.cut(dim, start, end, step), source).reshape(*base.shape)


@defined("select_scatter")
def select_scatter(m: Machine, base: View, source: View, *, dim: int, index: int) -> View:
    """base with `source` at one place of an axis."""
    whole = m.map(Code.MOV, base)
    return m.update(whole.at(dim, index), source).reshape(*base.shape)


@defined("slice_backward")
def slice_backward(m: Machine, grad: View, *, shape: Sequence[int], dim: int, start: int, end: int, step: int) -> View:
    """+0 with `grad` in [start:end:step]."""
    return slice_scatter(m, m.word(0).expand(*shape), grad, dim=dim, start=start, end=end, step=step)


@defined("select_backward")
def select_backward(m: Machine, grad: View, *, shape: Sequence[int], dim: int, index: int) -> View:
    """+0 with `grad` at one place of an axis."""
    return select_scatter(m, m.word(0).expand(*shape), grad, dim=dim, index=index)


@defined("where")
def where(m: Machine, condition: View, x: View, y: View) -> View:
    return m.map(Code.SELECT, condition, x, y)


@defined("masked_fill")
def masked_fill(m: Machine, x: View, mask: View, *, word: int) -> View:
    """`word` (32 bits) where the mask is true."""
    return m.map(Code.SELECT, mask, m.word(word), x)


@defined("masked_fill_tensor")
def masked_fill_tensor(m: Machine, x: View, mask: View, value: View) -> View:
    return m.map(Code.SELECT, mask, value, x)


@defined("nan_to_num")
def nan_to_num(m: Machine, x: View, *, nan: int, above: int, below: int) -> View:
    """Other words for what is no finite number."""
    finite = m.map(Code.SELECT, m.map(Code.EQ, x, m.constant(math.inf)), m.word(above), x)
    finite = m.map(Code.SELECT, m.map(Code.EQ, x, m.constant(-math.inf)), m.word(below), finite)
    return m.map(Code.SELECT, m.map(Code.ISNAN, x), m.word(nan), finite)


@defined("fill")
def fill(m: Machine, *, shape: Sequence[int], word: int) -> View:
    return m.word(word).expand(*shape)


@defined("gather")
def gather(m: Machine, x: View, index: View, *, dim: int) -> View:
    """out[i, j, k] = x[i, index[i, j, k], k] for the axis in the middle."""
    strides = tuple(0 if axis == dim else stride for axis, stride in enumerate(x.strides))
    return m.pick(View(x.number, x.words, x.offset, index.shape, strides), index, x.strides[dim] if x.strides else 0)


@defined("index")
def index(m: Machine, x: View, *indices: View, dims: Sequence[int]) -> View:
    """x[..., index, ...] by integers from 0 at the axes `dims`, broadcast together, in numpy's order of axes."""
    common = np.broadcast_shapes(*(each.shape for each in indices))
    place = dims[0] if list(dims) == list(range(dims[0], dims[0] + len(dims))) else 0
    rest = [axis for axis in range(len(x.shape)) if axis not in dims]
    before, after = rest[:place], rest[place:]
    shape = (*(x.shape[a] for a in before), *common, *(x.shape[a] for a in after))
    strides = (*(x.strides[a] for a in before), *(0 for _ in common), *(x.strides[a] for a in after))
    address, scale = _address(m, indices, [x.strides[dim] for dim in dims])
    address = address.expand(*common)
    which = View(address.number, address.words, address.offset, shape, (0,) * len(before) + address.strides + (0,) * len(after))
    return m.pick(View(x.number, x.words, x.offset, shape, strides), which, scale)


@defined("put")
def put(m: Machine, base: View, source: View, inverse: View) -> View:
    """out[i] = base[i] where inverse[i] < 0, else the word at that row-major place of the source."""
    flat = m.packed(source)
    kept = m.map(Code.ILT, inverse, m.word(0))
    places = m.map(Code.SELECT, kept, m.word(0), inverse)
    got = m.pick(View(flat.number, flat.words, flat.offset, base.shape, (0,) * len(base.shape)), places, 1)
    return m.map(Code.SELECT, kept, base, got)


@defined("compare")
def compare(m: Machine, x: View, y: View, *, relation: str, integers: bool = False) -> View:
    """Truth of x `relation` y: eq, ne, lt, le, gt, ge; a comparison with no number is false, `ne` is true."""
    if relation in ("gt", "ge"):
        return compare(m, y, x, relation={"gt": "lt", "ge": "le"}[relation], integers=integers)
    if relation == "ne":
        return _not(m, m.map(Code.IEQ if integers else Code.EQ, x, y))
    if integers and relation == "le":
        return _not(m, m.map(Code.ILT, y, x))
    codes = {"eq": Code.IEQ, "lt": Code.ILT} if integers else {"eq": Code.EQ, "lt": Code.LT, "le": Code.LE}
    return m.map(codes[relation], x, y)


@defined("compare_scalar")
def compare_scalar(m: Machine, x: View, *, relation: str, word: int, integers: bool = False) -> View:
    """`compare` with one word on the right."""
    return compare(m, x, m.word(word), relation=relation, integers=integers)


@defined("isnan")
def isnan(m: Machine, x: View) -> View:
    return m.map(Code.ISNAN, x)


@defined("isinf")
def isinf(m: Machine, x: View) -> View:
    return m.map(Code.EQ, m.map(Code.ABS, x), m.constant(math.inf))


@defined("isfinite")
def isfinite(m: Machine, x: View) -> View:
    return m.map(Code.LT, m.map(Code.ABS, x), m.constant(math.inf))


@defined("logical_not")
def logical_not(m: Machine, x: View) -> View:
    return _not(m, x)


@defined("logical")
def logical(m: Machine, x: View, y: View, *, relation: str) -> View:
    """and, or, xor of truth values."""
    return m.map({"and": Code.AND, "or": Code.OR, "xor": Code.XOR}[relation], x, y)


@defined("integers")
def integers(m: Machine, x: View, y: View, *, operation: str) -> View:
    """add, sub or mul of int32 words, which do not overflow."""
    return m.map({"add": Code.IADD, "sub": Code.ISUB, "mul": Code.IMUL}[operation], x, y)


@defined("any")
def any_of(m: Machine, x: View, *, dims: Sequence[int], keep: bool = False) -> View:
    """Is one true? As the largest of 0.0 and 1.0, axis by axis."""
    return _folded(m, Code.MAX, 0.0, x, dims, keep)


@defined("all")
def all_of(m: Machine, x: View, *, dims: Sequence[int], keep: bool = False) -> View:
    return _folded(m, Code.MIN, 1.0, x, dims, keep)


@defined("count")
def count(m: Machine, x: View, *, dims: Sequence[int], keep: bool = False) -> View:
    """How many are true: a sum of floats, exact up to 2^24."""
    return _folded(m, Code.ADD, 0.0, x, dims, keep)


def _folded(m: Machine, code: Code, start: float, x: View, dims: Sequence[int], keep: bool) -> View:
    """Of truth values as floats, axis by axis; an integer again."""
    found = m.map(Code.I2F, x)
    for axis in sorted(dims, reverse=True):
        order = [a for a in range(len(found.shape)) if a != axis] + [axis]
        found = m.fold(code, m.constant(start), found.permute(*order))
        found = found.grown(axis) if keep else found
    return m.map(Code.F2I, found)


def _address(m: Machine, indices: Sequence[View], strides: Sequence[int]) -> tuple[View, int]:
    """One integer for all indices, and by how much it counts."""
    if len(indices) == 1:
        return indices[0], strides[0]
    total = m.map(Code.IMUL, indices[0], m.word(strides[0]))
    for each, stride in zip(indices[1:], strides[1:], strict=True):
        total = m.map(Code.IADD, total, m.map(Code.IMUL, each, m.word(stride)))
    return total, 1


def _not(m: Machine, truth: View) -> View:
    return m.map(Code.IEQ, truth, m.word(0))
