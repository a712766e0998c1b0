"""A node's network: publish blobs, collect those of others, and stay up whatever happens to the network process.

All work goes on in one thread with one event loop (`host.py`); nothing here waits for the network except `start`,
`fetch` and `close`. When the libp2p daemon dies it is started again under the same key and on the same port, and the
shelf is announced again: a round in progress notices nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Container
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from swarm.errors import NetworkError, SwarmError
from swarm.identity import Session
from swarm.network import reachability
from swarm.network.frames import end, within
from swarm.network.host import Host
from swarm.network.settings import Arrival, NetworkSettings, NetworkStatus
from swarm.network.store import BlobStore
from swarm.recipe import Recipe
from swarm.records import Revocation, read

CLOSE_S = 20.0


class Network:
    """The network of one peer in one swarm. All methods may be called from any thread."""

    def __init__(self, session: Session, folder: Path, settings: NetworkSettings, recipe: Recipe | None = None):
        """`folder` holds blobs and what is remembered between runs; without a `recipe` only `fetch` and `put` do anything."""
        folder.mkdir(parents=True, exist_ok=True)
        self._host = Host(session, folder, settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = asyncio.Event()
        self._bug: BaseException | None = None
        if recipe is not None:
            self._host.wants.adopt(recipe)

    @property
    def peer(self) -> bytes:
        """Our 32-byte peer."""
        return self._host.session.peer

    @property
    def store(self) -> BlobStore:
        """The blobs that this peer serves; safe to use from any thread."""
        return self._host.store

    @property
    def daemon_pid(self) -> int | None:
        """Process id of the network process, None while there is none."""
        daemon = self._host.daemon
        return daemon.pid if daemon is not None else None

    def start(self) -> None:
        """Start, dial the boot peers, and return when ready. Raises NetworkError, ResourceError; then nothing is left running."""
        if self._thread is not None:
            raise SwarmError("this network was started before", "make a new one")
        started: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, args=(started,), name="network", daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop everything and wait for it; may be called twice."""
        if self._thread is None:
            return
        self._soon(lambda: self._closing.set())
        self._thread.join(CLOSE_S)

    def adopt(self, recipe: Recipe) -> None:
        """Begin to fetch blobs, now that the recipe is known (a joiner gets it over this network first)."""
        self._soon(lambda: self._host.wants.adopt(recipe))

    def publish(self, stage: str, round: int, blob: bytes) -> bytes:
        """Store a stage's blob and announce it; its digest. Never waits for the network. Raises OSError (disk full)."""
        self._require_alive()
        digest = self._host.shelf.add(stage, round, blob)
        self._soon(self._host.published)
        return digest

    def put(self, data: bytes, *, keep: bool = True) -> bytes:
        """Serve `data` to members who know its digest, without announcing it; the digest. Raises OSError (disk full).

        Without `keep` it may be the first to go where `max_disk` is reached.
        """
        digest = self._host.store.put(data)
        if keep:
            self._host.store.keep(digest)
        return digest

    def arrivals(self) -> list[Arrival]:
        """Verified blobs that came since the last call, oldest first."""
        self._require_alive()
        return self._host.tray.take()

    def fetch(self, digest: bytes, size_limit: int, peers: list[bytes] | None = None, timeout: float = 60.0) -> bytes:
        """The blob of `digest` from the first of `peers` that gives it (None: whoever is connected or was heard).

        Raises NetworkError where nobody did within `timeout` seconds.
        """
        if self._loop is None:
            raise NetworkError("the network is not running", "call start first")
        wanted = asyncio.run_coroutine_threadsafe(self._host.fetch(digest, size_limit, peers), self._loop)
        try:
            return wanted.result(timeout)
        except TimeoutError:
            wanted.cancel()
            said = "; ".join(sorted(set(self._host.last_refusals.values()))) or "nobody is connected"
            raise NetworkError(f"blob {digest.hex()[:16]}... did not come within {timeout:.0f} s: {said}", "is a member with it running?") from None

    def listen(self, answer: Callable[[bytes, bytes], bytes]) -> None:
        """From now on `answer(peer, message)` is the answer to every member's message, at most `line.ANSWER_BYTES` long.

        It runs on the network's thread: it must be quick, never wait, and raise nothing but Refused.
        """
        self._host.service.on_tell = answer

    def tell(self, peer: bytes, message: bytes, timeout: float = 5.0) -> bytes:
        """What `peer` answers to a message of at most `line.MESSAGE_BYTES`. Raises NetworkError (it may have been heard all the same), Refused."""
        if self._loop is None:
            raise NetworkError("the network is not running", "call start first")
        told = asyncio.run_coroutine_threadsafe(self._host.tell(peer, message), self._loop)
        try:
            return told.result(timeout)
        except TimeoutError:
            told.cancel()
            raise NetworkError(f"a message was not answered within {timeout:g} s", "the peer is gone or busy") from None

    def revoke(self, wire: bytes) -> None:
        """Obey a signed Revocation (made by `Identity.revoke`) and pass it on. Raises Refused where it is not valid."""
        read(wire, self._host.session.swarm, time.time(), kind=Revocation)
        self._soon(lambda: self._host.take_revocation(wire))

    @property
    def revoked(self) -> Container[tuple[bytes, bytes]]:
        """(operator, session address) of sessions that were taken back."""
        return self._host.inbox.revoked

    def addresses(self) -> list[str]:
        """Full multiaddrs under which this peer can be dialled, as last seen, the farthest reaching first."""
        return sorted(self._host.addresses, key=reachability.rank)

    def status(self) -> NetworkStatus:
        """How things are; cheap."""
        host, discovery = self._host, self._host.discovery
        verdict, why = host.reachability.verdict(host.addresses)
        return NetworkStatus(
            heard=host.members.shown(host.settings.heard_for),
            reachable=verdict,
            why=why,
            restarts=host.restarts,
            running=discovery is not None,
            announced=discovery is not None and discovery.announced,
            dropped=host.inbox.dropped.copy(),
            bytes_in=host.collector.bytes_in,
            bytes_out=host.service.bytes_out,
            clock_skew=host.collector.skew,
            level=discovery.directory.level if discovery is not None else host.level,
            relaying=host.relaying,
            twin=host.inbox.twin is not None,
        )

    def _require_alive(self) -> None:
        """A bug that ended the network's thread must not look like a quiet swarm."""
        if self._bug is not None:
            raise self._bug

    def _work(self, started: Future[None]) -> None:
        """The network's thread."""
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_report)
        try:
            self._loop.run_until_complete(self._run(started))
            self._loop.run_until_complete(_end_tasks())
        finally:
            self._loop.close()
            if not started.done():
                started.set_exception(NetworkError("the network's thread ended before it was up"))

    async def _run(self, started: Future[None]) -> None:
        """The host from start to end; tells `started` how the start went."""
        ready = asyncio.Event()
        host, up, closing = (asyncio.ensure_future(work) for work in (self._host.run(ready), ready.wait(), self._closing.wait()))
        await asyncio.wait([host, up, closing], return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            started.set_result(None)
        await asyncio.wait([host, closing], return_when=asyncio.FIRST_COMPLETED)
        error = host.exception() if host.done() else None
        await end([host])
        if not started.done():
            started.set_exception(error or NetworkError("the start was interrupted"))
        else:
            self._bug = error

    def _soon(self, work: Callable[[], Any]) -> None:
        """Run `work` on the network's thread, or at once where there is none."""
        if self._loop is None:
            work()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(work)


async def _end_tasks() -> None:
    """Cancel what hivemind leaves running and see it end."""
    with contextlib.suppress(TimeoutError):
        await within(CLOSE_S / 4, end(asyncio.all_tasks() - {asyncio.current_task()}))


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """hivemind's own tasks fail when the daemon dies, which the host sees and mends; everything else is worth a trace."""
    if not isinstance(context.get("exception"), ConnectionError | asyncio.IncompleteReadError):
        loop.default_exception_handler(context)
