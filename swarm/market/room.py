"""A member's room of the judge market: everything that stands between the network and the state, in a few threads.

    room = Room(network, facts, terms, actor, secret, folder, scorer, say)
    room.start()
    market = room.open(opening, texts)                  host a market
    id = room.send(room.sign(events.Trade, ...))        an order, a vote, an account entry; room.sent(id) says what became of it
    with room.reading() as state: ...                   `judge.ledger.State` as of `room.until`, while nobody changes it
    room.close()

Threads: `tape` plays up to a moment ago (`lag`: pages need time to travel) and publishes own phases; `reader` gets others' pages; `outbox`
sends; `facts` looks at the chain. A bug in one is kept and raised by `require_alive`. A chain that does not answer stops the tape at OFFLINE_MS
after the last time that was seen. Everything that matters is in `folder`, so the process can be killed at any line.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from judge import errors, events
from judge.events import Entry, Open
from judge.ledger import State
from judge.market import DRAFT, RUNNING, SETTLED, Market
from judge.terms import Terms
from swarm.beat import Beat
from swarm.errors import ChainError
from swarm.errors import Refused as RefusedByUs  # the network's, not the log's
from swarm.market import comparison, post
from swarm.market import page as pages
from swarm.market.comparison import Comparison, Pages
from swarm.market.facts import Facts
from swarm.market.history import Dissent, Root
from swarm.market.house import House, desk_of
from swarm.market.outbox import Outbox
from swarm.market.page import OWN, TAKEN, Page, Phase
from swarm.market.reader import Reader
from swarm.market.store import FILE, Sent, Store
from swarm.market.tape import Scorer, Tape
from swarm.network import Network
from swarm.proof.schedule import LONGEST_LAG_MS

LOOK_S = 1.0  # between two looks at the chain
OFFLINE_MS = 30_000
CLOSE_S = 10.0


@dataclass
class Told:
    """What is shown of the market. Counts of markets are of now, the others since the start; credits are wei."""

    open: int = 0
    traded: int = 0  # markets that this operator has a position in
    settled: int = 0
    hosted: int = 0  # running ones
    free: int = 0
    stake: int = 0
    pages: int = 0
    rewinds: int = 0
    skipped: dict[str, int] = field(default_factory=dict)  # entries that the log refused at their place, by reason
    refused: dict[str, int] = field(default_factory=dict)  # pages and answers of others, by reason
    trouble: str = ""  # of the chain
    final: int = -1  # the newest epoch whose final root is this room's too
    dissent: str = ""  # another root is final


def lag_of(terms: Terms) -> int:
    """Milliseconds that the tape stays behind: a third of the shortest phase, for pages to arrive in."""
    return min(LONGEST_LAG_MS, terms.machine.shortest // 3, terms.human.shortest // 3)


class Room:
    """The room of operator `actor`, whose entries `secret` signs (its own key or its session's). `folder` is this room's alone."""

    def __init__(
        self,
        network: Network,
        facts: Facts,
        terms: Terms,
        actor: bytes,
        secret: bytes,
        folder: Path,
        scorer: Scorer,
        say: Callable[[str], None] = print,
        *,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ):
        """`scorer(opening, texts)` resolves markets of kind V (None: it cannot), `now()` is milliseconds of the chain's clock."""
        if terms.seed != "beacon" or terms.chain_id != facts.domain:
            raise ValueError("a swarm's market takes its seeds from the beacon, and its chain_id is `facts.domain`")
        self.network, self.facts, self.terms, self.actor, self.say, self.now = network, facts, terms, actor, say, now
        self.lag, self.until, self.told = lag_of(terms), 0, Told()
        self._early: list[Phase] = []  # own pages that wait for the outcome of a vote
        self.reserved = 0  # markets that a person wants to open: their places are not taken by others of this operator
        self._secret, self._lock = secret, threading.RLock()
        self._store = Store(folder / FILE, terms.chain_id)
        self._new_tape = lambda: Tape(terms, facts, scorer)
        self._tape = self._new_tape()
        self._house = House(self._store, secret, terms.chain_id, facts.speaks)
        self._reader = Reader(network, self._store, facts, self.publish, now, self._at_stake)
        parts = (network, self._store, self._house, facts, self._tape, self.reading, self.publish, self.sign, now, self.lag)
        self._outbox = Outbox(*parts)
        self._comparison = Comparison(network, self._store, facts, self._dissent, self._new_tape, self._adopt, say)
        pace = max(0.1, min(5.0, self.lag / 3000))
        self._beats = [
            Beat("market tape", pace, self.turn),
            Beat("market reader", pace, self._reader.turn),
            Beat("market outbox", pace, self._outbox.turn),
            Beat("market facts", LOOK_S, self._look),
            Beat("market history", LOOK_S, self._comparison.turn),
        ]

    def start(self) -> None:
        """Take up what is in the folder, listen, and go on. The network runs already."""
        for data in self._store.pages():
            page = pages.read(data, self.terms.chain_id)
            self._keep(page)
            with contextlib.suppress(errors.Refused):  # its opening gave way to others
                self._tape.add(page)
        desk = post.Desk(lambda entry: self._house.take(entry, self.now()), self._store.feed)
        self.network.listen(desk.answer)
        for beat in self._beats:
            beat.start()

    def close(self) -> None:
        """Stop all threads and wait for them. What is under way goes on with the next start."""
        self.network.listen(_gone)  # the network may live on: nobody is answered out of a store that is closed
        for beat in self._beats:
            beat.stop()
        for beat in self._beats:
            beat.await_end(CLOSE_S)
        self._reader.close()
        self._outbox.close()
        self._store.close()

    def require_alive(self) -> None:
        """A bug that ended one of the threads must not look like a quiet market."""
        for beat in self._beats:
            beat.require_alive()

    # ---- looking

    @contextmanager
    def reading(self) -> Iterator[State]:
        """The state, while nobody changes it. Look, and let go."""
        with self._lock:
            yield self._tape.state

    @property
    def closed(self) -> int:
        """Up to when (ms) a final root has closed the log: nothing before that can change; -1 where nothing is closed."""
        with self._lock:
            return self._tape.history.closed

    def opening(self, market: bytes) -> pages.Opening | None:
        """The page that opened a market."""
        with self._lock:
            return self._tape.opening(market)

    def texts(self, market: bytes) -> tuple[Open, tuple[str, ...]] | None:
        """What a market is about: its opening with the full text of every outcome ("" for one without)."""
        opening = self.opening(market)
        return (opening.open.event, opening.texts) if opening is not None else None

    def root(self, epoch: int) -> Root | None:
        """The log at an epoch's end; None while something that belongs before it may still have to be read or played."""
        if not self._reader.caught_up and self.network.status().heard:
            return None
        with self._lock:
            history = self._tape.history
            sure = history.schedule is not None and not self._tape.is_behind and self.facts.seen > history.end(epoch)
            return history.root(epoch) if sure else None

    def sent(self, id: bytes) -> Sent | None:
        """What became of an own entry."""
        return self._store.sent(id)

    # ---- doing

    def sign(self, kind: type[events.Signed], /, **fields: object) -> Entry:
        """An entry of ours, signed for now unless `t` is given."""
        return events.write(kind(**{"actor": self.actor, "t": self.now(), **fields}), self.terms.chain_id, self._secret)

    def open(self, said: Open, texts: Sequence[str]) -> bytes:
        """Open and fund a market, whose host this room is; its id. Raises judge.errors.Refused where no reader would take the page."""
        opening = events.write(said, self.terms.chain_id, self._secret)
        fund = self.sign(events.Fund, t=max(said.t, self.now()), market=said.market(self.terms.chain_id))
        page = pages.opening(opening, fund, texts, self.terms.chain_id)
        self.publish(page)
        return page.market

    def send(self, entry: Entry) -> bytes:
        """Put an entry on its way, on disk; its id. Raises judge.errors.Refused where it is too late already, or its market takes no such thing."""
        market, until = getattr(entry.event, "market", b""), 2**62
        if not isinstance(entry.event, OWN):
            with self.reading() as state:
                one = state.markets.get(market)
                errors.require(one is not None, "unknown", f"there is no market {market.hex()[:8]} here")
                desk = desk_of(one)
                if desk is None or not isinstance(entry.event, TAKEN[desk.phase]):
                    raise errors.Refused("phase", f"{one.name} is in {one.place}, where a {type(entry.event).__name__} is not taken")
                until = desk.deadline
            if entry.event.t >= until or self.now() >= until:
                raise errors.Refused("deadline", f"{one.place} of {one.name} ended at {until}, and this is signed for {entry.event.t}: too late")
        self._store.send(entry.id, entry.data, market, until)
        return entry.id

    def publish(self, page: Page) -> None:
        """Take a page, own or foreign, and show it to others. Raises judge.errors.Refused, and then nothing was kept."""
        with self._lock:
            gone = self._tape.add(page)
            self._store.add(page, instead=gone)
        self._keep(page)
        self.told.pages += 1

    def turn(self) -> None:
        """Play on, and publish what is due of the own markets."""
        until = min(self.now() - self.lag, self.facts.seen + OFFLINE_MS)
        with self._lock:
            self._tape.play(until)
            self._tape.history.look(self.facts.finals, self.now() / 1000, holds=self._reader.caught_up)
            self.until = max(self.until, until)
            self._house.look(self._tape.state)
            self._count(self._tape.state)
        late, self._early = self._early, []
        for page in [*late, *self._house.pages(self.now(), self.facts.after)]:
            self._publish_phase(page)

    def _publish_phase(self, page: Phase) -> None:
        try:
            self.publish(page)
        except errors.Refused as why:
            if why.reason == "early":  # its epoch is being voted on
                self._early.append(page)
                return
            # our opening gave way to others, or is not ours any more; or history is closed
            self._store.drop([page.digest])
            self.say(f"judge market: the page of {page.stage[1]} of market {page.stage[0].hex()[:8]} has no place: {why.sentence}")

    def _dissent(self) -> Dissent | None:
        with self._lock:
            return None if self._tape.is_behind else self._tape.history.dissent

    def _adopt(self, theirs: Pages, epoch: int) -> None:
        """Hold the pages that make a final root, and of the time before it no others."""
        with self._lock:
            gone = [digest for digest in self._tape.digests(self._tape.history.end(epoch)) if digest not in theirs]
            for digest in gone:
                self._tape.drop(digest)
            self._store.drop(gone)
        for page in theirs.values():
            with contextlib.suppress(errors.Refused):  # it is closed already, or gives way to others
                self.publish(page)

    def _keep(self, page: Page) -> None:
        """Have the blob for whoever asks."""
        if self.network.store.has(page.digest):
            self.network.store.keep(page.digest)
        else:
            self.network.put(page.data)

    def _at_stake(self) -> list[bytes]:
        """Peers of hosts of running markets in which this operator has something."""
        with self.reading() as state:
            mine = [one for one in state.markets.values() if one.phase in RUNNING and _has_stake(one, self.actor)]
        return [peer for one in mine for peer in self.facts.peers(one.host_key)[:1]]

    def _look(self) -> None:
        try:
            self.facts.look()
            self.told.trouble = ""
        except ChainError as error:
            if str(error) != self.told.trouble:
                self.say(f"judge market: {error}; markets wait for the chain")
            self.told.trouble = str(error)

    def _count(self, state: State) -> None:
        told, me = self.told, state.operators.get(self.actor)
        told.open = sum(one.phase in RUNNING and one.phase != DRAFT for one in state.markets.values())
        told.settled = sum(one.phase == SETTLED for one in state.markets.values())
        told.traded = sum(self.actor in one.positions for one in state.markets.values())
        told.hosted = sum(one.phase in RUNNING and one.host_key == self._house.address for one in state.markets.values())
        told.free, told.stake = (me.free, me.stake + me.locked) if me is not None else (0, 0)
        history = self._tape.history
        told.final = max((epoch for epoch in self.facts.finals if history.schedule and history.end(epoch) <= history.closed), default=-1)
        told.dissent = comparison.sentence(history.dissent) if history.dissent else ""
        told.rewinds, told.skipped, told.refused = self._tape.rewinds, dict(self._tape.refused), dict(self._reader.refused)


def _has_stake(one: Market, actor: bytes) -> bool:
    return actor in one.positions or actor == one.creator or any(actor in panel.seats for panel in one.panels)


def _gone(peer: bytes, message: bytes) -> bytes:
    raise RefusedByUs("unwelcome", "this room is closed")
