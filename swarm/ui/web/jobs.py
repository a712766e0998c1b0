"""The compute market's jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarm.chain import link
from swarm.chain.client import Chain
from swarm.chainhost import FOLDER, LOOK_S
from swarm.errors import ChainError
from swarm.jobs.book import SHOWN, Book, Job, row
from swarm.jobs.place import folder as place_of_market
from swarm.jobs.watch import Names
from swarm.runs import Run
from swarm.ui.web.scene import Scene

TITLE, TEMPLATE = "Jobs", "jobs.html"


@dataclass(frozen=True)
class Row:
    """A job in a line. Texts may be foreign; `price` and `deadline` (unix seconds) are as the chain has them."""

    id: str
    what: str
    state: str
    submitter: str
    solver: str
    price: str
    deadline: float | None
    progress: str = ""


def rows(run: Run) -> list[Row]:
    """The jobs that this run's chain has, the newest first; those of this machine's own market where the run has no chain. None where it is off."""
    place = next((folder for folder in (run.folder / FOLDER, place_of_market()) if (folder / link.FILE).exists()), None)
    if place is None:
        return []
    book = Book(Chain(link.load(place), timeout_s=LOOK_S))
    names = Names(book)
    try:
        return [_row(job, names) for job in book.jobs()[:SHOWN]]
    except ChainError:
        return []


def _row(job: Job, names: Names) -> Row:
    said = row(job)
    solvers = ", ".join(names.name(part.key) for part in job.parts if part.key != bytes(32))
    what = f"{said['name']}: {said['about']}" if said["about"] else said["name"]
    progress = f"{said['accepted_steps']} of {said['steps']} steps"
    return Row(job.short, what, said["phase"], said["submitter"], solvers, said["price"], float(said["deadline"]), progress)


def show(scene: Scene, rest: str) -> dict[str, Any]:
    return {"part": scene.part(rows(scene.run))}
