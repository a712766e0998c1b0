"""Networks for tests: real identities, real daemons on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from swarm import recipe as recipes
from swarm.identity import Identity, Session
from swarm.network import Network, NetworkSettings
from swarm.recipe import Recipe

SWARM = bytes(range(32))


def small_recipe() -> Recipe:
    """One builtin task; blobs of a stage may have a few hundred kilobytes."""
    return recipes.parse({"name": "small", "tasks": [{"name": "addition", "kind": "builtin", "source": "addition"}]})


def session(folder: Path, swarm: bytes = SWARM) -> Session:
    return Identity.open_or_create_local(folder).session(swarm, 86_400)


def network(folder: Path, boot: tuple[str, ...] = (), recipe: Recipe | None = None, swarm: bytes = SWARM, **settings: object) -> Network:
    """An unstarted network with quick polls."""
    choice = NetworkSettings(boot=boot, **{"poll": 0.2, "lifetime": 9.0, "boot_patience": 5.0, **settings})
    return Network(session(folder / "identity", swarm), folder / "network", choice, recipe or small_recipe())


@contextlib.contextmanager
def started(*networks: Network) -> Iterator[tuple[Network, ...]]:
    """All of them started in order, and closed whatever happens."""
    try:
        for one in networks:
            one.start()
        yield networks
    finally:
        for one in networks:
            one.close()


def until(condition: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
    """Wait for a condition to hold; the test fails where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
        time.sleep(0.05)


class PeerProcess:
    """A `peer_process.py`; `last` is the newest line it printed."""

    def __init__(self, *arguments: str, before: tuple[str, ...] = (), clock_ahead: float = 0.0):
        tests = Path(__file__).parent
        paths = {"PYTHONPATH": f"{tests}:{tests.parent}", "SWARM_TEST_CLOCK_S": str(clock_ahead), "OMP_NUM_THREADS": "1"}
        command = [*before, sys.executable, str(tests / "peer_process.py"), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **paths})
        self.last: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with contextlib.suppress(ValueError):
                self.last = json.loads(text)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._reader.join(5)
