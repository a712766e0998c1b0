"""The tally of an epoch of judging, as `JudgeAnchor` reads it: OpenZeppelin's standard Merkle tree over what operators earn and lose.

A leaf is keccak256(bytes.concat(keccak256(abi.encode(swarm, epoch, operator, earned, slashed)))), hashed twice so that no node passes for
one. The sorted leaves stand at the end in falling order; node i is over nodes 2i + 1 and 2i + 2, the smaller one first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from swarm import keys
from swarm.chain import abi

FIELDS = [{"name": "", "type": kind} for kind in ("bytes32", "uint32", "address", "uint128", "uint128")]


@dataclass(frozen=True, order=True)
class Entry:
    """What an operator (20 bytes) earns and loses, in wei of the swarm's token."""

    operator: bytes
    earned: int
    slashed: int


class Tally:
    """The entries of one epoch, one for each operator."""

    def __init__(self, swarm: bytes, epoch: int, entries: Iterable[Entry]):
        self.swarm, self.epoch, self.entries = swarm, epoch, sorted(entries)
        self._nodes = nodes_of([self.leaf(entry) for entry in self.entries])

    @classmethod
    def of_faults(cls, swarm: bytes, epoch: int, hosts: Iterable[bytes], each: int) -> Tally:
        """Every proved fault takes `each` wei of its host's deposit, or what is left of it, and nobody earns anything."""
        return cls(swarm, epoch, (Entry(host, 0, count * each) for host, count in Counter(hosts).items()))

    @property
    def root(self) -> bytes:
        """32 bytes; zeros where nobody earned or lost."""
        return self._nodes[0] if self._nodes else bytes(32)

    def leaf(self, entry: Entry) -> bytes:
        return leaf_of(FIELDS, [self.swarm, self.epoch, entry.operator, entry.earned, entry.slashed])

    def proof(self, entry: Entry) -> list[bytes]:
        """Siblings from the entry's leaf up."""
        return path_of(self._nodes, self.leaf(entry))


def leaf_of(fields: list[dict], values: list) -> bytes:
    """A leaf of a standard tree over entries of these types."""
    return keys.keccak(keys.keccak(abi.encode(fields, values, "an entry of a tally")))


def nodes_of(leaves: list[bytes]) -> list[bytes]:
    """All nodes of the tree, the root first."""
    nodes = [b""] * (len(leaves) - 1) + sorted(leaves, reverse=True)
    for index in reversed(range(len(leaves) - 1)):
        nodes[index] = keys.keccak(*sorted(nodes[2 * index + 1 : 2 * index + 3]))
    return nodes


def path_of(nodes: list[bytes], leaf: bytes) -> list[bytes]:
    """Siblings from a leaf up. Raises ValueError where it is not in the tree."""
    place, path = nodes.index(leaf), []
    while place:
        path.append(nodes[place + 1 if place % 2 else place - 1])
        place = (place - 1) // 2
    return path
