"""Can others dial us? Found out by asking a member to try, never by asking somebody outside the swarm."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import Literal

from swarm import keys
from swarm.network.frames import within
from swarm.network.line import NO, UNSURE, YES
from swarm.network.settings import NetworkSettings

ASK_AGAIN_S = 600.0
ANSWER_AGAIN_S = 60.0
DIAL_S = 3.0
_HOST = re.compile(r"/ip[46]/([^/]+)/(?:tcp|udp)/")

Verdict = Literal["direct", "relayed", "no", "unknown"]


class Reachability:
    """What is known about reaching this peer from elsewhere, and the answers we give to others who ask the same."""

    def __init__(self, settings: NetworkSettings):
        self._settings = settings
        self._found: tuple[Verdict, str] = ("unknown", "no member was asked yet")
        self._asked = float("-inf")
        self._answered: dict[bytes, float] = {}

    def due(self) -> bool:
        """Whether it is time to ask a member."""
        return not self._settings.loopback and not self._settings.client and time.monotonic() - self._asked > ASK_AGAIN_S

    def learned(self, answer: int, by: str, port: int) -> None:
        """Take in what member `by` said about dialling us."""
        if answer == YES:
            self._found = ("direct", f"{by} could dial port {port} of this machine")
        elif answer == NO:
            self._found = ("no", f"{by} could not dial port {port} of this machine: forward it on your router, or use a relay")
        if answer in (YES, NO):
            self._asked = time.monotonic()

    @property
    def unreachable(self) -> bool:
        """Whether a member tried to dial us and could not."""
        return self._found[0] == "no"

    def verdict(self, addresses: list[str]) -> tuple[Verdict, str]:
        """The verdict and a sentence that says why. `addresses`: the daemon's own, now."""
        relays = sorted({address.split("/p2p-circuit")[0].rsplit("/p2p/", 1)[-1] for address in addresses if "/p2p-circuit" in address})
        if relays:
            return "relayed", f"members reach this peer through the relay {relays[0]}"
        if self._found[0] == "direct":
            return self._found
        if self._settings.client:
            return "no", "client mode: this peer dials others, nobody dials it"
        if self._settings.loopback:
            return "direct", "from this machine only: it listens on loopback"
        return self._found

    async def answer(self, peer: bytes, port: int, seen_at: str) -> int:
        """Try to dial `peer` for it, at the host its connection comes from and nowhere else: YES, NO or UNSURE."""
        now = time.monotonic()
        host = _HOST.match(seen_at)
        if host is None or "/p2p-circuit" in seen_at or now - self._answered.get(peer, float("-inf")) < ANSWER_AGAIN_S:
            return UNSURE
        self._answered = {other: at for other, at in self._answered.items() if now - at < ANSWER_AGAIN_S}
        self._answered[peer] = now
        return await reaches(host.group(1), port)


async def reaches(host: str, port: int) -> int:
    """YES where a TCP connection to `host`:`port` opens within DIAL_S seconds, else NO."""
    try:
        _, writer = await within(DIAL_S, asyncio.open_connection(host, port))
    except OSError:
        return NO
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return YES


def rank(address: str) -> int:
    """How far an address reaches, for sorting: others' machines, others' through a relay, this machine."""
    if address.startswith(("/ip4/127.", "/ip6/::1/")):
        return 2
    return 1 if "/p2p-circuit" in address else 0


def best_address(addresses: list[str], peer: bytes) -> str:
    """The address to give to others: one that reaches farthest, "" where there is none."""
    own = [address for address in addresses if address.endswith(f"/p2p/{keys.base58_of(peer)}")]
    return min(own, key=rank, default="")
