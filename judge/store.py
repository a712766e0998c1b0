"""The log on disk: a sqlite file that holds the terms and every entry that was taken, with the hash chain over them.

    with Store(path, terms) as store:
        store.extend(entry)              taken, and on disk and synced when this returns; or Refused, and nothing has changed
        store.state                      after everything in the file

Opening replays the log; a file whose chain does not fit, or that belongs to other terms, is refused with `Damaged`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack

from judge.errors import Refused
from judge.events import Entry, read
from judge.keys import keccak
from judge.ledger import State, apply, plain
from judge.terms import Terms

SCHEMA = """
create table if not exists terms (packed blob not null);
create table if not exists entries (number integer primary key, head blob not null, data blob not null);
"""


class Damaged(Exception):
    """A file that is not the log it should be. The text says which file and entry, and what to do."""


class Store:
    """A log in a file, and the state after it.

    After a crash the file has every entry that `extend` returned for. Where the disk fails, the store is closed, since its state
    would be ahead of its file: open it again.
    """

    def __init__(self, path: Path, terms: Terms):
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self.state = State(terms)
        try:
            self._open(terms)
        except sqlite3.DatabaseError as error:
            self.close()
            raise Damaged(f"{path} is no log of a judge market ({error}): move it away, and fetch the log from a peer") from None
        except Damaged:
            self.close()
            raise

    def extend(self, entry: Entry) -> None:
        """Take an entry. Raises Refused, and then neither the file nor the state has changed."""
        apply(self.state, entry)
        try:
            self._db.execute("insert into entries values (?, ?, ?)", (self.state.count, self.state.head, entry.data))
        except sqlite3.Error:
            self.close()
            raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction, and one sync, for many entries: for catching up with a log that peers have too."""
        self._db.execute("begin")
        try:
            yield
        finally:
            self._db.execute("commit")  # what was taken before a refusal has changed the state, and stays

    def entries(self, after: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """(number, head, bytes) of every entry after number `after`; the first one is 1."""
        yield from self._db.execute("select number, head, data from entries where number > ? order by number", (after,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, terms: Terms) -> None:
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(SCHEMA)
        packed = msgpack.packb(plain(terms))
        known = self._db.execute("select packed from terms").fetchone()
        if known is None:
            self._db.execute("insert into terms values (?)", (packed,))
        elif known[0] != packed:
            raise Damaged(f"{self.path} is a log under other terms (keccak {keccak(known[0]).hex()[:8]}): give this swarm a file of its own")
        for number, head, data in self.entries():
            self._take(number, head, data)

    def _take(self, number: int, head: bytes, data: bytes) -> None:
        place = f"entry {number} of {self.path}"
        if number != self.state.count + 1 or keccak(self.state.head, data) != head:
            raise Damaged(f"{place} does not follow the one before: move the file away, and fetch the log from a peer")
        try:
            apply(self.state, read(data, self.state.terms.chain_id))
        except Refused as why:
            raise Damaged(f"{place} would not be taken ({why.sentence}): move the file away, and fetch the log from a peer") from None
