"""The compute market's jobs: those of the local market on this machine, or of the chain that the page was started with."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm import chainhost, runs
from swarm.chain import link
from swarm.chain.anvil import STATE
from swarm.chain.client import Chain
from swarm.chain.link import ChainLink
from swarm.chain.values import JobPhase
from swarm.jobs import book, place
from swarm.jobs.book import Book
from swarm.jobs.watch import Names
from swarm.runs import Run
from swarm.ui import job as lines
from swarm.ui.web.newest import Look, Newest
from swarm.ui.web.scene import Missing, Scene

TITLE, TEMPLATE = "Jobs", "jobs.html"
DETAILS = 60  # newest jobs that have a page of their own

Value = dict[str, Any]


@dataclass(frozen=True)
class Listing(Look):
    """Jobs as `swarm job list --all --json` has them, the newest first, and as `swarm job show` prints them, by id; `now` is the chain's time."""

    rows: tuple[Value, ...] = ()
    told: dict[str, tuple[str, ...]] = field(default_factory=dict)
    now: int = 0


class Listings:
    """The newest listing. `found`: the market's chain; None is the local one of this machine, or else that of the run which is looked at."""

    def __init__(self, found: ChainLink | None = None):
        self.found = found
        self.newest: Newest[ChainLink | Path, Listing] = Newest(self.take, Listing, "jobs")

    def of(self, run: Run | None) -> Listing | None:
        """None while the first one is being taken. Where no chain is known, there are no jobs."""
        if self.found is not None:
            return self.newest.of(self.found, self.found.url, 0, True)
        folder = place.folder()
        if (folder / link.FILE).exists():
            return self._of(folder, _is_hosted(folder))
        if run is not None and (run.folder / chainhost.FOLDER / link.FILE).exists():
            return self._of(run.folder / chainhost.FOLDER, run.on)
        return Listing()

    def _of(self, folder: Path, on: bool) -> Listing | None:
        state = folder / STATE
        changed = state.stat().st_mtime_ns if state.exists() and not on else 0
        return self.newest.of(folder, folder, (on, changed), on)

    def close(self) -> None:
        self.newest.close()

    def take(self, place: ChainLink | Path) -> Listing:
        """A new one. Raises ChainError, StateError."""
        with contextlib.nullcontext(Chain(place)) if isinstance(place, ChainLink) else chainhost.looking(place) as chain:
            return listing(chain)


def listing(chain: Chain) -> Listing:
    """All jobs of a chain now."""
    chain.check()
    known = Book(chain)
    jobs, names, now = known.jobs()[: book.SHOWN], Names(known), chain.head().time
    told = {job.id.hex(): tuple(lines.shown(job, names, now)) for job in jobs[:DETAILS]}
    return Listing(rows=tuple(map(book.row, jobs)), told=told, now=now)


def show(scene: Scene, rest: str) -> dict[str, Any]:
    """The list."""
    if scene.listing is None:
        return {"part": None}
    part = scene.part(scene.listing.rows)
    return {"part": part, "rows": [_row(job, scene.listing) for job in part.rows]}


def one(scene: Scene, rest: str) -> dict[str, Any]:
    """A job by its id (64 hex digits)."""
    told = scene.listing.told.get(rest) if scene.listing is not None else None
    row = next((job for job in scene.listing.rows if job["job"] == rest), None) if scene.listing is not None else None
    if told is None or row is None:
        raise Missing("there is no job with this id here", "the list of jobs has the newest ones, and `swarm job show` all of them")
    return {**_row(row, scene.listing), "lines": [line for line in told[1:] if line != row["about"]], "about": row["about"]}


def _row(job: Value, listing: Listing) -> dict[str, Any]:
    over = job["phase"] in (JobPhase.OVER.name.lower(), JobPhase.SETTLED.name.lower())
    return {**job, "told": job["job"] in listing.told, "left": "" if over else lines.left(job["deadline"] - listing.now)}


def _is_hosted(folder: Path) -> bool:
    """Whether a command keeps the local market's chain on."""
    if (lock := runs.claim(folder / place.LOCK)) is None:
        return True
    os.close(lock)
    return False
