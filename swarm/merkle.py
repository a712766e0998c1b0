"""Ordered Merkle trees over 32-byte digests (design.md section 6), as the contracts check them too.

    leaf  keccak256(0x00 || digest)
    node  keccak256(0x01 || left || right); an odd last node moves up unchanged

Tags keep a node from passing for a leaf (second-preimage, RFC 6962 section 2.1). A proof is the list of siblings from the
leaf up; where a node moved up alone there is no sibling. `verify` needs index and count, so a proof fits one place only.
"""

from __future__ import annotations

from swarm.errors import InputError
from swarm.keys import keccak

MAX_DEPTH = 32


def root(digests: list[bytes]) -> bytes:
    """32-byte root over at least one 32-byte digest."""
    if not digests:
        raise InputError("a tree needs at least one leaf")
    level = _leaves(digests)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def proof(digests: list[bytes], index: int) -> list[bytes]:
    """Siblings of leaf `index`, from the bottom up."""
    if not 0 <= index < len(digests):
        raise InputError(f"leaf {index} of a tree with {len(digests)} leaves")
    level, path = _leaves(digests), []
    while len(level) > 1:
        if (index ^ 1) < len(level):
            path.append(level[index ^ 1])
        level, index = _above(level), index // 2
    return path


def verify(top: bytes, count: int, index: int, digest: bytes, path: list[bytes]) -> bool:
    """Whether `digest` is leaf `index` of the tree of `count` leaves whose root is `top`."""
    if not 0 <= index < count or len(path) > MAX_DEPTH:
        return False
    node, siblings = keccak(b"\x00", digest), list(path)
    while count > 1:
        if (index ^ 1) < count:
            if not siblings:
                return False
            other = siblings.pop(0)
            node = keccak(b"\x01", other, node) if index & 1 else keccak(b"\x01", node, other)
        index, count = index // 2, (count + 1) // 2
    return not siblings and node == top


def _leaves(digests: list[bytes]) -> list[bytes]:
    return [keccak(b"\x00", digest) for digest in digests]


def _above(level: list[bytes]) -> list[bytes]:
    pairs = [keccak(b"\x01", left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return pairs + level[len(pairs) * 2 :]
