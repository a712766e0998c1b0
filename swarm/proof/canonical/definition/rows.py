"""What reduces an index range to one word: sums, products, extremes, and what is made of them at once.

The range of an operator over `dims` is the reduced axes in their own order, row-major. A sum over n words has this fixed order, in which
every kernel adds on every machine:

    n <= 4096   16 lanes; lane l adds words l, l + 16, l + 32, ... ascending, from +0. Then the tree: for s = 8, 4, 2, 1
                lane i becomes lane i + lane (i + s) for all i < s; lane 0 is the sum
    n >  4096   the sum of the sums of consecutive blocks of 4096 words, the last one short

A sum of squares or of products does the same with FMA in place of ADD in the lanes of the first level. Zeros at the end of a range change
no sum (no lane is ever -0). A maximum or minimum does not depend on the order; no words at all give -inf and +inf. `cumsum` ascends from +0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import NONE, Code
from swarm.proof.canonical.definition.machine import Machine, View

LANES = 16
BLOCK = 4096


def table(machine: Machine, x: View, dims: Sequence[int]) -> View:
    """`x` as (rows, n): a row is the range over `dims` at one place of the other axes. Costs a MAP where strides do not allow to see it so."""
    inner = sorted(axis % len(x.shape) for axis in dims)
    outer = [axis for axis in range(len(x.shape)) if axis not in inner]
    moved = x.permute(*outer, *inner)
    sizes = [math.prod(x.shape[a] for a in axes) for axes in (outer, inner)]
    steps = [_merged([(x.shape[a], x.strides[a]) for a in axes]) for axes in (outer, inner)]
    if None in steps or 0 in sizes:
        return machine.packed(moved).reshape(*sizes)
    return View(x.number, x.words, x.offset, tuple(sizes), tuple(steps))


def untable(machine: Machine, rows: View, shape: Sequence[int], dims: Sequence[int]) -> View:
    """Row-major (rows, n) back to `shape`, whose axes `dims` the range went over."""
    inner = sorted(axis % len(shape) for axis in dims)
    order = [axis for axis in range(len(shape)) if axis not in inner] + inner
    seen = rows.reshape(*(shape[axis] for axis in order))
    return machine.packed(seen.permute(*(order.index(axis) for axis in range(len(shape)))))


def reduced(row: View, shape: Sequence[int], dims: Sequence[int], keepdim: bool) -> View:
    """(rows,) as the operator's result: `shape` with `dims` gone, or of size 1."""
    gone = {axis % len(shape) for axis in dims}
    return row.reshape(*(1 if axis in gone else n for axis, n in enumerate(shape) if keepdim or axis not in gone))


def _merged(axes: Sequence[tuple[int, int]]) -> int | None:
    """The one stride of several (size, stride) axes, or None."""
    real = [(n, stride) for n, stride in axes if n != 1]
    if any(stride != n * inner for (_, stride), (n, inner) in zip(real, real[1:], strict=False)):
        return None
    return real[-1][1] if real else 0


def total(machine: Machine, *operands: View) -> View:
    """SUM of (..., n) over its last axis; of two operands the DOT, of the same one twice the SUMSQ."""
    n = operands[0].shape[-1]
    if n <= BLOCK:
        return _lanes(machine, *operands)
    whole = n - n % BLOCK
    sums = _lanes(machine, *(_split(each.cut(-1, 0, whole), BLOCK) for each in operands))
    if whole < n:
        rest = _lanes(machine, *(each.cut(-1, whole, n) for each in operands))
        sums = _joined(machine, sums, rest)
    return total(machine, sums)


def _lanes(machine: Machine, *operands: View) -> View:
    code, n = (Code.ADD if len(operands) == 1 else Code.FMA), operands[0].shape[-1]
    whole, lead = n - n % LANES, operands[0].shape[:-1]
    zeros = machine.constant(0.0).expand(*lead, LANES)
    if whole:
        sums = machine.fold(code, zeros, *(_split(each.cut(-1, 0, whole), LANES).transpose(-1, -2) for each in operands))
    else:
        sums = machine.map(Code.MOV, zeros)
    if whole < n:
        some, rest = sums.cut(-1, 0, n - whole), [each.cut(-1, whole, n) for each in operands]
        more = machine.map(code, some, *rest) if code == Code.ADD else machine.map(code, *rest, some)
        sums = machine.update(some, more).reshape(*lead, LANES)
    for half in (8, 4, 2, 1):
        sums = machine.map(Code.ADD, sums.cut(-1, 0, half), sums.cut(-1, half, 2 * half))
    return sums.at(-1, 0)


