"""What a room has on disk, in one sqlite file with full sync: pages, what was taken as a host, what is on its way to other hosts.

When a method that writes has returned, a kill -9 or a power cut takes nothing of it back. All methods may be called from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import StateError
from swarm.market.page import Page, Stage

FILE = "market.sqlite"
FEED = 256  # digests in one answer
SCHEMA = """
create table if not exists about (domain text not null);
create table if not exists pages (number integer primary key autoincrement, digest blob not null unique, data blob not null);
create table if not exists taken (market blob, phase text, number integer, id blob, actor blob, data blob not null, receipt blob not null,
    deadline integer not null, primary key (market, phase, number, id));
create index if not exists open on taken (deadline) where data != x'';
create table if not exists closed (market blob, phase text, number integer, digest blob not null, primary key (market, phase, number));
create table if not exists outgoing (id blob primary key, data blob not null, market blob not null, until integer not null, state text not null,
    sentence text not null default '', receipt blob not null default x'');
create table if not exists cursors (peer blob primary key, next integer not null);
"""


@dataclass(frozen=True)
class Taken:
    """What a host took in one phase."""

    stage: Stage
    deadline: int
    data: tuple[bytes, ...]


@dataclass(frozen=True)
class Sent:
    """An own entry. `state`: waiting, receipt, included, refused, late, omitted, gone (its phase had no page so far) or lost; `sentence` says why."""

    id: bytes
    data: bytes
    market: bytes
    until: int
    state: str
    sentence: str
    receipt: bytes


class Store:
    """A room's file."""

    def __init__(self, path: Path, domain: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(SCHEMA)
            known = self._db.execute("select domain from about").fetchone()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StateError(f"{path} is damaged ({error})", "move it away: pages are fetched again, own orders without a receipt are lost") from None
        if known is None:
            self._db.execute("insert into about values (?)", (str(domain),))
        elif known[0] != str(domain):
            self._db.close()
            raise StateError(f"{path} is of another swarm", "give this swarm a folder of its own")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # ---- pages, in the order in which they came

    def pages(self) -> list[bytes]:
        """The bytes of all pages."""
        return [data for (data,) in self._all("select data from pages order by number")]

    def has(self, digest: bytes) -> bool:
        return bool(self._all("select 1 from pages where digest = ?", digest))

    def data(self, digest: bytes) -> bytes | None:
        """The bytes of a page."""
        rows = self._all("select data from pages where digest = ?", digest)
        return rows[0][0] if rows else None

    def drop(self, digests: Iterable[bytes]) -> None:
        """Pages that have no place any more."""
        with self._together():
            self._db.executemany("delete from pages where digest = ?", [(digest,) for digest in digests])

    def add(self, page: Page, instead: Iterable[bytes] = ()) -> None:
        """Keep a page, `instead` of those digests."""
        with self._together():
            self._db.executemany("delete from pages where digest = ?", [(digest,) for digest in instead])
            self._db.execute("insert or ignore into pages (digest, data) values (?, ?)", (page.digest, page.data))

    def feed(self, cursor: int) -> tuple[int, list[bytes]]:
        """(next cursor, digests of the pages beyond `cursor`). A cursor of a file that was lost begins again."""
        last = self._all("select seq from sqlite_sequence where name = 'pages'")
        if cursor > (last[0][0] if last else 0):
            cursor = 0
        rows = self._all("select number, digest from pages where number > ? order by number limit ?", cursor, FEED)
        return (rows[-1][0] if rows else cursor), [digest for _, digest in rows]

    def cursor(self, peer: bytes) -> int:
        """How far a peer's feed was read."""
        rows = self._all("select next from cursors where peer = ?", peer)
        return rows[0][0] if rows else 0

    def follow(self, peer: bytes, next: int) -> None:
        with self._together():
            self._db.execute("insert or replace into cursors values (?, ?)", (peer, next))

    # ---- as a host

    def receipt(self, stage: Stage, id: bytes) -> bytes | None:
        """The receipt that was given for an entry in a phase."""
        rows = self._all("select receipt from taken where market = ? and phase = ? and number = ? and id = ?", *stage, id)
        return rows[0][0] if rows else None

    def weight(self, stage: Stage, actor: bytes = b"") -> tuple[int, int, int]:
        """(entries, bytes, entries of `actor`) taken in a phase."""
        where = "from taken where market = ? and phase = ? and number = ?"
        (count, size), (mine,) = (
            self._all(f"select count(*), coalesce(sum(length(data)), 0) {where}", *stage)[0],
            self._all(f"select count(*) {where} and actor = ?", *stage, actor)[0],
        )
        return count, size, mine

    def take(self, stage: Stage, id: bytes, actor: bytes, data: bytes, receipt: bytes, deadline: int) -> bool:
        """Keep an entry with its receipt; False where the phase has its page already."""
        with self._together():
            if self.is_closed(stage):
                return False
            self._db.execute("insert into taken values (?, ?, ?, ?, ?, ?, ?, ?)", (*stage, id, actor, data, receipt, deadline))
            return True

    def is_closed(self, stage: Stage) -> bool:
        """Whether a phase has its page."""
        return bool(self._all("select 1 from closed where market = ? and phase = ? and number = ?", *stage))

    def full(self, now: int) -> list[Taken]:
        """The phases whose deadline is over and that have no page yet, the oldest first."""
        groups = "group by market, phase, number having last <= ? order by last"
        rows = self._all(f"select market, phase, number, max(deadline) as last from taken where data != x'' {groups}", now)
        found = []
        for *stage, deadline in rows:
            data = self._all("select data from taken where market = ? and phase = ? and number = ?", *stage)
            found.append(Taken(tuple(stage), deadline, tuple(row[0] for row in data)))
        return found

    def close_phase(self, stage: Stage, page: Page, count: int) -> bool:
        """Keep a phase's page for good: there will never be another one by this host. False where an entry beyond these `count` was just taken."""
        with self._together():
            if self.weight(stage)[0] != count:
                return False
            self._db.execute("insert into closed values (?, ?, ?, ?)", (*stage, page.digest))
            self._db.execute("insert or ignore into pages (digest, data) values (?, ?)", (page.digest, page.data))
            self._db.execute("update taken set data = x'' where market = ? and phase = ? and number = ?", stage)
            return True

    # ---- own entries on their way

    def send(self, id: bytes, data: bytes, market: bytes, until: int) -> None:
        with self._together():
            row = (id, data, market, until)
            self._db.execute("insert or ignore into outgoing (id, data, market, until, state) values (?, ?, ?, ?, 'waiting')", row)

    def sent(self, id: bytes) -> Sent | None:
        rows = self._sent("id = ?", id)
        return rows[0] if rows else None

    def sending(self, state: str) -> list[Sent]:
        """Own entries in one state, the oldest first."""
        return self._sent("state = ? order by rowid", state)

    def settle(self, id: bytes, state: str, sentence: str = "", receipt: bytes | None = None) -> None:
        """An own entry came to another state."""
        with self._together():
            self._db.execute(
                "update outgoing set state = ?, sentence = ?, receipt = coalesce(?, receipt) where id = ?", (state, sentence, receipt, id)
            )

    def _sent(self, where: str, *values: object) -> list[Sent]:
        return [Sent(*row) for row in self._all(f"select id, data, market, until, state, sentence, receipt from outgoing where {where}", *values)]

    # ---- sqlite

    def _all(self, query: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _together(self):
        """One transaction, whole or not at all."""
        with self._lock, self._db:  # sqlite's own: commits at the end, rolls back after whatever was raised
            self._db.execute("begin immediate")
            yield
