"""The bytes that a dispute is fought over: what a trace of one step commits to, and how each part is packed. `DisputeCourt` reads the same.

All trees are those of `swarm.merkle`: leaf keccak256(0x00 || 32 bytes), node keccak256(0x01 || left || right), an odd last node moves up; the
tree of nothing is 32 zero bytes. Integers are big-endian; words of values little-endian.

    value          flat 32-bit words; root = tree over its chunks of 8 words (32 bytes, the last one filled up with zeros)
    trace          of one step: the list of all values, number 0, 1, ... in the order in which they are made, as `count`,
                   `values` = tree over their roots, `structure` = tree over keccak256(entry), entry n saying how value n comes about:
      GIVEN    00 words:u32 root:32                                       part of the question: token ids, masks, advantages
      INITIAL  01 words:u32 place:u32 leaves:u32 head:u16                 a tensor of the step record's `before`
      FINAL    02 words:u32 place:u32 leaves:u32 head:u16 source:u32      value `source` once more, as a tensor of `after`
      MADE     03 words:u32 position:u32 length:u32 program:32 inputs:u16 (number:u32 words:u32) for each input
    state tensor   leaf `place` of the `leaves` of the state root (swarm.learn.root; the scalar leaf is the last of them), whose BLAKE3 message
                   is `head` bytes (msgpack of name, type, shape) and then the words
    program        the instructions of one operator's definition: `program` = tree over keccak256(packed instruction), `length` of them;
                   its values are numbered inputs first, then one for each instruction. The entry's value is what instruction `position` makes.
                   An operator of several results has an entry for each. Every result is made by an instruction, none is an input.
    instruction    kind:u8 code:u8 axes:u8 operands:u8 length:u32 scale:i64, axes times dim:u32, the operands, and of NOISE the seed (32 bytes)
    operand        number:u32 words:u32 offset:i64, stride:i64 for each axis (of FOLD's operands also for the folded one, last);
                   number = 0xffffffff and words = 0 for an immediate; `words` is the length of the whole value.
                   Order: as in `Instruction.operands`, then `start` where the kind has one (FOLD: start, GATHER: index)

What is posted in the course of a match: the trace; for a disputed MADE value the tree over the roots of all values that its program's
instructions make; for a disputed word of a FOLD the root of its running words acc(0) .. acc(length), as a value.

A word read outside of its value is 0. UPDATE's view has positive strides that nest: each larger than what the smaller ones span.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm import merkle
from swarm.errors import InputError
from swarm.keys import keccak
from swarm.proof.canonical import tree
from swarm.proof.canonical.definition.machine import DIMS, IMMEDIATE, Instruction, Kind, Operand

CHUNK = 8  # words under a leaf
DEPTH = 5  # levels of a tree that one move opens, unless fewer are left
EMPTY = bytes(32)
GIVEN, INITIAL, FINAL, MADE = range(4)


@dataclass(frozen=True)
class Trace:
    """What a side says of a step: how many values, the root of what they are, the root of their words."""

    count: int
    structure: bytes
    values: bytes

    def sealed(self, challenger: bytes, key: bytes, epoch: int, step: int, salt: bytes) -> bytes:
        """What a challenger (member key) opens a match with; it shows the trace when the prover has shown its own."""
        numbers = [n.to_bytes(32, "big") for n in (epoch, step, self.count)]
        return keccak(challenger, key, *numbers, self.structure, self.values, salt)


def match_id(key: bytes, epoch: int, step: int, challenger: bytes) -> bytes:
    """The id of a match: 32 bytes."""
    return keccak(key, epoch.to_bytes(32, "big"), step.to_bytes(32, "big"), challenger)


def chunks(words: np.ndarray) -> list[bytes]:
    """A value's leaves: 32 bytes each."""
    data = np.ascontiguousarray(words).reshape(-1).view("<u4").tobytes()
    data += bytes(-len(data) % (4 * CHUNK))
    return [data[i : i + 4 * CHUNK] for i in range(0, len(data), 4 * CHUNK)]


def value_root(words: np.ndarray) -> bytes:
    """32 bytes over a value's words (any 32-bit type)."""
    return tree.root(words)


def tree_root(digests: list[bytes]) -> bytes:
    return merkle.root(digests) if digests else EMPTY


def given(words: int, root: bytes) -> bytes:
    return struct.pack(">BI", GIVEN, words) + root


def initial(words: int, place: int, leaves: int, head: int) -> bytes:
    return struct.pack(">BIIIH", INITIAL, words, place, leaves, head)


def final(words: int, place: int, leaves: int, head: int, source: int) -> bytes:
    return struct.pack(">BIIIHI", FINAL, words, place, leaves, head, source)


def made(words: int, position: int, program: bytes, length: int, inputs: Sequence[tuple[int, int]]) -> bytes:
    """`inputs` are (number of the value in the trace, its words), in the order in which the machine took them."""
    head = struct.pack(">BIII", MADE, words, position, length) + program + struct.pack(">H", len(inputs))
    return head + b"".join(struct.pack(">II", *each) for each in inputs)


def instruction(done: Instruction, sizes: Sequence[int]) -> bytes:
    """A packed instruction; `sizes` are the words of the program's values made so far. Raises InputError where the format has no room for it."""
    axes, operands = len(done.dims), done.operands + ((done.start,) if done.start else ())
    if axes > DIMS or len(operands) > 4 or (done.kind is Kind.UPDATE and not nests(done.dims, done.operands[0].strides)):
        raise InputError(f"{done.kind.name} of {done.dims} cannot be disputed", "a definition has to be written in other terms")
    head = struct.pack(">BBBBIq", done.kind, done.code, axes, len(operands), done.length, done.scale)
    packed = head + struct.pack(f">{axes}I", *done.dims) + b"".join(_operand(each, sizes) for each in operands)
    return packed + (done.seed if done.kind is Kind.NOISE else b"")


def nests(dims: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether dividing by the strides, the largest first, gives an address's place back."""
    span = 0  # of the axes with smaller strides
    for stride, dim in sorted((s, n) for s, n in zip(strides, dims, strict=True) if n > 1):
        if stride <= span:
            return False
        span += stride * (dim - 1)
    return True


def _operand(each: Operand, sizes: Sequence[int]) -> bytes:
    words = 0 if each.number == IMMEDIATE else sizes[each.number]
    return struct.pack(f">IIq{len(each.strides)}q", each.number, words, each.offset, *each.strides)
