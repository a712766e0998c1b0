"""AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), one tensor. The numbers are float32 roundings of float64 values (`ops.optimizer.Rates`)."""

from __future__ import annotations

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View


@defined("adamw")
def adamw(
    m: Machine, p: View, g: View, first: View, second: View, *, decay: float, c1: float, b2: float, c2: float, root: float, eps: float, step: float
) -> tuple[View, View, View]:
    """New weights and moments: p decay - step m' / (sqrt(v') / root + eps) with m' = m + c1 (g - m), v' = b2 v + c2 g^2."""
    decayed = m.map(Code.MUL, p, m.constant(decay))
    first = m.map(Code.FMA, m.constant(c1), m.map(Code.SUB, g, first), first)
    second = m.map(Code.FMA, m.map(Code.MUL, m.constant(c2), g), g, m.map(Code.MUL, m.constant(b2), second))
    size = m.map(Code.ADD, m.map(Code.DIV, m.map(Code.SQRT, second), m.constant(root)), m.constant(eps))
    return m.map(Code.FMA, m.constant(-step), m.map(Code.DIV, first, size), decayed), first, second
