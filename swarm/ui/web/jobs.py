"""The compute market's jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    """The jobs that this run's chain has, the newest first."""
    return []


def show(scene: Scene, rest: str) -> dict[str, Any]:
    return {"part": scene.part(rows(scene.run))}
