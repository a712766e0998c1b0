"""The epoch seeds that a node knows from its chain: under which a round is played, and which others may name.

R(e) is published some time into epoch e; until then a node goes on under the newest seed it knows, at most two epochs old
(design.md, section 1). Epoch 0 has no randomness of its own: the recipe's hash stands in. Kept on disk, so that a restart without a
chain goes on as before. Fed by the thread of the node's duties, read by the node's.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from swarm import disk
from swarm.errors import ChainError
from swarm.proof.schedule import OLDEST_SEED

AGAIN_S = 1.0
KEPT = 8  # epochs remembered: enough for every group that can still be fresh


class EpochSeeds:
    """Seeds by epoch. `epoch_now()` is the epoch by the chain's clock."""

    def __init__(self, file: Path, recipe_hash: bytes, epoch_now: Callable[[], int]):
        self._file, self._epoch_now, self._lock = file, epoch_now, threading.Lock()
        stored = json.loads(file.read_bytes()) if file.exists() else {}
        self._seeds = {0: recipe_hash} | {int(epoch): bytes.fromhex(seed) for epoch, seed in stored.items()}

    def learn(self, epoch: int, seed: bytes) -> None:
        """The chain says that `epoch` has this 32-byte seed."""
        with self._lock:
            if self._seeds.get(epoch) == seed:
                return
            self._seeds[epoch] = seed
            for old in sorted(self._seeds)[:-KEPT]:
                del self._seeds[old]
            disk.replace(self._file, json.dumps({str(e): s.hex() for e, s in self._seeds.items()}).encode())

    @property
    def known(self) -> int:
        """The newest epoch whose seed is known."""
        return max(self._seeds)

    @property
    def newest(self) -> bytes:
        """The newest seed."""
        with self._lock:
            return self._seeds[max(self._seeds)]

    @property
    def usable(self) -> set[bytes]:
        """Seeds that groups of others may name."""
        with self._lock:
            return set(self._seeds.values())

    def of(self, epochs: range) -> set[bytes]:
        """The known seeds of some epochs."""
        with self._lock:
            return {seed for epoch, seed in self._seeds.items() if epoch in epochs}

    def fresh(self, seed: bytes) -> bool:
        """Whether a step that ends now may count under `seed`."""
        now = self._epoch_now()
        return seed in self.of(range(max(0, now - OLDEST_SEED), now + 1))


class PastSeeds:
    """The seeds of any past epochs, for audits: a jury may look at an epoch that `EpochSeeds` has forgotten long ago.

    `ask(epoch)` is the chain's answer, None while it is not known. A chain that does not answer is asked again: what this node cannot
    find out must never count against the one it audits.
    """

    def __init__(
        self, recipe_hash: bytes, ask: Callable[[int], bytes | None], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ):
        self._known, self._ask, self._say, self._sleep = {0: recipe_hash}, ask, say, sleep

    def of(self, epochs: range) -> set[bytes]:
        """The seeds of `epochs`, all of them; waits for the chain."""
        return {self._of(epoch) for epoch in epochs}

    def _of(self, epoch: int) -> bytes:
        while epoch not in self._known:
            try:
                if (seed := self._ask(epoch)) is not None:
                    self._known[epoch] = seed
                    break
            except ChainError as error:
                self._say(f"the seed of epoch {epoch} is asked for again: {error}")
            self._sleep(AGAIN_S)
        return self._known[epoch]
