"""The Merkle tree over a value's words (kernels/tree.c): leaves are chunks of 8 words, hashed and joined as `swarm.merkle` does.

A value's root needs memory of a thousandth of the value.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import overload

import numpy as np

from swarm.errors import InputError
from swarm.proof.canonical.native import Kernel

CHUNK = 8  # words under a leaf
HASH = 32  # bytes
BLOCK = 10  # levels that the kernel climbs at once
EMPTY = bytes(HASH)

_leaves = Kernel("canonical_tree_leaves", "pnp")
_above = Kernel("canonical_tree_above", "pnp")
_blocks = Kernel("canonical_tree_blocks", "pnp")


def root(words: np.ndarray) -> bytes:
    """32 bytes over any number of 32-bit words; of none, zeros."""
    flat = _flat(words)
    return _top(flat) if flat.size else EMPTY


def levels(words: np.ndarray) -> list[np.ndarray]:
    """All levels, leaves first: uint8 arrays of (nodes, 32). None of no words."""
    flat = _flat(words)
    made = [_leaves_over(flat)] if flat.size else []
    while made and len(made[-1]) > 1:
        made.append(_climbed(made[-1], 1))
    return made


class Row(Sequence[bytes]):
    """A level, or the chunks: 32 bytes each, as a list has them."""

    def __init__(self, array: np.ndarray):
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    @overload
    def __getitem__(self, place: int) -> bytes: ...

    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...

    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        part = self._array[place]
        return _hashes(part) if isinstance(place, slice) else part.tobytes()


class WordTree:
    """A value's tree with all its nodes, which take twice the value's memory; what `swarm.merkle.Tree` is over its chunks."""

    def __init__(self, words: np.ndarray):
        self._words = _flat(words)

    @functools.cached_property
    def digests(self) -> Row:
        """The chunks."""
        rest = -self._words.size % CHUNK
        return Row((np.pad(self._words, (0, rest)) if rest else self._words).view(np.uint8).reshape(-1, HASH))

    @functools.cached_property
    def levels(self) -> list[Row]:
        return [Row(each) for each in levels(self._words)]

    @property
    def root(self) -> bytes:
        return self.levels[-1][0] if self.levels else EMPTY

    def path(self, index: int) -> list[bytes]:
        """Siblings of a chunk, from the bottom up."""
        return [row[place] for level, row in enumerate(self.levels[:-1]) if (place := index >> level ^ 1) < len(row)]


def _flat(words: np.ndarray) -> np.ndarray:
    if words.dtype.itemsize != 4:
        raise InputError(f"{words.dtype} is not 32 bits wide")
    return np.ascontiguousarray(words).reshape(-1).view(np.uint32)


def _top(flat: np.ndarray) -> bytes:
    row = np.empty((-(-flat.size // (CHUNK << BLOCK)), HASH), np.uint8)
    _blocks.call(flat.ctypes.data, flat.size, row.ctypes.data)
    return _climbed(row, 64).tobytes()


def _leaves_over(flat: np.ndarray) -> np.ndarray:
    row = np.empty((-(-flat.size // CHUNK), HASH), np.uint8)
    _leaves.call(flat.ctypes.data, flat.size, row.ctypes.data)
    return row


def _climbed(row: np.ndarray, most: int) -> np.ndarray:
    """The level `most` above, or the root."""
    for _ in range(most):
        if len(row) == 1:
            break
        above = np.empty((-(-len(row) // 2), HASH), np.uint8)
        _above.call(row.ctypes.data, len(row), above.ctypes.data)
        row = above
    return row


def _hashes(row: np.ndarray) -> list[bytes]:
    return [each.tobytes() for each in row]
