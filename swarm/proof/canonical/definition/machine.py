"""The machine on which canonical operators are defined: a few primitive array operations on 32-bit words.

A *value* is a flat array of words with a number; a `View` shows a value (or an immediate) as an array through an affine map, word at
offset + sum(index * stride), so that transposing, cutting and broadcasting cost nothing and are no operations. There are five
kinds of primitive operations, each of which makes one new value, row-major:

    MAP     out[i] = code(a[i], b[i], c[i])
    FOLD    out[i] = the last of acc(0) = start[i], acc(k+1) = code(acc(k), a[i, k], b[i, k], c[i, k]), k ascending
    GATHER  out[i] = table[offset + sum(i * stride) + index[i] * scale]
    UPDATE  out = base, with the words under a view of it replaced by source
    NOISE   out[t, v] = the 23-bit integer of `swarm.policy.noise.bits` at position start + t, entry v

An immediate is a view without a value: its word is the affine address itself (modulo 2^32), which gives constants (no strides) and
coordinates. A definition of an operator is a function of a `Machine` and views; run here it is the reference that the kernels are held
against, and the recorded instructions are what a dispute is fought over. It is meant to be exact and readable, not fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from swarm.proof.canonical.definition.codes import FOLD, SCALAR, Code

DIMS = 6  # most axes of an operation, without the one folded over
MOST_LAID_OUT = 2**16  # words of a fold's operand that are copied at once, which is quicker for short ones
IMMEDIATE = 0xFFFFFFFF  # number of no value
WORD = 2**32


class Kind(IntEnum):
    MAP = 0
    FOLD = 1
    GATHER = 2
    UPDATE = 3
    NOISE = 4


@dataclass(frozen=True)
class View:
    """`words` (flat, uint32) of value `number` seen as an array of `shape`; `words` is None for an immediate. Strides count words."""

    number: int
    words: np.ndarray | None
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def array(self) -> np.ndarray:
        """The words, uint32, of this shape (a copy)."""
        if self.words is None:
            address = np.full(self.shape, self.offset % WORD, np.int64)
            for axis, (n, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
                address += (np.arange(n, dtype=np.int64) * stride).reshape([-1 if a == axis else 1 for a in range(len(self.shape))])
            return (address % WORD).astype(np.uint32)
        step = self.words.itemsize
        shown = np.lib.stride_tricks.as_strided(self.words[self.offset :], self.shape, [s * step for s in self.strides], writeable=False)
        return np.asarray(shown, order="C")  # ascontiguousarray gives no axes a first one

    def floats(self) -> np.ndarray:
        """The words as float32."""
        return self.array().view(np.float32)

    def permute(self, *axes: int) -> View:
        return View(self.number, self.words, self.offset, tuple(self.shape[a] for a in axes), tuple(self.strides[a] for a in axes))

    def transpose(self, one: int, other: int) -> View:
        axes = list(range(len(self.shape)))
        axes[one], axes[other] = axes[other], axes[one]
        return self.permute(*axes)

    def cut(self, axis: int, start: int, end: int, step: int = 1) -> View:
        """Part of an axis, as `[start:end:step]`."""
        axis %= len(self.shape)
        shape, strides = list(self.shape), list(self.strides)
        shape[axis], strides[axis] = len(range(start, end, step)), strides[axis] * step
        return View(self.number, self.words, self.offset + start * self.strides[axis], tuple(shape), tuple(strides))

    def at(self, axis: int, index: int) -> View:
        """One place of an axis, which goes."""
        part = self.cut(axis, index, index + 1)
        axis %= len(self.shape)
        return View(part.number, part.words, part.offset, part.shape[:axis] + part.shape[axis + 1 :], part.strides[:axis] + part.strides[axis + 1 :])

    def grown(self, axis: int, size: int = 1) -> View:
        """A new axis of `size` equal places."""
        axis %= len(self.shape) + 1
        shape, strides = list(self.shape), list(self.strides)
        shape.insert(axis, size)
        strides.insert(axis, 0)
        return View(self.number, self.words, self.offset, tuple(shape), tuple(strides))

    def expand(self, *shape: int) -> View:
        """Broadcast by numpy's rule."""
        front = len(shape) - len(self.shape)
        have, strides = (1,) * front + self.shape, (0,) * front + self.strides
        if front < 0 or any(h != n and h != 1 for h, n in zip(have, shape, strict=True)):
            raise ValueError(f"{self.shape} does not expand to {shape}")
        return View(self.number, self.words, self.offset, tuple(shape), tuple(s * (h == n) for h, n, s in zip(have, shape, strides, strict=True)))

    @property
    def is_contiguous(self) -> bool:
        wanted, strides = 1, []
        for n in reversed(self.shape):
            strides.insert(0, wanted)
            wanted *= n
        return all(n == 1 or s == w for n, s, w in zip(self.shape, self.strides, strides, strict=True))

    def reshape(self, *shape: int) -> View:
        """Another shape of row-major words. Raises ValueError where they do not lie so: `Machine.packed` first."""
        if math.prod(shape) != self.size or not self.is_contiguous:
            raise ValueError(f"{self.shape} with strides {self.strides} cannot be seen as {shape}")
        return View(self.number, self.words, self.offset, tuple(shape), _row_major(shape))


