"""Softmax and its kin along one axis (as if it were the last), forward and backward, and the loss that picks from them.

Sums are `rows.total`: 16 lanes, so that padding at the end of a row changes no bit of the others, and padding before it may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.definition.math import exp, log
from swarm.proof.canonical.definition.rows import highest, reduced, table, total, untable


@defined("softmax")
def softmax(machine: Machine, x: View, *, dim: int) -> View:
    """e = exp(x - MAX x); e * (1 / SUM e)."""
    return _back(machine, _softmax(machine, _rows(machine, x, dim)), x, dim)


@defined("safe_softmax")
def safe_softmax(machine: Machine, x: View, *, dim: int) -> View:
    """`softmax`, +0 in rows of nothing but -inf."""
    rows = _rows(machine, x, dim)
    empty = machine.map(Code.EQ, highest(machine, rows), machine.constant(-math.inf))
    return _back(machine, machine.map(Code.SELECT, empty.grown(-1), machine.constant(0.0), _softmax(machine, rows)), x, dim)


@defined("log_softmax")
def log_softmax(machine: Machine, x: View, *, dim: int) -> View:
    """(x - MAX x) - log SUM exp(x - MAX x)."""
    rows = _rows(machine, x, dim)
    less = machine.map(Code.SUB, rows, highest(machine, rows).grown(-1))
    scale = log(machine, total(machine, exp(machine, less)))
    return _back(machine, machine.map(Code.SUB, less, scale.grown(-1)), x, dim)


@defined("logsumexp")
def logsumexp(machine: Machine, x: View, *, dims: Sequence[int], keepdim: bool = False) -> View:
    """log SUM exp(x - m) + m, where m is MAX x, or +0 where that is infinite."""
    rows = table(machine, x, dims)
    top = highest(machine, rows)
    infinite = machine.map(Code.EQ, machine.map(Code.ABS, top), machine.constant(math.inf))
    top = machine.map(Code.SELECT, infinite, machine.constant(0.0), top)
    sums = total(machine, exp(machine, machine.map(Code.SUB, rows, top.grown(-1))))
    return reduced(machine.map(Code.ADD, log(machine, sums), top), x.shape, dims, keepdim)


@defined("softmax_backward")
def softmax_backward(machine: Machine, grad: View, y: View, *, dim: int) -> View:
    """(g - DOT(g, y)) * y."""
    g, rows = _rows(machine, grad, dim), _rows(machine, y, dim)
    less = machine.map(Code.SUB, g, total(machine, g, rows).grown(-1))
    return _back(machine, machine.map(Code.MUL, less, rows), y, dim)


@defined("log_softmax_backward")
def log_softmax_backward(machine: Machine, grad: View, y: View, *, dim: int) -> View:
    """FMA(-exp(y), SUM g, g)."""
    g, rows = _rows(machine, grad, dim), _rows(machine, y, dim)
    share = machine.map(Code.NEG, exp(machine, rows))
    return _back(machine, machine.map(Code.FMA, share, total(machine, g).grown(-1), g), y, dim)


def _softmax(machine: Machine, rows: View) -> View:
    e = exp(machine, machine.map(Code.SUB, rows, highest(machine, rows).grown(-1)))
    scale = machine.map(Code.DIV, machine.constant(1.0), total(machine, e))
    return machine.map(Code.MUL, e, scale.grown(-1))


def _rows(machine: Machine, x: View, dim: int) -> View:
    return table(machine, x, [dim]) if x.shape else x.reshape(1, 1)


def _back(machine: Machine, rows: View, x: View, dim: int) -> View:
    return untable(machine, rows, x.shape, [dim]) if x.shape else rows.reshape()
