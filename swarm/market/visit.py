"""The room of a person who looks, votes and claims: a `Visit` plays and sends like any room, and hosts nothing.

It speaks for an operator whose node may be running elsewhere under the same key, and never publishes a phase of that node's markets: two
pages of one phase cost the host its bond. It plays nothing until it has read its peers' feeds, or `PATIENCE_S` are over.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from judge import events
from swarm import errors, keys
from swarm.market import post
from swarm.market.house import House
from swarm.market.page import OWN, Account, Page
from swarm.market.room import Room
from swarm.market.store import FILE, Store

PATIENCE_S = 20.0  # for peers' feeds, before what is on disk is played
NEAR = 32  # pages that a peer's feed may be ahead when its end is set as what is to be read
ASK_S = 3.0


class Visit(Room):
    """A room of somebody who only looks, votes and claims. Arguments as of `Room`."""

    def __init__(self, *args: object, **named: object):
        super().__init__(*args, **named)
        nobody = House(self._store, keys.new_secret(), self.terms.chain_id, self.facts.speaks)
        self._house = self._outbox.house = nobody  # no market's host key is its address
        self._began, self._read, self._answered = time.monotonic(), False, 0
        self._goals: dict[bytes, int] = {}  # where peers' feeds ended
        self._own: list[bytes] = []  # pages of this operator that came during this visit

    @property
    def caught_up(self) -> bool:
        """Whether the feeds of all peers that answer were read to their end, and played."""
        return self._read and self.until > 0

    @property
    def answered(self) -> int:
        """When a peer answered last, in milliseconds; 0: never."""
        heard = [one.peer for one in self.network.status().heard]
        if any(self._reader.answers(peer) for peer in heard):
            self._answered = self.now()
        return self._answered

    def turn(self) -> None:
        if not self._read and time.monotonic() < self._began + PATIENCE_S:
            if not self._feeds_are_read():
                return
            self._read = True
        super().turn()

    def entries(self) -> list[bytes]:
        """The log so far."""
        with self.reading():
            return list(self._tape.log)

    def on_its_way(self) -> list[bytes]:
        """Own entries that have no page so far, as they were written: also those of an earlier visit."""
        return [sent.data for state in ("waiting", "receipt") for sent in self._store.sending(state)]

    @property
    def has_own_waiting(self) -> bool:
        """Whether an account entry has no page so far."""
        return any(isinstance(events.read(sent.data, self.terms.chain_id).event, OWN) for sent in self._store.sending("waiting"))

    def reaches_others(self, timeout_s: float) -> bool:
        """Whether somebody has all that lies in the own feed: of a visit that ends, nothing can be fetched later. Waits."""
        mine = set(self._own)
        end = time.monotonic() + timeout_s
        while mine:
            for one in self.network.status().heard:
                mine -= self._held(one.peer)
            if time.monotonic() >= end:
                break
            if mine:
                time.sleep(0.2)
        return not mine

    def publish(self, page: Page) -> None:
        super().publish(page)
        if isinstance(page, Account) and page.actor == self.actor:
            self._own.append(page.digest)

    def _held(self, peer: bytes) -> set[bytes]:
        """The newest pages in a peer's feed."""
        cursor, found = max(0, self._store.cursor(peer) - NEAR), set()
        try:
            while True:
                cursor, digests = post.feed(lambda message: self.network.tell(peer, message, ASK_S), cursor)
                found.update(digests)
                if not digests:
                    return found
        except (errors.NetworkError, errors.Refused):
            return found

    def _feeds_are_read(self) -> bool:
        heard = [one.peer for one in self.network.status().heard]
        read = [self._is_read(peer) for peer in heard[:4]]
        return any(one is not None for one in read) and all(one is None or one for one in read)

    def _is_read(self, peer: bytes) -> bool | None:
        """Whether all is here that a peer's feed had when it was first seen to its end; None where it does not answer."""
        cursor = self._store.cursor(peer)
        try:
            end, digests = post.feed(lambda message: self.network.tell(peer, message, ASK_S), cursor)
        except (errors.NetworkError, errors.Refused):
            return None
        if peer not in self._goals and len(digests) < NEAR:
            self._goals[peer] = end
        return peer in self._goals and cursor >= self._goals[peer]


def take_over(folder: Path, node: Path, peer: bytes, domain: int) -> None:
    """Begin with what a node of this machine has: the pages in its folder, and how far it read whose feed. They are checked like any others."""
    Store(folder / FILE, domain).close()
    if not (node / FILE).exists():
        return
    with contextlib.closing(sqlite3.connect(folder / FILE, timeout=10.0, isolation_level=None)) as mine:
        mine.execute("attach ? as node", (f"{node / FILE}",))
        mine.execute("begin immediate")
        if mine.execute("select domain from node.about").fetchone() == (str(domain),):
            (last,) = mine.execute("select coalesce(max(number), 0) from node.pages").fetchone()
            mine.execute("insert or ignore into pages (digest, data) select digest, data from node.pages where number <= ? order by number", (last,))
            mine.execute("insert or replace into cursors select peer, next from node.cursors union select ?, ?", (peer, last))
        mine.execute("commit")
