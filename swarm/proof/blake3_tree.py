"""The inside of a BLAKE3 digest: chaining values of its tree, so that 1,024 of the hashed bytes are shown against the digest alone.

State roots name tensors by BLAKE3 over a head and all elements (swarm/learn/root.py). A dispute shows one chunk of it on chain: the bytes and
the chaining values beside its path (contracts/src/numeric/Blake3.sol; O'Connor et al. 2020, "BLAKE3: one function, fast everywhere").
BLAKE3 gives the left side of a node the largest power of two of chunks; that is the tree in which pairs are hashed level by level and an odd
last node moves up as it is.

The package `blake3` gives no chaining values, so the compression is written here on arrays, one lane for each chunk: less than
a CPU-second for 100 MB.
"""

from __future__ import annotations

import numpy as np

from swarm.errors import InputError

CHUNK, BLOCK = 1024, 64
START, END, PARENT, ROOT = 1, 2, 4, 8  # flags
IV = np.array([0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], np.uint32)
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
LANES = 2048  # hashed together: their state fits a processor's cache


class Blake3Tree:
    """All chaining values over `data`, 1/32 of its size. `root` is the BLAKE3-256 digest."""

    def __init__(self, data: bytes | bytearray | memoryview | np.ndarray):
        self._bytes = np.frombuffer(data, np.uint8)
        self._levels = [_leaves(self._bytes)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))

    @property
    def width(self) -> int:
        """Number of chunks, at least one."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        return _digest(self._levels[-1][0])

    def chunk(self, index: int) -> bytes:
        """The bytes of one chunk. Raises InputError where there is none."""
        self._check(index)
        return self._bytes[index * CHUNK : (index + 1) * CHUNK].tobytes()

    def siblings(self, index: int) -> list[bytes]:
        """The 32-byte chaining values beside a chunk's path, from the bottom up; none where a node moves up alone. Raises InputError."""
        self._check(index)
        found = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                found.append(_digest(level[index ^ 1]))
            index //= 2
        return found

    def _check(self, index: int) -> None:
        if not 0 <= index < self.width:
            raise InputError(f"chunk {index} of {len(self._bytes)} bytes, which are {self.width} chunks")


def _digest(value: np.ndarray) -> bytes:
    return value.astype("<u4").tobytes()


def _leaves(data: np.ndarray) -> np.ndarray:
    """Chaining values of all chunks, (chunks, 8); the digest where there is only one."""
    if len(data) <= CHUNK:
        return _chunk(data, 0, ROOT)
    whole = len(data) // CHUNK
    blocks = data[: whole * CHUNK].view("<u4").reshape(whole, CHUNK // BLOCK, BLOCK // 4)
    parts = [_whole_chunks(blocks[at : at + LANES], at) for at in range(0, whole, LANES)]
    return np.concatenate(parts if len(data) == whole * CHUNK else [*parts, _chunk(data[whole * CHUNK :], whole, 0)])


def _whole_chunks(blocks: np.ndarray, first: int) -> np.ndarray:
    """(n, 16, 16) words of chunks from number `first` on -> (n, 8)."""
    count, last = len(blocks), CHUNK // BLOCK - 1
    counter = np.arange(first, first + count, dtype=np.uint64)
    value = np.broadcast_to(IV[:, None], (8, count))
    for i in range(last + 1):
        value = compress(value, np.ascontiguousarray(blocks[:, i].T), counter, BLOCK, START * (i == 0) | END * (i == last))
    return value.T


def _chunk(data: np.ndarray, index: int, flags: int) -> np.ndarray:
    """One chunk of at most 1,024 bytes -> (1, 8)."""
    value, counter = IV[:, None], np.array([index], np.uint64)
    count = max(1, -(-len(data) // BLOCK))
    padded = np.zeros(count * BLOCK, np.uint8)
    padded[: len(data)] = data
    words = padded.view("<u4").reshape(count, BLOCK // 4)
    for i in range(count):
        ends = (END | flags) * (i == count - 1)
        value = compress(value, words[i][:, None], counter, min(BLOCK, len(data) - i * BLOCK), START * (i == 0) | ends)
    return value.T


def _above(level: np.ndarray) -> np.ndarray:
    """The next level, (n, 8) -> (ceil(n / 2), 8)."""
    pairs, flags = len(level) // 2, PARENT | ROOT * (len(level) == 2)
    words = level[: 2 * pairs].reshape(pairs, 16)
    parts = []
    for at in range(0, pairs, LANES):
        some = np.ascontiguousarray(words[at : at + LANES].T)
        start = np.broadcast_to(IV[:, None], (8, some.shape[1]))
        parts.append(compress(start, some, np.zeros(some.shape[1], np.uint64), BLOCK, flags).T)
    return np.concatenate([*parts, level[2 * pairs :]])


def compress(value: np.ndarray, words: np.ndarray, counter: np.ndarray, length: int, flags: int) -> np.ndarray:
    """Chaining values (8, n) and blocks (16, n) -> (8, n)."""
    a, b, c = value[:4].copy(), value[4:].copy(), np.broadcast_to(IV[:4, None], (4, len(counter))).copy()
    d = np.empty_like(c)
    d[0], d[1], d[2], d[3] = counter & np.uint64(0xFFFFFFFF), counter >> np.uint64(32), length, flags
    order = list(range(16))
    for _ in range(7):
        _quarters(a, b, c, d, words[order[0:8:2]], words[order[1:8:2]])
        b, c, d = b[[1, 2, 3, 0]], c[[2, 3, 0, 1]], d[[3, 0, 1, 2]]  # diagonals become columns
        _quarters(a, b, c, d, words[order[8::2]], words[order[9::2]])
        b, c, d = b[[3, 0, 1, 2]], c[[2, 3, 0, 1]], d[[1, 2, 3, 0]]
        order = [order[i] for i in PERMUTATION]
    return np.concatenate([a ^ c, b ^ d])


def _quarters(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    """Four quarter rounds side by side, in place."""
    for words, one, other in ((first, 16, 12), (second, 8, 7)):
        a += b
        a += words
        d ^= a
        _rotate(d, one)
        c += d
        b ^= c
        _rotate(b, other)


def _rotate(x: np.ndarray, places: int) -> None:
    """To the right, in place."""
    left = x << np.uint32(32 - places)
    x >>= np.uint32(places)
    x |= left
