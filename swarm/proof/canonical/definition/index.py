"""Rows picked by integer indices, and the sums that go back to them: positions ascending, one addition at a time."""

from __future__ import annotations

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View


@defined("embedding")
def embedding(machine: Machine, weight: View, indices: View) -> View:
    """weight[indices]."""
    return machine.gather(weight, indices, 0)


@defined("embedding_backward")
def embedding_backward(machine: Machine, grad: View, indices: View, *, entries: int, padding: int) -> View:
    """Row v (of `entries`) adds the rows of `grad` whose index is v, positions ascending, from +0; row `padding` stays +0 (-1: no such row)."""
    positions = machine.packed(indices).reshape(indices.size)
    rows = machine.packed(grad).reshape(indices.size, grad.shape[-1])
    if padding >= 0:
        kept = machine.map(Code.IEQ, positions, machine.word(padding))
        positions = machine.map(Code.SELECT, kept, machine.word(-1), positions)
    base = machine.constant(0.0).expand(entries, grad.shape[-1])
    return _added(machine, base, positions, rows)


@defined("index_add")
def index_add(machine: Machine, base: View, index: View, source: View, *, dim: int) -> View:
    """Each word of `base` plus those words of `source` whose index along `dim` is its own, positions ascending."""
    dim %= max(1, len(base.shape))
    back = machine.coordinate(base.shape, dim).grown(-1, index.size)
    rows = source.permute(*(a for a in range(len(source.shape)) if a != dim), dim).grown(dim, base.shape[dim])
    return machine.fold(Code.ADDEQ, base, rows, index.expand(*back.shape), back)


@defined("scatter_add")
def scatter_add(machine: Machine, base: View, index: View, source: View, *, dim: int) -> View:
    """base[..., index[p], ...] plus source[..., p, ...] for p along `dim` ascending; `index` may be smaller than the others."""
    dim %= max(1, len(base.shape))
    whole, words = base.shape, machine.packed(base)
    part, rows = words.reshape(*whole), source
    for axis, n in enumerate(index.shape):
        part = part if axis == dim else part.cut(axis, 0, n)
        rows = rows.cut(axis, 0, n)
    order = (*(a for a in range(len(whole)) if a != dim), dim)
    wide = [each.permute(*order).grown(dim, whole[dim]) for each in (rows, index)]
    sums = machine.fold(Code.ADDEQ, part, *wide, machine.coordinate(part.shape, dim).grown(-1, index.shape[dim]))
    return machine.update(part, sums).reshape(*whole)


def _added(machine: Machine, base: View, positions: View, rows: View) -> View:
    """base (V, D) + rows (P, D) where positions (P) are the row of base."""
    shape = (*base.shape, positions.size)
    here = machine.coordinate(base.shape, 0).grown(-1, positions.size)
    return machine.fold(Code.ADDEQ, base, rows.transpose(0, 1).grown(0, base.shape[0]), positions.expand(*shape), here)
