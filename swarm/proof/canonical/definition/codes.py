"""The scalar operations that every canonical operator is made of: on 32-bit words, which hold a float32, an int32 or a truth value (0, 1).

Each is a correctly rounded IEEE-754 operation (round to nearest even, subnormals kept) or exact integer arithmetic, so its result is one
word on every machine; the contract `Scalar` computes the same (contracts/src/numeric/). A result that is not a number is always 0x7fc00000.
Here they work on whole arrays, by numpy: uint32 in, uint32 out, equal shapes. FMA rounds once, by way of float64 rounded to odd
(Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded sums").

Operations of a fold take the running word first and last give it back; of the others they are written in terms.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np

NAN = 0x7FC00000  # the one quiet NaN that an operation gives
NONE = 0xFFFFFFFF  # FIRSTEQ: nothing found yet

Words = np.ndarray


class Code(IntEnum):
    """Numbers that the contract knows too: never given anew."""

    MOV = 0  # a
    ADD = 1  # a + b
    SUB = 2  # a - b
    MUL = 3  # a * b
    FMA = 4  # a * b + c, rounded once
    DIV = 5  # a / b
    SQRT = 6
    NEG = 7
    ABS = 8
    MAX = 9  # IEEE 754-2019 maximum: -0 < +0, not a number wins
    MIN = 10  # IEEE 754-2019 minimum
    LT = 11  # a < b as floats, 0 or 1
    LE = 12
    EQ = 13
    ISNAN = 14
    SELECT = 15  # b where a is not 0, else c
    AND = 16
    OR = 17
    XOR = 18
    SHL = 19  # a << (b & 31)
    SHR = 20  # logical
    SAR = 21  # arithmetic
    IADD = 22  # modulo 2^32
    ISUB = 23
    IMUL = 24
    IEQ = 25
    ILT = 26  # signed
    I2F = 27  # signed int32 to float32
    F2I = 28  # towards 0; 0x80000000 where it does not fit
    # folds only: the first operand is the running word
    ADDEQ = 40  # acc + a where b = c as integers, else acc
    FIRSTEQ = 41  # c where acc is NONE and a = b as floats, else acc
    ADDLE = 42  # acc + a where b <= c as signed integers, else acc


def _f(word: Words) -> np.ndarray:
    return word.view(np.float32)


def _w(value: np.ndarray) -> Words:
    words = np.ascontiguousarray(value, dtype=np.float32).view(np.uint32)
    return np.where(np.isnan(value), np.uint32(NAN), words)


def _truth(value: np.ndarray) -> Words:
    return value.astype(np.uint32)


def _s(word: Words) -> np.ndarray:
    return word.view(np.int32)


def _fma(a: Words, b: Words, c: Words) -> Words:
    product = _f(a).astype(np.float64) * _f(b).astype(np.float64)  # exact: 48 bits
    term = _f(c).astype(np.float64)
    total = product + term
    back = total - product
    rest = (product - (total - back)) + (term - back)  # what `total` lost (Knuth's two-sum)
    bits = total.view(np.int64)
    uneven = (rest != 0) & np.isfinite(rest) & ((bits & 1) == 0)
    away = (rest > 0) == (total > 0)
    odd = np.where(uneven, np.where(away, bits + 1, bits - 1), bits).view(np.float64)
    return _w(odd.astype(np.float32))


def _maximum(a: Words, b: Words) -> Words:
    x, y = _f(a), _f(b)
    larger = np.where((x > y) | ((x == y) & (_s(a) > _s(b))), a, b)
    return np.where(np.isnan(x) | np.isnan(y), np.uint32(NAN), larger)


def _minimum(a: Words, b: Words) -> Words:
    x, y = _f(a), _f(b)
    smaller = np.where((x < y) | ((x == y) & (_s(a) < _s(b))), a, b)
    return np.where(np.isnan(x) | np.isnan(y), np.uint32(NAN), smaller)


def _neg(a: Words) -> Words:
    return np.where(np.isnan(_f(a)), np.uint32(NAN), a ^ np.uint32(1 << 31))


def _abs(a: Words) -> Words:
    return np.where(np.isnan(_f(a)), np.uint32(NAN), a & np.uint32(0x7FFFFFFF))


def _f2i(a: Words) -> Words:
    value = _f(a)
    fits = (value >= np.float32(-(2.0**31))) & (value < np.float32(2.0**31))
    return np.where(fits, np.where(fits, value, 0).astype(np.int64).astype(np.int32).view(np.uint32), np.uint32(1 << 31))


SCALAR: dict[Code, Callable[..., Words]] = {
    Code.MOV: lambda a: a,
    Code.ADD: lambda a, b: _w(_f(a) + _f(b)),
    Code.SUB: lambda a, b: _w(_f(a) - _f(b)),
    Code.MUL: lambda a, b: _w(_f(a) * _f(b)),
    Code.FMA: _fma,
    Code.DIV: lambda a, b: _w(_f(a) / _f(b)),
    Code.SQRT: lambda a: _w(np.sqrt(_f(a))),
    Code.NEG: _neg,
    Code.ABS: _abs,
    Code.MAX: _maximum,
    Code.MIN: _minimum,
    Code.LT: lambda a, b: _truth(_f(a) < _f(b)),
    Code.LE: lambda a, b: _truth(_f(a) <= _f(b)),
    Code.EQ: lambda a, b: _truth(_f(a) == _f(b)),
    Code.ISNAN: lambda a: _truth(np.isnan(_f(a))),
    Code.SELECT: lambda a, b, c: np.where(a != 0, b, c),
    Code.AND: lambda a, b: a & b,
    Code.OR: lambda a, b: a | b,
    Code.XOR: lambda a, b: a ^ b,
    Code.SHL: lambda a, b: a << (b & np.uint32(31)),
    Code.SHR: lambda a, b: a >> (b & np.uint32(31)),
    Code.SAR: lambda a, b: (_s(a) >> (_s(b) & np.int32(31))).view(np.uint32),
    Code.IADD: lambda a, b: a + b,
    Code.ISUB: lambda a, b: a - b,
    Code.IMUL: lambda a, b: a * b,
    Code.IEQ: lambda a, b: _truth(a == b),
    Code.ILT: lambda a, b: _truth(_s(a) < _s(b)),
    Code.I2F: lambda a: _w(_s(a).astype(np.float32)),
    Code.F2I: _f2i,
}

FOLD: dict[Code, Callable[..., Words]] = {
    Code.ADD: lambda acc, a: SCALAR[Code.ADD](acc, a),
    Code.FMA: lambda acc, a, b: _fma(a, b, acc),
    Code.MAX: lambda acc, a: _maximum(acc, a),
    Code.MIN: lambda acc, a: _minimum(acc, a),
    Code.ADDEQ: lambda acc, a, b, c: np.where(b == c, SCALAR[Code.ADD](acc, a), acc),
    Code.FIRSTEQ: lambda acc, a, b, c: np.where((acc == np.uint32(NONE)) & (_f(a) == _f(b)), c, acc),
    Code.ADDLE: lambda acc, a, b, c: np.where(_s(b) <= _s(c), SCALAR[Code.ADD](acc, a), acc),
}
