"""The step record: one leaf of an epoch's tree, and with it everything that a replay of the step has to meet.

A leaf's digest is keccak256 over the ABI encoding of its fields in the order below (every one a static type, so a contract
decodes it with `abi.decode`). Floats are the IEEE-754 bits of a float64, big-endian. Each leaf's *after* is the next one's
*before*. `gradient` is keccak256(salt || gradient root): the salt is opened only when the auditors have revealed.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, fields
from typing import Any

from swarm.errors import Refused
from swarm.keys import keccak

LEARN, AVERAGE, RESTORE = 0, 1, 2  # kinds; only LEARN earns work units
ABI = (
    "bytes32", "bytes32", "uint32", "bytes32", "uint32", "uint8", "uint32", "uint64", "bytes32", "bytes32", "bytes32", "bytes32", "bytes32",
    "uint64", "uint32", "uint32", "uint64", "bytes32", "bytes32",
)  # fmt: skip
BYTES = 32 * len(ABI)


@dataclass(frozen=True)
class Leaf:
    """One change of state of one peer. Digests and roots are 32 bytes; times are unix seconds by the chain's clock."""

    swarm: bytes
    peer: bytes
    epoch: int
    epoch_seed: bytes  # under which the round drew questions, noise and choices
    step: int  # place in the epoch, from 0
    kind: int
    round: int  # the peer's round whose step this is
    time: int
    before: bytes  # state root
    batch: bytes  # BLAKE3 of the batch blob
    rollouts: bytes  # root over the digests of all trained rollouts, in training order, or of rows
    rewards: bytes  # root over their rewards; zeros for rows
    machine: bytes  # determinism class
    lr: int  # learning rate, bits of a float64
    sampled: int  # tokens of own rollouts
    trained: int  # tokens trained on; of rows prompts count too
    units: int  # work units: MFLOP by `swarm.proof.units`
    gradient: bytes
    after: bytes  # state root

    def encoded(self) -> bytes:
        """The ABI encoding, BYTES long."""
        return b"".join(_word(kind, value) for kind, value in zip(ABI, astuple(self), strict=True))

    @property
    def digest(self) -> bytes:
        """32 bytes: the digest under which the leaf stands in its epoch's tree."""
        return keccak(self.encoded())

    def row(self) -> list[Any]:
        """Plain values, for msgpack."""
        return list(astuple(self))


def leaf_of(row: Any) -> Leaf:
    """A leaf of foreign plain values. Raises Refused("malformed")."""
    if type(row) is not list or len(row) != len(ABI):
        raise Refused("malformed", "a step record has the wrong number of fields")
    for field, kind, value in zip(fields(Leaf), ABI, row, strict=True):
        if kind == "bytes32":
            good = type(value) is bytes and len(value) == 32
        else:
            good = type(value) is int and 0 <= value < 2 ** int(kind.removeprefix("uint"))
        if not good:
            raise Refused("malformed", f"a step record's {field.name} is no {kind}")
    return Leaf(*row)


def bits(value: float) -> int:
    """The IEEE-754 bits of a float64."""
    return int.from_bytes(struct.pack(">d", value), "big")


def sealed(salt: bytes, gradient_root: bytes) -> bytes:
    """What a leaf says of the gradient before it is opened."""
    return keccak(salt, gradient_root)


def _word(kind: str, value: Any) -> bytes:
    return value if kind == "bytes32" else value.to_bytes(32, "big")
