"""What chain, public records and market pages say of a run's swarm at one moment.

    pictures = Pictures()
    pictures.of(run)        the newest Picture, or None while the first one is being taken

Nothing is believed that `swarm leaderboard` and `swarm explain` would not believe, and nobody is asked over the network: what is not on this
machine is said to be missing. A picture never changes; a run that is off has one for good.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm import assessment, chainhost, explanation, runs, score, sources
from swarm.archive import Archive
from swarm.chain.book import Book
from swarm.errors import ChainRefused, InputError
from swarm.keys import checksum
from swarm.names import name_of
from swarm.runs import Run
from swarm.ui.web.hall import Hall
from swarm.ui.web.newest import Look, Newest

if TYPE_CHECKING:
    from swarm.score import Score

EPOCHS = 64  # newest ones that are explained

Value = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """An operator with the names of its peers."""

    operator: str
    title: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Picture(Look):
    """`board` as `swarm leaderboard --json`, `told` the explanations by operator, newest epoch first."""

    epoch: int | None = None
    members: tuple[Member, ...] = ()
    board: tuple[Value, ...] = ()
    told: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hall: Hall | None = None

    def member(self, text: str) -> Member | None:
        """The operator with this address, or with a peer of this name."""
        wanted = text.lower()
        return next((one for one in self.members if wanted == one.operator.lower() or wanted in one.names), None)


class Pictures:
    """The newest picture of one run at a time. Safe to use from any thread."""

    def __init__(self) -> None:
        self.newest: Newest[Run, Picture] = Newest(self.take, Picture, "picture")
        self._settled: dict[tuple[bytes, str, int], Value] = {}

    def of(self, run: Run) -> Picture | None:
        """The newest picture; None while the first one is being taken. A run that was started or ended since is looked at again at once."""
        on = run.on
        return self.newest.of(run, run.folder, (on, (run.folder / runs.FILE).stat().st_mtime_ns), on)

    def close(self) -> None:
        self.newest.close()

    def take(self, run: Run) -> Picture:
        """A new one. Raises InputError, ChainError, StateError."""
        with sources.of_run(run, chainhost.looking) as source:
            source.chain.check()
            book = _book(source)
            cache = runs.home() / "cache"
            blobs = [peer / "network" / "blobs" for peer in source.peers]
            with contextlib.closing(Archive(source.swarm, blobs, cache / "records", cache / f"visit-{os.getpid()}", list(source.boot))) as archive:
                market = assessment.of(source, book, archive, cache / "pages", 0.0)
                found = {epoch: score.of_epoch(book, epoch, archive.find, market) for epoch in book.epochs}
                flat = [each for rows in found.values() for each in rows]
                notes = (*explanation.missing(flat, archive.why), *explanation.unjudged(flat))
            members = _members(book)
            names = {bytes.fromhex(one.operator[2:]): one.title for one in members}
            hall = Hall.of(market.tape, names) if market.tape is not None else None
            told = self._told(book, [each for epoch in sorted(found, reverse=True)[:EPOCHS] for each in found[epoch]])
            epoch = book.swarm.epoch_at(book.now)
            return Picture(epoch=epoch, members=members, board=tuple(explanation.board(book, flat)), told=told, notes=notes, hall=hall)

    def _told(self, book: Book, found: list[Score]) -> dict[str, tuple[Value, ...]]:
        """Explanations by operator. What can change no more is asked of the chain once."""
        told: dict[str, list[Value]] = {}
        for each in found:
            key = (book.swarm.id, checksum(each.operator), each.epoch)
            value = self._settled.get(key) or explanation.of(book, each)
            if each.final and each.at_most == each.score:
                self._settled[key] = value
            told.setdefault(key[1], []).append(value)
        return {operator: tuple(values) for operator, values in told.items()}


def _book(source: assessment.Source) -> Book:
    try:
        return Book(source.chain, source.swarm)
    except ChainRefused as error:
        if error.name != "SwarmUnknown":
            raise
        what = f"swarm {source.swarm.hex()[:8]} is not on its chain yet"
        raise InputError(what, "its first peer creates it once it knows its machine; try again in a minute") from None


def _members(book: Book) -> tuple[Member, ...]:
    return tuple(
        Member(checksum(operator), explanation.title(book, operator), tuple(name_of(operator, one.peer) for one in members))
        for operator, members in book.operators.items()
    )
