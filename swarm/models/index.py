"""The index over all models: which batch and place a model has, rebuilt by anyone from the chain's events and the batches' lists.

    folder/  index.sqlite  cursor.json  lists/DIGEST

`refresh` reads new events; `read_lists` takes up lists that have come. A list is looked at before it is used: its BLAKE3, its length, the
root over it. The index holds eight bytes of each model and of each parent; the leaves themselves stay in the lists, and a leaf is
checked against its batch's root whenever it is asked for. Deleting the folder loses nothing but time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm import disk
from swarm.chain.abi import Event
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.errors import Refused, StateError
from swarm.models import listing, truth
from swarm.models.jobs import Jobs
from swarm.models.listing import SPAN
from swarm.models.model import ROW, Model, of_row
from swarm.models.truth import Truth
from swarm.models.waiting import LISTS
from swarm.network.store import digest_of

FILE, CURSOR = "index.sqlite", "cursor.json"
AT_ONCE = 64  # lists taken up in one transaction
MOST_FOUND = 64  # entries of one prefix
KEY = 8  # bytes of a digest that are indexed
SCHEMA = """
create table if not exists batch (number integer primary key, id blob not null unique, poster blob not null, root blob not null,
    count integer not null, list blob not null, tx blob not null, block integer not null, state text not null default 'missing',
    why text not null default '', crown blob);
create index if not exists lacking on batch (number) where state = 'missing';
create table if not exists entry (key integer, batch integer, place integer, primary key (key, batch, place)) without rowid;
create table if not exists child (key integer, batch integer, place integer, primary key (key, batch, place)) without rowid;
"""
COLUMNS = "number, id, poster, root, count, list, tx, block, state, why"

Blobs = Callable[[bytes, int], bytes | None]  # digest, most bytes -> the blob


@dataclass(frozen=True)
class Posted:
    """A batch on the chain. `state`: missing (nobody handed its list over yet), read, or refused (it is not what was posted; `why`)."""

    number: int
    id: bytes
    poster: bytes
    root: bytes
    count: int
    list: bytes
    tx: bytes
    block: int
    state: str
    why: str

    @property
    def fields(self) -> tuple[bytes, int, bytes]:
        """`IModelRegistry.Batch`."""
        return self.root, self.count, self.list


@dataclass(frozen=True)
class Entry:
    """A model at its place in a batch, with its path to the batch's root."""

    batch: Posted
    place: int
    model: Model
    path: tuple[bytes, ...]

    @property
    def holds(self) -> bool:
        """Whether the path leads from this leaf to the root on the chain."""
        return listing.is_listed(self.batch.root, self.batch.count, self.place, self.model, list(self.path))


