"""A seeder: the process that serves a job's blobs to its members and is the first peer they dial. Started as `swarm seeder --folder PEER`.

It parses what strangers send, so it holds no operator key. Its owner and it talk through files in the folder, each replaced whole:

    serve.json    files to serve: a list of paths that may grow              wanted.json    {digest: most bytes} to fetch from members and keep
    heartbeat.json    where it can be dialled                               network/blobs/DIGEST    what is here now
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import disk, heartbeat, settings
from swarm.errors import NetworkError, StateError
from swarm.heartbeat import Heartbeat
from swarm.keys import base58_of
from swarm.network.store import digest_of
from swarm.session import Session

if TYPE_CHECKING:
    from swarm.network import Network

SERVE, WANTED = "serve.json", "wanted.json"
BEAT_S = 1.0
FETCH_S = 30.0
AGAIN_S = 5.0  # after a blob that nobody had
MOST = 4_096  # blobs that are asked for in one file


def main(folder: Path) -> None:
    """Serve until the owner is gone or ends it."""
    from swarm.network import Network, NetworkSettings

    told = settings.load(folder)
    session = Session.load(told.session)
    with session.claim(), contextlib.ExitStack() as stack:
        choice = NetworkSettings(**told.network.for_network())
        network = Network(session, folder / "network", choice, None)
        network.start()
        stack.callback(network.close)
        network.put(told.recipe.read_bytes())
        Seeder(folder, session, network).serve()


class Seeder:
    """What the process does while it is up."""

    def __init__(self, folder: Path, session: Session, network: Network):
        self.folder, self.network = folder, network
        self.beat = Heartbeat(pid=os.getpid(), name=session.name, peer=base58_of(session.peer), state="running", stage="serving")
        self._served: set[str] = set()
        self._asked: dict[bytes, float] = {}  # when a blob that nobody had was asked for last

    def serve(self) -> None:
        while True:
            self.offer()
            self.tell()
            self.fetch_one()
            time.sleep(BEAT_S)

    def offer(self) -> None:
        """Serve what is in serve.json and was not served yet."""
        for path in json.loads((self.folder / SERVE).read_bytes()):
            if path not in self._served:
                self.network.put(Path(path).read_bytes())
                self._served.add(path)

    def tell(self) -> None:
        """Where this process can be dialled, and whom it heard."""
        status = self.network.status()
        self.beat.addresses, self.beat.peers_heard = self.network.addresses(), len(status.heard)
        self.beat.network.bytes_out = status.bytes_out
        self.beat.write(self.folder / heartbeat.FILE)

    def fetch_one(self) -> None:
        """One blob that is wanted and not here, if somebody has it."""
        now = time.monotonic()
        for digest, limit in wanted(self.folder).items():
            if self.network.store.has(digest):
                self.network.store.keep(digest)
            elif now - self._asked.get(digest, -AGAIN_S) >= AGAIN_S:
                self._asked[digest] = now
                with contextlib.suppress(NetworkError):  # asked for again
                    self.network.put(self.network.fetch(digest, limit, timeout=FETCH_S))
                return


def want(folder: Path, digest: bytes, limit: int) -> None:
    """Ask the seeder of a folder for a blob of at most `limit` bytes."""
    known = wanted(folder)
    if digest not in known and len(known) < MOST:
        disk.replace(folder / WANTED, json.dumps({each.hex(): most for each, most in (known | {digest: limit}).items()}).encode())


def wanted(folder: Path) -> dict[bytes, int]:
    """What was asked for, by digest. Raises StateError."""
    try:
        value = json.loads((folder / WANTED).read_bytes())
        return {bytes.fromhex(digest): int(limit) for digest, limit in value.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError):
        raise StateError(f"{folder / WANTED} is damaged", "delete it: what is needed is asked for again") from None


def blob(folder: Path, digest: bytes) -> bytes | None:
    """A blob that the seeder of a folder has, checked; None where it is not here (yet)."""
    try:
        data = (folder / "network" / "blobs" / digest.hex()).read_bytes()
    except FileNotFoundError:
        return None
    return data if digest_of(data) == digest else None
