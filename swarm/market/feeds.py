"""The market's pages as members hand them out, for somebody who takes no part: read to the end of their feeds, checked, and kept for the next time.

    with closing(Feeds(folder, facts)) as feeds:
        feeds.read(network, 20.0)       whether everything was read that those who answered have
        feeds.pages()                   bytes, each page once

A feed that is not read to its end is said to be so: pages that are missing make somebody's score too low, or too high.
"""

from __future__ import annotations

import time
from pathlib import Path

from swarm.errors import NetworkError, Refused
from swarm.market import post
from swarm.market.facts import Facts
from swarm.market.page import Page
from swarm.market.reader import Reader
from swarm.market.store import FILE, Store
from swarm.network import Network

MOST = 100_000  # pages of one swarm that are kept here
TURN_S, ASK_S = 0.2, 3.0


class Feeds:
    """Pages in `folder`, which one process uses at a time."""

    def __init__(self, folder: Path, facts: Facts):
        self.facts, self.refused = facts, {}
        self._store = Store(folder / FILE, facts.domain)
        self._count = len(self._store.pages())

    def read(self, network: Network, wait_s: float) -> bool:
        """Read on, for about `wait_s` seconds; whether every member that keeps to the rules was read to its end, and one did."""
        reader = Reader(network, self._store, self.facts, self._take, lambda: time.time_ns() // 1_000_000)
        end, done = time.monotonic() + wait_s, False
        try:
            while not done and time.monotonic() < end:
                reader.turn()
                time.sleep(TURN_S)
                left = [self._ahead(network, one.peer) for one in network.status().heard if reader.answers(one.peer)]
                answered = [count for count in left if count is not None]
                done = bool(answered) and not any(answered)
        finally:
            reader.close()
            self.refused = dict(reader.refused)
        return done and self._count < MOST

    def pages(self) -> list[bytes]:
        """All of them, in the order in which they came."""
        return self._store.pages()

    def close(self) -> None:
        self._store.close()

    def _take(self, page: Page) -> None:
        if self._count < MOST:
            self._store.add(page)
            self._count += 1

    def _ahead(self, network: Network, peer: bytes) -> int | None:
        """Pages in a peer's feed that were not read; None where it does not answer."""
        try:
            return len(post.feed(lambda message: network.tell(peer, message, ASK_S), self._store.cursor(peer))[1])
        except (NetworkError, Refused):
            return None
