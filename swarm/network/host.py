"""Everything of a network that lives on its event loop: one daemon after another, and what outlives them."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from pathlib import Path

from swarm.errors import NetworkError, Refused, SwarmError
from swarm.identity import Session
from swarm.inbox import Inbox
from swarm.network import boot, directory, line, reachability
from swarm.network.boot import GoodPeers
from swarm.network.daemon import Daemon, port_of
from swarm.network.discovery import Discovery
from swarm.network.frames import EarlyEnd, NoStream, end
from swarm.network.line import Collector, Declined
from swarm.network.members import Members
from swarm.network.quota import BanList, Upload
from swarm.network.service import Service
from swarm.network.settings import MIB, NetworkSettings, Tray
from swarm.network.shelf import OwnShelf, read_json, write_json
from swarm.network.store import BlobStore
from swarm.network.wants import Wants
from swarm.records import Card, read

PULSE_S = 10.0  # between two checks that the daemon still answers
SILENCES = 3  # unanswered checks in a row after which it is replaced
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0  # between two starts of a daemon that will not stay up
STEADY_S = 30.0  # a daemon that lived this long was healthy
DYING_S = 2.0
ASK_PAUSE_S = 0.5
RELAYS = 4
WAITING_BYTES = 64 * MIB


class Host:
    """Runs daemons, one at a time, with a `Discovery` on each. All methods belong to the loop except the constructor."""

    def __init__(self, session: Session, folder: Path, settings: NetworkSettings):
        self.session, self.settings, self._folder = session, settings, folder
        own = read(session.card, session.swarm, session.delegation.issued, kind=Card)
        self.rng = random.Random()
        self.inbox = Inbox(session.swarm, own)
        self.checker = directory.Checker(session.swarm, self.inbox.dropped)
        self.members = Members(own, self.inbox, self.checker, BanList(settings.ban_file))
        self.store = BlobStore(folder / "blobs", settings.max_disk)
        self.shelf = OwnShelf(session, folder / "shelf.json", self.store)
        self.wants = Wants(self.members, self.rng)
        self.good = GoodPeers(folder / "peers.json")
        self.reachability = reachability.Reachability(settings)
        self.collector = Collector(self._open_stream, session.card, self.members)
        upload = Upload(settings.max_upload, settings.quota)
        self.service = Service(session.card, self.members, self.store, upload, self._show_shelf, self.take_revocation, self._dial_back)
        self.tray = Tray(WAITING_BYTES)
        self.daemon: Daemon | None = None
        self.discovery: Discovery | None = None
        self.addresses: list[str] = []
        self.last_refusals: dict[bytes, str] = {}  # what peers said to the latest `fetch`
        self.relaying = self.restarts = self.level = 0
        self.unreachable = False  # a member tried to dial us and could not

    async def run(self, ready: asyncio.Event) -> None:
        """Keep a daemon running until cancelled; `ready` is set when the first is up and in touch.

        Raises NetworkError or ResourceError before that, never after.
        """
        validator, storage = directory.validator(self.checker), directory.bounded_storage()
        port, pause = self.settings.port or self._last_port(), FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                await self._life(port, validator, storage, ready)
            except SwarmError:
                if not ready.is_set():
                    raise
            self.restarts += 1
            port = self.settings.port or self._last_port()
            pause = FIRST_PAUSE_S if time.monotonic() - began > STEADY_S else min(2 * pause, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def fetch(self, digest: bytes, limit: int, peers: list[bytes] | None) -> bytes:
        """The blob from the first peer that gives it; asks round after round until cancelled."""
        self.last_refusals.clear()
        while True:
            for peer in peers if peers is not None else await self._around():
                try:
                    _, data = await self.collector.fetch(peer, digest, size=None, limit=limit)
                    return data
                except (NetworkError, Refused, Declined) as error:
                    self.last_refusals[peer] = str(error)
            await asyncio.sleep(ASK_PAUSE_S)

    async def tell(self, peer: bytes, message: bytes) -> bytes:
        """What `peer` answers to a message. Raises NetworkError, Refused."""
        try:
            return await self.collector.tell(peer, message)
        except (EarlyEnd, Declined) as error:
            raise NetworkError(f"a message was not answered: {error}", "the peer is gone, busy, or listens to no such message") from None

    def take_revocation(self, wire: bytes) -> None:
        """Obey a revocation and pass it on. Raises Refused, counted."""
        if self.discovery is not None:
            self.discovery.take_revocation(wire)

    def published(self) -> None:
        """The own shelf has something new."""
        self.wants.earned()
        if self.discovery is not None:
            self.discovery.changed.set()
            self.discovery.wake.set()

    async def _life(self, port: int, validator: object, storage: object, ready: asyncio.Event) -> None:
        """One daemon from its start to its death."""
        self.daemon = daemon = await self._start_daemon(port, validator, storage, ready)
        try:
            await daemon.listen(line.protocol_name(self.session.swarm), self.service.handle)
            await self._learn_addresses(daemon)
            await self._get_in(daemon, patient=not ready.is_set())
            self.discovery = self._discovery_on(daemon)
            ready.set()
            await self._until_dead(daemon, self.discovery)
        finally:
            if self.discovery is not None:
                self.level, self.discovery = self.discovery.directory.level, None
            self.daemon = None
            await daemon.close()

    async def _start_daemon(self, port: int, validator: object, storage: object, ready: asyncio.Event) -> Daemon:
        """A daemon on `port`, or on any where the port we only remember is taken by now."""
        settings = replace(self.settings, reachability="private") if self.unreachable else self.settings
        relays = self._relays()
        try:
            return await Daemon.start(settings, self.session.peer_key_path, port, relays, validator, storage)
        except SwarmError:
            if self.settings.port or not port or ready.is_set():
                raise
            return await Daemon.start(settings, self.session.peer_key_path, 0, relays, validator, storage)

    def _relays(self) -> list[str]:
        """Members to be relayed by: those we were told to trust, else the first that we know how to dial from outside."""
        known = self.settings.trusted_relays or dict.fromkeys([*self.settings.boot, *self.good.addresses()])
        return [address for address in known if reachability.rank(address) == 0][:RELAYS]

    async def _until_dead(self, daemon: Daemon, discovery: Discovery) -> None:
        """Work until the daemon dies, falls silent, or its connection breaks under us."""
        work = [asyncio.ensure_future(coroutine) for coroutine in (daemon.died(), discovery.run(), self._watch(daemon))]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            if work[1].done() and not work[0].done():  # a bug, or the first sign of a daemon that is just dying
                await asyncio.wait(work[:1], timeout=DYING_S)
                if not work[0].done():
                    work[1].result()
        finally:
            await end(work)

    async def _watch(self, daemon: Daemon) -> None:
        """Keep addresses and relays up to date; end when the daemon no longer answers; dial again when nobody is left."""
        silent = 0
        while silent < SILENCES:
            if not await daemon.answers():
                silent += 1
                continue
            silent = 0
            await self._learn_addresses(daemon)
            seen_at = await daemon.connected()
            self.relaying = sum("/p2p-circuit" in address for address in seen_at.values())
            if not seen_at:
                await self._get_in(daemon, patient=False)
            if self.reachability.unreachable and self.settings.reachability == "auto" and not self.unreachable:
                self.unreachable = True  # libp2p would find out in minutes; a daemon that is told so asks for a relay at once
                break
            await asyncio.sleep(PULSE_S)
        daemon.kill()

    async def _get_in(self, daemon: Daemon, patient: bool) -> None:
        """Dial boot peers and those that worked before. Raises NetworkError where we were told to join and cannot."""
        own = self.addresses
        known = [address for address in dict.fromkeys([*self.settings.boot, *self.good.addresses()]) if address not in own]
        if not known:
            return
        if patient and self.settings.boot:
            alive = await boot.dial_patiently(daemon.connect, known, self.settings.boot_patience)
        else:
            alive, _ = await boot.dial_all(daemon.connect, known)
        for address in alive:
            self.good.worked(address)

    def _discovery_on(self, daemon: Daemon) -> Discovery:
        return Discovery(
            daemon,
            self.settings,
            self.shelf,
            self.members,
            self.wants,
            self.collector,
            self.checker,
            self.inbox,
            self.reachability,
            self.tray,
            self.good.worked,
            self.rng,
            self.level,
        )

    async def _learn_addresses(self, daemon: Daemon) -> None:
        addresses = await daemon.addresses()
        if addresses:
            self.addresses = addresses
            self.service.address = reachability.best_address(addresses, self.session.peer)
            port = port_of([address for address in addresses if "/p2p-circuit" not in address])
            if port and port != self._last_port():
                write_json(self._folder / "port.json", {"port": port})

    def _last_port(self) -> int:
        port = read_json(self._folder / "port.json").get("port", 0)
        return port if type(port) is int and 0 < port < 65_536 else 0

    async def _around(self) -> list[bytes]:
        """Everybody worth asking, in random order: who is connected and who was heard."""
        heard = [member.peer for member in self.members.heard_within(float("inf"))]
        connected = list(await self.daemon.connected()) if self.daemon else []
        found = [peer for peer in dict.fromkeys(heard + connected) if peer != self.session.peer]
        self.rng.shuffle(found)
        return found

    async def _open_stream(self, peer: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.daemon is None:
            raise NoStream("the network process is being restarted")
        return await self.daemon.open(peer, line.protocol_name(self.session.swarm))

    def _show_shelf(self, wire: bytes | None) -> bytes | None:
        return self.discovery.take_shelf(wire) if self.discovery is not None else None

    async def _dial_back(self, peer: bytes, port: int) -> int:
        seen_at = (await self.daemon.connected()).get(peer, "") if self.daemon is not None else ""
        return await self.reachability.answer(peer, port, seen_at)
