"""The canonical operators on a GPU: the same definitions, run by a machine whose primitive operations are Triton kernels.

Every program of `definition/` runs here unchanged, since MAP, FOLD, GATHER and UPDATE are all it asks for: one accumulator per output word,
ascending order, explicit fma, IEEE division and square root, no tensor cores, no atomics, contraction off (`enable_fp_fusion=False`).

UNTESTED ON HARDWARE: the kernels were run under Triton's interpreter only (tests/test_canonical_gpu.py, where its unfused fma is replaced
by the definition's). On a machine with a CUDA GPU `python -m pytest tests/test_canonical_gpu.py` holds them against the same words.
It is a reference for GPUs and an auditor's tool, not a fast trainer: no operator is fused, each primitive operation is one launch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import triton
import triton.language as tl

from swarm.proof.canonical.definition.codes import NONE, Code
from swarm.proof.canonical.definition.machine import DIMS, IMMEDIATE, Instruction, Kind, Machine, View, _operand, require_places

BLOCK = 256
_NAN, _NONE = tl.constexpr(0x7FC00000), tl.constexpr(NONE - 2**32)


@triton.jit
def _clean(x):
    bits = x.to(tl.int32, bitcast=True)
    return tl.where(x != x, _NAN, bits)


@triton.jit
def _scalar(CODE: tl.constexpr, a, b, c):
    """One scalar code of `definition.codes` on int32 words; codes that take fewer words ignore the rest."""
    x, y, z = a.to(tl.float32, bitcast=True), b.to(tl.float32, bitcast=True), c.to(tl.float32, bitcast=True)
    if CODE == 0:
        return a
    elif CODE == 1:
        return _clean(x + y)
    elif CODE == 2:
        return _clean(x - y)
    elif CODE == 3:
        return _clean(x * y)
    elif CODE == 4:
        return _clean(tl.fma(x, y, z))
    elif CODE == 5:
        return _clean(tl.div_rn(x, y))
    elif CODE == 6:
        return _clean(tl.sqrt_rn(x))
    elif CODE == 7:
        return tl.where(x != x, _NAN, a ^ -2147483648)
    elif CODE == 8:
        return tl.where(x != x, _NAN, a & 0x7FFFFFFF)
    elif CODE == 9:
        larger = tl.where((x > y) | ((x == y) & (a > b)), a, b)
        return tl.where((x != x) | (y != y), _NAN, larger)
    elif CODE == 10:
        smaller = tl.where((x < y) | ((x == y) & (a < b)), a, b)
        return tl.where((x != x) | (y != y), _NAN, smaller)
    elif CODE == 11:
        return (x < y).to(tl.int32)
    elif CODE == 12:
        return (x <= y).to(tl.int32)
    elif CODE == 13:
        return (x == y).to(tl.int32)
    elif CODE == 14:
        return (x != x).to(tl.int32)
    elif CODE == 15:
        return tl.where(a != 0, b, c)
    elif CODE == 16:
        return a & b
    elif CODE == 17:
        return a | b
    elif CODE == 18:
        return a ^ b
    elif CODE == 19:
        return a << (b & 31)
    elif CODE == 20:
        return (a.to(tl.uint32, bitcast=True) >> (b & 31).to(tl.uint32, bitcast=True)).to(tl.int32, bitcast=True)
    elif CODE == 21:
        return a >> (b & 31)
    elif CODE == 22:
        return a + b
    elif CODE == 23:
        return a - b
    elif CODE == 24:
        return a * b
    elif CODE == 25:
        return (a == b).to(tl.int32)
    elif CODE == 26:
        return (a < b).to(tl.int32)
    elif CODE == 27:
        return a.to(tl.float32).to(tl.int32, bitcast=True)
    else:
        tl.static_assert(CODE == 28, "no such scalar code")
        fits = (x >= -2147483648.0) & (x < 2147483648.0)
        return tl.where(fits, tl.where(fits, x, 0.0).to(tl.int32), -2147483648)


@triton.jit
def _folded(CODE: tl.constexpr, acc, a, b, c):
    """One code of a fold: the running word, then what is read."""
    if CODE == 4:
        return _scalar(4, a, b, acc)
    elif CODE == 40:
        return tl.where(b == c, _scalar(1, acc, a, a), acc)
    elif CODE == 41:
        return tl.where((acc == _NONE) & (_scalar(13, a, b, b) != 0), c, acc)
    elif CODE == 42:
        return tl.where(b <= c, _scalar(1, acc, a, a), acc)
    else:
        return _scalar(CODE, acc, a, a)


@triton.jit
def _address(i, offset, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5):
    """offset + sum(index * stride) of the flat place `i` (int64) of an array of six axes."""
    at = offset + (i % d5) * s5
    i = i // d5
    at += (i % d4) * s4
    i = i // d4
    at += (i % d3) * s3
    i = i // d3
    at += (i % d2) * s2
    i = i // d2
    return at + (i % d1) * s1 + (i // d1) * s0


@triton.jit
def _read(words, at, there, IMMEDIATE_: tl.constexpr):
    """The word at an address, or the address itself modulo 2^32."""
    if IMMEDIATE_:
        return at.to(tl.int32)
    else:
        return tl.load(words + at, mask=there, other=0)


@triton.jit
def _flat(n, BLOCK_: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK_ + tl.arange(0, BLOCK_).to(tl.int64)
    return i, i < n


# fmt: off
@triton.jit
def _map(out, n, d1, d2, d3, d4, d5,
         A, ao, a0, a1, a2, a3, a4, a5, B, bo, b0, b1, b2, b3, b4, b5, C, co, c0, c1, c2, c3, c4, c5,
         CODE: tl.constexpr, AI: tl.constexpr, BI: tl.constexpr, CI: tl.constexpr, BLOCK_: tl.constexpr):
    i, there = _flat(n, BLOCK_)
    a = _read(A, _address(i, ao, d1, d2, d3, d4, d5, a0, a1, a2, a3, a4, a5), there, AI)
    b = _read(B, _address(i, bo, d1, d2, d3, d4, d5, b0, b1, b2, b3, b4, b5), there, BI)
    c = _read(C, _address(i, co, d1, d2, d3, d4, d5, c0, c1, c2, c3, c4, c5), there, CI)
    tl.store(out + i, _scalar(CODE, a, b, c), mask=there)


@triton.jit
def _fold(out, n, length, d1, d2, d3, d4, d5,
          S, so, s0, s1, s2, s3, s4, s5, A, ao, a0, a1, a2, a3, a4, a5, B, bo, b0, b1, b2, b3, b4, b5, C, co, c0, c1, c2, c3, c4, c5,
          ak, bk, ck, CODE: tl.constexpr, SI: tl.constexpr, AI: tl.constexpr, BI: tl.constexpr, CI: tl.constexpr, BLOCK_: tl.constexpr):
    i, there = _flat(n, BLOCK_)
    acc = _read(S, _address(i, so, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5), there, SI)
    at_a = _address(i, ao, d1, d2, d3, d4, d5, a0, a1, a2, a3, a4, a5)
    at_b = _address(i, bo, d1, d2, d3, d4, d5, b0, b1, b2, b3, b4, b5)
    at_c = _address(i, co, d1, d2, d3, d4, d5, c0, c1, c2, c3, c4, c5)
    k = 0
    while k < length:
        acc = _folded(CODE, acc, _read(A, at_a, there, AI), _read(B, at_b, there, BI), _read(C, at_c, there, CI))
        at_a += ak
        at_b += bk
        at_c += ck
        k += 1
    tl.store(out + i, acc, mask=there)


@triton.jit
def _gather(out, n, scale, size, d1, d2, d3, d4, d5, A, ao, a0, a1, a2, a3, a4, a5, B, bo, b0, b1, b2, b3, b4, b5,
            BI: tl.constexpr, BLOCK_: tl.constexpr):
    i, there = _flat(n, BLOCK_)
    which = _read(B, _address(i, bo, d1, d2, d3, d4, d5, b0, b1, b2, b3, b4, b5), there, BI)
    at = _address(i, ao, d1, d2, d3, d4, d5, a0, a1, a2, a3, a4, a5) + which.to(tl.int64) * scale
    tl.store(out + i, tl.load(A + at, mask=there & (at >= 0) & (at < size), other=0), mask=there)


@triton.jit
def _scatter(out, n, d1, d2, d3, d4, d5, uo, u0, u1, u2, u3, u4, u5, A, ao, a0, a1, a2, a3, a4, a5, AI: tl.constexpr, BLOCK_: tl.constexpr):
    i, there = _flat(n, BLOCK_)
    a = _read(A, _address(i, ao, d1, d2, d3, d4, d5, a0, a1, a2, a3, a4, a5), there, AI)
    tl.store(out + _address(i, uo, d1, d2, d3, d4, d5, u0, u1, u2, u3, u4, u5), a, mask=there)
# fmt: on


@dataclass
class GpuMachine(Machine):
    """A `Machine` whose values are int32 tensors on `device`."""

    device: str = "cuda"

    def take(self, array: np.ndarray) -> View:
        view = super().take(array)
        words = torch.from_numpy(view.words.view(np.int32).copy()).to(self.device)
        self.values[view.number] = words
        return replace(view, words=words)

    def words(self, view: View) -> np.ndarray:
        """A view's words on this side, uint32, of its shape."""
        packed = self.packed(view)
        end = packed.offset + packed.size
        return packed.words[packed.offset : end].cpu().numpy().view(np.uint32).reshape(packed.shape)

    def map(self, code: Code, *operands: View) -> View:
        shape = np.broadcast_shapes(*(each.shape for each in operands))
        wide = [each.expand(*shape) for each in operands]
        out = self._empty(math.prod(shape))
        three = [wide[min(i, len(wide) - 1)] for i in range(3)]
        self._launch(_map, out, (), shape, three, CODE=int(code), **_immediates("ABC", three))
        return self._run(Instruction(Kind.MAP, code, shape, 0, 0, tuple(map(_operand, wide))), out)

    def fold(self, code: Code, start: View, *operands: View) -> View:
        whole = np.broadcast_shapes(*(each.shape for each in operands))
        shape, length = whole[:-1], whole[-1]
        wide, first = [each.expand(*whole) for each in operands], start.expand(*shape)
        out = self._empty(math.prod(shape))
        three = [wide[min(i, len(wide) - 1)] for i in range(3)]
        flat = [View(v.number, v.words, v.offset, v.shape[:-1], v.strides[:-1]) for v in three]
        steps = dict(ak=three[0].strides[-1], bk=three[1].strides[-1], ck=three[2].strides[-1])
        self._launch(_fold, out, (length,), shape, [first, *flat], CODE=int(code), **steps, **_immediates("SABC", [first, *flat]))
        return self._run(Instruction(Kind.FOLD, code, shape, length, 0, tuple(map(_operand, wide)), _operand(first)), out)

    def pick(self, table: View, index: View, scale: int) -> View:
        out = self._empty(table.size)
        self._launch(_gather, out, (scale, len(table.words)), table.shape, [table, index], **_immediates("B", [index]))
        return self._run(Instruction(Kind.GATHER, Code.MOV, table.shape, 0, scale, (_operand(table),), _operand(index)), out)

    def _require_places(self, index: View, size: int) -> None:
        require_places(self.words(index), size)

    def update(self, under: View, source: View) -> View:
        filled = source.expand(*under.shape)
        out = under.words.clone()
        place = [under.offset, *_axes(under.strides, 0)]
        self._launch(_scatter, out, (), under.shape, [filled], before=place, **_immediates("A", [filled]))
        done = Instruction(Kind.UPDATE, Code.MOV, under.shape, len(out), 0, (_operand(under), _operand(filled)))
        return self._run(done, out, (len(out),))

    def noise(self, seed: bytes, start: int, positions: int, vocabulary: int) -> View:
        view = super().noise(seed, start, positions, vocabulary)
        words = torch.from_numpy(np.ascontiguousarray(view.words).view(np.int32).copy()).to(self.device)
        self.values[view.number] = words
        return replace(view, words=words)

    def _empty(self, size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.int32, device=self.device)

    def _launch(self, kernel, out, sizes, shape, operands, before=(), **named) -> None:
        n = math.prod(shape)
        if n == 0:
            return
        dims = _axes(shape, 1)[1:]
        placed = [word for each in operands for word in ((out if each.words is None else each.words), each.offset, *_axes(each.strides, 0))]
        grid = (triton.cdiv(n, BLOCK),)
        kernel[grid](out, n, *sizes, *dims, *before, *placed, **named, BLOCK_=BLOCK, enable_fp_fusion=False)

    def _run(self, instruction: Instruction, out, shape=None) -> View:
        if isinstance(out, torch.Tensor):
            if len(instruction.dims) > DIMS:
                raise ValueError(f"{len(instruction.dims)} axes; a primitive operation has at most {DIMS}")
            self.instructions.append(instruction)
            return self._value(out, instruction.dims if shape is None else shape)
        return super()._run(instruction, out, shape)


def _axes(sizes: tuple[int, ...], fill: int) -> list[int]:
    return [fill] * (DIMS - len(sizes)) + list(sizes)


def _immediates(names: str, views: list[View]) -> dict[str, bool]:
    return {f"{name}I": view.number == IMMEDIATE for name, view in zip(names, views, strict=True)}
