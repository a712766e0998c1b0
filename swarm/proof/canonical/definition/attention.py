"""Scaled dot-product attention, forward and backward: every sum ascends, over keys, queries or the head's size, one fused term at a time.

So keys that are masked, before or after the others, queries beside it, other rows of the batch and a cache change no bit of an output: a
masked key's weight is exactly +0, and a final + 0 gives -0 the same fate. (A key is without effect only where its value is finite.)
Shapes: query (batch, heads, L, size), key (batch, heads, S, size), value (batch, heads, S, other), mask broadcast to (batch, heads, L, S).
Forward, keys and values may have fewer heads: as if each were there several times in a row.
"""

from __future__ import annotations

import math

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.definition.math import exp, log


@defined("attention")
def attention(
    machine: Machine, query: View, key: View, value: View, mask: View | None, *, causal: bool, scale: float
) -> tuple[View, View]:
    """s = scores; m = MAX over keys of s, +0 where that is -inf; e = exp(s - m); l = sum of e and a = sum of e * value, keys ascending;
    out = a * (1 / l) + 0, the factor +0 where l = 0; logsumexp = log(l) + m. Gives out and logsumexp (batch, heads, L)."""
    whole, few = query.shape[:3], key.shape[1]
    if few != whole[1]:
        mask = None if mask is None else _grouped(mask.expand(*whole, key.shape[2]), few)
        query, key, value = _grouped(query, few), *(each.grown(2, whole[1] // few) for each in (key, value))
    s = _scores(machine, query, key, mask, causal, scale)
    top = machine.fold(Code.MAX, machine.constant(-math.inf).expand(*s.shape[:-1]), s)
    top = _unless(machine, top, -math.inf)
    e = exp(machine, machine.map(Code.SUB, s, top.grown(-1)))
    sums = machine.fold(Code.ADD, machine.constant(0.0).expand(*s.shape[:-1]), e)
    nothing = machine.map(Code.EQ, sums, machine.constant(0.0))
    share = machine.map(Code.SELECT, nothing, machine.constant(0.0), machine.map(Code.DIV, machine.constant(1.0), sums))
    out = _product(machine, e, value.transpose(-1, -2), Code.MUL, share.grown(-1))
    out, sums = _plus_zero(machine, out), machine.map(Code.ADD, log(machine, sums), top)
    return out.reshape(*whole, value.shape[-1]), sums.reshape(*whole)


@defined("attention_backward")
def attention_backward(
    machine: Machine, grad: View, query: View, key: View, value: View, out: View, logsumexp: View, mask: View | None, *, causal: bool, scale: float
) -> tuple[View, View, View]:
    """p = exp(s - logsumexp), with +0 for a logsumexp of -inf; dvalue = sum over queries of p * grad, + 0; dp = sum over the size of grad *
    value, + 0; delta = sum over the size of grad * out; ds = p * (dp - delta); dquery = (sum over keys of ds * key + 0) * scale; dkey =
    (sum over queries of ds * query + 0) * scale. All sums FMA, ascending, from +0."""
    base = _unless(machine, logsumexp, -math.inf)
    p = exp(machine, machine.map(Code.SUB, _scores(machine, query, key, mask, causal, scale), base.grown(-1)))
    dp = _plus_zero(machine, _product(machine, grad, value))
    delta = machine.fold(Code.FMA, machine.constant(0.0).expand(*grad.shape[:-1]), grad, out)
    ds = machine.map(Code.MUL, p, machine.map(Code.SUB, dp, delta.grown(-1)))
    factor = machine.constant(scale)
    dquery = machine.map(Code.MUL, _plus_zero(machine, _product(machine, ds, key.transpose(-1, -2))), factor)
    dkey = machine.map(Code.MUL, _plus_zero(machine, _product(machine, ds.transpose(-1, -2), query.transpose(-1, -2))), factor)
    dvalue = _plus_zero(machine, _product(machine, p.transpose(-1, -2), grad.transpose(-1, -2)))
    return dquery, dkey, dvalue


def _grouped(x: View, few: int) -> View:
    """(batch, heads, ...) as (batch, few, heads of each, ...)."""
    batch, heads, *shape = x.shape
    each, (outer, step, *strides) = heads // few, x.strides
    return View(x.number, x.words, x.offset, (batch, few, each, *shape), (outer, step * each, step, *strides))


def _scores(machine: Machine, query: View, key: View, mask: View | None, causal: bool, scale: float) -> View:
    """Sum over the size of query * key, times scale, plus mask; -inf where the key comes after the query (causal)."""
    s = _product(machine, query, key, Code.MUL, machine.constant(scale))
    if mask is not None:
        s = machine.map(Code.ADD, s, mask.expand(*s.shape))
    if causal:
        later = machine.map(Code.ILT, machine.coordinate(s.shape, -2), machine.coordinate(s.shape, -1))
        s = machine.map(Code.SELECT, later, machine.constant(-math.inf), s)
    return s


def _product(machine: Machine, left: View, right: View, code: Code | None = None, factor: View | None = None) -> View:
    """(..., m, k) and (..., n, k) to (..., m, n), k ascending from +0; then `code` with `factor`."""
    shape = (*left.shape[:-1], right.shape[-2])
    wide = left.grown(-2, shape[-1]), right.grown(-3, shape[-2])
    sums = machine.fold(Code.FMA, machine.constant(0.0).expand(*shape), *wide)
    return sums if code is None else machine.map(code, sums, factor)


def _plus_zero(machine: Machine, x: View) -> View:
    return machine.map(Code.ADD, x, machine.constant(0.0))


def _unless(machine: Machine, x: View, value: float) -> View:
    """`x`, +0 where it equals `value`."""
    return machine.map(Code.SELECT, machine.map(Code.EQ, x, machine.constant(value)), machine.constant(0.0), x)
