"""What all screens share: a banner on top, the view passed down once a second, Esc back, `?` for the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from judge.tui.lines import LEAST, Lines
from judge.views import View

if TYPE_CHECKING:
    from judge.tui.app import JudgeApp


class Sheet(Screen):
    """A screen of the market. `show(view)` is called whenever there is another view, and when the size changes."""

    BINDINGS = [
        Binding("escape", "back", "back", show=False, tooltip="Back to the screen before"),
        Binding("question_mark", "help", "help", show=False, tooltip="The keys of this screen"),
        Binding("R", "refresh", "refresh", show=False, tooltip="Look again now; try the network again"),
    ]

    class Refresh(Message):
        """The person wants to see what is new."""

    @property
    def judge(self) -> JudgeApp:
        return cast("JudgeApp", self.app)

    @property
    def width(self) -> int:
        return max(LEAST[0], self.app.size.width)

    def compose(self) -> ComposeResult:
        yield Lines(id="banner")
        yield from self.parts()

    def parts(self) -> list[Widget]:
        """The widgets below the banner."""
        return []

    def on_mount(self) -> None:
        self.take(self.judge.view)

    def on_resize(self) -> None:
        self.take(self.judge.view)

    def on_screen_resume(self) -> None:
        self.take(self.judge.view)

    def take(self, view: View | None) -> None:
        """Show a view, once this screen is there."""
        if view is not None and self.is_mounted:
            self.query_one("#banner", Lines).put(self.judge.banner())
            self.show(view)

    def show(self, view: View) -> None:
        """Put a view into the widgets."""

    def lines(self, id: str) -> Lines:
        return self.query_one(f"#{id}", Lines)

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_help(self) -> None:
        self.judge.ask_help(self)

    def action_refresh(self) -> None:
        self.post_message(self.Refresh())
