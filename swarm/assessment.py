"""What the judge market's log says of every operator's epochs: its pages and the chain's facts, played again here, by nobody's word.

    market = assessment.of(source, book, archive, cache, 15.0)      from this machine's nodes, or from members
    market.of(epoch)                                                 operator -> Tally, whether that can still change, and what is not known

Used by `swarm score` and its sisters. The same pages give the same tallies in every process.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from judge.tally import Tallies, Tally
from swarm import runs
from swarm.errors import NetworkError, Refused, TaskError
from swarm.judging import CREDIT, FOLDER, terms_of

if TYPE_CHECKING:
    from judge.terms import Terms
    from swarm.archive import Archive
    from swarm.chain.book import Book
    from swarm.chain.client import Chain
    from swarm.market.facts import ChainFacts
    from swarm.market.history import Dissent
    from swarm.market.tape import Tape
    from swarm.recipe import Recipe

OTHER_LOG = "the pages here make another log than the one whose root is final on the chain, that"
NO_PAGES = "no page of its judge market could be had"


@dataclass(frozen=True)
class Judged:
    """The judge market's part of one epoch. `unknown`: why its tallies are not known, empty where they are."""

    tallies: dict[bytes, Tally] = field(default_factory=dict)
    final: bool = True
    waits: int = 0  # markets that can still change something, unless the log's root is
    anchored: bool = False  # final on the chain: then nothing can
    unknown: str = ""


@dataclass(frozen=True)
class Source:
    """Where a swarm can be read: its chain, folders of its nodes on this machine and whether they are `on`, members to dial, and its recipe or,
    where it is not here, the digest (hex) by which members serve it."""

    chain: Chain
    swarm: bytes
    peers: tuple[Path, ...]
    boot: tuple[str, ...]
    on: bool
    rules: Recipe | None
    blob: str


class Assessment:
    """All epochs of one swarm's market. `tallies` is None where nothing is known of it, `unknown` then says why, or is empty where there is no
    market. With `until` (milliseconds) pages end there, and later epochs are unknown. `tape` is the one that was played."""

    def __init__(self, tallies: Tallies | None = None, unknown: str = "", until: int | None = None, tape: Tape | None = None):
        self.tallies, self.unknown, self.until, self.tape = tallies, unknown, until, tape

    def of(self, epoch: int) -> Judged:
        """What is known of an epoch."""
        if self.tallies is None:
            return Judged(unknown=self.unknown)
        ended, waits, anchored = self.tallies.ended.get(epoch), self.tallies.running(epoch), self._is_closed(epoch)
        if self.until is not None and not anchored and (ended is None or ended.t > self.until):
            return Judged(final=ended is not None, unknown=self.unknown)
        if self.dissent is not None and not anchored:
            return Judged(final=ended is not None, unknown=f"{OTHER_LOG} of epoch {self.dissent.epoch}")
        return Judged(self.tallies.of(epoch), ended is not None and (anchored or not waits), 0 if anchored else waits, anchored)

    @property
    def dissent(self) -> Dissent | None:
        """A final root on the chain that these pages do not make."""
        return self.tape.history.dissent if self.tape is not None else None

    def _is_closed(self, epoch: int) -> bool:
        history = self.tape.history if self.tape is not None else None
        return history is not None and history.schedule is not None and history.end(epoch) <= history.closed

    @classmethod
    def played(cls, facts: ChainFacts, terms: Terms, scorer: Callable, pages: Iterable[bytes], **known: object) -> Assessment:
        """Play these pages up to where the chain was seen. What is no page, or has no place, counts nothing."""
        from judge import errors
        from swarm.market import page as readers
        from swarm.market.room import lag_of
        from swarm.market.tape import Tape

        tape, found = Tape(terms, facts, scorer), []
        for data in pages:
            with contextlib.suppress(errors.Refused):
                found.append(readers.read(data, facts.domain))
        for page in sorted(found, key=lambda page: isinstance(page, readers.Phase)):  # a phase needs its opening
            with contextlib.suppress(errors.Refused):
                tape.add(page)
        tape.play(facts.seen - lag_of(terms))
        tape.history.look(facts.finals, facts.seen / 1000)
        tallies = Tallies(terms)
        tallies.follow(tape.log)
        return cls(tallies, tape=tape, **known)


