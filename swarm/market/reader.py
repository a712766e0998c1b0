"""Gets the pages of others: asks peers for their feeds, fetches what is new, checks it and hands it on. What is wrong is counted by reason.

A peer's feed is followed from where it was left. A page that has no place *yet* (its operator or market is not known here, or it is of the
future) is tried again for a while. A peer that offers what breaks the rules is left alone for longer each time.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from judge import errors
from swarm.errors import NetworkError, Refused
from swarm.market import page as pages
from swarm.market import post
from swarm.market.facts import Facts
from swarm.market.page import PAGE_BYTES, Account, Opening, Page
from swarm.market.store import Store
from swarm.network import Network

PEERS = 8  # asked at once
AHEAD_MS = 60_000  # a page may lie this far in the future
WAITING = 256  # pages that have no place yet
WAIT_MS = 600_000  # and they are tried that long
REFUSED = 4096  # digests remembered
SKIP_MS, LONGEST_GONE_MS, LONGEST_SKIP_MS = 2_000, 30_000, 600_000
FETCH_S = 20.0
LATER = ("unknown", "early")  # reasons that time may take away
ELSEWHERE = ("limit", "late")  # the page may be in order where it came from


class Reader:
    """Reads for one room. `take(page)` puts a page on the tape or raises judge.errors.Refused; `at_stake()` are peers to ask in any case."""

    def __init__(
        self,
        network: Network,
        store: Store,
        facts: Facts,
        take: Callable[[Page], None],
        now: Callable[[], int],
        at_stake: Callable[[], list[bytes]] = list,
    ):
        self.network, self.store, self.facts, self._take, self._now, self._at_stake = network, store, facts, take, now, at_stake
        self.refused: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(PEERS, thread_name_prefix="market feed")
        self._asking: dict[bytes, Future] = {}
        self._fetching: set[bytes] = set()
        self._lock = threading.Lock()
        self.caught_up = False  # whether a peer's feed was read to its end
        self._waiting: OrderedDict[bytes, tuple[Page, int]] = OrderedDict()  # with the time of the first try
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._faults: Counter[bytes] = Counter()
        self._skip: dict[bytes, int] = {}

    def answers(self, peer: bytes) -> bool:
        """Whether a peer gave what it was asked for the last time."""
        return self._faults.get(peer, 1) == 0

    def turn(self) -> None:
        """Ask every chosen peer that is not being asked; never waits for the network. Raises what went wrong in earlier asking, if it was a bug."""
        self._again()
        for peer, asking in list(self._asking.items()):
            if asking.done():
                del self._asking[peer]
                asking.result()
        for peer in self._chosen():
            if peer not in self._asking and len(self._asking) < 2 * PEERS:
                self._asking[peer] = self._pool.submit(self.follow, peer)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def follow(self, peer: bytes) -> None:
        """Read on in one peer's feed."""
        try:
            next, digests = post.feed(lambda message: self.network.tell(peer, message), self.store.cursor(peer))
            for digest in digests:
                self._get(peer, digest)
            self.store.follow(peer, next)
            self.caught_up |= not digests
            self._faults[peer] = 0
        except _Busy:
            return
        except NetworkError:  # gone or slow, or what it offers does not come: its feed goes on where it stopped
            self._leave_alone(peer, LONGEST_GONE_MS)
        except (Refused, errors.Refused) as why:
            self.refused[why.reason] += 1
            self._leave_alone(peer, LONGEST_SKIP_MS)

    def _leave_alone(self, peer: bytes, longest: int) -> None:
        self._skip[peer] = self._now() + min(longest, SKIP_MS * 2 ** min(self._faults[peer], 10))
        self._faults[peer] += 1

    def _chosen(self) -> list[bytes]:
        now = self._now()
        heard = [one.peer for one in self.network.status().heard]
        chosen = heard if len(heard) <= PEERS else random.sample(heard, PEERS)
        chosen = dict.fromkeys([*chosen, *self._at_stake()])
        return [peer for peer in chosen if peer != self.network.peer and self._skip.get(peer, 0) <= now]

    def _get(self, peer: bytes, digest: bytes) -> None:
        with self._lock:
            if digest in self._wrong or digest in self._waiting or self.store.has(digest):
                return
            if digest in self._fetching:
                raise _Busy
            self._fetching.add(digest)
        try:
            data = self.network.fetch(digest, PAGE_BYTES, [peer], FETCH_S)
            page = pages.read(data, self.facts.domain)
            self._offer(page)
        except errors.Refused as why:
            self._remember(digest)
            if why.reason not in ELSEWHERE:
                raise
            self.refused[why.reason] += 1
        finally:
            with self._lock:
                self._fetching.discard(digest)

    def _offer(self, page: Page, since: int | None = None) -> None:
        """Hand a page on, or keep it for later. Raises judge.errors.Refused."""
        since = self._now() if since is None else since
        try:
            self._vet(page)
            self._take(page)
        except errors.Refused as why:
            if why.reason not in LATER:
                raise
            with self._lock:
                over = self._now() - since > WAIT_MS
                if not over:
                    self._waiting[page.digest] = (page, since)
                if over or len(self._waiting) > WAITING:
                    self.refused[why.reason] += 1
                if len(self._waiting) > WAITING:
                    self._waiting.popitem(last=False)

    def _again(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, OrderedDict()
        for page, since in waiting.values():
            try:
                self._offer(page, since)
            except errors.Refused as why:
                self.refused[why.reason] += 1
                self._remember(page.digest)

    def _vet(self, page: Page) -> None:
        """What only this node can say: is the speaker in this swarm, and is it time."""
        if isinstance(page, Opening | Account):
            entries = (page.open, page.fund) if isinstance(page, Opening) else page.entries
            for entry in entries:
                if not self.facts.speaks(entry.event.actor, entry.signer):  # the chain may not have told us yet
                    raise errors.Refused("unknown", "a page that is signed by nobody who speaks for the operator it names")
                if entry.event.t > self._now() + AHEAD_MS:
                    raise errors.Refused("early", "a page of the future")

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            self._wrong[digest] = None
            if len(self._wrong) > REFUSED:
                self._wrong.popitem(last=False)


class _Busy(Exception):
    """Another feed is bringing this page just now: read on here later."""
