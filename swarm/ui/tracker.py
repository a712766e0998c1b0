"""`--report-to trackio|tensorboard|wandb`: the supervisor reads the peers' metrics.jsonl and passes every number on.

It happens here and not in the node, so that a tracker's network calls and failures cannot touch learning.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from swarm import metrics
from swarm.errors import InputError, ResourceError
from swarm.runs import Run
from swarm.supervisor import Screen, View

MODULES = {"trackio": "trackio", "wandb": "wandb", "tensorboard": "torch.utils.tensorboard"}


def check(kind: str) -> None:
    """Raises InputError for a tracker that nobody knows; the empty string is none."""
    if kind and kind not in MODULES:
        raise InputError(f"--report-to {kind!r} is not known", f"give one of: {', '.join(MODULES)}")


class Tracker:
    """Follows the metrics of a run. Raises InputError for an unknown kind, ResourceError where its package is missing."""

    def __init__(self, kind: str, run: Run):
        check(kind)
        self._kind, self._run = kind, run
        self._read: dict[Path, int] = {}
        self._sinks: dict[int, Any] = {}
        self._library: Any = None
        if kind:
            try:
                self._library = importlib.import_module(MODULES[kind])
            except ImportError:
                raise ResourceError(f"--report-to {kind}: the package is not installed", f".venv/bin/pip install {kind}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for sink in self._sinks.values():
            sink.close() if self._kind == "tensorboard" else sink.finish()

    def watching(self, screen: Screen) -> Screen:
        """A screen that also passes new metrics on; the same screen where nothing is tracked."""
        return screen if self._library is None else _Watching(screen, self)

    def follow(self, views: list[View]) -> None:
        """Pass on every row that was added since the last call."""
        for view in views:
            for row in self._new(view.folder / metrics.FILE):
                numbers = dict(_numbers(row))
                self._log(view, numbers, int(numbers.pop("round", 0)))

    def _log(self, view: View, numbers: dict[str, float], step: int) -> None:
        name = f"{self._run.folder.name}-{view.index}"
        sink = self._sinks.get(view.index)
        if self._kind == "tensorboard":
            sink = sink or self._library.SummaryWriter(str(self._run.folder / "tensorboard" / name))
            for key, value in numbers.items():
                sink.add_scalar(key, value, step)
        else:
            sink = sink or self._library.init(project="openswarm", group=self._run.folder.name, name=name)
            sink.log(numbers, step=step)
        self._sinks[view.index] = sink

    def _new(self, path: Path) -> Iterator[dict[str, Any]]:
        """Whole rows that were not passed on yet; from the start again where the file was cut at a restart."""
        if not path.exists():
            return
        if path.stat().st_size < self._read.get(path, 0):
            self._read[path] = 0
        with open(path, "rb") as file:
            file.seek(self._read.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read[path] = self._read.get(path, 0) + len(line)
                yield json.loads(line)


class _Watching:
    """A screen with a tracker behind it."""

    def __init__(self, screen: Screen, tracker: Tracker):
        self._screen, self._tracker = screen, tracker

    def say(self, text: str) -> None:
        self._screen.say(text)

    def show(self, views: list[View]) -> None:
        self._tracker.follow(views)
        self._screen.show(views)


def _numbers(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a row under its path, such as `answer/reward`."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{key}", float(value)
