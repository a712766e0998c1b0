"""What the screens say when something is wrong: E2 offline, E3 wrong phase, E4 locked key, E5 conflict, E7 too small; and help."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from judge import plain
from judge.tui.lines import LEAST
from judge.views import Case, View

TRIES = 3


def offline(view: View, waiting: Sequence[Case]) -> list[str]:
    """E2. `waiting`: markets with a signed vote that the ledger does not show."""
    quiet = (view.at - view.stale_since) // plain.SECOND
    first = f" ! No peers for {quiet} s.  Showing data from {plain.of_day(view.taken)} (stale).  Votes are queued and"
    urgent = min(waiting, key=lambda case: case.deadline, default=None)
    must = f"; the commit for {urgent.name} must be out before {plain.of_day(urgent.deadline)}" if urgent else ""
    return [first, f"   signed locally{must}.  [retry R]"]


def wrong_phase(view: View, case: Case) -> str:
    """E3: a ballot whose market has moved on."""
    ago = max(0, view.at - case.since) // plain.SECOND
    if case.commitment:
        cost = "your earlier vote stands"
    elif case.seats or case.missed:
        cost = "your seats lose 5%"
    else:
        cost = "no penalty"
    return f"{case.name} moved to {case.phase} {ago} s ago.  Your draft was not committed; {cost}."


def no_vote(view: View, case: Case) -> str:
    """Why a vote on this market cannot be opened: E5, no seat, or the phase."""
    if case.conflict and case.state not in ("SETTLED", "ARCHIVED"):
        return f"You cannot judge {case.name}: {plain.short(view.you.address)} {case.conflict}."
    if case.state != "COMMIT" or not case.drawn:
        return f"{case.name} is in {case.phase}: votes are taken in VOTE only."
    if not case.seats:
        return f"You have no seat in {case.name}: you were not drawn."
    return f"Your vote in {case.name} was revealed in an earlier roll, and stands."


class Hidden(Input):
    """An input whose characters show as `*`: Textual's own dot is no ASCII."""

    @property
    def _value(self) -> Text:
        return Text("*" * len(self.value), no_wrap=True, overflow="ignore", end="")


class Passphrase(ModalScreen[bool]):
    """E4. Dismissed with whether the key is open; after three wrong tries the program ends with exit code 6."""

    BINDINGS = [Binding("escape", "leave", "not now", show=False, tooltip="Look only: nothing can be signed")]

    class Tried(Message):
        """A passphrase was typed."""

        def __init__(self, passphrase: str):
            super().__init__()
            self.passphrase = passphrase

    def __init__(self, key_file: str):
        super().__init__()
        self.key_file = key_file
        self.left = TRIES

    def compose(self) -> ComposeResult:
        yield Static(Text(f" ! Key file {self.key_file} is locked."), id="why")
        with Horizontal(id="line"):
            yield Static(Text("   Passphrase: "), id="label")
            yield Hidden(password=True, compact=True, id="passphrase")
        yield Static(Text(f"   ({TRIES} tries, then quit; Esc to look only)"), id="tries")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        self.post_message(self.Tried(message.value))

    def wrong(self) -> bool:
        """Count a wrong passphrase. False after the last one."""
        self.left -= 1
        self.query_one(Input).value = ""
        self.query_one("#tries", Static).update(Text(f"   Wrong.  {self.left} {'try' if self.left == 1 else 'tries'} left, then quit"))
        return self.left > 0

    def action_leave(self) -> None:
        self.dismiss(False)


class TooSmall(ModalScreen[None]):
    """E7. It goes when the window is large enough again."""

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="small")

    def on_mount(self) -> None:
        self.say()

    def on_resize(self) -> None:
        self.say()

    def say(self) -> None:
        """With the present size."""
        width, height = self.app.size
        text = f" judge needs {LEAST[0]}x{LEAST[1]} (now {width}x{height}).  Make the window larger or use --plain."
        self.query_one("#small", Static).update(Text(text))


class Help(ModalScreen[None]):
    """The keys of a screen, from its bindings."""

    BINDINGS = [Binding("escape,question_mark,q,enter", "dismiss", "back", show=False, tooltip="Back")]

    def __init__(self, keys: Sequence[tuple[str, str]]):
        super().__init__()
        self.keys = keys

    def compose(self) -> ComposeResult:
        rows = "\n".join(f"  {plain.pad(key, 14)} {said}" for key, said in self.keys)
        with VerticalScroll():
            yield Static(Text(f"KEYS\n\n{rows}\n\nEsc back"))
