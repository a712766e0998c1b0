"""Element-by-element operators of a few scalar codes, of one shape after broadcasting. Functions like exp are in `math`."""

from __future__ import annotations

import math as numbers

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.definition.math import erf, exp, rsqrt, sigmoid, tanh


@defined("neg")
def neg(m: Machine, a: View) -> View:
    return m.map(Code.NEG, a)


@defined("abs")
def absolute(m: Machine, a: View) -> View:
    return m.map(Code.ABS, a)


@defined("sign")
def sign(m: Machine, a: View) -> View:
    """-1, 0 or 1; 0 where a is not a number."""
    zero = m.constant(0.0)
    return m.map(Code.I2F, m.map(Code.ISUB, m.map(Code.LT, zero, a), m.map(Code.LT, a, zero)))


@defined("sqrt")
def sqrt(m: Machine, a: View) -> View:
    return m.map(Code.SQRT, a)


@defined("reciprocal")
def reciprocal(m: Machine, a: View) -> View:
    return m.map(Code.DIV, m.constant(1.0), a)


@defined("add")
def add(m: Machine, a: View, b: View, *, alpha: float = 1.0) -> View:
    return m.map(Code.ADD, a, b) if alpha == 1 else m.map(Code.FMA, m.constant(alpha), b, a)


@defined("sub")
def sub(m: Machine, a: View, b: View) -> View:
    return m.map(Code.SUB, a, b)


@defined("mul")
def mul(m: Machine, a: View, b: View) -> View:
    return m.map(Code.MUL, a, b)


@defined("div")
def div(m: Machine, a: View, b: View) -> View:
    return m.map(Code.DIV, a, b)


@defined("maximum")
def maximum(m: Machine, a: View, b: View) -> View:
    return m.map(Code.MAX, a, b)


@defined("minimum")
def minimum(m: Machine, a: View, b: View) -> View:
    return m.map(Code.MIN, a, b)


@defined("add_scalar")
def add_scalar(m: Machine, a: View, *, value: float) -> View:
    return m.map(Code.ADD, a, m.constant(value))


@defined("rsub")
def rsub(m: Machine, a: View, *, value: float) -> View:
    return m.map(Code.SUB, m.constant(value), a)


@defined("mul_scalar")
def mul_scalar(m: Machine, a: View, *, value: float) -> View:
    return m.map(Code.MUL, a, m.constant(value))


@defined("div_scalar")
def div_scalar(m: Machine, a: View, *, value: float) -> View:
    """A quotient, never a product with the reciprocal."""
    return m.map(Code.DIV, a, m.constant(value))


@defined("affine")
def affine(m: Machine, a: View, *, scale: float, value: float) -> View:
    """scale * a + value"""
    return m.map(Code.FMA, m.constant(scale), a, m.constant(value))


@defined("clamp")
def clamp(m: Machine, a: View, *, lower: float | None = None, upper: float | None = None) -> View:
    """At least one bound is given."""
    bounded = a if lower is None else m.map(Code.MAX, a, m.constant(lower))
    return bounded if upper is None else m.map(Code.MIN, bounded, m.constant(upper))


@defined("pow")
def power(m: Machine, a: View, *, exponent: float) -> View:
    """Of the exponents -2, -1, -1/2, 0, 1/2, 1, 2, 3, 4; there is no other."""
    one = m.constant(1.0)
    if exponent in (-0.5, 0.5):
        return rsqrt(m, a) if exponent < 0 else sqrt(m, a)
    if exponent < 0:
        return m.map(Code.DIV, one, a if exponent == -1 else m.map(Code.MUL, a, a))
    if exponent < 2:
        return m.map(Code.MUL, a, one) if exponent else m.map(Code.MOV, one.expand(*a.shape))
    square = m.map(Code.MUL, a, a)
    return {2: lambda: square, 3: lambda: m.map(Code.MUL, square, a), 4: lambda: m.map(Code.MUL, square, square)}[exponent]()


@defined("lerp")
def lerp(m: Machine, a: View, b: View, *, value: float) -> View:
    """a + value * (b - a)"""
    return m.map(Code.FMA, m.constant(value), m.map(Code.SUB, b, a), a)


@defined("lerp_tensor")
def lerp_tensor(m: Machine, a: View, b: View, c: View) -> View:
    """a + c * (b - a)"""
    return m.map(Code.FMA, c, m.map(Code.SUB, b, a), a)