def _split(view: View, size: int) -> View:
    """(..., n) as (..., n / size, size)."""
    shape, step = (*view.shape[:-1], view.shape[-1] // size, size), view.strides[-1]
    return View(view.number, view.words, view.offset, shape, (*view.strides[:-1], step * size, step))


def _joined(machine: Machine, sums: View, rest: View) -> View:
    """(..., n) and (...) as (..., n + 1)."""
    n = sums.shape[-1]
    shape = (*sums.shape[:-1], n + 1)
    whole = machine.map(Code.MOV, machine.constant(0.0).expand(*shape))
    for place, source in ((range(n), sums), (range(n, n + 1), rest.grown(-1))):
        whole = machine.update(whole.cut(-1, place.start, place.stop), source).reshape(*shape)
    return whole


def highest(machine: Machine, x: View) -> View:
    """MAX of (..., n) over its last axis."""
    return machine.fold(Code.MAX, machine.constant(-math.inf).expand(*x.shape[:-1]), x)


def lowest(machine: Machine, x: View) -> View:
    """MIN of (..., n) over its last axis."""
    return machine.fold(Code.MIN, machine.constant(math.inf).expand(*x.shape[:-1]), x)


def average(machine: Machine, x: View) -> View:
    """SUM / n of (..., n) over its last axis."""
    return machine.map(Code.DIV, total(machine, x), machine.constant(float(x.shape[-1])))


@defined("sum")
def sum_(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    return reduced(total(machine, table(machine, x, dims)), x.shape, dims, keepdim)


@defined("mean")
def mean(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    """SUM / n, of no words not a number."""
    return reduced(average(machine, table(machine, x, dims)), x.shape, dims, keepdim)


@defined("nansum")
def nansum(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    """SUM with +0 for what is not a number."""
    rows = table(machine, x, dims)
    kept = machine.map(Code.SELECT, machine.map(Code.ISNAN, rows), machine.constant(0.0), rows)
    return reduced(total(machine, kept), x.shape, dims, keepdim)


@defined("norm")
def norm(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    """The Euclidean norm: SQRT of SUMSQ."""
    rows = table(machine, x, dims)
    return reduced(machine.map(Code.SQRT, total(machine, rows, rows)), x.shape, dims, keepdim)


@defined("var")
def var(machine: Machine, x: View, *, dims: Sequence[int], correction: float, keepdim: bool = False) -> View:
    """SUMSQ(x - mean) / max(0, n - correction)."""
    return reduced(_variance(machine, table(machine, x, dims), correction), x.shape, dims, keepdim)


@defined("std")
def std(machine: Machine, x: View, *, dims: Sequence[int], correction: float, keepdim: bool = False) -> View:
    """SQRT of `var`."""
    return reduced(machine.map(Code.SQRT, _variance(machine, table(machine, x, dims), correction)), x.shape, dims, keepdim)


def _variance(machine: Machine, rows: View, correction: float) -> View:
    away = machine.map(Code.SUB, rows, average(machine, rows).grown(-1))
    return machine.map(Code.DIV, total(machine, away, away), machine.constant(max(0.0, rows.shape[-1] - correction)))


@defined("amax")
def amax(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    return reduced(highest(machine, table(machine, x, dims)), x.shape, dims, keepdim)


@defined("amin")
def amin(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    return reduced(lowest(machine, table(machine, x, dims)), x.shape, dims, keepdim)


@defined("argmax")
def argmax(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    """The first place in the range that equals its maximum (-0 equals +0); where something is not a number, the first such place. int32."""
    rows = table(machine, x, dims)
    return reduced(_first(machine, rows, highest(machine, rows)), x.shape, dims, keepdim)


@defined("argmin")
def argmin(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    """The first place in the range that equals its minimum; where something is not a number, the first such place. int32."""
    rows = table(machine, x, dims)
    return reduced(_first(machine, rows, lowest(machine, rows)), x.shape, dims, keepdim)


def _first(machine: Machine, rows: View, wanted: View) -> View:
    place, none = machine.coordinate(rows.shape, -1), machine.word(NONE)
    start, one = none.expand(*rows.shape[:-1]), machine.word(1)  # truth values, compared as the float of that word
    equal = machine.fold(Code.FIRSTEQ, start, rows, wanted.grown(-1), place)
    strange = machine.fold(Code.FIRSTEQ, start, machine.map(Code.ISNAN, rows), one.expand(*rows.shape), place)
    return machine.map(Code.SELECT, machine.map(Code.IEQ, strange, none), equal, strange)


@defined("cumsum")
def cumsum(machine: Machine, x: View, *, dim: int) -> View:
    """out[i] adds the words 0 ... i ascending, from +0."""
    rows = table(machine, x, [dim]) if x.shape else x.reshape(1, 1)
    count, n = rows.shape
    here, there = machine.coordinate((n, n), 0), machine.coordinate((n, n), 1)
    wide = rows.grown(1, n)
    sums = machine.fold(Code.ADDLE, machine.constant(0.0).expand(count, n), wide, there.expand(count, n, n), here.expand(count, n, n))
    return untable(machine, sums, x.shape, [dim]) if x.shape else sums.reshape()
