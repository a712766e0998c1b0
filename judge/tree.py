"""Merkle trees over 32-byte digests: leaf keccak256(0x00 || digest), node keccak256(0x01 || left || right), an odd last node moves up.

Tags keep a node from passing for a leaf (RFC 6962, section 2.1). A proof fits one place of one tree: it is checked with index and count.
"""

from __future__ import annotations

from judge.keys import keccak


def root(digests: list[bytes]) -> bytes:
    """32-byte root; of no digests, 32 zero bytes."""
    level = [keccak(b"\0", digest) for digest in digests]
    while len(level) > 1:
        level = above(level)
    return level[0] if level else bytes(32)


def levels(digests: list[bytes]) -> list[list[bytes]]:
    """All nodes: the leaf hashes first, the root alone last; of no digests, nothing."""
    found = [[keccak(b"\0", digest) for digest in digests]] if digests else []
    while found and len(found[-1]) > 1:
        found.append(above(found[-1]))
    return found


def proof(digests: list[bytes], index: int) -> list[bytes]:
    """Siblings of leaf `index`, from the bottom up; none where a node moved up alone."""
    level, path = [keccak(b"\0", digest) for digest in digests], []
    while len(level) > 1:
        if (index ^ 1) < len(level):
            path.append(level[index ^ 1])
        level, index = above(level), index // 2
    return path


def verify(top: bytes, count: int, index: int, digest: bytes, path: list[bytes]) -> bool:
    """Whether `digest` is leaf `index` of the tree of `count` leaves with this root."""
    if not 0 <= index < count:
        return False
    node, siblings = keccak(b"\0", digest), list(path)
    while count > 1:
        if (index ^ 1) < count:
            if not siblings:
                return False
            other = siblings.pop(0)
            node = keccak(b"\1", other, node) if index & 1 else keccak(b"\1", node, other)
        index, count = index // 2, (count + 1) // 2
    return not siblings and node == top


def above(level: list[bytes]) -> list[bytes]:
    """The level of nodes over these; an odd last one moves up."""
    pairs = [keccak(b"\1", left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return pairs + level[len(pairs) * 2 :]
