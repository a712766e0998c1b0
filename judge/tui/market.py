"""S2: one market with its answers and evidence. Enter or a letter opens a text in the pager; only what was opened can be voted on."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget

from judge import plain
from judge.terms import WAD
from judge.tui.lines import Lines, Row, Rows, rule, split
from judge.tui.sheet import Sheet
from judge.views import Case, Option, View

LETTERS = "abcefghilmnopstuwxyz"  # of evidence; d, j, k, q, r and v are keys
BAR = 10  # characters


class Market(Sheet):
    """The detail of a market."""

    BINDINGS = [
        Binding("v", "ask('vote')", "vote", show=False, tooltip="Vote, once all answers and evidence were opened"),
        Binding("d", "ask('dispute')", "dispute", show=False, tooltip="Dispute the verdict"),
        Binding("r", "ask('reveals')", "reveal", show=False, tooltip="The reveal queue"),
        Binding("q", "back", "back", show=False, tooltip="Back to the markets"),
    ]

    class Asked(Message):
        """vote, dispute or reveals, from this market."""

        def __init__(self, what: str, market: bytes):
            super().__init__()
            self.what, self.market = what, market

    class Read(Message):
        """A text is to be opened: `question`, `o` and an outcome, or `e` and a piece's id."""

        def __init__(self, market: bytes, key: str):
            super().__init__()
            self.market, self.key = market, key

    def __init__(self, market: bytes):
        super().__init__()
        self.market = market
        self._letters: dict[str, str] = {}

    def parts(self) -> list[Widget]:
        return [Lines(id="head"), Rows(id="rows"), Lines(id="foot")]

    def show(self, view: View) -> None:
        case, width = view.find(self.market), self.width
        if case is None:
            return
        ends = f"  ends in {plain.left(case.deadline - view.at)}" if case.deadline else ""
        quorum = f"   quorum {case.quorum}" if case.state in ("COMMIT", "REVEAL") else ""
        seats = f"{'small ' if case.small else ''}panel level {case.level}, {case.size} seats, yours {case.seats}{quorum}"
        panel = f"   {seats}" if case.size else "   no panel yet"
        self.lines("head").put([plain.clip(f" {case.name}  phase {case.phase}{ends}{panel}", width)])
        self.query_one(Rows).put(self._rows(case), first=f"o{case.options[0].outcome}")
        more = "d dispute  " if case.state == "CHALLENGE" else "* unread  " if case.need == "vote" else ""
        keys = f" Enter read answer  a-z read evidence  v vote  {more}Esc back  ? help"
        self.lines("foot").put([rule(width), keys])

    def _rows(self, case: Case) -> list[Row]:
        width, read = self.width, self.judge.draft_of(case).read
        sha = f"sha {case.digest.hex()[:4]}..{case.digest.hex()[-2:]}"
        title = "      OUTCOME (order shuffled for you)   PRICE  CHANGE  VOLUME  BAR"
        rows = [Row(split(f" Q: {case.question}", sha, width), "question"), Row(rule(width)), Row(title)]
        rows += [self._option(case, one, read) for one in case.options]
        if case.ruling is not None:
            rows.append(Row(f" VERDICT of level {case.ruling.level}, by {case.ruling.by}: {plain.clip(case.called(case.ruling.choice), 40)}"))
        if case.void_reason:
            rows.append(Row(f" VOID: {plain.clip(case.void_reason, width - 8)}"))
        return [*rows, Row(rule(width)), *self._exhibits(case, read)]

    def _option(self, case: Case, one: Option, read: frozenset[str]) -> Row:
        if one.outcome == case.n:
            return Row(f"  {one.number:<4}{one.label}")
        key = f"o{one.outcome}"
        peers = f"by {one.authors} peer{'s' if one.authors != 1 else ''}" if one.authors else ""
        new = "" if key in read or not case.need else "*"
        label = plain.pad(plain.clip(f'"{one.label}"{new}', 17 + self.width - 80), 18 + self.width - 80)
        text = f"  {one.number:<4}{label}{peers:<17}"
        return Row(text + self._price(case, one), key)

    def _price(self, case: Case, one: Option) -> str:
        if one.price is None:
            until = "you commit" if case.seats else "the verdict"
            return f"hidden until {until}" if one.number == 1 else "hidden"
        change = f"{'+' if one.change >= 0 else ''}{plain.share(one.change)}"
        bar = "#" * (one.price * BAR // WAD)
        return f"{plain.share(one.price):<7}{change:<8}{plain.credits(one.volume):<8}{bar}"

    def _exhibits(self, case: Case, read: frozenset[str]) -> list[Row]:
        counts = [(word, sum(one.status == word for one in case.exhibits)) for word in ("accepted", "pending", "rejected")]
        told = ", ".join(f"{many} {word}" for word, many in counts if many or word == "accepted")
        rows = [Row(plain.pad(f" EVIDENCE {told}", 48) + f"b {plain.share(case.b0, 1)} -> {plain.share(case.b, 1)}")]
        self._letters = {}
        for place, one in enumerate(case.exhibits):
            letter, key = LETTERS[place] if place < len(LETTERS) else "-", f"e{one.id.hex()}"
            self._letters[letter] = key
            new = "" if key in read or not case.need or one.status != "accepted" else "*"
            quality = f"quality {plain.share(one.quality)}" if one.status == "accepted" else one.status
            text = f'  [{letter}] by {plain.pad(one.author, 14)} {quality:<13} "{one.first}"'
            rows.append(Row(plain.clip(text, self.width - 2) + new, key))
        return rows

    def on_rows_opened(self, message: Rows.Opened) -> None:
        self.post_message(self.Read(self.market, message.key))

    def on_key(self, event: events.Key) -> None:
        if event.character in self._letters:
            event.stop()
            self.post_message(self.Read(self.market, self._letters[event.character]))

    def action_ask(self, what: str) -> None:
        self.post_message(self.Asked(what, self.market))
