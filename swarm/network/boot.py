"""Getting in: boot peers, peers that worked before, and the message for when nobody answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from swarm.errors import NetworkError
from swarm.network.shelf import read_json, write_json

REMEMBERED = 32
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0

Dial = Callable[[str], Awaitable[bytes]]


class GoodPeers:
    """Addresses at which members answered, latest last, kept on disk (`peers.json`)."""

    def __init__(self, file: Path):
        self._file = file
        known = read_json(file).get("good", {})
        self._good = {str(a): float(t) for a, t in known.items() if isinstance(t, int | float)} if isinstance(known, dict) else {}

    def worked(self, address: str) -> None:
        """Remember `address`; written to disk when it is new or was last noted over a minute ago."""
        before = self._good.pop(address, 0.0)
        self._good[address] = time.time()
        while len(self._good) > REMEMBERED:
            self._good.pop(next(iter(self._good)))
        if time.time() - before > 60:
            write_json(self._file, {"good": self._good})

    def addresses(self) -> list[str]:
        """The latest first."""
        return list(self._good)[::-1]


async def dial_all(dial: Dial, addresses: list[str]) -> tuple[list[str], dict[str, str]]:
    """Dial every address at once: those that answered, and for the others the cause."""
    results = await asyncio.gather(*(_try(dial, address) for address in addresses))
    dead = {address: cause for address, cause in zip(addresses, results, strict=True) if cause is not None}
    return [address for address in addresses if address not in dead], dead


async def dial_patiently(dial: Dial, addresses: list[str], patience: float) -> list[str]:
    """Dial until one answers, with doubling pauses. Raises NetworkError, four steps long, after `patience` seconds."""
    end, pause, attempts = time.monotonic() + patience, FIRST_PAUSE_S, 0
    while True:
        attempts += 1
        alive, dead = await dial_all(dial, addresses)
        if alive:
            return alive
        if time.monotonic() + pause > end:
            raise nobody_answered(dead, attempts, patience)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def nobody_answered(dead: dict[str, str], attempts: int, patience: float) -> NetworkError:
    """The error for a start at which all boot peers were dead: each address and its cause, then what to do."""
    lines = "".join(f"\n  {address}: {cause}" for address, cause in dead.items())
    what = f"none of {len(dead)} boot peers answered in {attempts} attempts over {patience:.0f} s:{lines}"
    place = next(iter(dead)).split("/p2p/")[0] if dead else "the address"
    hint = (
        "four things to try:\n"
        f"  1. Ask whoever invited you whether the peer at {place} is running, and for a fresh `swarm invite`; any member's will do.\n"
        "  2. `swarm doctor` with the same invite dials each address by TCP first, then by libp2p, and says which of the two fails.\n"
        "  3. `connection refused` means a machine without a running peer; `no answer` or `i/o timeout` means a firewall or a router in between.\n"
        "  4. If you can reach nothing from here, look at this machine: its network, a VPN, a firewall that blocks outgoing TCP."
    )
    return NetworkError(what, hint)


async def _try(dial: Dial, address: str) -> str | None:
    try:
        await dial(address)
    except NetworkError as error:
        return str(error)
    return None
