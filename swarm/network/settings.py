"""What a node says to its network, and what the network says back. Nothing here opens a socket."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swarm.errors import InputError

if TYPE_CHECKING:
    from swarm.records import Card

MIB = 2**20


@dataclass(frozen=True)
class NetworkSettings:
    """One node's own terms; none of them changes a result. Addresses are libp2p multiaddrs."""

    listen: tuple[str, ...] = ("/ip4/127.0.0.1/tcp/0",)  # where to listen; tcp/0 means `port`
    announce: tuple[str, ...] = ()  # addresses to tell others instead of those listened on (a forwarded port)
    port: int = 0  # 0: any, but the same one again after a restart
    boot: tuple[str, ...] = ()  # /ip4/.../tcp/.../p2p/Qm...; any peer of the swarm will do
    client: bool = False  # dial only: never listen, hold no part of the DHT
    relay: bool = True  # be reached through relays, and be one where others can reach us
    trusted_relays: tuple[str, ...] = ()  # relays to use; the boot peers where empty
    reachability: Literal["auto", "public", "private"] = "auto"  # what libp2p believes until it finds out
    max_upload: int = 0  # bytes per second, all requesters together; 0: no limit
    max_disk: int = 512 * MIB  # bytes of own blobs kept; the shelf's are kept in any case
    quota: int = 64 * MIB  # bytes per minute and requester
    ban_file: Path | None = None  # one peer id or operator address a line, `#` comments; read again when it changes
    poll: float = 1.0  # seconds between two looks at the DHT
    lifetime: float = 90.0  # seconds an announcement stays valid without being repeated
    boot_patience: float = 30.0  # seconds of back-off before `start` gives up on the boot peers

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise InputError(f"port = {self.port}: a port is 0 to 65535", "0 takes any free one")
        if self.poll <= 0 or self.lifetime < 3 * self.poll:
            raise InputError(f"poll = {self.poll}, lifetime = {self.lifetime}: both are positive, lifetime at least three polls", "leave them out")
        for address in self.boot + self.trusted_relays:
            if "/p2p/" not in address:
                raise InputError(f"boot address {address} has no /p2p/ part", "copy the whole address that `swarm invite` prints")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the node."""
        return not self.announce and all(part.startswith(("/ip4/127.", "/ip6/::1/")) for part in self.listen)

    @property
    def heard_for(self) -> float:
        """Seconds for which a peer counts as heard after its last sign of life."""
        return 1.5 * self.lifetime

    def listening(self, port: int) -> tuple[str, ...]:
        """The listen addresses with tcp/0 replaced by `port`."""
        return tuple(f"{part[: -len('/tcp/0')]}/tcp/{port}" if part.endswith("/tcp/0") else part for part in self.listen)


@dataclass(frozen=True)
class Arrival:
    """A verified blob of another peer: its hash is right and its author signed for it."""

    card: Card
    stage: str
    round: int
    digest: bytes
    data: bytes
    shelf: bytes = b""  # the author's signed word for this digest, as it travels
    at: float = field(default_factory=time.time)  # unix seconds


class Tray:
    """Arrivals that the node has not collected yet, at most `limit` bytes; the oldest are lost first. Safe to use from any thread."""

    def __init__(self, limit: int):
        self._limit, self._bytes = limit, 0
        self._lock = threading.Lock()
        self._waiting: deque[Arrival] = deque()

    def put(self, arrival: Arrival) -> int:
        """Add an arrival; how many older ones were lost for it."""
        lost = 0
        with self._lock:
            self._waiting.append(arrival)
            self._bytes += len(arrival.data)
            while self._bytes > self._limit and len(self._waiting) > 1:
                self._bytes -= len(self._waiting.popleft().data)
                lost += 1
        return lost

    def take(self) -> list[Arrival]:
        """All that wait, oldest first."""
        with self._lock:
            taken, self._bytes = list(self._waiting), 0
            self._waiting.clear()
        return taken


@dataclass(frozen=True)
class Heard:
    """A peer that announced itself lately."""

    peer: bytes
    name: str
    seen: float  # unix seconds, by our clock
    round: int  # its latest round


@dataclass(frozen=True)
class NetworkStatus:
    """How the network is doing, for people and for the heartbeat."""

    heard: list[Heard]
    reachable: Literal["direct", "relayed", "no", "unknown"]
    why: str
    restarts: int
    running: bool
    announced: bool  # whether others were seen to hold our latest shelf
    dropped: Counter[str]
    bytes_in: int
    bytes_out: int
    clock_skew: float | None  # seconds our clock is ahead of the median peer's
    level: int  # the DHT is read in 2**level buckets
    relaying: int = 0  # connected peers that we see through a relay
    twin: bool = False  # somebody else runs under our identity, started later than we were

    @property
    def alone(self) -> bool:
        return not self.heard
