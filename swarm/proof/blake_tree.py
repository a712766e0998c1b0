"""The tree inside a BLAKE3 digest, and one chunk of it opened by its siblings (BLAKE3 specification, 2.1 to 2.5).

State roots name tensors by their BLAKE3 digests (`swarm.learn.root`). A contract that is shown one chunk of 1,024 bytes and the chaining
values beside its way up knows those bytes of the tensor. Plain Python, some 2 MB a minute: for the one tensor that a dispute is about.
"""

from __future__ import annotations

import struct
from functools import cached_property

CHUNK, BLOCK = 1024, 64
START, END, PARENT, ROOT = 1, 2, 4, 8
_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_MASK = 0xFFFFFFFF


class BlakeTree:
    """Of one message. `chunks` are its bytes by 1,024, the last one shorter; an empty message has one empty chunk."""

    def __init__(self, message: bytes):
        self.chunks = [message[at : at + CHUNK] for at in range(0, max(1, len(message)), CHUNK)]

    @cached_property
    def digest(self) -> bytes:
        """BLAKE3 of the message: 32 bytes."""
        return _chunk(self.chunks[0], 0, ROOT) if len(self.chunks) == 1 else self._value(0, len(self.chunks), ROOT)

    def path(self, chunk: int) -> list[bytes]:
        """Chaining values beside the way from a chunk up, from the bottom."""
        start, count, siblings = 0, len(self.chunks), []
        while count > 1:
            left = _left(count)
            if chunk < start + left:
                siblings.append(self._value(start + left, count - left, 0))
                count = left
            else:
                siblings.append(self._value(start, left, 0))
                start, count = start + left, count - left
        return siblings[::-1]

    @cached_property
    def _leaves(self) -> list[bytes]:
        return [_chunk(chunk, number, 0) for number, chunk in enumerate(self.chunks)]

    def _value(self, start: int, count: int, flags: int) -> bytes:
        if count == 1:
            return self._leaves[start]
        left = _left(count)
        return parent(self._value(start, left, 0), self._value(start + left, count - left, 0), flags)


def opened(chunk: bytes, number: int, chunks: int, path: list[bytes]) -> bytes | None:
    """The digest of a message of `chunks` chunks whose chunk `number` this is; None where the path has another length."""
    if chunks == 1:
        return None if path else _chunk(chunk, 0, ROOT)
    start, count, sides = 0, chunks, []
    while count > 1:
        left = _left(count)
        sides.append(number < start + left)
        start, count = (start, left) if sides[-1] else (start + left, count - left)
    if len(path) != len(sides):
        return None
    value = _chunk(chunk, number, 0)
    for level, (is_left, sibling) in enumerate(zip(reversed(sides), path, strict=True), 1):
        value = parent(*((value, sibling) if is_left else (sibling, value)), ROOT if level == len(path) else 0)
    return value


def parent(left: bytes, right: bytes, flags: int = 0) -> bytes:
    """The chaining value over two."""
    return _compress(_IV, left + right, 0, BLOCK, PARENT | flags)


def _left(count: int) -> int:
    """Chunks under the left child: the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _chunk(data: bytes, number: int, root: int) -> bytes:
    blocks = [data[at : at + BLOCK] for at in range(0, max(1, len(data)), BLOCK)]
    value: tuple[int, ...] | bytes = _IV
    for place, block in enumerate(blocks):
        last = place == len(blocks) - 1
        flags = START * (place == 0) | (END | root) * last
        value = _compress(_words(value), block.ljust(BLOCK, b"\0"), number, len(block), flags)
    return value


def _words(value: tuple[int, ...] | bytes) -> tuple[int, ...]:
    return struct.unpack("<8I", value) if isinstance(value, bytes) else value


def _compress(value: tuple[int, ...], block: bytes, counter: int, length: int, flags: int) -> bytes:
    m = list(struct.unpack("<16I", block))
    v = [*value, *_IV[:4], counter & _MASK, counter >> 32, length, flags]
    for turn in range(7):
        for i, (a, b, c, d) in enumerate(_MIXES):
            _mix(v, a, b, c, d, m[2 * i], m[2 * i + 1])
        m = [m[i] for i in _ORDER] if turn < 6 else m
    return struct.pack("<8I", *(v[i] ^ v[i + 8] for i in range(8)))


def _mix(v: list[int], a: int, b: int, c: int, d: int, x: int, y: int) -> None:
    for message, (one, other) in ((x, (16, 12)), (y, (8, 7))):
        v[a] = (v[a] + v[b] + message) & _MASK
        v[d] = _turned(v[d] ^ v[a], one)
        v[c] = (v[c] + v[d]) & _MASK
        v[b] = _turned(v[b] ^ v[c], other)


def _turned(word: int, by: int) -> int:
    return (word >> by | word << (32 - by)) & _MASK