def of(source: Source, book: Book, archive: Archive, cache: Path, wait_s: float) -> Assessment:
    """What can be known of a swarm's market from here, within about `wait_s` seconds of asking. Raises ChainError."""
    try:
        rules = source.rules or _fetched(source, book, archive, wait_s)
        if not rules.has_market:
            return Assessment()
        facts, terms = facts_of(book, rules)
        pages, until, unknown = _pages(source, facts, archive, cache, wait_s)
        if unknown and not pages:
            return Assessment(unknown=f"{NO_PAGES}: {unknown}")
        with scorers(rules, facts, source.peers) as scorer:
            for each in (pages, *(on_disk([peer]) for peer in source.peers)):  # what one node took too late another one may not have
                found = Assessment.played(facts, terms, scorer, each, unknown=unknown, until=until)
                if found.dissent is None:
                    break
            return found
    except (NetworkError, Refused, TaskError) as error:
        return Assessment(unknown=str(error))
    except sqlite3.Error as error:
        return Assessment(unknown=f"the pages of a node on this machine cannot be read ({error})")


def _fetched(source: Source, book: Book, archive: Archive, wait_s: float) -> Recipe:
    """The recipe, as members serve it."""
    from swarm import observer, recipe

    wanted = (bytes.fromhex(source.blob), recipe.MAX_BYTES)
    archive.gather([wanted], wait_s)
    if (data := archive.find(*wanted)) is None:
        raise NetworkError(f"the swarm's recipe could not be had: {archive.why}", "")
    return observer.admitted(data, book.swarm)


def _pages(source: Source, facts: ChainFacts, archive: Archive, cache: Path, wait_s: float) -> tuple[dict[bytes, None], int | None, str]:
    """(pages, where they end, why): a node that is on reads on by itself, else members are asked."""
    files = [file for peer in source.peers for file in (peer / FOLDER).glob("market.sqlite*") if not file.name.endswith("-shm")]
    ends = max((file.stat().st_mtime_ns // 1_000_000 for file in files if file.stat().st_size), default=0)
    found = on_disk(source.peers)
    if files and (source.on or not source.boot):  # all who could be asked are on this machine
        return found, None, ""
    why = _asked(source, facts, archive, cache, wait_s, found)
    return found, ends if why else None, why


def _asked(source: Source, facts: ChainFacts, archive: Archive, cache: Path, wait_s: float, found: dict[bytes, None]) -> str:
    """Add what members have to `found`. Why that is not all; empty where it is."""
    from swarm.market.feeds import Feeds

    if not source.boot or not wait_s:
        return archive.why
    cache.mkdir(parents=True, exist_ok=True)
    if (lock := runs.claim(cache / f"{source.swarm.hex()[:16]}.lock")) is None:
        return "another command of this machine is reading the market's pages just now"
    try:
        archive.say("asking members for the pages of the judge market")
        with contextlib.closing(Feeds(cache / source.swarm.hex()[:16], facts)) as feeds:
            whole = feeds.read(archive.visit(wait_s), wait_s)
            found.update(dict.fromkeys(feeds.pages()))
        return "" if whole else f"no member handed over all pages of the market within {wait_s:g} s (--wait)"
    finally:
        os.close(lock)


def facts_of(book: Book, rules: Recipe) -> tuple[ChainFacts, Terms]:
    """What the chain says, read to its end, and the terms of the market."""
    from swarm.enrolment import schedule_of
    from swarm.market.facts import ChainFacts

    schedule = schedule_of(book.terms)
    facts = ChainFacts(book.swarm, schedule, rules.judge.credits * CREDIT)
    while not facts.seen:  # a look reads so many events at most
        facts.look()
    return facts, terms_of(rules, schedule, facts.domain)


@contextlib.contextmanager
def scorers(rules: Recipe, facts: ChainFacts, peers: tuple[Path, ...]) -> Iterator[Callable]:
    """The task's own scorer, which resolves markets and checks panels. Raises Refused, TaskError where its code may not or cannot run here.

    It may run what the first of the nodes `peers` may.
    """
    from swarm import settings
    from swarm.judging import scorer_of
    from swarm.tasks.mix import Mix
    from swarm.voting import Unmanned, code_of

    code = code_of(peers[0]) if peers and (peers[0] / settings.FILE).exists() else {}
    with Mix(rules, trusted=code.get("trusted", False), allow_code=code.get("allow_code"), folder=code.get("recipe_folder")) as mix:
        yield scorer_of(rules, Unmanned(rules, mix), facts)


def on_disk(peers: Iterable[Path]) -> dict[bytes, None]:
    """The pages that the nodes in these folders have, each once; nothing of theirs is changed, and they may be running."""
    from swarm.market.store import FILE

    found: dict[bytes, None] = {}
    for peer in peers:
        path = peer / FOLDER / FILE
        if path.exists():
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10.0)) as db:
                found.update(dict.fromkeys(data for (data,) in db.execute("select data from pages order by number")))
    return found
