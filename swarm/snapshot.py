"""A frozen snapshot: what every operator of a swarm had done when an epoch was over, as OpenZeppelin's standard Merkle tree.

    leaf   (program, epoch, operator, score, units, tier), hashed as in swarm/chain/tally.py

    units  verified units of all peers of the operator, as the ledger has them at the moment of the snapshot: the last one at which
           a case about the epoch can close
    tier   in the program, at that moment; 0: not admitted
    score  final participation scores of all epochs up to this one, added up, in thousandths of a point

`swarm.freeze` computes one; here are the tree and the list of its leaves, which whoever claims needs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm import disk
from swarm.chain.abi import Event
from swarm.chain.tally import leaf_of, nodes_of, path_of
from swarm.errors import InputError, StateError
from swarm.pioneer import Program

FIELDS = [{"name": "", "type": kind} for kind in ("bytes32", "uint32", "address", "uint64", "uint256", "uint8")]
MAX_BYTES = 1 << 28
FORMAT = "openswarm-snapshot-1"


@dataclass(frozen=True, order=True)
class Leaf:
    """One operator (20 bytes). `keys` are its member keys with units, rising."""

    operator: bytes
    score: int
    units: int
    tier: int
    keys: tuple[bytes, ...]


class Snapshot:
    """The leaves of one program (32 bytes) and epoch, one for each operator."""

    def __init__(self, program: bytes, epoch: int, leaves: list[Leaf]):
        self.program, self.epoch, self.leaves = program, epoch, sorted(leaves)

    @cached_property
    def root(self) -> bytes:
        return self._nodes[0]

    @property
    def units(self) -> int:
        return sum(leaf.units for leaf in self.leaves)

    def leaf(self, operator: bytes) -> Leaf | None:
        return next((leaf for leaf in self.leaves if leaf.operator == operator), None)

    def proof(self, leaf: Leaf) -> list[bytes]:
        """Siblings from a leaf up."""
        return path_of(self._nodes, self._hash(leaf))

    @cached_property
    def data(self) -> bytes:
        """The list of leaves as a file, the same bytes everywhere."""
        rows = [_row(leaf) for leaf in self.leaves]
        value = {"format": FORMAT, "program": self.program.hex(), "epoch": self.epoch, "leaves": rows}
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> bytes:
        """blake3 of that file."""
        return blake3(self.data).digest()

    def save(self, folder: Path) -> Path:
        """Keep the list, from which claims are made."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name_of(self.program, self.epoch)
        disk.replace(path, self.data)
        return path

    @cached_property
    def _nodes(self) -> list[bytes]:
        return nodes_of([self._hash(leaf) for leaf in self.leaves])

    def _hash(self, leaf: Leaf) -> bytes:
        return leaf_of(FIELDS, [self.program, self.epoch, leaf.operator, leaf.score, leaf.units, leaf.tier])


def name_of(program: bytes, epoch: int) -> str:
    """Name of a snapshot's file."""
    return f"{program.hex()[:16]}-{epoch}.json"


def posted(program: Program, epoch: int) -> list[Event]:
    """The roots that were posted for an epoch, in the chain's order."""
    return [event for event in program.events if event.name == "Posted" and event.values["epoch"] == epoch]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    operator: str = Field(pattern="^[0-9a-f]{40}$")
    score: int = Field(ge=0, lt=2**64)
    units: int = Field(ge=0, lt=2**256)
    tier: int = Field(ge=0, lt=256)
    keys: list[str] = Field(max_length=4096)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: str = Field(pattern=f"^{FORMAT}$")
    program: str = Field(pattern="^[0-9a-f]{64}$")
    epoch: int = Field(ge=0, lt=2**32)
    leaves: list[_Row] = Field(min_length=1)


def load(path: Path) -> Snapshot:
    """A list that was kept, or that somebody handed over. Raises InputError where there is none, StateError where it is none."""
    try:
        with open(path, "rb") as file:
            given = _File.model_validate_json(file.read(MAX_BYTES))
        leaves = [Leaf(bytes.fromhex(row.operator), row.score, row.units, row.tier, tuple(map(_key, row.keys))) for row in given.leaves]
    except FileNotFoundError:
        raise InputError(f"there is no {path}", "`swarm snapshot EPOCH` computes it") from None
    except (ValidationError, ValueError) as error:
        raise StateError(f"{path} is no list of a snapshot ({str(error).splitlines()[0]})", "`swarm snapshot EPOCH` computes it again") from None
    return Snapshot(bytes.fromhex(given.program), given.epoch, leaves)


def _row(leaf: Leaf) -> dict[str, Any]:
    own = [key.hex() for key in leaf.keys]
    return {"operator": leaf.operator.hex(), "score": leaf.score, "units": leaf.units, "tier": leaf.tier, "keys": own}


def _key(text: str) -> bytes:
    if len(text) != 64:
        raise ValueError("a member key has 32 bytes")
    return bytes.fromhex(text)
