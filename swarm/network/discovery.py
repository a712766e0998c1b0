"""What goes on while a node trains: announce the own shelf, look for those of others, fetch what is wanted.

Three ways lead to a shelf, so that no single one has to work: the DHT (anyone, found at random), a direct exchange with
peers whose blobs we used (they learn at once that we answered them), and asking peers we are connected to.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from swarm.errors import NetworkError, Refused
from swarm.inbox import Inbox
from swarm.keys import base58_of
from swarm.network import line
from swarm.network.daemon import Daemon, port_of
from swarm.network.directory import Checker, Directory, level_for
from swarm.network.frames import EarlyEnd, end, within
from swarm.network.line import Collector, Declined
from swarm.network.members import Members
from swarm.network.reachability import Reachability
from swarm.network.settings import Arrival, NetworkSettings, Tray
from swarm.network.shelf import OwnShelf
from swarm.network.wants import Want, Wants

PARTNERS = 12  # peers to whom each new shelf is shown directly
ASKED_PER_LOOK = 2
FETCH_S = 120.0
STRANGER_S = 60.0  # a connected peer that does not speak our protocol is asked again after this
GOSSIP = 8  # members to whom a new revocation is passed on
REVOCATIONS = 256


class Discovery:
    """One life's work on top of one daemon; what must outlive the daemon is handed in. Used only on the network's loop."""

    def __init__(
        self,
        daemon: Daemon,
        settings: NetworkSettings,
        shelf: OwnShelf,
        members: Members,
        wants: Wants,
        collector: Collector,
        checker: Checker,
        inbox: Inbox,
        reachability: Reachability,
        tray: Tray,
        on_good: Callable[[str], None],
        rng: random.Random,
        level: int,
    ):
        self._daemon, self._settings, self._shelf, self._members, self._wants = daemon, settings, shelf, members, wants
        self._collector, self._inbox, self._reachability, self._tray = collector, inbox, reachability, tray
        self._on_good, self._rng = on_good, rng
        self._own_peer = daemon.p2p.peer_id.to_bytes()[2:]
        self.directory = Directory(daemon.node, inbox.swarm, checker, level)
        self.announced = False
        self.wire: bytes | None = None
        self.changed = asyncio.Event()  # the own shelf has something new
        self.wake = asyncio.Event()  # somebody else's has
        self._partners: OrderedDict[bytes, None] = OrderedDict()
        self._strangers: dict[bytes, float] = {}
        self._revocations: OrderedDict[bytes, None] = OrderedDict()
        self._active: dict[tuple[bytes, bytes], Want] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._occupancy: float | None = None

    async def run(self) -> None:
        """Announce, look and fetch until cancelled. A failure of ours ends it with that exception."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._announce_forever())
                group.create_task(self._look_forever())
                group.create_task(self._fetch_forever())
        finally:
            await end(self._tasks)

    def take_shelf(self, wire: bytes | None) -> bytes | None:
        """Somebody shows us a shelf (or only asks): take it in, answer with our own. Raises Refused, counted."""
        if wire is not None:
            member = self._members.announce(wire)
            if member is not None:
                self._partner(member.peer)
                self.wake.set()
        return self.wire

    def take_revocation(self, wire: bytes) -> None:
        """Take in a revocation and pass a new one on. Raises Refused, counted."""
        self._members.revoke(wire)
        if wire in self._revocations:
            return
        self._revocations[wire] = None
        if len(self._revocations) > REVOCATIONS:
            self._revocations.popitem(last=False)
        heard = self._members.heard_within(self._settings.heard_for)
        for member in self._rng.sample(heard, min(GOSSIP, len(heard))):
            self._start(self._tell(member.peer, line.REVOKE, wire))

    async def _announce_forever(self) -> None:
        pause = 1.0
        while True:
            self.changed.clear()
            await self._announce()
            pause = self._settings.lifetime / 3 if self.announced else min(2 * pause, self._settings.lifetime / 3)
            try:
                await within(pause, self.changed.wait())
            except TimeoutError:
                continue
            pause = 1.0

    async def _announce(self) -> None:
        """Show the shelf to partners at once, store it in the DHT, and look whether others hold it."""
        self.wire, shelf = self._shelf.wire(time.time() - (self._collector.skew or 0.0), self._settings.lifetime)
        for peer in self._partners:
            self._start(self._tell(peer, line.SHELF, self.wire))
        await self.directory.publish(self.wire, shelf)
        holders, asked = await self.directory.holders(shelf)
        self.announced = holders > 0 or not asked

    async def _look_forever(self) -> None:
        while True:
            started = time.monotonic()
            await self._look()
            await asyncio.sleep(max(0.05, self._settings.poll * self._rng.uniform(0.8, 1.2) - (time.monotonic() - started)))

    async def _look(self) -> None:
        """Read the DHT once, ask a few peers directly, and see whether the swarm has outgrown its buckets."""
        sight = await self.directory.look(self._rng)
        for wire in sight.wires:
            try:
                self._members.announce(wire)
            except Refused:
                continue  # counted
        self._occupancy = sight.occupancy if self._occupancy is None else 0.8 * self._occupancy + 0.2 * sight.occupancy
        level = level_for(self._occupancy, self.directory.level)
        if level != self.directory.level:
            self.directory.level, self._occupancy = level, None
            self.changed.set()
        for peer in await self._quiet_peers():
            self._start(self._tell(peer, line.SHELF, self.wire))
        self.wake.set()

    async def _quiet_peers(self) -> list[bytes]:
        """A few connected peers of whose shelf nothing was heard for some looks, strangers among them."""
        now = time.monotonic()
        self._strangers = {peer: at for peer, at in self._strangers.items() if now - at < STRANGER_S}
        recent = {member.peer for member in self._members.heard_within(4 * self._settings.poll)}
        quiet = [peer for peer in await self._daemon.connected() if peer not in recent and peer not in self._strangers and peer != self._own_peer]
        return self._rng.sample(quiet, min(ASKED_PER_LOOK, len(quiet)))

    async def _tell(self, peer: bytes, verb: int, content: bytes | None) -> None:
        """One short conversation; the answer to SHELF is the other's shelf. Failures only mean: not now."""
        try:
            async with asyncio.timeout(2 * line.STALL_S), await self._collector.open(peer) as talk:
                answer = await talk.ask(verb, content)
                if verb == line.SHELF and type(answer) is bytes:
                    self._members.announce(answer)
                    self.wake.set()
                if self._reachability.due():
                    await self._ask_to_dial(talk)
                self._good(talk)
        except (EarlyEnd, Declined, Refused, TimeoutError):
            self._strangers[peer] = time.monotonic()
            self._partners.pop(peer, None)

    async def _ask_to_dial(self, talk: line.Line) -> None:
        port = self._settings.port or port_of(list(self._settings.announce)) or port_of(await self._daemon.addresses())
        if port:
            self._reachability.learned(await talk.ask(line.DIAL, None, port), talk.card.name, port)

    def _good(self, talk: line.Line) -> None:
        """Remember where a member says it can be dialled, if the address is its own."""
        if talk.address.endswith(f"/p2p/{base58_of(talk.card.peer)}") and talk.address.isprintable():
            self._on_good(talk.address)

    async def _fetch_forever(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            for want in self._wants.choose(self._members.heard_within(self._settings.heard_for), self._active):
                self._active[want.key] = want
                self._start(self._fetch(want))

    async def _fetch(self, want: Want) -> None:
        """One blob, whatever becomes of it: an arrival, a refusal that is counted, or another try later."""
        member, entry = want.member, want.entry
        try:
            async with asyncio.timeout(FETCH_S):
                card, data = await self._collector.fetch(
                    member.peer, entry.digest, size=entry.size, limit=self._wants.size_limit(entry.stage), operator=member.operator
                )
        except Refused as refused:
            self._wants.settle(want)
            self._members.cheated(member) if refused.reason in ("wrong digest", "wrong size", "oversize") else self._members.failed(member)
        except Declined as no:
            self._wants.settle(want) if no.status == line.UNKNOWN else self._members.failed(member)
            self._inbox.dropped["gone" if no.status == line.UNKNOWN else "declined"] += 1
        except (NetworkError, TimeoutError):
            self._inbox.dropped["unreachable"] += 1
            self._members.failed(member)
        else:
            self._wants.settle(want)
            self._members.delivered(member)
            self._partner(member.peer)
            self._keep(Arrival(card, entry.stage, entry.round, entry.digest, data, want.shelf))
        finally:
            self._active.pop(want.key, None)
            self.wake.set()

    def _keep(self, arrival: Arrival) -> None:
        lost = self._tray.put(arrival)
        if lost:
            self._inbox.dropped["uncollected"] += lost

    def _partner(self, peer: bytes) -> None:
        self._partners[peer] = None
        self._partners.move_to_end(peer)
        while len(self._partners) > PARTNERS:
            self._partners.popitem(last=False)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
