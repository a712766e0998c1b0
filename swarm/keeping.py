"""Lists of models that a node keeps and serves: those that its operator posted, and those that it is drawn for.

Each list is kept by two operators besides its poster: those of the poster's swarm whose H(list, operator) is lowest, so everyone knows whose
turn it is and nobody chooses. What is kept follows from the chain alone and is looked up anew at each start.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from swarm.chain.abi import Event
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.errors import ChainError, NetworkError, Refused
from swarm.keys import keccak
from swarm.models.listing import size_of

if TYPE_CHECKING:
    from swarm.network import Network

KEEPERS = 2
TURN_S, CLOSE_S = 20.0, 1.0
FETCH_S, AT_ONCE = 15.0, 4  # for one list, and lists in a turn
MOST_BYTES = 256 * 2**20
Say = Callable[[str], None]


class Keeper:
    """Keeps what falls to `operator` (20 bytes) in one swarm. `turn` now and then."""

    def __init__(self, chain: Chain, swarm: bytes, operator: bytes, network: Network, say: Say = lambda text: None):
        self.swarm, self.operator, self.network, self.say = swarm, operator, network, say
        self._scanner = Scanner(chain, ("ledger", "models"))
        self._agents: dict[bytes, bytes] = {}  # operator's or session's address -> operator
        self._posted: list[Event] = []
        self._wanted: dict[bytes, int] = {}  # list -> size
        self.kept = 0  # bytes
        self.closing = threading.Event()

    def turn(self) -> None:
        """Look at the chain, and fetch what is wanted and not here. Raises ChainError."""
        while new := self._scanner.scan().new:
            for event in new:
                self._take(event)
        for event in self._posted:  # once all members are known, so that all draw the same
            self._want(event)
        self._posted.clear()
        for digest, size in list(self._wanted.items())[:AT_ONCE]:
            if not self.closing.is_set():
                self._fetch(digest, size)

    def _take(self, event: Event) -> None:
        said = event.values
        if event.name == "Entered" and said["swarm"] == self.swarm:
            self._agents |= {said["operator"]: said["operator"], said["session"]: said["operator"]}
        elif event.name == "BatchPosted":
            self._posted.append(event)

    def _want(self, event: Event) -> None:
        poster, digest, size = self._agents.get(event.values["poster"]), event.values["list"], size_of(event.values["count"])
        if poster is None or (self.operator != poster and self.operator not in drawn(digest, set(self._agents.values()) - {poster})):
            return
        self._wanted[digest] = size

    def _fetch(self, digest: bytes, size: int) -> None:
        """Keep a list, or put it behind the others: one that nobody has must not hold them up."""
        del self._wanted[digest]
        if self.kept + size > MOST_BYTES:
            self.say(f"a list of {size} bytes falls to this peer, which keeps {self.kept} bytes of lists of models and no more")
            return
        try:
            data = self.network.store.get(digest) or self.network.fetch(digest, size, None, FETCH_S)
        except (NetworkError, Refused):
            self._wanted[digest] = size
            return
        self.network.put(data)
        self.kept += size


def drawn(digest: bytes, operators: set[bytes]) -> list[bytes]:
    """The operators that are to keep a list, out of those besides its poster."""
    return sorted(operators, key=lambda operator: keccak(b"openswarm/1/keep", digest, operator))[:KEEPERS]


@contextlib.contextmanager
def keeping(chain: Chain, swarm: bytes, operator: bytes, network: Network, say: Say) -> Iterator[Keeper]:
    """A keeper at work in a thread."""
    keeper = Keeper(chain, swarm, operator, network, say)

    def work() -> None:
        while not keeper.closing.is_set():
            with contextlib.suppress(ChainError, CancelledError):  # the duties say so, and it is asked again; or the network was closed
                keeper.turn()
            keeper.closing.wait(TURN_S)

    thread = threading.Thread(target=work, name="keeper", daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        keeper.closing.set()
        thread.join(CLOSE_S)