@dataclass(frozen=True)
class Operand:
    """Where an operation reads: a value (or IMMEDIATE), an offset, and a stride per axis, the folded one last."""

    number: int
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Instruction:
    """One primitive operation. `length` is of the folded axis (FOLD), the words of the base (UPDATE), the vocabulary (NOISE), else 0;
    `scale` of GATHER's index; `start` is FOLD's start, GATHER's index, UPDATE's base."""

    kind: Kind
    code: Code
    dims: tuple[int, ...]
    length: int
    scale: int
    operands: tuple[Operand, ...]
    start: Operand | None = None
    seed: bytes = b""


@dataclass
class Machine:
    """Runs operations and keeps what it ran. `values[n]` are the words of value n."""

    values: list[np.ndarray] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    taken: int = 0  # the first values are inputs

    def take(self, array: np.ndarray) -> View:
        """An input: float32, int32 or uint32 by its bits; int64 and bool by their value, which must fit a word."""
        if self.instructions:
            raise ValueError("inputs come first")
        if array.dtype in (np.int64, np.bool_):
            if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
                raise ValueError("an integer that does not fit 32 bits")
            array = array.astype(np.int32)
        if array.dtype.itemsize != 4:
            raise ValueError(f"{array.dtype} does not lie in words")
        self.taken += 1
        return self._value(np.ascontiguousarray(array).reshape(-1).view(np.uint32), array.shape)

    def constant(self, value: float) -> View:
        """The nearest float32: infinite where it is too large."""
        with np.errstate(over="ignore"):
            return View(IMMEDIATE, None, int(np.float32(value).view(np.uint32)), (), ())

    def word(self, value: int) -> View:
        """An int32, or bits."""
        return View(IMMEDIATE, None, value % WORD, (), ())

    def coordinate(self, shape: Sequence[int], axis: int) -> View:
        """The index along an axis."""
        axis %= len(shape)
        return View(IMMEDIATE, None, 0, tuple(shape), tuple(int(a == axis) for a in range(len(shape))))

    def map(self, code: Code, *operands: View) -> View:
        """MAP over the operands' common shape."""
        shape = np.broadcast_shapes(*(each.shape for each in operands))
        wide = [each.expand(*shape) for each in operands]
        return self._run(Instruction(Kind.MAP, code, shape, 0, 0, tuple(map(_operand, wide))), SCALAR[code](*(each.array() for each in wide)))

    def fold(self, code: Code, start: View, *operands: View) -> View:
        """FOLD along the last axis of the operands; `start` has the shape without it."""
        whole = np.broadcast_shapes(*(each.shape for each in operands))
        shape, length = whole[:-1], whole[-1]
        wide, first = [each.expand(*whole) for each in operands], start.expand(*shape)
        acc = first.array()
        for words in _along(wide):
            acc = FOLD[code](acc, *words)
        return self._run(Instruction(Kind.FOLD, code, shape, length, 0, tuple(map(_operand, wide)), _operand(first)), acc)

    def gather(self, table: View, index: View, axis: int) -> View:
        """The places `index` (integers, its shape leads) of an axis of `table`: out[i..., j...] = table[j with index[i] at axis]. Raises
        IndexError where one is outside: an operator says so before it comes here."""
        axis %= len(table.shape)
        self._require_places(index, table.shape[axis])
        rest = table.at(axis, 0)
        shape = index.shape + rest.shape
        seen = View(table.number, table.words, table.offset, shape, (0,) * len(index.shape) + rest.strides)
        which = View(index.number, index.words, index.offset, shape, index.strides + (0,) * len(rest.shape))
        return self.pick(seen, which, table.strides[axis])

    def _require_places(self, index: View, size: int) -> None:
        require_places(index.array(), size)

    def pick(self, table: View, index: View, scale: int) -> View:
        """GATHER: `table` and `index` have one shape; each word lies index * scale words behind where `table` shows it; outside it is 0."""
        base = View(IMMEDIATE, None, table.offset, table.shape, table.strides).array().astype(np.int64)
        address = base + index.array().view(np.int32).astype(np.int64) * scale
        inside = (address >= 0) & (address < len(table.words))
        out = np.zeros(table.shape, np.uint32)
        out[inside] = table.words[address[inside]]
        return self._run(Instruction(Kind.GATHER, Code.MOV, table.shape, 0, scale, (_operand(table),), _operand(index)), out)

    def update(self, under: View, source: View) -> View:
        """UPDATE: the whole value that `under` is a view of (no word of it twice), with `source` in the view's place; comes back flat."""
        filled = source.expand(*under.shape)
        out = under.words.copy()
        address = View(IMMEDIATE, None, under.offset, under.shape, under.strides).array().astype(np.int64)
        out[address] = filled.array()
        done = Instruction(Kind.UPDATE, Code.MOV, under.shape, len(out), 0, (_operand(under), _operand(filled)))
        return self._run(done, out, (len(out),))

    def noise(self, seed: bytes, start: int, positions: int, vocabulary: int) -> View:
        """NOISE: integers in [0, 2^23), (positions, vocabulary)."""
        from swarm.policy.noise import bits

        out = bits(seed, range(start, start + positions), vocabulary).view(np.uint32)
        return self._run(Instruction(Kind.NOISE, Code.MOV, (positions, vocabulary), vocabulary, start, (), None, seed), out)

    def packed(self, view: View) -> View:
        """The same words, row-major: a MAP where they do not lie so."""
        return view if view.is_contiguous and view.words is not None else self.map(Code.MOV, view)

    def _run(self, instruction: Instruction, out: np.ndarray, shape: tuple[int, ...] | None = None) -> View:
        if len(instruction.dims) > DIMS:
            raise ValueError(f"{len(instruction.dims)} axes; a primitive operation has at most {DIMS}")
        self.instructions.append(instruction)
        return self._value(np.ascontiguousarray(out).reshape(-1), instruction.dims if shape is None else shape)

    def _value(self, words: np.ndarray, shape: Sequence[int]) -> View:
        self.values.append(words)
        return View(len(self.values) - 1, words, 0, tuple(shape), _row_major(shape))


def require_places(words: np.ndarray, size: int) -> None:
    """Raises IndexError where an integer names no place of an axis of that size."""
    places = words.view(np.int32)
    if places.size and not 0 <= places.min() <= places.max() < size:
        raise IndexError(f"an index outside 0 to {size - 1}")


def _along(wide: Sequence[View]) -> Iterator[list[np.ndarray]]:
    """The operands' words at each place of the last axis. Large ones (a product repeats its operands) are never laid out whole."""
    if wide[0].size > MOST_LAID_OUT:
        yield from ([each.at(-1, k).array() for each in wide] for k in range(wide[0].shape[-1]))
    else:
        arrays = [np.moveaxis(each.array(), -1, 0) for each in wide]
        yield from ([np.ascontiguousarray(array[k]) for array in arrays] for k in range(wide[0].shape[-1]))


def _operand(view: View) -> Operand:
    return Operand(view.number, view.offset, view.strides)


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    strides, wanted = [], 1
    for n in reversed(shape):
        strides.insert(0, wanted)
        wanted *= n
    return tuple(strides)
