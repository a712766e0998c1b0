"""Reward and held-out accuracy of this machine's peers over rounds, beside what the best constant answer reaches."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from swarm import metrics, result
from swarm.names import plain
from swarm.result import Heldout
from swarm.supervisor import View
from swarm.ui.report import accuracies
from swarm.ui.web.chart import Chart, Line, chart
from swarm.ui.web.scene import Scene

TITLE, TEMPLATE = "Curves", "curves.html"
BYTES = 32 * 2**20  # of a metrics file, its newest
LINES, TASKS = 8, 24
BASELINE = "best constant answer"


def show(scene: Scene, rest: str) -> dict[str, Any]:
    """All peers of this machine in one chart each."""
    drawn, more = charts(scene.views)
    return {"charts": drawn, "more": more}


def charts(views: list[View]) -> tuple[list[Chart], int]:
    """A chart of rewards and one for each task, and how many peers there is no room for."""
    shown = [(name(view), rows_of(view.folder / metrics.FILE), heldout(view), view.beat.round) for view in views[:LINES]]
    rewards = [Line(who, tuple((row["round"], row["reward"]) for row in rows if row.get("reward") is not None)) for who, rows, _, _ in shown]
    drawn = [chart("Reward of own answers", "Mean reward of the answers that a peer sampled in a round.", rewards)]
    tasks: dict[str, list[Line]] = {}
    for who, rows, found, rounds in shown:
        for task, points in accuracies(found, rounds, rows).items():
            tasks.setdefault(task, []).append(Line(who, tuple(points)))
    for task, lines in list(tasks.items())[:TASKS]:
        level = next((found.constant[task] for _, _, found, _ in shown if task in found.constant), None)
        title, about = f"Held-out accuracy: {plain(task, 40)}", "Greedy answers to questions that are never trained on."
        drawn.append(chart(title, about, [*lines, *([Line(BASELINE, level=level)] if level is not None else [])]))
    return [one for one in drawn if one is not None], max(0, len(views) - LINES)


def name(view: View) -> str:
    """Of a peer."""
    return plain(view.beat.name, 40) or f"peer-{view.index}"


def heldout(view: View) -> Heldout:
    """A peer's own report; where it has none yet, what its heartbeat says."""
    reported = result.read(view.folder)
    if reported is not None:
        return reported.heldout
    return Heldout(before=view.beat.accuracy_before, constant=view.beat.accuracy_constant)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The newest rows of a metrics file; read again where it has changed."""
    if not path.exists():
        return []
    about = path.stat()
    return _read(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(32)
def _read(path: Path, size: int, changed: int) -> list[dict[str, Any]]:
    with open(path, "rb") as file:
        file.seek(max(0, size - BYTES))
        lines = file.read(BYTES).splitlines()
    return [row for line in (lines if size <= BYTES else lines[1:]) if (row := _row(line)) is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    """As much of a row as is drawn; None for what is none, such as the half line of a killed process."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("round"), int):
        return None
    accuracy = row.get("accuracy")
    return {"round": row["round"], "reward": row.get("reward"), "accuracy": accuracy if isinstance(accuracy, dict) else {}}
