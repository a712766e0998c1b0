"""The two ways in which text gets onto the screen: fixed lines, and rows with a cursor. Never markup, never wider than the screen.

`>` marks where the keys go, so no colour is needed to see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Static

from judge import plain

LEAST = (80, 24)


def rule(width: int) -> str:
    """A line across the screen."""
    return " " + "-" * (width - 2)


def split(left: str, right: str, width: int) -> str:
    """Two texts at the two ends of a line; the left one gives way."""
    room = width - len(right) - 1
    return plain.pad(left, max(0, room)) + " " + right


class Lines(Static):
    """Lines of plain text, cut at the edge."""

    DEFAULT_CSS = "Lines { height: auto; }"

    def __init__(self, *, id: str | None = None):
        super().__init__("", markup=False, id=id)
        self.lines: list[str] = []
        self.display = False

    def put(self, lines: Sequence[str]) -> None:
        """Show these lines; no lines take no room."""
        if list(lines) != self.lines:
            self.lines = list(lines)
            self.display = bool(lines)
            self.update(Text("\n".join(self.lines), no_wrap=True, overflow="crop"))


@dataclass(frozen=True)
class Row:
    """A line; `key` is what it stands for, None for one that the cursor passes over."""

    text: str
    key: str | None = None


class Rows(Static, can_focus=True):
    """Rows with a cursor, scrolled so that the cursor is in sight."""

    DEFAULT_CSS = "Rows { height: 1fr; }"
    BINDINGS = [
        Binding("j,down", "move(1)", "down", show=False, tooltip="Next line"),
        Binding("k,up", "move(-1)", "up", show=False, tooltip="Line before"),
        Binding("pagedown", "move(10)", "page down", show=False, tooltip="Ten lines on"),
        Binding("pageup", "move(-10)", "page up", show=False, tooltip="Ten lines back"),
        Binding("enter", "open", "open", show=False, tooltip="Open the line with the cursor"),
    ]

    class Opened(Message):
        """Enter on a row."""

        def __init__(self, key: str):
            super().__init__()
            self.key = key

    def __init__(self, *, id: str | None = None):
        super().__init__("", markup=False, id=id)
        self.rows: list[Row] = []
        self.key: str | None = None
        self._top = 0

    def put(self, rows: Sequence[Row], first: str | None = None) -> None:
        """Show these rows; the cursor stays on what it was on, and begins on the row `first`, or on the first one that takes it."""
        self.rows = list(rows)
        keys = [row.key for row in self.rows if row.key is not None]
        if self.key not in keys:
            self.key = first if first in keys else keys[0] if keys else None
            self._top = 0
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw()

    def action_move(self, step: int) -> None:
        keys = [row.key for row in self.rows if row.key is not None]
        if keys:
            self.key = keys[max(0, min(len(keys) - 1, keys.index(self.key) + step))]
            self._draw()

    def action_open(self) -> None:
        if self.key is not None:
            self.post_message(self.Opened(self.key))

    def _draw(self) -> None:
        height = max(1, self.size.height)
        at = next((place for place, row in enumerate(self.rows) if row.key is not None and row.key == self.key), 0)
        first = next((place for place, row in enumerate(self.rows) if row.key is not None), 0)
        self._top = max(at - height + 1, min(self._top, 0 if at == first else at), 0)
        self._top = max(0, min(self._top, len(self.rows) - height))
        shown = self.rows[self._top : self._top + height]
        text = Text(no_wrap=True, overflow="crop")
        for row in shown:
            here = row.key is not None and row.key == self.key
            text.append((_marked(row.text) if here else row.text) + "\n", style="bold" if here else "")
        self.update(text)


def _marked(text: str) -> str:
    return f" >{text[2:]}" if text[1:2] == " " else f">{text[1:]}"


class Picker(Static, can_focus=True):
    """One of a few options on a line: arrows move, `[ ]` is what is picked. `one`: no other is shown."""

    DEFAULT_CSS = "Picker { height: auto; }"
    BINDINGS = [
        Binding("left", "step(-1)", "left", show=False, tooltip="Option before"),
        Binding("right", "step(1)", "right", show=False, tooltip="Next option"),
    ]

    class Picked(Message):
        """Another option was picked."""

        def __init__(self, picker: Picker, value: int):
            super().__init__()
            self.picker, self.value = picker, value

        @property
        def control(self) -> Picker:
            return self.picker

    def __init__(self, label: str, tail: str = "", round: bool = False, one: bool = False, *, id: str | None = None):
        super().__init__("", markup=False, id=id)
        self.label, self.tail, self.round, self.one = label, tail, round, one
        self.options: list[tuple[int, str]] = []
        self.value: int | None = None
        self.closed = False  # nothing can be picked now

    def put(self, options: Sequence[tuple[int, str]], value: int | None, closed: bool = False) -> None:
        """(value, words) of every option, and which one is picked."""
        self.options, self.value, self.closed = list(options), value, closed
        self._draw()

    def pick(self, value: int) -> None:
        """Pick an option, if it is one and any can be picked."""
        if not self.closed and value in [one for one, _ in self.options]:
            self.value = value
            self._draw()
            self.post_message(self.Picked(self, value))

    def action_step(self, step: int) -> None:
        values = [value for value, _ in self.options]
        if not values:
            return
        at = values.index(self.value) + step if self.value in values else 0 if step > 0 else len(values) - 1
        self.pick(values[max(0, min(len(values) - 1, at))])

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def _draw(self) -> None:
        mark = ">" if self.has_focus else " "
        if self.round:
            words = "  ".join(f"[{text}]" if value == self.value else f"({text})" for value, text in self.options)
        else:
            shown = [(value, text) for value, text in self.options if value == self.value] if self.one else self.options
            words = "< " + " ".join(f"[{text}]" if value == self.value else text for value, text in shown) + " >"
        self.update(Text(f"{mark}{self.label}{words}{self.tail}"))
