"""S4: the reveal queue: what is committed, when it opens, and where the salt is missing."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from judge import plain
from judge.court import place_of
from judge.tui.lines import Lines, Row, Rows, rule, split
from judge.tui.sheet import Sheet
from judge.views import Case, View


def queued(view: View) -> list[Case]:
    """Markets whose commitment is to be opened, now or later."""
    return [case for case in view.cases if case.commitment and case.choice is None and case.state in ("COMMIT", "REVEAL")]


class Reveals(Sheet):
    """The queue."""

    BINDINGS = [
        Binding("r", "all", "reveal all", show=False, tooltip="Reveal all that is open"),
        Binding("i", "salt", "import salt", show=False, tooltip="Import a salt file from the machine where you voted"),
        Binding("A", "auto", "auto", show=False, tooltip="Switch auto-reveal of this program on or off"),
        Binding("q", "back", "back", show=False, tooltip="Back"),
    ]

    class Asked(Message):
        """Reveal one market, or all with None."""

        def __init__(self, market: bytes | None):
            super().__init__()
            self.market = market

    class Imported(Message):
        """A salt file for a market."""

        def __init__(self, market: bytes, file: Path):
            super().__init__()
            self.market, self.file = market, file

    class Switched(Message):
        """Auto-reveal on or off."""

    def parts(self) -> list[Widget]:
        return [Lines(id="head"), Rows(id="rows"), Lines(id="foot")]

    def show(self, view: View) -> None:
        width = self.width
        auto = f"auto-reveal: {'ON' if self.judge.auto else 'OFF'} (this process)"
        self.lines("head").put([plain.pad(" REVEAL", 46) + auto, rule(width)])
        rows = [self._row(view, case) for case in queued(view)]
        self.query_one(Rows).put(rows or [Row("   nothing is committed and unrevealed")])
        keys = " Enter reveal one  r reveal all open  i import salt file  A auto  Esc back"
        self.lines("foot").put([*(f" {line}" for line in self.judge.problems), rule(width), keys])

    def _row(self, view: View, case: Case) -> Row:
        ballot = self.judge.kept.get(case.id)
        place = place_of(self.judge.court, case)
        vote = next((one for one in (ballot.votes if ballot else ()) if one.commitment(place) == case.commitment), None)
        begin = f"   {case.name} L{case.level}  "
        if vote is None:
            return Row(f"{begin}commitment seen on ledger, SALT FILE MISSING    i import salt", case.id.hex())
        label = plain.clip(case.called(vote.choice), 10 + self.width - 80)
        text = plain.pad(f'{begin}committed {case.number(vote.choice)} "{label}"', 40 + self.width - 80)
        ends = plain.left(case.deadline - view.at)
        if case.state == "REVEAL":
            return Row(split(f"{text} opens now", f"ends {ends}  [reveal]", self.width), case.id.hex())
        return Row(split(f"{text} opens in {ends}", "waiting ", self.width), case.id.hex())

    def on_rows_opened(self, message: Rows.Opened) -> None:
        self.post_message(self.Asked(bytes.fromhex(message.key)))

    def action_all(self) -> None:
        self.post_message(self.Asked(None))

    def action_auto(self) -> None:
        self.post_message(self.Switched())

    def action_salt(self) -> None:
        key = self.query_one(Rows).key
        if key is None:
            self.judge.notice("There is no commitment to import a salt for.")
            return
        market = bytes.fromhex(key)
        self.app.push_screen(SaltFile(self.judge.view.find(market).name), lambda file: file and self.post_message(self.Imported(market, file)))


class SaltFile(ModalScreen[Path | None]):
    """Asks for the path of a salt file."""

    BINDINGS = [Binding("escape", "dismiss(None)", "back", show=False, tooltip="Back")]

    def __init__(self, market: str):
        super().__init__()
        self.market = market

    def compose(self) -> ComposeResult:
        yield Static(Text(f" Salt file of your vote on {self.market}: the copy of votes/... from where you voted"))
        with Horizontal(id="line"):
            yield Static(Text(" Path: "), id="label")
            yield Input(compact=True, id="path")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        self.dismiss(Path(message.value.strip()).expanduser() if message.value.strip() else None)
