"""Sampled tokens: what a teacher-forced pass and a sample's noise make of them, and what a step is worth whose tokens do not follow.

Gumbel-max with counter-based noise as in `swarm.policy.noise`. Only traces run these: a node samples by faster ways to the same tokens.
"""

from __future__ import annotations

import math

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import NAN, NONE, Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.definition.math import log


@defined("drawn")
def drawn(m: Machine, logits: View, *, seed: bytes, start: int) -> View:
    """Tokens (n,), int32: the first largest of logits (n, V) + noise of the positions from `start` on. -1 where one is not a number."""
    unit = m.map(Code.MUL, m.map(Code.ADD, m.map(Code.I2F, m.noise(seed, start, *logits.shape)), m.constant(0.5)), m.constant(2.0**-23))
    noise = m.map(Code.NEG, log(m, m.map(Code.NEG, log(m, unit))))
    total = m.map(Code.ADD, logits, noise)
    best = m.fold(Code.MAX, m.constant(-math.inf), total)
    return m.fold(Code.FIRSTEQ, m.word(NONE), total, best.grown(-1), m.coordinate(total.shape, -1))


@defined("follows")
def follows(m: Machine, x: View, drawn: View, told: View) -> View:
    """x where all of `told` was drawn; else no number anywhere: the state after a step whose tokens do not follow is none."""
    same = m.map(Code.I2F, m.map(Code.IEQ, drawn, told))
    return m.map(Code.SELECT, m.map(Code.F2I, m.fold(Code.MIN, m.constant(1), same)), x, m.word(NAN))
