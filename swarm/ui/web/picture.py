"""What chain, public records and market pages say of a run's swarm at one moment: taken now and then in a thread, while somebody looks.

    pictures = Pictures()
    pictures.of(run)        the newest Picture, or None while the first one is being taken

Nothing is believed that `swarm leaderboard` and `swarm explain` would not believe, and nobody is asked over the network: what is not on this
machine is said to be missing. A picture never changes; a run that is off has one for good.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from swarm import assessment, chainhost, explanation, runs, score, sources
from swarm.archive import Archive
from swarm.chain.book import Book
from swarm.errors import ChainRefused, InputError, SwarmError
from swarm.keys import checksum
from swarm.names import name_of
from swarm.runs import Run
from swarm.ui.web.hall import Hall

if TYPE_CHECKING:
    from swarm.score import Score

EPOCHS = 64  # newest ones that are explained
OFTEN_S = 15.0  # between two pictures of a run that is on
SHARE = 10.0  # and so many times as long as it took
AGAIN_S = 30.0  # after one that could not be taken
FIRST_S = 5.0  # a page waits so long for the first one

Value = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """An operator with the names of its peers."""

    operator: str
    title: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """`board` as `swarm leaderboard --json`, `told` the explanations by operator, newest epoch first; `trouble` says why it is old, or empty."""

    taken: float = 0.0
    seconds: float = 0.0
    epoch: int | None = None
    members: tuple[Member, ...] = ()
    board: tuple[Value, ...] = ()
    told: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hall: Hall | None = None
    trouble: str = ""
    hint: str = ""

    def member(self, text: str) -> Member | None:
        """The operator with this address, or with a peer of this name."""
        wanted = text.lower()
        return next((one for one in self.members if wanted == one.operator.lower() or wanted in one.names), None)


class Pictures:
    """The newest picture of one run at a time. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="picture")
        self._key: tuple[str, bool] | None = None
        self._newest: Picture | None = None
        self._taking: Future[Picture] | None = None
        self._settled: dict[tuple[str, int], Value] = {}

    def of(self, run: Run) -> Picture | None:
        """The newest picture; waits `FIRST_S` for the first one."""
        key = (str(run.folder), run.on)
        with self._lock:
            self._collect()
            if key != self._key:
                same = self._key is not None and self._key[0] == key[0]
                self._key, self._newest, self._taking = key, self._newest if same else None, None
                self._settled = self._settled if same else {}
                self._taking = self._worker.submit(self._take, run)
            elif self._taking is None and self._is_old(run.on):
                self._taking = self._worker.submit(self._take, run)
            taking, newest = self._taking, self._newest
        if newest is None and taking is not None:
            wait([taking], FIRST_S)
            with self._lock:
                self._collect()
                newest = self._newest
        return newest

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _is_old(self, on: bool) -> bool:
        if self._newest is None:
            return True
        age = time.time() - self._newest.taken
        if self._newest.trouble:
            return age > AGAIN_S
        return on and age > max(OFTEN_S, SHARE * self._newest.seconds)

    def _collect(self) -> None:
        """Take over a picture that is ready; one that could not be taken leaves the last one, with the reason."""
        if self._taking is None or not self._taking.done():
            return
        new, old, self._taking = self._taking.result(), self._newest, None
        kept = new.trouble and old is not None and old.members
        self._newest = replace(old, taken=new.taken, trouble=new.trouble, hint=new.hint) if kept else new

    def _take(self, run: Run) -> Picture:
        began = time.time()
        try:
            return replace(self._taken(run), taken=time.time(), seconds=time.time() - began)
        except SwarmError as error:
            return Picture(taken=time.time(), trouble=str(error), hint=error.hint)

    def _taken(self, run: Run) -> Picture:
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
            key = (checksum(each.operator), each.epoch)
            value = self._settled.get(key) or explanation.of(book, each)
            if each.final and each.at_most == each.score:
                self._settled[key] = value
            told.setdefault(key[0], []).append(value)
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
