"""What a room does whose history is not the final one: it looks for the pages that are, and takes exactly those.

A page that came too late for some and in time for others splits a swarm. Once a root is final the question is settled: whoever anchored it
has its pages. Their whole feeds are read, and what they hold is played on a tape apart; where that gives the final root, the room takes
over what it lacked and lets go of what lies before the epoch's end and was not among it. Nothing is changed on anybody's word.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from judge import errors
from swarm.errors import NetworkError, Refused
from swarm.market import page as pages
from swarm.market import post
from swarm.market.facts import Facts
from swarm.market.history import Dissent
from swarm.market.page import PAGE_BYTES, Page
from swarm.market.reader import FETCH_S
from swarm.market.store import Store
from swarm.market.tape import Tape
from swarm.network import Network

PATIENCE_S = 10.0  # for pages that are on their way, before peers are asked for all of theirs
LONGEST_S = 600.0  # between two attempts where none helps: it is double the last one's time each time
PEERS = 8  # tried in one turn
MOST = 100_000  # pages of one feed

Pages = dict[bytes, Page]


class Comparison:
    """Of one room. `dissent()` is what differs at present, `tape()` an empty tape, `adopt(pages, epoch)` takes over the right ones."""

    def __init__(
        self,
        network: Network,
        store: Store,
        facts: Facts,
        dissent: Callable[[], Dissent | None],
        tape: Callable[[], Tape],
        adopt: Callable[[Pages, int], None],
        say: Callable[[str], None],
    ):
        self.network, self.store, self.facts, self.say = network, store, facts, say
        self._dissent, self._tape, self._adopt = dissent, tape, adopt
        self._known: Dissent | None = None
        self._since, self._failed = 0.0, 0
        self._told: set[int] = set()

    def turn(self) -> None:
        """Look whether something differs, and has for a while; then ask around."""
        found = self._dissent()
        if found != self._known:
            self._known, self._since = found, time.monotonic()
        if found is None or time.monotonic() - self._since < min(LONGEST_S, PATIENCE_S * 2 ** min(self._failed, 10)):
            return
        if found.epoch not in self._told:
            self._told.add(found.epoch)
            self.say(f"judge market: {sentence(found)}")
        self._failed = 0 if self.settle(found) else self._failed + 1
        self._since = time.monotonic()

    def settle(self, found: Dissent) -> bool:
        """Whether some peer's pages gave the final root."""
        for peer in self._peers(found)[:PEERS]:
            theirs = self._held_by(peer)
            if theirs is not None and self._gives(theirs, found):
                self._adopt(theirs, found.epoch)
                self.say(f"judge market: epoch {found.epoch}: the pages of {peer.hex()[:8]} give the final root, and are taken over")
                return True
        return False

    def _peers(self, found: Dissent) -> list[bytes]:
        """Whom to ask: heard peers, those that anchored the final root first."""
        heard = [one.peer for one in self.network.status().heard if one.peer != self.network.peer]
        voters = self.facts.voters(found.epoch, found.final)
        return sorted(heard, key=lambda peer: peer not in voters)

    def _held_by(self, peer: bytes) -> Pages | None:
        """All pages of a peer's feed, in its order; None where it does not give them."""
        found: Pages = {}
        cursor = 0
        try:
            while len(found) < MOST:
                cursor, digests = post.feed(lambda message: self.network.tell(peer, message), cursor)
                for digest in digests:
                    data = self.store.data(digest) or self.network.fetch(digest, PAGE_BYTES, [peer], FETCH_S)
                    found[digest] = pages.read(data, self.facts.domain)
                if not digests:
                    return found
        except (NetworkError, Refused, errors.Refused):
            return None
        return None

    def _gives(self, theirs: Pages, found: Dissent) -> bool:
        tape = self._tape()
        waiting = list(theirs.values())
        while waiting:  # what comes before its opening is tried again
            left = [page for page in waiting if not _takes(tape, page)]
            if len(left) == len(waiting):
                break
            waiting = left
        tape.play(tape.history.end(found.epoch) + 1)
        root = tape.history.root(found.epoch)
        return root is not None and root.head == found.final


def sentence(found: Dissent) -> str:
    """For people."""
    return f"epoch {found.epoch}: this node's history is not the one that is final on the chain; it compares its pages with those of others"


def _takes(tape: Tape, page: Page) -> bool:
    try:
        tape.add(page)
    except errors.Refused:
        return False
    return True
