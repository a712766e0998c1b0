"""S5: confirm a dispute. It takes a choice, a reason, and the market's id typed out, since it puts up credits."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from judge import plain
from judge.tui.lines import Lines, Picker, rule
from judge.tui.sheet import Sheet
from judge.verbs import REASON
from judge.views import Case, View


class Dispute(Sheet):
    """A dispute of one market's verdict."""

    BINDINGS = [Binding("tab", "app.focus_next", "next", show=False, tooltip="Next field")]

    class Confirmed(Message):
        """The id was typed: put up the bond."""

        def __init__(self, case: Case, claimed: int, reason: str):
            super().__init__()
            self.case, self.claimed, self.reason = case, claimed, reason

    def __init__(self, market: bytes):
        super().__init__()
        self.market = market
        self.level: int | None = None

    def parts(self) -> list[Widget]:
        return [
            Lines(id="head"),
            Picker("You claim:  ", round=True, id="claimed"),
            Lines(id="terms"),
            Horizontal(Static(Text(" Reason (public, 280 chars): "), id="label"), Input(max_length=REASON, compact=True, id="reason"), id="line"),
            Lines(id="rule"),
            Horizontal(Static(Text(" Type the market id to confirm: "), id="label2"), Input(max_length=70, compact=True, id="typed"), id="line2"),
            Lines(id="foot"),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#claimed").focus()

    def show(self, view: View) -> None:
        case, width = view.find(self.market), self.width
        self.level = case.level if self.level is None and case else self.level
        if case is None or case.state != "CHALLENGE" or case.ruling is None or case.level != self.level:
            self.judge.notice(f"{case.name if case else 'That market'} is no longer in CHALLENGE.  Nothing was sent, no bond was posted.")
            if self.is_current:
                self.app.pop_screen()
            return
        said = case.ruling
        verdict = f"{plain.clip(case.called(said.choice), 16 + width - 80)} ({plain.share(said.behind)} of {plain.share(said.spoken)} weight)"
        by = "panel" if said.by == "panel" else "code"
        title = f" DISPUTE {case.name}: {by} said {verdict}.  Challenge ends in {plain.left(case.deadline - view.at)}"
        self.lines("head").put([plain.clip(title, width), rule(width)])
        picker, claims = self.query_one("#claimed", Picker), [one for one in case.options if one.outcome != said.choice]
        picker.put(
            [(one.outcome, "INVALID" if one.outcome == case.n else f"{one.number} {plain.clip(one.label, 12)}") for one in claims], picker.value
        )
        self.lines("terms").put(
            [
                f" Bond: {plain.credits(case.bond)} (you have {plain.credits(view.you.free)} free)",
                f" If the next panel ({case.next_seats} seats) agrees: bond back + 60% of slashed seat stake.",
                " If it does not: you lose the bond.",
            ]
        )
        self.lines("rule").put([rule(width)])
        self.lines("foot").put([f" The id is {case.name}   Tab next field   Esc cancel"])

    @on(Input.Submitted, "#reason")
    def _reason_done(self) -> None:
        self.query_one("#typed").focus()

    @on(Input.Submitted, "#typed")
    def _typed(self, message: Input.Submitted) -> None:
        view = self.judge.view
        case, claimed = view.find(self.market), self.query_one("#claimed", Picker).value
        reason = self.query_one("#reason", Input).value.strip()
        if message.value.strip().lower() != case.name:
            self.judge.notice(f"That is not {case.name}: nothing was sent.")
        elif claimed is None:
            self.judge.notice("Say what you claim instead: the arrow keys on the first field.")
        elif not reason:
            self.judge.notice("A dispute has a reason that everybody can read.")
        elif view.you.free < case.bond:
            self.judge.notice(f"The bond is {plain.credits(case.bond)}, and {plain.credits(view.you.free)} are free.")
        else:
            self.post_message(self.Confirmed(case, claimed, plain.line(reason)[:REASON]))
