"""What honest auditors find: the real audit desk, with the real replayer in this process, over blobs that somebody serves or does not.

All honest auditors of one determinism class find the same, by what a class is; so one desk works for all of them, and what it found about
the same commitment and the same steps is remembered.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.cheats.recorded import SWARM, Recorded
from benchmarks.in_process import InProcess
from swarm.errors import NetworkError
from swarm.network.store import BlobStore
from swarm.proof.audit import Audit, Commitment
from swarm.proof.desk import Desk
from swarm.proof.recorder import Recorder

PATIENCE_S = 1  # wall seconds for which the desk asks for a blob that nobody serves, in the place of the audit window


class Shelves:
    """What is served in the play: blobs by digest, from anyone. Asking for what is not there lets the chain's time pass."""

    def __init__(self) -> None:
        self.blobs: dict[bytes, bytes] = {}
        self.withheld: set[bytes] = set()
        self.now = 0.0

    def fetch(self, digest: bytes, size_limit: int, peers: list[bytes] | None = None, timeout: float = 60.0) -> bytes:
        data = self.blobs.get(digest)
        if data is None or digest in self.withheld or len(data) > size_limit:
            self.now += 1000.0
            raise NetworkError("nobody serves it")
        return data


class Inspection:
    """The desk. `close` it at the end."""

    def __init__(self, folder: Path, recorded: Recorded, shelves: Shelves):
        rules = recorded.rules
        first = recorded.members[0].identity
        hurried = rules.model_copy(update={"proof": rules.proof.model_copy(update={"audit": PATIENCE_S})})
        store = BlobStore(folder / "blobs", 2**20)
        recorder = Recorder(folder / "proof", SWARM, first.peer, first.address, recorded.machine, store, lambda: 0)
        seeds = {rules.hash}  # of epoch 0, usable for two epochs more; later ones come from the chain and are told by `learn`
        self.shelves, self._seeds = shelves, seeds
        largest = 3 * max(len(data) for data in recorded.members[0].blobs.values()) + 65_536
        usable = lambda epoch: seeds if epoch <= 2 else set()  # noqa: E731
        around = dict(usable_seeds=usable, now=lambda: shelves.now, say=lambda text: None)
        self.desk = Desk(folder / "audits", hurried, recorder, InProcess(recorded.replayer), shelves, largest, **around)
        self.desk.start()
        self._found: dict[Any, Audit] = {}
        self.replays = 0

    def close(self) -> None:
        self.desk.close()

    def audit(self, said: Commitment, drawn: list[int], deadline: int, now: int) -> Audit:
        """The honest verdict about the drawn steps of a commitment."""
        place = (said, tuple(drawn), frozenset(self.shelves.withheld))
        if place not in self._found:
            self.replays += 1
            self.shelves.now = now
            audit = Audit(said, drawn, deadline=deadline)
            self.desk.audit(audit)
            while audit.verdict is None:
                self.desk.require_alive()
                time.sleep(0.005)
            self._found[place] = audit
        return self._found[place]
