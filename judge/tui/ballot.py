"""S3: the ballot. It is the summary that Enter signs: choice, certainty, what is at risk and where the vote is stored stand on it."""

from __future__ import annotations

from dataclasses import replace

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from judge import plain
from judge.ballots import NOTE, PERCENT, Draft, Place
from judge.events import ABSTAIN
from judge.terms import WAD
from judge.tui.lines import Lines, Picker, rule, split
from judge.tui.notices import wrong_phase
from judge.tui.sheet import Sheet
from judge.views import Case, View

SURE = (40, 50, 60, 70, 80, 90, 95)  # per cent
AGREE = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


def to_read(case: Case) -> tuple[set[str], set[str]]:
    """What must be opened before a vote: answers, and accepted evidence."""
    answers = {f"o{one.outcome}" for one in case.options[:-1]}
    return answers, {f"e{one.id.hex()}" for one in case.exhibits if one.status == "accepted"}


class Ballot(Sheet):
    """One judge's vote on one market."""

    BINDINGS = [
        *(Binding(str(digit), f"choose({digit})", str(digit), show=False, tooltip=f"Choose {digit or 'to abstain'}") for digit in range(10)),
        Binding("tab", "app.focus_next", "next", show=False, tooltip="Next field"),
        Binding("enter", "sign", "sign", show=False, tooltip="Sign this vote and commit to it"),
    ]

    class Changed(Message):
        """The draft is another one."""

        def __init__(self, place: Place, draft: Draft):
            super().__init__()
            self.place, self.draft = place, draft

    class Signed(Message):
        """Enter: sign and commit to this."""

        def __init__(self, place: Place, draft: Draft):
            super().__init__()
            self.place, self.draft = place, draft

    def __init__(self, place: Place):
        super().__init__()
        self.place = place

    def parts(self) -> list[Widget]:
        return [
            Lines(id="head"),
            Picker("Your choice:   ", round=True, id="choice"),
            Picker("How sure are you?      ", tail="  %", id="sure"),
            Picker("What share of the panel will agree with you?   ", tail=" %   (optional)", one=True, id="agree"),
            Horizontal(Static(Text(" Note (stays on this machine): "), id="label"), Input(max_length=NOTE, compact=True, id="note"), id="line"),
            Lines(id="foot"),
        ]

    def on_mount(self) -> None:
        self.query_one("#note", Input).value = self._draft.note
        super().on_mount()
        self.query_one("#choice").focus()

    @property
    def _draft(self) -> Draft:
        return self.judge.drafts.get(self.place, Draft())

    def show(self, view: View) -> None:
        case = view.find(self.place.market)
        if case is None or not case.voting or (case.level, case.roll) != (self.place.level, self.place.roll):
            self.judge.notice(wrong_phase(view, case) if case else "That market is gone.")
            if self.is_current:
                self.app.pop_screen()
            return
        draft, width, (answers, evidence) = self._draft, self.width, to_read(case)
        read = f" Read {len(answers & draft.read)} of {len(answers)} answers, {len(evidence & draft.read)} of {len(evidence)} evidence."
        gate = "(voting opens after all are read)"
        title = split(f" VOTE on {case.name}", f"{plain.left(case.deadline - view.at)} left", width)
        self.lines("head").put([title, rule(width), f"{read:<44} {gate}"])
        closed = bool((answers | evidence) - draft.read)
        choices = [(one.outcome, f"{one.number} INVALID" if one.outcome == case.n else str(one.number)) for one in case.options]
        self.query_one("#choice", Picker).put([*choices, (ABSTAIN, "0 abstain")], draft.choice, closed)
        self.query_one("#sure", Picker).put([(one * PERCENT, str(one)) for one in SURE], draft.sure, closed)
        self.query_one("#agree", Picker).put([(one * PERCENT, str(one) if one else "-") for one in AGREE], draft.agree or 0, closed)
        self.lines("foot").put(self._foot(case, draft, closed))

    def _foot(self, case: Case, draft: Draft, closed: bool) -> list[str]:
        width, file = self.width, self.place.file
        stored = f"votes/{file[:8]}..{file[65:]} (0600). BACK UP: no salt, no vote"
        chosen = "nothing is chosen yet" if draft.choice is None else f"{case.number(draft.choice)} {case.called(draft.choice)}"
        fee = f"Fee {plain.credits(case.seat_fee, sign=True)}/seat." if case.seat_fee >= WAD // 100 else ""
        seats = f"{case.seats} seat{'s' if case.seats != 1 else ''}"
        again = "  It replaces your vote." if case.commitment else ""
        return [
            rule(width),
            plain.clip(f" You sign: {chosen}{again}", width),
            plain.clip(f" At risk: {seats} x {plain.credits(case.unit)} stake.  Wrong -10%, not revealed -5%.  {fee}", width),
            f" Stored: {stored}",
            " Open all answers and evidence first (Esc back)" if closed else " Enter sign and commit   Tab next field   Esc cancel",
        ]

    @on(Picker.Picked)
    def _picked(self, message: Picker.Picked) -> None:
        self._change(**{message.picker.id: message.value})

    @on(Input.Changed, "#note")
    def _noted(self, message: Input.Changed) -> None:
        if message.value != self._draft.note:
            self._change(note=message.value)

    @on(Input.Submitted, "#note")
    def _note_done(self) -> None:
        self.query_one("#choice").focus()

    def _change(self, **changed: object) -> None:
        self.post_message(self.Changed(self.place, replace(self._draft, **changed)))

    def action_choose(self, number: int) -> None:
        case = self.judge.view.find(self.place.market)
        choice = case.outcome(number)
        if choice is not None:
            self.query_one("#choice", Picker).pick(choice)

    def action_sign(self) -> None:
        draft = self._draft
        if self.query_one("#choice", Picker).closed:
            self.judge.notice("Voting opens after all answers and evidence were opened: Esc, then Enter on each of them.")
        elif draft.choice is None:
            self.judge.notice("Choose first: a number, or the arrow keys.")
        elif draft.sure is None and draft.choice != ABSTAIN:
            self.judge.notice("Say how sure you are: Tab, then the arrow keys.")
        else:
            self.post_message(self.Signed(self.place, draft))
