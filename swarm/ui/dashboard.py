"""What people see while a run goes on: a live dashboard in a terminal, single plain lines elsewhere.

Both are fed the supervisor's views four times a second. Every text that may come from another peer passes
`names.plain` and is put into a `rich.text.Text`, where markup has no meaning.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from swarm.names import plain
from swarm.supervisor import View
from swarm.ui.lines import eta, headline, one_line, warning

NOTES = 4  # last sentences of the supervisor below the peers
LINES_OF_A_PEER = 5
PROGRESS_S = 5.0  # between two signs of life while everything loads
FRAME = 4  # lines around the peers: title, rule, footer
IMPORTS = "loading PyTorch and hivemind (10-20 s)"
LOSS = "loss is near 0 by construction: a group's advantages add up to 0; watch reward and accuracy"


def screen(title: str, plain_lines: bool = False) -> Dashboard | PlainLines:
    """The dashboard where stdout is a terminal that can redraw, else plain lines."""
    capable = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Dashboard(title) if capable and not plain_lines else PlainLines(title)


class PlainLines:
    """One line per peer and round, per change of state, and per new warning; nothing is redrawn."""

    def __init__(self, title: str):
        self._title = title
        self._shown: dict[int, tuple[str, int]] = {}
        self._warned: dict[int, float] = {}
        self._noted: dict[int, float] = {}
        self._begun = self._said = time.monotonic()

    def __enter__(self) -> Self:
        self.say(self._title)
        self.say(IMPORTS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def say(self, text: str) -> None:
        """Print one sentence."""
        print(plain(text, 500), flush=True)

    def show(self, views: list[View]) -> None:
        """Print what is new."""
        for view in views:
            self._show_peer(view)
        now = time.monotonic()
        if any(view.beat.state != "starting" for view in views):
            self._begun = self._said = now  # whatever loads later (a peer started again, the comparison run) is timed from here
        elif now - self._said > PROGRESS_S:
            self._said = now
            self.say(f"still loading, {now - self._begun:.0f} s")

    def _show_peer(self, view: View) -> None:
        state = (view.beat.state, view.beat.round)
        if state != self._shown.get(view.index) and view.beat.state != "starting":
            self._shown[view.index] = state
            self.say(one_line(view))
        for note in view.beat.notes:
            if note.at > self._noted.get(view.index, 0.0):
                self._noted[view.index] = note.at
                self.say(f"[{view.index}] {plain(view.beat.name, 24)}: {plain(note.text, 300)}")
        latest = self._warned.get(view.index, 0.0)
        for warned in view.beat.warnings:
            if warned.at > latest:
                self._warned[view.index] = warned.at
                self.say(f"[{view.index}] {warning(warned)}")


class Dashboard:
    """Redrawn in place; says what happened in lines above itself that stay."""

    def __init__(self, title: str, console: Console | None = None):
        self._title = title
        self._console = console or Console(highlight=False)
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._begun = time.monotonic()
        self._views: list[View] = []
        self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Keep a sentence among the notes."""
        self._notes.append(f"{time.strftime('%H:%M:%S')} {plain(text, 500)}")

    def show(self, views: list[View]) -> None:
        """Draw these from now on."""
        self._views = views

    def render(self) -> Group:
        """The whole picture, cut to the terminal's height: whole peers first, the rest as single lines or a count."""
        width, height = self._console.size
        passed = time.monotonic() - self._begun
        title = Text(f" {plain(self._title, 200)}  {eta(passed)} ", style="bold", no_wrap=True, overflow="ellipsis")
        room = height - FRAME - len(self._notes)
        body = _peers(self._views, width, room) if self._views else [Text(f"{IMPORTS} {passed:.0f} s", style="dim")]
        if self._views and all(view.beat.state == "starting" for view in self._views):
            body.append(Text(f"{IMPORTS} {passed:.0f} s", style="dim"))
        footer = [Text(LOSS, style="dim", no_wrap=True, overflow="ellipsis")] if any(_tiny_loss(view) for view in self._views) else []
        notes = [Text(note, style="yellow", no_wrap=True, overflow="ellipsis") for note in self._notes]
        return Group(title, Rule(style="dim"), *body, *notes, *footer, Text("Ctrl-C stops; the same command resumes", style="dim"))


def _tiny_loss(view: View) -> bool:
    return view.beat.loss is not None and abs(view.beat.loss) < 0.005


def _peers(views: list[View], width: int, room: int) -> list[Text]:
    """Peers in full while there is room, then one line each, then a count."""
    if len(views) * LINES_OF_A_PEER <= room:
        return [line for view in views for line in headline(view, width)]
    if len(views) <= room:
        return [Text(one_line(view), no_wrap=True, overflow="ellipsis") for view in views]
    shown = [Text(one_line(view), no_wrap=True, overflow="ellipsis") for view in views[: max(0, room - 1)]]
    return [*shown, Text(f"and {len(views) - len(shown)} more peers", style="dim")]