@defined("addcmul")
def addcmul(m: Machine, a: View, b: View, c: View, *, value: float = 1.0) -> View:
    """a + (value * b) * c"""
    return m.map(Code.FMA, m.map(Code.MUL, m.constant(value), b), c, a)


@defined("addcdiv")
def addcdiv(m: Machine, a: View, b: View, c: View, *, value: float = 1.0) -> View:
    """a + value * (b / c)"""
    return m.map(Code.FMA, m.constant(value), m.map(Code.DIV, b, c), a)


@defined("threshold_backward")
def threshold_backward(m: Machine, g: View, x: View, *, value: float) -> View:
    """g where x > value or x is not a number, else 0"""
    return m.map(Code.SELECT, m.map(Code.LE, x, m.constant(value)), m.constant(0.0), g)


@defined("tanh_backward")
def tanh_backward(m: Machine, g: View, y: View) -> View:
    """g (1 - y^2) for y = tanh(x)"""
    return m.map(Code.MUL, g, _one_less_square(m, y))


@defined("sigmoid_backward")
def sigmoid_backward(m: Machine, g: View, y: View) -> View:
    """g (1 - y) y for y = sigmoid(x)"""
    return m.map(Code.MUL, g, m.map(Code.MUL, m.map(Code.SUB, m.constant(1.0), y), y))


@defined("silu_backward")
def silu_backward(m: Machine, g: View, x: View) -> View:
    """g s (1 + x (1 - s)) for s = sigmoid(x)"""
    s, one = sigmoid(m, x), m.constant(1.0)
    return m.map(Code.MUL, g, m.map(Code.MUL, s, m.map(Code.FMA, x, m.map(Code.SUB, one, s), one)))


@defined("gelu")
def gelu(m: Machine, x: View) -> View:
    """x / 2 (1 + erf(x / sqrt 2))"""
    return m.map(Code.MUL, m.map(Code.MUL, x, m.constant(0.5)), _one_and_erf(m, x))


@defined("gelu_backward")
def gelu_backward(m: Machine, g: View, x: View) -> View:
    """g (share + x bell): share of the normal distribution below x, its density at x"""
    share = m.map(Code.MUL, m.constant(0.5), _one_and_erf(m, x))
    power = exp(m, m.map(Code.MUL, m.map(Code.MUL, x, x), m.constant(-0.5)))
    bell = m.map(Code.MUL, power, m.constant(1 / numbers.sqrt(2 * numbers.pi)))
    return m.map(Code.MUL, g, m.map(Code.FMA, x, bell, share))


@defined("gelu_tanh")
def gelu_tanh(m: Machine, x: View) -> View:
    """x / 2 (1 + t), t = tanh(sqrt(2 / pi) (x + 0.044715 x^3))"""
    return m.map(Code.MUL, m.map(Code.MUL, x, m.constant(0.5)), m.map(Code.ADD, m.constant(1.0), _gelu_tanh(m, x)))


@defined("gelu_tanh_backward")
def gelu_tanh_backward(m: Machine, g: View, x: View) -> View:
    """g ((1 + t) / 2 + x / 2 (1 - t^2) slope), slope = sqrt(2 / pi) (1 + 3 * 0.044715 x^2)"""
    t, one, half = _gelu_tanh(m, x), m.constant(1.0), m.constant(0.5)
    left = m.map(Code.MUL, half, m.map(Code.ADD, one, t))
    slope = m.map(Code.MUL, m.constant(ROOT_TWO_OVER_PI), m.map(Code.FMA, m.map(Code.MUL, x, m.constant(0.134145)), x, one))
    right = m.map(Code.MUL, m.map(Code.MUL, m.map(Code.MUL, x, half), _one_less_square(m, t)), slope)
    return m.map(Code.MUL, g, m.map(Code.ADD, left, right))


ROOT_TWO_OVER_PI = numbers.sqrt(2 / numbers.pi)


def _gelu_tanh(m: Machine, x: View) -> View:
    bent = m.map(Code.FMA, m.map(Code.MUL, x, m.constant(0.044715)), x, m.constant(1.0))
    return tanh(m, m.map(Code.MUL, m.map(Code.MUL, x, m.constant(ROOT_TWO_OVER_PI)), bent))


def _one_and_erf(m: Machine, x: View) -> View:
    return m.map(Code.ADD, m.constant(1.0), erf(m, m.map(Code.MUL, x, m.constant(numbers.sqrt(0.5)))))


def _one_less_square(m: Machine, y: View) -> View:
    return m.map(Code.FMA, m.map(Code.NEG, y), y, m.constant(1.0))
