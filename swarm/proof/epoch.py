"""The epoch blob: all step records of one peer and epoch, as they are published under the digest that the commitment names.

Canonical msgpack `[version, swarm, peer, operator, epoch, rows, heard]`; a row is `[leaf, state]` with the BLAKE3 digest of the
packed state before the step, `heard` are the peers whose announcements were seen in the epoch. Whoever has it can compute the
tree's root, the number of steps, the work units, and the digest of everything a replay needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack
from blake3 import blake3

from swarm import merkle
from swarm.errors import Refused
from swarm.proof import leaf as leaves
from swarm.proof.leaf import Leaf

VERSION = 1
HEARD = 64  # peers named at most
_ROW = 32 * len(leaves.ABI) + 128  # bytes of a row, at most


@dataclass(frozen=True)
class Epoch:
    """A peer's epoch. `states[i]` is the digest of the packed state before step i."""

    swarm: bytes
    peer: bytes
    operator: bytes
    number: int
    leaves: tuple[Leaf, ...]
    states: tuple[bytes, ...]
    heard: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        return merkle.root([leaf.digest for leaf in self.leaves])

    @property
    def units(self) -> int:
        return sum(leaf.units for leaf in self.leaves if leaf.kind == leaves.LEARN)

    @property
    def first(self) -> bytes:
        return self.leaves[0].before

    @property
    def last(self) -> bytes:
        return self.leaves[-1].after

    @property
    def digest(self) -> bytes:
        """The BLAKE3 under which the blob is committed and fetched."""
        return blake3(self.pack()).digest()

    def pack(self) -> bytes:
        rows = [[leaf.row(), state] for leaf, state in zip(self.leaves, self.states, strict=True)]
        return msgpack.packb([VERSION, self.swarm, self.peer, self.operator, self.number, rows, list(self.heard)], use_bin_type=True)


def max_bytes(steps: int) -> int:
    """Largest blob of an epoch of `steps` steps."""
    return 1024 + steps * _ROW + HEARD * 40


def unpack(data: bytes, steps: int) -> Epoch:
    """A foreign epoch blob of at most `steps` steps, coherent in itself. Raises Refused("oversize" | "malformed")."""
    if len(data) > max_bytes(steps):
        raise Refused("oversize", f"an epoch blob of {len(data)} bytes; at most {max_bytes(steps)} are read")
    try:
        version, swarm, peer, operator, number, rows, heard = msgpack.unpackb(data, max_map_len=0, max_ext_len=0)
        _require(version == VERSION and type(number) is int and 0 <= number < 2**32)
        _require(1 <= len(rows) <= steps and len(heard) <= HEARD)
        found = [(leaves.leaf_of(leaf), _bytes(state, 32)) for leaf, state in rows]
        names = tuple(_bytes(one, 32) for one in heard)
        epoch = Epoch(
            _bytes(swarm, 32), _bytes(peer, 32), _bytes(operator, 20), number, tuple(leaf for leaf, _ in found), tuple(s for _, s in found), names
        )
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise Refused("malformed", f"an epoch blob does not parse ({type(error).__name__})") from None
    _require(epoch.pack() == data)
    for step, leaf in enumerate(epoch.leaves):
        _require((leaf.swarm, leaf.peer, leaf.epoch, leaf.step) == (epoch.swarm, epoch.peer, epoch.number, step))
        _require(step == 0 or leaf.before == epoch.leaves[step - 1].after)
    return epoch


def _bytes(value: Any, length: int) -> bytes:
    _require(type(value) is bytes and len(value) == length)
    return value


def _require(condition: bool) -> None:
    if not condition:
        raise Refused("malformed", "an epoch blob breaks its form")
