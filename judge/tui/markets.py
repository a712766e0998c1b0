"""S1, the home screen: all markets, what needs this person first. E1 where nothing does."""

from __future__ import annotations

from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget

from judge import plain
from judge.tui.lines import Lines, Row, Rows, rule
from judge.tui.sheet import Sheet
from judge.views import Case, View

FILTERS = ("all", "mine", "open", "settled")
PHASE, ENDS, YOU = 10, 10, 11  # cells; YOU takes more where an amount is large


class Markets(Sheet):
    """The list."""

    BINDINGS = [
        Binding("v", "ask('vote')", "vote", show=False, tooltip="Vote on the market with the cursor"),
        Binding("d", "ask('dispute')", "dispute", show=False, tooltip="Dispute its verdict"),
        Binding("r", "ask('reveals')", "reveal", show=False, tooltip="The reveal queue, and reveal all that is due"),
        Binding("c", "ask('claim')", "claim all", show=False, tooltip="Claim what all settled markets owe you"),
        Binding("e", "ask('record')", "record", show=False, tooltip="Your record of this epoch"),
        Binding("f", "filter", "filter", show=False, tooltip="Show all, your own, open or settled markets"),
        Binding("o", "browse", "open markets", show=False, tooltip="Browse markets that do not need you"),
        Binding("q", "app.quit", "quit", show=False, tooltip="Quit; the node goes on revealing"),
    ]

    class Asked(Message):
        """A key that leads elsewhere: vote, dispute, open (with a market), reveals, claim, record."""

        def __init__(self, what: str, market: bytes | None):
            super().__init__()
            self.what, self.market = what, market

    def __init__(self) -> None:
        super().__init__()
        self.filter = "all"
        self.browsing = False

    def parts(self) -> list[Widget]:
        return [Lines(id="head"), Rows(id="rows"), Lines(id="foot")]

    def show(self, view: View) -> None:
        you, record, width = view.you, view.record, self.width
        rep = "-" if record.reputation is None else plain.share(record.reputation)
        net = "net: local" if view.peers is None else f"net: {view.peers} peers"
        title = f" swarm judge   you: {you.name}   stake {plain.credits(you.stake)}  rep {rep}   {net}  e{view.epoch}"
        cases = self._chosen(view)
        ids = max([6, *(len(case.name) for case in cases)]) + 1
        question = width - 3 - ids - PHASE - ENDS - max([YOU, *(len(case.you) + 2 * bool(case.need) for case in cases)])
        columns = "   " + "ID".ljust(ids) + "QUESTION".ljust(question) + "PHASE".ljust(PHASE) + "ENDS IN".ljust(ENDS) + "YOU"
        empty = not any(case.mine or case.need for case in view.cases) and not self.browsing and self.filter == "all"
        self.lines("head").put([title, rule(width)] if empty else [title, rule(width), columns])
        rows = self._empty(view) if empty else [self._row(view, case, ids, question) for case in cases]
        self.query_one(Rows).put(rows or [Row(f"   no {self.filter} markets")])
        self.lines("foot").put([rule(width), *self._foot(view)])

    def _chosen(self, view: View) -> list[Case]:
        over = ("SETTLED", "ARCHIVED")
        tests = {
            "all": lambda case: case.state != "ARCHIVED",
            "mine": lambda case: case.mine or case.need,
            "open": lambda case: case.state not in over,
            "settled": lambda case: case.state in over,
        }
        return [case for case in view.cases if tests[self.filter](case)]

    def _row(self, view: View, case: Case, ids: int, question: int) -> Row:
        ends = plain.left(case.deadline - view.at) if case.deadline else "-"
        you = f"{case.you:<9}!" if case.need and len(case.you) < 9 else f"{case.you} !" if case.need else case.you
        text = "   " + case.name.ljust(ids) + plain.pad(plain.clip(case.question, question - 1), question)
        return Row(text + case.phase.ljust(PHASE) + ends.ljust(ENDS) + you, case.id.hex())

    def _foot(self, view: View) -> list[str]:
        filtered = f"  [{self.filter} markets]" if self.filter != "all" else ""
        risk = f"  Unrevealed votes lose 5% of the seat stake.{filtered}"
        return [
            f" {len(view.needed)} need you (!).{risk}",
            " j/k move  Enter open  v vote  r reveal all  c claim all  e epoch record",
            " f filter  R refresh  ? help  q quit",
        ]

    def _empty(self, view: View) -> list[Row]:
        ahead = view.next_draw - view.at
        when = f"Next panel draw in {plain.left(ahead)}" if view.next_draw else "No draw is near"
        auto = f"auto-reveal is {'ON' if self.judge.auto else 'OFF'}"
        units = f"({view.record.drawn_last} of your {view.you.units} units drawn"
        return [
            Row(f" No markets need you.  {when} {units}"),
            Row(" last epoch).  Press o to browse open markets, or leave this running:"),
            Row(f" {auto} and a bell rings when you are drawn."),
        ]

    def on_rows_opened(self, message: Rows.Opened) -> None:
        self.post_message(self.Asked("open", bytes.fromhex(message.key)))

    def action_ask(self, what: str) -> None:
        key = self.query_one(Rows).key
        self.post_message(self.Asked(what, bytes.fromhex(key) if key else None))

    def action_filter(self) -> None:
        self.filter = FILTERS[(FILTERS.index(self.filter) + 1) % len(FILTERS)]
        self.take(self.judge.view)

    def action_browse(self) -> None:
        self.browsing, self.filter = True, "all"
        self.take(self.judge.view)

    def action_back(self) -> None:
        """Home: Esc goes back to the whole list."""
        self.browsing, self.filter = False, "all"
        self.take(self.judge.view)
