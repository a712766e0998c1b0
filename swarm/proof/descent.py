"""Going down two trees of one shape to the first leaf in which they differ: what a side shows, and what the other's showing tells.

A node is (height, index), leaves have height 0. One reveal shows all nodes `DEPTH` levels below the disputed one, or at the bottom what the
leaves are hashes of. Everything left of the disputed leaf is agreed, but the way up from there passes nodes of the one tree that the court
keeps, the prover's: whoever opens an agreed leaf needs them, and finds them in what the prover has shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from judge.tree import above
from swarm.keys import keccak
from swarm.merkle import Tree
from swarm.proof.canonical.tree import WordTree
from swarm.proof.dispute_format import DEPTH


@dataclass(frozen=True)
class Reveal:
    """Nodes that a side has shown below (height, index) of its tree."""

    by_challenger: bool
    height: int
    index: int
    nodes: tuple[bytes, ...]


def shown(tree: Tree | WordTree, height: int, index: int) -> list[bytes]:
    """What a side shows of its tree below a node."""
    low = max(0, height - DEPTH)
    row = tree.levels[low] if low else tree.digests
    return row[index << height - low : (index + 1) << height - low]


class Known:
    """The prover's tree, as far as an own one (equal up to the disputed leaf) and the prover's reveals tell."""

    def __init__(self, own: Tree | WordTree, reveals: Iterable[Reveal] = ()):
        self._own, self._told = own, {}
        for each in reveals:
            if not each.by_challenger:
                self._learn(each)

    def path(self, index: int) -> list[bytes]:
        """Siblings of a leaf that lies before the disputed one."""
        siblings = []
        for level, row in enumerate(self._own.levels[:-1]):
            place = index >> level ^ 1
            if place < len(row):
                siblings.append(self._told.get((level, place), row[place]))
        return siblings

    def _learn(self, reveal: Reveal) -> None:
        low = max(0, reveal.height - DEPTH)
        first = reveal.index << reveal.height - low
        row = list(reveal.nodes) if low else [keccak(b"\0", each) for each in reveal.nodes]
        for level in range(low, reveal.height + 1):
            self._told.update({(level, first + place): node for place, node in enumerate(row)})
            row, first = above(row), first >> 1
