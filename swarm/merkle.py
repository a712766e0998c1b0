"""Ordered Merkle trees over 32-byte digests (design.md section 6), as the contracts check them too.

    leaf  keccak256(0x00 || digest)
    node  keccak256(0x01 || left || right); an odd last node moves up unchanged

Tags keep a node from passing for a leaf (second-preimage, RFC 6962 section 2.1). A proof is the list of siblings from the
leaf up; where a node moved up alone there is no sibling. `verify` needs index and count, so a proof fits one place only.
"""

from __future__ import annotations

from judge import tree
from swarm.errors import InputError

MAX_DEPTH = 32


def root(digests: list[bytes]) -> bytes:
    """32-byte root over at least one 32-byte digest."""
    if not digests:
        raise InputError("a tree needs at least one leaf")
    return tree.root(digests)


def proof(digests: list[bytes], index: int) -> list[bytes]:
    """Siblings of leaf `index`, from the bottom up."""
    if not 0 <= index < len(digests):
        raise InputError(f"leaf {index} of a tree with {len(digests)} leaves")
    return tree.proof(digests, index)


def verify(top: bytes, count: int, index: int, digest: bytes, path: list[bytes]) -> bool:
    """Whether `digest` is leaf `index` of the tree of `count` leaves whose root is `top`."""
    return len(path) <= MAX_DEPTH and tree.verify(top, count, index, digest, path)


class Tree:
    """A tree with all its nodes: `levels[0]` are the leaf hashes, the last one is the root alone. A tree of nothing has no levels."""

    def __init__(self, digests: list[bytes]):
        self.digests, self.levels = digests, tree.levels(digests)

    @property
    def root(self) -> bytes:
        return self.levels[-1][0] if self.levels else bytes(32)

    def path(self, index: int) -> list[bytes]:
        """What `proof` gives."""
        return [nodes[place] for level, nodes in enumerate(self.levels[:-1]) if (place := index >> level ^ 1) < len(nodes)]
