"""Charges of a node: steps of others that its audits found false, on disk until the court has closed the matter.

    proof/charges/<match id>/charge      what a match about the step is opened with and played from
    proof/charges/<match id>/<digest>    the audit's blobs that doing the step again reads

A challenger that has lost them loses by the clock although it is right. So a charge is whole on disk before the verdict is: it is written
beside, and renamed. Blobs are links to the audit's own files, which nobody needs then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import msgpack

from swarm import disk, merkle
from swarm.proof.audit import Audit
from swarm.proof.leaf import Leaf, leaf_of

FOLDER, FILE, PART = "charges", "charge", ".part"
MOST = 16  # a case closes, and its charge goes, after a few levels of a jury at most
MOST_BYTES = 16 * 2**30  # beside the first one, whose blobs the recipe bounds


@dataclass(frozen=True)
class Charge:
    """A step of the epoch with `header`: its record, the way to it in the epoch's tree, the digest of the packed state before it, its blobs."""

    header: SimpleNamespace
    leaf: Leaf
    proof: list[bytes]
    state: bytes
    blobs: Path

    def pack(self) -> bytes:
        return msgpack.packb([vars(self.header), self.leaf.row(), self.proof, self.state])

    @classmethod
    def read(cls, folder: Path) -> Charge:
        header, row, proof, state = msgpack.unpackb((folder / FILE).read_bytes())
        return cls(SimpleNamespace(**header), leaf_of(row), proof, state, folder)

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.blobs.iterdir())


class Charges:
    """The charges in `folder`, by the id of the match that each is for."""

    def __init__(self, folder: Path):
        self._folder = folder / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        for half in self._folder.glob("*" + PART):
            shutil.rmtree(half)
        self._kept = {bytes.fromhex(path.name): Charge.read(path) for path in sorted(self._folder.iterdir())}

    def __contains__(self, id: bytes) -> bool:
        return id in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def items(self) -> Iterator[tuple[bytes, Charge]]:
        """A charge may be forgotten meanwhile."""
        return iter(list(self._kept.items()))

    def get(self, id: bytes) -> Charge | None:
        return self._kept.get(id)

    def keep(self, id: bytes, header: SimpleNamespace, audit: Audit) -> bool:
        """Keep what an audit found and read; it is on disk when this returns. False where too much is kept already."""
        assert audit.epoch is not None and audit.folder is not None
        epoch, step = audit.epoch, audit.step
        others = {state.hex() for state in epoch.states if state != epoch.states[step]}  # drawn steps beside the false one
        blobs = [path for path in audit.folder.glob("?" * 64) if path.name not in others]
        size = sum(path.stat().st_size for path in blobs)
        if len(self) >= MOST or (self._kept and size + sum(each.size for each in self._kept.values()) > MOST_BYTES):
            return False
        place = self._folder / id.hex()
        proof = merkle.proof([leaf.digest for leaf in epoch.leaves], step)
        charge = Charge(header, epoch.leaves[step], proof, epoch.states[step], place)
        part = place.with_name(place.name + PART)
        part.mkdir()
        for path in blobs:
            os.link(path, part / path.name)
        disk.replace(part / FILE, charge.pack())
        os.replace(part, place)
        disk.sync(self._folder)
        self._kept[id] = charge
        return True

    def forget(self, id: bytes) -> None:
        """The matter is closed. Half of a charge is never left."""
        if self._kept.pop(id, None) is not None:
            gone = self._folder / (id.hex() + PART)
            os.replace(self._folder / id.hex(), gone)
            shutil.rmtree(gone)
