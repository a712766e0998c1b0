"""Normalisation over the last axes: layer norm and RMS norm, forward and backward.

A row is the `width` last axes, n words; `x` is (..., n) here. Sums along a row and over rows are those of `rows.total`.
"""

from __future__ import annotations

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.definition.rows import average, table, total


@defined("layer_norm")
def layer_norm(machine: Machine, x: View, weight: View | None, bias: View | None, *, width: int, eps: float) -> tuple[View, View, View]:
    """d = x - SUM x / n; r = 1 / sqrt(SUMSQ d / n + eps); y = FMA(d * r, weight, bias), without weight d * r + bias, without bias no addition.
    Gives y and each row's mean and r."""
    rows = _rows(machine, x, width)
    middle = average(machine, rows)
    away = machine.map(Code.SUB, rows, middle.grown(-1))
    scale = _inverse(machine, away, eps)
    y = machine.map(Code.MUL, away, scale.grown(-1))
    w, b = _flat(machine, weight), _flat(machine, bias)
    if w is not None and b is not None:
        y = machine.map(Code.FMA, y, w, b)
    elif w is not None or b is not None:
        y = machine.map(Code.ADD if w is None else Code.MUL, y, b if w is None else w)
    return y.reshape(*x.shape), _per_row(middle, x, width), _per_row(scale, x, width)


@defined("layer_norm_backward")
def layer_norm_backward(machine: Machine, grad: View, x: View, mean: View, rstd: View, weight: View | None, *, width: int) -> tuple[View, View, View]:
    """h = (x - mean) * rstd; u = grad * weight; dx = rstd * FMA(-h, DOT(u, h) / n, u - SUM u / n); dweight = DOT over rows of grad and h;
    dbias = SUM over rows of grad."""
    rows, g = _rows(machine, x, width), _rows(machine, grad, width)
    scale = _column(machine, rstd)
    h = machine.map(Code.MUL, machine.map(Code.SUB, rows, _column(machine, mean)), scale)
    u = g if weight is None else machine.map(Code.MUL, g, _flat(machine, weight))
    less = machine.map(Code.SUB, u, average(machine, u).grown(-1))
    dx = machine.map(Code.MUL, scale, machine.map(Code.FMA, machine.map(Code.NEG, h), _share(machine, u, h), less))
    dweight, dbias = total(machine, g.transpose(0, 1), h.transpose(0, 1)), total(machine, g.transpose(0, 1))
    return dx.reshape(*x.shape), *(each.reshape(*x.shape[-width:]) for each in (dweight, dbias))


@defined("rms_norm")
def rms_norm(machine: Machine, x: View, weight: View | None, *, width: int, eps: float) -> tuple[View, View]:
    """r = 1 / sqrt(SUMSQ x / n + eps); y = (x * r) * weight. Gives y and each row's r."""
    rows = _rows(machine, x, width)
    scale = _inverse(machine, rows, eps)
    y = machine.map(Code.MUL, rows, scale.grown(-1))
    if weight is not None:
        y = machine.map(Code.MUL, y, _flat(machine, weight))
    return y.reshape(*x.shape), _per_row(scale, x, width)


@defined("rms_norm_backward")
def rms_norm_backward(machine: Machine, grad: View, x: View, rstd: View, weight: View | None, *, width: int) -> tuple[View, View]:
    """h = x * rstd; u = grad * weight; dx = rstd * FMA(-h, DOT(u, h) / n, u); dweight = DOT over rows of grad and h."""
    rows, g = _rows(machine, x, width), _rows(machine, grad, width)
    scale = _column(machine, rstd)
    h = machine.map(Code.MUL, rows, scale)
    u = g if weight is None else machine.map(Code.MUL, g, _flat(machine, weight))
    dx = machine.map(Code.MUL, scale, machine.map(Code.FMA, machine.map(Code.NEG, h), _share(machine, u, h), u))
    dweight = total(machine, g.transpose(0, 1), h.transpose(0, 1))
    return dx.reshape(*x.shape), dweight.reshape(*x.shape[-width:])


def _rows(machine: Machine, x: View, width: int) -> View:
    return table(machine, x, range(len(x.shape) - width, len(x.shape)))


def _inverse(machine: Machine, rows: View, eps: float) -> View:
    """1 / sqrt(SUMSQ / n + eps) of each row."""
    spread = machine.map(Code.DIV, total(machine, rows, rows), machine.constant(float(rows.shape[-1])))
    return machine.map(Code.DIV, machine.constant(1.0), machine.map(Code.SQRT, machine.map(Code.ADD, spread, machine.constant(eps))))


def _share(machine: Machine, u: View, h: View) -> View:
    return machine.map(Code.DIV, total(machine, u, h), machine.constant(float(u.shape[-1]))).grown(-1)


def _flat(machine: Machine, weight: View | None) -> View | None:
    return None if weight is None else machine.packed(weight).reshape(weight.size)


def _column(machine: Machine, each: View) -> View:
    return machine.packed(each).reshape(each.size, 1)


def _per_row(row: View, x: View, width: int) -> View:
    kept = len(x.shape) - width
    return row.reshape(*(n if axis < kept else 1 for axis, n in enumerate(x.shape)))
