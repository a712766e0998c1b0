"""The negative log-likelihood of given classes (what cross-entropy ends in), forward and backward.

`scores` is (N, classes); `target` (N) integers; a target equal to `ignore` counts for nothing. Reduction 0: none, 1: mean, 2: sum.
"""

from __future__ import annotations

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.definition.rows import total

MEAN, SUM = 1, 2


@defined("nll_loss")
def nll_loss(machine: Machine, scores: View, target: View, weight: View | None, *, reduction: int, ignore: int) -> tuple[View, View]:
    """w = weight of the target, or 1, +0 where ignored; loss = -score * w (without weight -score), +0 where ignored; its SUM, divided by
    SUM w for the mean. Gives the loss and SUM w (+0 without reduction)."""
    ignored, safe = _target(machine, target, ignore)
    rows = machine.coordinate(scores.shape[:1], 0)
    seen = View(scores.number, scores.words, scores.offset, scores.shape[:1], scores.strides[:1])
    loss = machine.map(Code.NEG, machine.pick(seen, safe, scores.strides[1]))
    w = _weights(machine, weight, ignored, safe)
    if weight is not None:
        loss = machine.map(Code.MUL, loss, w)
    loss = machine.map(Code.SELECT, ignored, machine.constant(0.0), loss)
    if reduction not in (MEAN, SUM):
        return loss, machine.map(Code.MOV, machine.constant(0.0))
    loss, count = total(machine, loss.expand(*rows.shape)), total(machine, w)
    return machine.map(Code.DIV, loss, count) if reduction == MEAN else loss, count


@defined("nll_loss_backward")
def nll_loss_backward(
    machine: Machine, grad: View, target: View, weight: View | None, count: View, *, classes: int, reduction: int, ignore: int
) -> View:
    """-grad, divided by `count` (SUM w) for the mean, times the target's weight, at the target; +0 elsewhere and where ignored."""
    ignored, safe = _target(machine, target, ignore)
    back = machine.map(Code.NEG, grad)
    if reduction == MEAN:
        back = machine.map(Code.DIV, back, count)
    if weight is not None:
        back = machine.map(Code.MUL, back, _weights(machine, weight, ignored, safe))
    shape = (*target.shape, classes)
    here = machine.map(Code.IEQ, machine.coordinate(shape, -1), machine.map(Code.SELECT, ignored, machine.word(-1), safe).grown(-1))
    return machine.map(Code.SELECT, here, back.expand(*target.shape).grown(-1), machine.constant(0.0))


def _target(machine: Machine, target: View, ignore: int) -> tuple[View, View]:
    """Which are ignored, and the classes with 0 for those."""
    ignored = machine.map(Code.IEQ, target, machine.word(ignore))
    return ignored, machine.map(Code.SELECT, ignored, machine.word(0), target)


def _weights(machine: Machine, weight: View | None, ignored: View, safe: View) -> View:
    one = machine.constant(1.0) if weight is None else machine.gather(weight, safe, 0)
    return machine.map(Code.SELECT, ignored, machine.constant(0.0), one)
