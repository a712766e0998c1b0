"""A foreign text in full: plain, at most 4,000 characters at once."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from judge import plain
from judge.tui.lines import Lines, rule


class Pager(ModalScreen[None]):
    """One text, page by page."""

    BINDINGS = [
        Binding("escape,q,enter", "dismiss", "back", show=False, tooltip="Back"),
        Binding("n,right", "turn(1)", "next page", show=False, tooltip="Next page"),
        Binding("p,left", "turn(-1)", "page before", show=False, tooltip="Page before"),
        Binding("j,down", "roll(1)", "down", show=False, tooltip="A line down"),
        Binding("k,up", "roll(-1)", "up", show=False, tooltip="A line up"),
        Binding("space,pagedown", "leaf(1)", "more", show=False, tooltip="A screen on"),
        Binding("b,pageup", "leaf(-1)", "less", show=False, tooltip="A screen back"),
    ]

    def __init__(self, title: str, text: str):
        super().__init__()
        self.title_line, self.pages, self.page = title, plain.pages(text), 0

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        with VerticalScroll(id="scroll", can_focus=False):
            yield Static("", markup=False, id="text")
        yield Lines(id="foot")

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def action_turn(self, step: int) -> None:
        self.page = max(0, min(len(self.pages) - 1, self.page + step))
        self.query_one("#scroll").scroll_home(animate=False)
        self._draw()

    def action_roll(self, step: int) -> None:
        self.query_one("#scroll").scroll_relative(y=step, animate=False)

    def action_leaf(self, step: int) -> None:
        scroll = self.query_one("#scroll")
        scroll.scroll_relative(y=step * max(1, scroll.size.height - 1), animate=False)

    def _draw(self) -> None:
        width = self.app.size.width
        self.query_one("#head", Lines).put([f" {plain.clip(self.title_line, width - 2)}", rule(width)])
        self.query_one("#text", Static).update(Text(self.pages[self.page]))
        many = f"page {self.page + 1} of {len(self.pages)}, n next, p before   " if len(self.pages) > 1 else ""
        self.query_one("#foot", Lines).put([rule(width), f" {many}Space more  j/k line  Esc back"])
