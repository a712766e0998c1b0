"""Operators of one or two scalar codes per element."""

from __future__ import annotations

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View


@defined("neg")
def neg(m: Machine, a: View) -> View:
    return m.map(Code.NEG, a)


@defined("add")
def add(m: Machine, a: View, b: View, *, alpha: float = 1.0) -> View:
    return m.map(Code.ADD, a, b) if alpha == 1 else m.map(Code.FMA, m.constant(alpha), b, a)
