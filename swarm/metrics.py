"""One line of JSON per round in a peer's `metrics.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swarm.disk import replace

FILE = "metrics.jsonl"


class Metrics:
    """Appends rows. At the start a half line left by a kill is cut off, and rows after round `last` go: those rounds are done again."""

    def __init__(self, folder: Path, last: int):
        self.path = folder / FILE
        self.forget_after(last)

    def forget_after(self, last: int) -> None:
        """Rows of rounds after `last` go."""
        kept = [row for row in read(self.path) if row["round"] <= last]
        replace(self.path, "".join(map(_line, kept)).encode())

    def write(self, row: dict[str, Any]) -> None:
        """Append one row."""
        with open(self.path, "a") as file:
            file.write(_line(row))


def read(path: Path) -> list[dict[str, Any]]:
    """All whole rows of a metrics file; none where there is no file."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # the half line of a killed process
            continue
    return rows


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n"
