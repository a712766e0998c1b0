"""How much is given to whom: a token bucket for the upload line, one for every requester, and local bans."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

REQUESTERS = 4096  # remembered at once; the ones unseen longest are forgotten


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up. A rate of 0 means no limit."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic):
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def take(self, amount: float) -> float:
        """Take `amount` tokens, going into debt where they are not there; seconds until the debt is paid."""
        if not self._rate:
            return 0.0
        self._refill()
        self._tokens -= amount
        return max(0.0, -self._tokens / self._rate)

    def allows(self, amount: float) -> bool:
        """Take `amount` tokens if they are there (an amount above the burst needs a full bucket); whether they were."""
        if not self._rate:
            return True
        self._refill()
        if self._tokens < min(amount, self._burst):
            return False
        self._tokens -= amount
        return True

    def give(self, amount: float) -> None:
        """Add tokens, up to the burst."""
        self._refill()
        self._tokens = min(self._burst, self._tokens + amount)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Upload:
    """The upload line, shared by all requesters, and each requester's own allowance."""

    def __init__(self, line: int, quota: int, clock: Callable[[], float] = time.monotonic):
        """`line` bytes per second in all (0: no limit), `quota` bytes per minute and requester."""
        self._line = TokenBucket(line, max(line, 65_536), clock)
        self._quota, self._clock = quota, clock
        self._requesters: OrderedDict[bytes, TokenBucket] = OrderedDict()

    def grants(self, peer: bytes, size: int) -> bool:
        """Whether `peer` may still have `size` bytes; if so they are charged to it."""
        bucket = self._requesters.pop(peer, None) or TokenBucket(self._quota / 60, self._quota, self._clock)
        self._requesters[peer] = bucket
        while len(self._requesters) > REQUESTERS:
            self._requesters.popitem(last=False)
        return bucket.allows(size)

    async def pace(self, size: int) -> None:
        """Wait until the line may carry `size` more bytes."""
        wait = self._line.take(size)
        if wait:
            await asyncio.sleep(wait)


class BanList:
    """Peers and operators this node neither feeds nor reads; one base58 peer id or 0x address a line."""

    def __init__(self, path: Path | None):
        self._path, self._stamp = path, None
        self._banned: frozenset[str] = frozenset()

    def bans(self, peer: str, operator: str) -> bool:
        """`peer` in base58, `operator` as 0x and hex digits of any case."""
        self._reload()
        return peer in self._banned or operator.lower() in self._banned

    def _reload(self) -> None:
        if self._path is None:
            return
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._banned = None, frozenset()
            return
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            lines = (line.split("#")[0].strip() for line in self._path.read_text(errors="replace").splitlines())
            self._banned = frozenset(line.lower() if line.lower().startswith("0x") else line for line in lines if line)
            self._stamp = stamp
