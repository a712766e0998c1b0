"""Models that wait to be posted, and the batches made of them, in one sqlite file with full sync.

    waiting = Waiting(folder)
    waiting.register(model)          any time, by anyone on this machine: the market's solver, `swarm model add`
    batch = waiting.seal()           takes what waits into a batch, whose list lies in folder/lists before it is noted
    waiting.posted(batch, tx)        once it is on the chain

When a method has returned, a kill -9 takes nothing of it back: what was sealed and not posted is posted again, and the contract takes a
batch once. Models that the chain will not bear out may be registered: they cost gas and count for nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from swarm import disk
from swarm.errors import StateError
from swarm.models.listing import MOST, Listing
from swarm.models.model import Model, of_row

FILE, LISTS = "waiting.sqlite", "lists"
SCHEMA = """
create table if not exists batch (number integer primary key, root blob not null, count integer not null, list blob not null unique, tx blob);
create table if not exists leaf (number integer primary key, digest blob not null unique, row blob not null, batch integer references batch);
create index if not exists loose on leaf (number) where batch is null;
"""


@dataclass(frozen=True)
class Batch:
    """A sealed batch. `tx` is the transaction (32 bytes) that posted it; None: it is not on the chain yet, as far as we know."""

    root: bytes
    count: int
    list: bytes
    tx: bytes | None = None

    @property
    def fields(self) -> tuple[bytes, int, bytes]:
        """`IModelRegistry.Batch`."""
        return self.root, self.count, self.list


class Waiting:
    """The waiting models of one registry. `folder` is that registry's."""

    def __init__(self, folder: Path):
        self.lists = folder / LISTS
        self.lists.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(folder / FILE, isolation_level=None, timeout=30.0)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise StateError(f"{folder / FILE} is damaged ({error})", "move it away: what waited in it can be added again") from None

    def close(self) -> None:
        self._db.close()

    def register(self, *models: Model) -> int:
        """Let models wait for the next batch; those that were registered before are passed over. How many were new."""
        return self.register_all(models)

    def register_all(self, models: Iterable[Model]) -> int:
        """The same for very many, in one transaction."""
        before = self._db.total_changes
        with self._db:
            self._db.execute("begin immediate")
            rows = ((model.digest, model.row()) for model in models)
            self._db.executemany("insert or ignore into leaf (digest, row) values (?, ?)", rows)
        return self._db.total_changes - before

    def __len__(self) -> int:
        """How many wait."""
        return self._db.execute("select count(*) from leaf where batch is null").fetchone()[0]

    def models(self) -> list[Model]:
        """What waits, in the order in which it came."""
        return [of_row(row) for (row,) in self._db.execute("select row from leaf where batch is null order by number")]

    def seal(self, most: int = MOST) -> Batch | None:
        """Make a batch of what has waited longest; None where nothing waits."""
        with self._db:
            self._db.execute("begin immediate")  # two processes must not take the same models
            found = self._db.execute("select number, row from leaf where batch is null order by number limit ?", (most,)).fetchall()
            if not found:
                return None
            listing = Listing.of_rows([row for _, row in found])
            disk.replace(self.lists / listing.digest.hex(), listing.data)
            batch = Batch(*listing.batch)
            made = self._db.execute("insert into batch (root, count, list) values (?, ?, ?)", batch.fields)
            self._db.executemany("update leaf set batch = ? where number = ?", [(made.lastrowid, number) for number, _ in found])
        return batch

    def sealed(self) -> list[Batch]:
        """Batches that are not on the chain yet, the oldest first."""
        rows = self._db.execute("select root, count, list, tx from batch where tx is null order by number")
        return [Batch(*row) for row in rows]

    def posted(self, batch: Batch, tx: bytes) -> None:
        """A batch is on the chain."""
        with self._db:
            self._db.execute("update batch set tx = ? where list = ?", (tx, batch.list))
