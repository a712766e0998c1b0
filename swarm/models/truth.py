"""What the chain's own records say of trainings: the leaf that each of them makes, and whether its proof closed clean.

Nothing of a batch is believed. A leaf is trained if it equals the one made here out of events of the registry and the ledger, for a training
whose units were added (of jobs: `swarm.models.jobs`). Held in the index's file, in tables of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from swarm.chain.abi import Event
from swarm.chain.values import Kind, Reason
from swarm.models.jobs import Jobs
from swarm.models.model import Model
from swarm.models.standing import Standing, State, compared

SCHEMA = """
create table if not exists swarm (id blob primary key, recipe blob not null, base blob not null) without rowid;
create table if not exists member (key blob primary key, swarm blob not null, operator blob not null, peer blob not null) without rowid;
create table if not exists agent (address blob primary key, key blob not null) without rowid;
create table if not exists epoch (key blob, number integer, first blob not null, last blob not null, root blob not null, late integer not null,
    ending integer, tx blob not null, primary key (key, number)) without rowid;
create index if not exists ended on epoch (last);
"""
ROLES = ("registry", "ledger")
LATE = -1  # in place of a Reason: committed after its window, so never audited
COLUMNS = "epoch.key, number, first, last, root, late, ending, tx"


WHY = {
    Reason.UNAUDITED: "nobody drawn gave a verdict",
    Reason.FAULTY: "an audit found a fault",
    Reason.WITHHELD: "its data were withheld",
    Reason.CONCEDED: "it was conceded",
    Reason.TIED: "its juries did not agree",
    Reason.PLANTED: "it held a planted fault",
    Reason.LONELY_CLASS: "too few others could have audited it",
    Reason.VOIDED: "it continued an epoch that was lost",
    LATE: "it was committed after its window and so never audited",
}


class Truth:
    """The records of epochs in `db`, and of jobs in their market."""

    def __init__(self, db: sqlite3.Connection, jobs: Jobs):
        self._db, self.jobs = db, jobs
        db.executescript(SCHEMA)

    def take(self, event: Event) -> None:
        """An event of the registry or the ledger; taking it again changes nothing."""
        said = event.values
        match event.name:
            case "SwarmCreated":
                self._db.execute("insert or ignore into swarm values (?, ?, ?)", (said["swarm"], said["recipe"], said["base"]))
            case "Entered":
                row = (said["key"], said["swarm"], said["operator"], said["peer"])
                self._db.execute("insert or ignore into member values (?, ?, ?, ?)", row)
                agents = [(said[name], said["key"]) for name in ("operator", "session")]
                self._db.executemany("insert or ignore into agent values (?, ?)", agents)
            case "Committed":
                row = (said["key"], said["epoch"], said["first"], said["last"], said["root"], said["late"], event.tx)
                self._db.execute("insert or ignore into epoch values (?, ?, ?, ?, ?, ?, null, ?)", row)
            case "Settled":
                self._end(said, Reason.NONE, event.tx)
            case "Unscored":
                self._end(said, said["reason"], event.tx)

    def _end(self, said: dict, ending: int, tx: bytes) -> None:
        where = (ending, tx, said["key"], said["epoch"])
        self._db.execute("update epoch set ending = ?, tx = ? where key = ? and number = ?", where)

    def standing(self, model: Model) -> Standing:
        """Where a leaf of anyone stands."""
        if model.kind == Kind.JOB:
            return self.jobs.standing(model)
        found = self.of_epoch(model.training, model.number)
        if found is None:
            return Standing(State.FALSE, "the chain has no commitment of this member for this epoch")
        return compared(model, *found)

    def of_epoch(self, key: bytes, number: int) -> tuple[Model, Standing] | None:
        """The leaf that an epoch makes; None where it was not committed."""
        row = self._db.execute(f"select {COLUMNS} from epoch where key = ? and number = ?", (key, number)).fetchone()
        return None if row is None else (self._leaf(row), _standing(row))

    def ending_with(self, state: bytes) -> list[tuple[Model, Standing]]:
        """The leaves of all epochs that ended with a state root, those that are trained first."""
        rows = self._db.execute(f"select {COLUMNS} from epoch where last = ?", (state,)).fetchall()
        return sorted(((self._leaf(row), _standing(row)) for row in rows), key=lambda each: each[1].state != State.TRAINED)

    def trained(self, swarm: bytes) -> Iterator[Model]:
        """The leaves of all epochs of a swarm that are trained, in order of epochs."""
        rows = self._db.execute(
            f"select {COLUMNS} from epoch join member using (key) where swarm = ? and ending = 0 and not late order by number, epoch.key", (swarm,)
        )
        return (self._leaf(row) for row in rows.fetchall())

    def is_base(self, model: Model, state: bytes) -> bool:
        """Whether the swarm in which a model was trained begins with this state. Anyone may found a swarm on any state, so no other's counts."""
        swarm = model.training
        if model.kind == Kind.EPOCH:
            row = self._db.execute("select swarm from member where key = ?", (model.training,)).fetchone()
            swarm = row[0] if row else b""
        return self._db.execute("select 1 from swarm where id = ? and base = ?", (swarm, state)).fetchone() is not None

    def operator_of(self, address: bytes) -> bytes | None:
        """The operator (20 bytes) whom an operator's or a session's address belongs to."""
        row = self._db.execute("select operator from agent join member using (key) where address = ?", (address,)).fetchone()
        return None if row is None else row[0]

    def members(self, swarm: bytes) -> list[tuple[bytes, bytes, bytes]]:
        """Key, operator and peer of all members of a swarm."""
        return self._db.execute("select key, operator, peer from member where swarm = ?", (swarm,)).fetchall()

    def clear(self) -> None:
        """Forget everything: the chain went back."""
        for table in ("swarm", "member", "agent", "epoch"):
            self._db.execute(f"delete from {table}")

    def _leaf(self, row: tuple) -> Model:
        key, number, first, last, root = row[:5]
        operator, recipe = self._db.execute(
            "select operator, recipe from member join swarm on swarm.id = member.swarm where key = ?", (key,)
        ).fetchone() or (bytes(20), bytes(32))
        return Model(Kind.EPOCH, last, first, recipe, operator, key, number, root)


def _standing(row: tuple) -> Standing:
    late, ending, tx = row[5:8]
    if late:
        return Standing(State.LOST, WHY[LATE], tx)
    if ending is None:
        return Standing(State.OPEN, "its audit has not been settled yet", tx)
    return Standing(State.TRAINED, "", tx) if ending == Reason.NONE else Standing(State.LOST, WHY[Reason(ending)], tx)
