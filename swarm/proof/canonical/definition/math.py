"""exp, log, sin, cos, tanh, erf and what is made of them, as polynomials of scalar codes: for every float32, subnormals and specials too.

The coefficients are minimax fits to the shown functions, rounded to float32 one after another. `benchmarks/canonical_accuracy.py`
measures the largest error in units of the last place (ulp) against references of 50 digits; below

    exp 0.92   log 0.94   sin 1.9   cos 1.9   tanh 1.4   erf 1.15   rsqrt 1.5   sigmoid 2.5 and silu 2.4 down to x = -87

Further left sigmoid and silu lose bits with 1 + exp(-x), and are 0 from where that is infinite (x < -88.7), as in stock PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.proof.canonical.definition import defined
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View

SIGN, ONE = 0x80000000, 0x3F800000  # words: the sign bit, 1.0
INFINITY = float("inf")
MAGIC = 12582912.0  # 1.5 * 2^23: added to |v| < 2^22 it leaves round(v) in the last bits, which are 0 of its own
LOG2E = float.fromhex("0x1.715476p+0")
LN2, LN2_REST = float.fromhex("0x1.62e430p-1"), float.fromhex("-0x1.05c610p-29")  # their sum is ln 2
TWO_OVER_PI = float.fromhex("0x1.45f306p-1")
HALF_PI = (float.fromhex("0x1.921fb6p+0"), float.fromhex("-0x1.777a5cp-25"), float.fromhex("-0x1.ee59dap-50"))  # their sum is pi / 2
TWO_OVER_PI_WORDS = (0x00A2F983, 0x6E4E4415, 0x29FC2757, 0xD1F534DD, 0xC0DB6295, 0x993C4390, 0x41FE5163)  # 2/pi * 2^-8 as a binary fraction
FAR = 2.0**20  # from here on sin and cos reduce in integers

# highest power first
EXP = (0.0013941878, 0.008368679, 0.04166639, 0.16666521, 0.5, 1.0, 1.0)  # exp(r), |r| <= ln 2 / 2
LOG = (-0.1288004, 0.13984594, -0.121874794, 0.14005734, -0.16680196, 0.20010427, -0.24999806, 0.33333215, -0.5)  # (log(1 + f) - f) / f^2
SIN = (-0.00019518408, 0.00833219, -0.16666655)  # (sin(r) / r - 1) / r^2 in r^2
COS = (2.4430668e-05, -0.0013887301, 0.041666646, -0.5, 1.0)  # cos(r) in r^2
TANH = (-0.0056922967, 0.020628167, -0.053736515, 0.13331406, -0.3333328)  # (tanh(a) / a - 1) / a^2 in a^2
TANH_NEAR, TANH_FULL = 0.625, 10.0  # up to where that holds; from where tanh is 1
ERF = (-0.0005925125, 0.0049806875, -0.026758565, 0.11281618, -0.3761248, 0.12837915)  # erf(a) / a - 1 in a^2
ERFC = (0.00021291412, -0.0032061792, 0.022861993, -0.10521849, -0.635751, -1.1285048)  # log(1 - erf(a)) / a
ERF_NEAR, ERF_FULL = 0.9375, 4.0


@defined("exp")
def exp(m: Machine, x: View) -> View:
    """2^n * exp(r) by two powers of two, so that a subnormal result is rounded once. At the bounds the result is 0 and infinity."""
    bounded = m.map(Code.MIN, m.map(Code.MAX, x, m.constant(-104.0)), m.constant(89.0))
    power, shifted = _exp(m, bounded)
    half = m.map(Code.SHR, shifted, m.word(1))
    for part in (half, m.map(Code.ISUB, shifted, half)):  # 2^(n // 2), 2^(n - n // 2)
        power = m.map(Code.MUL, power, m.map(Code.IADD, m.map(Code.SHL, part, m.word(23)), m.word(ONE)))
    return power


@defined("log")
def log(m: Machine, x: View) -> View:
    """n ln 2 + log(1 + f) with 1 + f in [2/3, 4/3); else sqrt(x) - 1 / |x|, which is right for zeros, infinity, below 0 and not a number."""
    tiny = m.map(Code.LT, x, m.constant(2.0**-126))
    normal = m.map(Code.SELECT, tiny, m.map(Code.MUL, x, m.constant(2.0**23)), x)
    exponent = m.map(Code.SAR, m.map(Code.ISUB, normal, m.word(0x3F2AAAAB)), m.word(23))  # of 2/3
    f = m.map(Code.SUB, m.map(Code.ISUB, normal, m.map(Code.SHL, exponent, m.word(23))), m.constant(1.0))
    n = m.map(Code.I2F, m.map(Code.IADD, exponent, m.map(Code.SELECT, tiny, m.word(-23), m.word(0))))
    near = m.map(Code.FMA, _polynomial(m, f, LOG), m.map(Code.MUL, f, f), f)
    usual = m.map(Code.AND, m.map(Code.LT, m.constant(0.0), x), m.map(Code.LT, x, m.constant(INFINITY)))
    special = m.map(Code.SUB, m.map(Code.SQRT, x), m.map(Code.DIV, m.constant(1.0), m.map(Code.ABS, x)))
    return m.map(Code.SELECT, usual, m.map(Code.FMA, n, m.constant(LN2), near), special)


@defined("sin")
def sin(m: Machine, x: View) -> View:
    size = m.map(Code.ABS, x)
    r, quarter = _quarter(m, size)
    turned = m.map(Code.XOR, _wave(m, r, quarter), m.map(Code.AND, x, m.word(SIGN)))
    return m.map(Code.SELECT, m.map(Code.LT, size, m.constant(INFINITY)), turned, m.constant(float("nan")))


@defined("cos")
def cos(m: Machine, x: View) -> View:
    """sin a quarter further."""
    size = m.map(Code.ABS, x)
    r, quarter = _quarter(m, size)
    turned = _wave(m, r, m.map(Code.IADD, quarter, m.word(1)))
    return m.map(Code.SELECT, m.map(Code.LT, size, m.constant(INFINITY)), turned, m.constant(float("nan")))


@defined("tanh")
def tanh(m: Machine, x: View) -> View:
    """a + a * (a^2 p(a^2)) below 0.625, else 1 - 2 / (exp(2 a) + 1), for a = |x|; then the sign."""
    a = m.map(Code.ABS, x)
    square = m.map(Code.MUL, a, a)
    near = m.map(Code.FMA, m.map(Code.MUL, _polynomial(m, square, TANH), square), a, a)
    bounded = m.map(Code.MIN, a, m.constant(TANH_FULL))
    power = _scaled(m, *_exp(m, m.map(Code.ADD, bounded, bounded)))
    share = m.map(Code.DIV, m.constant(2.0), m.map(Code.ADD, power, m.constant(1.0)))
    far = m.map(Code.SUB, m.constant(1.0), share)
    return _signed(m, x, m.map(Code.SELECT, m.map(Code.LT, a, m.constant(TANH_NEAR)), near, far))


@defined("erf")
def erf(m: Machine, x: View) -> View:
    """a + a * p(a^2) below 0.9375, else 1 - exp(a q(a)), for a = |x|; then the sign."""
    a = m.map(Code.ABS, x)
    near = m.map(Code.FMA, _polynomial(m, m.map(Code.MUL, a, a), ERF), a, a)
    bounded = m.map(Code.MIN, a, m.constant(ERF_FULL))
    power = _scaled(m, *_exp(m, m.map(Code.MUL, _polynomial(m, bounded, ERFC), bounded)))
    far = m.map(Code.SUB, m.constant(1.0), power)
    return _signed(m, x, m.map(Code.SELECT, m.map(Code.LT, a, m.constant(ERF_NEAR)), near, far))


@defined("rsqrt")
def rsqrt(m: Machine, x: View) -> View:
    """1 / sqrt(x)"""
    return m.map(Code.DIV, m.constant(1.0), m.map(Code.SQRT, x))


@defined("sigmoid")
def sigmoid(m: Machine, x: View) -> View:
    """1 / (1 + exp(-x))"""
    return m.map(Code.DIV, m.constant(1.0), _one_and_power(m, x))


@defined("silu")
def silu(m: Machine, x: View) -> View:
    """x / (1 + exp(-x))"""
    return m.map(Code.DIV, x, _one_and_power(m, x))


def _one_and_power(m: Machine, x: View) -> View:
    return m.map(Code.ADD, m.constant(1.0), exp(m, m.map(Code.NEG, x)))


def _polynomial(m: Machine, x: View, coefficients: Sequence[float]) -> View:
    """Horner, one FMA each."""
    total = m.constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = m.map(Code.FMA, total, x, m.constant(coefficient))
    return total


def _exp(m: Machine, x: View) -> tuple[View, View]:
    """exp(r) and the word of MAGIC + n, where n = round(x / ln 2), r = x - n ln 2."""
    shifted = m.map(Code.FMA, x, m.constant(LOG2E), m.constant(MAGIC))
    n = m.map(Code.SUB, shifted, m.constant(MAGIC))
    r = m.map(Code.FMA, n, m.constant(-LN2_REST), m.map(Code.FMA, n, m.constant(-LN2), x))
    return _polynomial(m, r, EXP), shifted


def _scaled(m: Machine, power: View, shifted: View) -> View:
    """2^n * power where that is normal: n is added to the exponent."""
    return m.map(Code.IADD, power, m.map(Code.SHL, shifted, m.word(23)))


def _signed(m: Machine, x: View, size: View) -> View:
    """`size` with the sign of x, by a product with 1 or -1."""
    return m.map(Code.MUL, size, m.map(Code.OR, m.map(Code.AND, x, m.word(SIGN)), m.word(ONE)))


def _wave(m: Machine, r: View, quarter: View) -> View:
    """sin(r + quarter * pi / 2): the sine or cosine polynomial, and the sign of the half turn."""
    square = m.map(Code.MUL, r, r)
    sine = m.map(Code.FMA, m.map(Code.MUL, _polynomial(m, square, SIN), square), r, r)
    value = m.map(Code.SELECT, m.map(Code.AND, quarter, m.word(1)), _polynomial(m, square, COS), sine)
    return m.map(Code.XOR, value, m.map(Code.SHL, m.map(Code.AND, quarter, m.word(2)), m.word(30)))


def _quarter(m: Machine, a: View) -> tuple[View, View]:
    """r in about [-pi/4, pi/4] and an integer q with a = r + q pi / 2 (q modulo 4), for a >= 0."""
    shifted = m.map(Code.FMA, a, m.constant(TWO_OVER_PI), m.constant(MAGIC))
    n, near = m.map(Code.SUB, shifted, m.constant(MAGIC)), a
    for part in HALF_PI:
        near = m.map(Code.FMA, n, m.constant(-part), near)
    far, quarter = _far_quarter(m, a)
    is_near = m.map(Code.LT, a, m.constant(FAR))
    return m.map(Code.SELECT, is_near, near, far), m.map(Code.SELECT, is_near, shifted, quarter)


def _far_quarter(m: Machine, a: View) -> tuple[View, View]:
    """The same in integers, for 2^20 <= a < infinity (Payne and Hanek 1983): a is an integer M times 2^k; of 2/pi those 96 bits are taken
    whose product with a lies below 4. high:low is that product, in units of 2^-62, modulo 4; it is rounded to an integer, and what
    remains, without its sign, is put together from its upper 24 bits and the 31 below them."""
    place = m.map(Code.ISUB, m.map(Code.SHR, a, m.word(23)), m.word(144))
    window = _window(m, m.map(Code.SHR, place, m.word(5)), m.map(Code.AND, place, m.word(31)))
    whole = m.map(Code.OR, m.map(Code.AND, a, m.word(0x7FFFFF)), m.word(0x800000))
    middle = m.map(Code.IMUL, whole, window[1])
    low = m.map(Code.IADD, middle, _high_product(m, whole, window[2]))
    carry = m.map(Code.ILT, m.map(Code.XOR, low, m.word(SIGN)), m.map(Code.XOR, middle, m.word(SIGN)))  # low < middle, unsigned
    high = m.map(Code.IADD, m.map(Code.IADD, m.map(Code.IMUL, whole, window[0]), _high_product(m, whole, window[1])), carry)
    quarter = m.map(Code.SHR, m.map(Code.IADD, high, m.word(1 << 29)), m.word(30))
    rest = m.map(Code.ISUB, high, m.map(Code.SHL, quarter, m.word(30)))
    sign = m.map(Code.SAR, rest, m.word(31))
    rest, low = m.map(Code.XOR, rest, sign), m.map(Code.XOR, low, sign)
    upper = m.map(Code.I2F, m.map(Code.AND, rest, m.word(-64)))
    lower = m.map(Code.OR, m.map(Code.SHL, m.map(Code.AND, rest, m.word(63)), m.word(25)), m.map(Code.SHR, low, m.word(7)))
    below = m.map(Code.MUL, upper, m.constant(HALF_PI[1] * 2.0**-30))
    below = m.map(Code.FMA, m.map(Code.I2F, lower), m.constant(HALF_PI[0] * 2.0**-55), below)
    angle = m.map(Code.FMA, upper, m.constant(HALF_PI[0] * 2.0**-30), below)
    return m.map(Code.XOR, angle, m.map(Code.AND, sign, m.word(SIGN))), quarter


def _window(m: Machine, index: View, shift: View) -> list[View]:
    """96 bits of 2/pi from bit 32 * index + shift on, index 0 to 3."""
    words = [m.word(word) for word in TWO_OVER_PI_WORDS[3:]]
    for which in (2, 1, 0):
        here = m.map(Code.IEQ, index, m.word(which))
        words = [m.map(Code.SELECT, here, m.word(TWO_OVER_PI_WORDS[which + place]), words[place]) for place in range(4)]
    back = m.map(Code.ISUB, m.word(31), shift)
    upper = [m.map(Code.SHL, word, shift) for word in words[:3]]
    lower = [m.map(Code.SHR, m.map(Code.SHR, word, m.word(1)), back) for word in words[1:]]
    return [m.map(Code.OR, one, other) for one, other in zip(upper, lower, strict=True)]


def _high_product(m: Machine, a: View, b: View) -> View:
    """The upper 32 bits of a * b, a < 2^24: by halves of 12 and 16 bits."""
    a1, a0 = m.map(Code.SHR, a, m.word(12)), m.map(Code.AND, a, m.word(0xFFF))
    b1, b0 = m.map(Code.SHR, b, m.word(16)), m.map(Code.AND, b, m.word(0xFFFF))
    low = m.map(Code.IADD, m.map(Code.IMUL, a1, b0), m.map(Code.SHR, m.map(Code.IMUL, a0, b0), m.word(12)))  # units of 2^12
    middle = m.map(Code.IADD, m.map(Code.IMUL, a0, b1), m.map(Code.SHR, low, m.word(4)))  # of 2^16
    return m.map(Code.SHR, m.map(Code.IADD, m.map(Code.IMUL, a1, b1), m.map(Code.SHR, middle, m.word(12))), m.word(4))  # of 2^28