class Index:
    """The index of one registry, in one process at a time."""

    def __init__(self, folder: Path, chain: Chain):
        self.lists = folder / LISTS
        self.lists.mkdir(parents=True, exist_ok=True)
        self.path, self._chain, self._cursor = folder / FILE, chain, folder / CURSOR
        if not self.path.exists():
            self._cursor.unlink(missing_ok=True)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=30.0)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(SCHEMA)
            self.truth = Truth(self._db, Jobs(chain))
        except sqlite3.DatabaseError as error:
            raise StateError(f"{self.path} is damaged ({error})", "delete it: it is made again from the chain and the lists") from None
        self._scanner = Scanner(chain, (*truth.ROLES, "models"), self._cursor)

    def close(self) -> None:
        self._db.close()

    def refresh(self) -> None:
        """Take up what the chain says that is new. Where it went back, everything is read again. Raises ChainError."""
        while (found := self._scanner.scan()).new or found.gone:
            if found.gone:
                self._start_again()
                continue
            self.take(found.new)
            self._scanner.save()

    def take(self, events: list[Event]) -> None:
        """Events in the chain's order, in one transaction; those that were taken before change nothing."""
        with self._db:
            self._db.execute("begin")
            for event in events:
                if event.name == "BatchPosted":
                    self._post(event)
                else:
                    self.truth.take(event)

    def compact(self) -> None:
        """Bring the file to its smallest size."""
        self._db.execute("vacuum")
        self._db.execute("pragma wal_checkpoint(truncate)")

    def missing(self) -> list[tuple[bytes, int]]:
        """Digest and size of the lists that are not here yet."""
        rows = self._db.execute("select list, count from batch where state = 'missing' order by number")
        return [(digest, listing.size_of(count)) for digest, count in rows]

    def read_lists(self, find: Blobs) -> None:
        """Take up the missing lists that `find` has."""
        rows = self._db.execute("select number, root, count, list from batch where state = 'missing' order by number").fetchall()
        for start in range(0, len(rows), AT_ONCE):
            with self._db:
                self._db.execute("begin")
                for row in rows[start : start + AT_ONCE]:
                    self._read(*row, find)

    def batches(self) -> list[Posted]:
        """All batches, in the chain's order."""
        return [Posted(*row) for row in self._db.execute(f"select {COLUMNS} from batch order by number")]

    def counts(self) -> dict[str, int]:
        """Models in all, and those in lists that are missing or were refused."""
        found = dict(self._db.execute("select state, sum(count) from batch group by state").fetchall())
        return {state: found.get(state, 0) for state in ("read", "missing", "refused")}

    def find(self, prefix: str) -> list[Entry]:
        """The models whose digest begins with these hex digits (16 of them pick out one, but for chance)."""
        low, high = _range(prefix)
        rows = self._db.execute("select batch, place from entry where key between ? and ? limit ?", (low, high, MOST_FOUND))
        return [entry for entry in self._entries(rows.fetchall()) if entry.model.model.hex().startswith(prefix)]

    def of(self, model: bytes) -> list[Entry]:
        """All entries of a model's digest."""
        rows = self._db.execute("select batch, place from entry where key = ?", (_key(model),))
        return [entry for entry in self._entries(rows.fetchall()) if entry.model.model == model]

    def children(self, parent: bytes) -> list[Entry]:
        """Models that were trained from this one."""
        rows = self._db.execute("select batch, place from child where key = ?", (_key(parent),))
        return [entry for entry in self._entries(rows.fetchall()) if entry.model.parent == parent]

    def _entries(self, rows: list[tuple[int, int]]) -> Iterator[Entry]:
        for number, place in rows:
            row = self._db.execute(f"select {COLUMNS}, crown from batch where number = ?", (number,)).fetchone()
            batch, crown = Posted(*row[:-1]), row[-1]
            span = self._span(batch, place)
            if span:
                yield Entry(batch, place, of_row(span[place % SPAN]), tuple(listing.path_through(span, crown, place, batch.count)))

    def _span(self, batch: Posted, place: int) -> list[bytes]:
        """The rows around a place out of the batch's list; none where somebody took the list away, which is then missing again."""
        first = place - place % SPAN
        count = min(SPAN, batch.count - first)
        try:
            with open(self.lists / batch.list.hex(), "rb") as file:
                file.seek(listing.size_of(first))
                data = file.read(ROW * count)
        except FileNotFoundError:
            data = b""
        if len(data) == ROW * count:
            return [data[at : at + ROW] for at in range(0, len(data), ROW)]
        self._db.execute("update batch set state = 'missing' where number = ?", (batch.number,))
        return []

    def _post(self, event: Event) -> None:
        said = event.values
        row = (said["batch"], said["poster"], said["root"], said["count"], said["list"], event.tx, event.block)
        self._db.execute("insert or ignore into batch (id, poster, root, count, list, tx, block) values (?, ?, ?, ?, ?, ?, ?)", row)

    def _read(self, number: int, root: bytes, count: int, digest: bytes, find: Blobs) -> None:
        data = find(digest, listing.size_of(count))
        if data is None or digest_of(data) != digest:
            return
        try:
            found = listing.parse(data, count)
            if found.root != root:
                raise Refused("malformed", "the root over this list is another than the one on the chain")
        except Refused as error:
            self._db.execute("update batch set state = 'refused', why = ? where number = ?", (str(error), number))
            return
        path = self.lists / digest.hex()
        if not path.exists():
            disk.replace(path, data)
        models = [found.row(place) for place in range(count)]
        for table, start in (("entry", 1), ("child", 33)):
            keys = [(int.from_bytes(row[start : start + KEY], "big", signed=True), number, place) for place, row in enumerate(models)]
            self._db.executemany(f"insert or ignore into {table} values (?, ?, ?)", sorted(keys))
        self._db.execute("update batch set state = 'read', crown = ? where number = ?", (found.crown, number))

    def _start_again(self) -> None:
        with self._db:
            self._db.execute("begin")
            self.truth.clear()
            for table in ("batch", "entry", "child"):
                self._db.execute(f"delete from {table}")
        self._cursor.unlink(missing_ok=True)
        self._scanner = Scanner(self._chain, (*truth.ROLES, "models"), self._cursor)


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:KEY], "big", signed=True)


def _range(prefix: str) -> tuple[int, int]:
    digits = prefix[: 2 * KEY]
    low, high = (bytes.fromhex(digits.ljust(2 * KEY, fill)) for fill in "0f")
    return _key(low), _key(high)
