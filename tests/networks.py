"""Networks for tests: real identities, real daemons on loopback."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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
