"""Operands that scalar operations get wrong: 32-bit words, drawn so that results fall on the edges of binary32.

    cases(code, folds, count, random) -> uint32 of shape (count, 4): a, b, c and an ignored word, or acc, a, b, c of a fold
    expected(code, folds, cases)      -> uint32 of shape (count,), by the definition (swarm.proof.canonical.definition.codes)

Each kind of operand is an equal share: any bits; named edges (zeros, infinities, payloads of NaN, ends of the subnormals and of the
normal range); few or nearly all fraction bits set, which makes ties; numbers about the size of an int32; the first operand again and its
neighbours; a second operand whose exponent brings the product or quotient to the subnormals or to overflow; and, where there is a third,
one that almost cancels the product, is about half of its last place, or lies just beyond its reach.

`python -m benchmarks.hard_words` writes some of them, with results, for the contracts' own tests.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np

from swarm.proof.canonical.definition.codes import FOLD, SCALAR, Code

VECTORS = Path(__file__).parents[1] / "contracts/test/vectors/scalar.bin"
EACH = 64  # vectors of an operation

EDGES = np.array(
    [0, 1, 2, 3, 0x400000, 0x7FFFFE, 0x7FFFFF, 0x800000, 0x800001, 0xFFFFFF, 0x1000000, 0x33800000, 0x3EFFFFFF, 0x3F000000, 0x3F7FFFFF, 0x3F800000]
    + [0x3F800001, 0x3FC00000, 0x40000000, 0x40400000, 0x4B000000, 0x4B7FFFFF, 0x4B800000, 0x4EFFFFFF, 0x4F000000, 0x4F000001, 0x7F000000, 0x7F7FFFFE]
    + [0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FC00001, 0x7FFFFFFF],
    np.uint32,
)
FEW = np.array([0, 0x3F800000, 0x7F800000, 0x7FC00001, 1, 0x7F7FFFFF], np.uint32)
INTEGERS = np.array([0, 1, 2, 31, 32, 33, 0x7F, 0xFFFFFF, 0x1000000, 0x1000001, 0x1000002, 0x1000003, 0x7FFFFFBF, 0x7FFFFFC0, 0x7FFFFFFF], np.uint32)
INTEGERS = np.concatenate([INTEGERS, np.uint32(0) - INTEGERS, [np.uint32(0x80000000)]])
ON_INTEGERS = {Code.AND, Code.OR, Code.XOR, Code.SHL, Code.SHR, Code.SAR, Code.IADD, Code.ISUB, Code.IMUL, Code.IEQ, Code.ILT, Code.I2F}


def operations() -> list[tuple[Code, bool]]:
    """Every code of a MAP, then every code of a FOLD."""
    return [(code, False) for code in SCALAR] + [(code, True) for code in FOLD]


def arity(code: Code, folds: bool) -> int:
    """Number of operands, with the running word of a fold."""
    return len(inspect.signature((FOLD if folds else SCALAR)[code]).parameters)


def grid(code: Code, folds: bool) -> np.ndarray:
    """Every edge of one operand, every pair or triple of a few for several; shaped as `cases` are."""
    count = min(3, arity(code, folds))
    ends = EDGES if count == 1 else FEW if count == 2 else FEW[:4]
    both = np.concatenate([ends, ends ^ np.uint32(1 << 31)])
    axes = np.meshgrid(*[both] * count, indexing="ij")
    columns = [axis.reshape(-1) for axis in axes]
    return np.stack([*columns, *[columns[0]] * (4 - count)], axis=1)


def expected(code: Code, folds: bool, cases: np.ndarray) -> np.ndarray:
    """What the definition says."""
    function = (FOLD if folds else SCALAR)[code]
    columns = [np.ascontiguousarray(cases[:, i]) for i in range(arity(code, folds))]
    with np.errstate(all="ignore"):
        return function(*columns)


def cases(code: Code, folds: bool, count: int, random: np.random.Generator) -> np.ndarray:
    """Words for one operation."""
    if code in ON_INTEGERS:
        return _mix(random, [_any(random, (count, 4)), _signs(random, random.choice(INTEGERS, (count, 4)), 0.0)])
    a = _mix(random, [_any(random, count), _edges(random, count), _sparse(random, count), _whole(random, count)])
    apart = [_any(random, count), _edges(random, count), _sparse(random, count)]
    b = _mix(random, [*apart, _signs(random, a), _near(random, a), _scaled(random, a), _partner(random, a, code)])
    c = _mix(random, [_edges(random, count), _near(random, a), _against(random, a, b), _against(random, a, b), _against(random, a, b)])
    first, second, third, rest = (c, a, b, a) if folds and code == Code.FMA else (a, b, c, b)
    if code in (Code.ADDEQ, Code.ADDLE):  # their last two are integers
        third, rest = _mix(random, [random.choice(INTEGERS, (count, 2)), _any(random, (count, 2)), _equal(random, count)]).T
    elif code == Code.FIRSTEQ:
        first, second, third = _mix(random, [np.full(count, 0xFFFFFFFF, np.uint32), a]), a, _mix(random, [a, b, a ^ np.uint32(1 << 31)])
    return np.stack([first, second, third, rest], axis=1)


def _any(random: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    return random.integers(0, 2**32, shape, np.uint32)


def _signs(random: np.random.Generator, words: np.ndarray, share: float = 0.5) -> np.ndarray:
    return words ^ ((random.random(words.shape) < share).astype(np.uint32) << np.uint32(31))


def _edges(random: np.random.Generator, count: int) -> np.ndarray:
    return _signs(random, random.choice(EDGES, count))


def _equal(random: np.random.Generator, count: int) -> np.ndarray:
    return np.repeat(_any(random, (count, 1)), 2, axis=1)


def _mix(random: np.random.Generator, kinds: list[np.ndarray]) -> np.ndarray:
    """Each row from one of the arrays."""
    return np.stack(kinds)[random.integers(0, len(kinds), len(kinds[0])), np.arange(len(kinds[0]))]


def _sparse(random: np.random.Generator, count: int) -> np.ndarray:
    """Few fraction bits set, or few not set, under any exponent."""
    bits = np.zeros(count, np.uint32)
    for _ in range(3):
        bits |= np.uint32(1) << random.integers(0, 24, count, np.uint32)
    bits &= np.uint32(0x7FFFFF)
    bits = np.where(random.random(count) < 0.5, bits, bits ^ np.uint32(0x7FFFFF))
    return _signs(random, random.integers(0, 256, count, np.uint32) << np.uint32(23) | bits)


def _whole(random: np.random.Generator, count: int) -> np.ndarray:
    """Between 1/4 and 2^34: what conversions to integers cut or refuse."""
    return _signs(random, random.integers(125, 161, count, np.uint32) << np.uint32(23) | random.integers(0, 2**23, count, np.uint32))


def _near(random: np.random.Generator, a: np.ndarray) -> np.ndarray:
    """A few last places from a, of either sign."""
    return _signs(random, a + random.integers(0, 9, len(a), np.uint32) - np.uint32(4))


def _scaled(random: np.random.Generator, a: np.ndarray) -> np.ndarray:
    """An exponent at most 27 away from that of a: what an addition reaches."""
    exponent = np.clip((a >> 23 & 0xFF).astype(np.int64) + random.integers(-27, 28, len(a)), 0, 254).astype(np.uint32)
    return _sparse(random, len(a)) & np.uint32(0x807FFFFF) | exponent << np.uint32(23)


def _partner(random: np.random.Generator, a: np.ndarray, code: Code) -> np.ndarray:
    """An exponent that brings a product (or quotient) with a to the smallest or the largest floats."""
    mine = (a >> 23 & 0xFF).astype(np.int64)
    wanted = np.where(random.random(len(a)) < 0.7, random.integers(-26, 4, len(a)), random.integers(251, 257, len(a)))
    exponent = np.clip(mine + 127 - wanted if code == Code.DIV else wanted + 127 - mine, 0, 254).astype(np.uint32)
    return _mix(random, [_any(random, len(a)), _sparse(random, len(a))]) & np.uint32(0x807FFFFF) | exponent << np.uint32(23)


def _against(random: np.random.Generator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """About -a * b within some last places, or that scaled by a power of two: half a last place of it, or far beyond."""
    with np.errstate(all="ignore"):
        product = a.view(np.float32) * b.view(np.float32)
    places = random.integers(0, 5, len(a), np.uint32) - np.uint32(2)
    close = (-product).view(np.uint32) + np.where(random.random(len(a)) < 0.5, places, np.uint32(0))
    power = random.choice(np.array([-60, -50, -49, -48, -47, -26, -25, -24, -23, -1, 0, 1, 23, 24, 25, 26, 48, 150]), len(a))
    exponent = np.clip((close >> 23 & 0xFF).astype(np.int64) + power, 0, 254).astype(np.uint32)
    scaled = _mix(random, [close, close & np.uint32(0x80000000), _sparse(random, len(a))]) & np.uint32(0x807FFFFF) | exponent << np.uint32(23)
    return _signs(random, np.where(random.random(len(a)) < 0.5, close, scaled), 0.3)


def vectors(each: int, seed: int = 1) -> bytes:
    """Records of 22 bytes, big-endian: code, 1 for a fold, four operands, result; of every operation the grid of edges and `each` cases."""
    random = np.random.Generator(np.random.Philox(seed))
    records = b""
    for code, folds in operations():
        operands = np.concatenate([grid(code, folds), cases(code, folds, each, random)])
        words = np.concatenate([operands, expected(code, folds, operands)[:, None]], axis=1).astype(">u4")
        records += b"".join(bytes([code, folds]) + row.tobytes() for row in words)
    return records


if __name__ == "__main__":
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.write_bytes(vectors(EACH))
