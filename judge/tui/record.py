"""S6: what this operator did and earned in the epoch, and the export of all its votes as CSV."""

from __future__ import annotations

import csv
import io

from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget

from judge import plain
from judge.record import Record
from judge.tui.lines import Lines, Row, Rows, rule
from judge.tui.sheet import Sheet
from judge.verbs import record_lines
from judge.views import View

COLUMNS = ("epoch", "market", "level", "seats", "choice", "label", "sure_percent", "agree_percent", "final", "result")


def table(record: Record) -> str:
    """All votes as CSV. What a spreadsheet would take for a formula gets a quote in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for past in record.votes:
        label = plain.line(past.label)
        safe = f"'{label}" if label[:1] in ("=", "+", "-", "@") else label
        chosen = "" if past.choice is None else past.choice
        said = (chosen, safe, past.sure // 100, past.agree // 100, "" if past.final < 0 else past.final, past.result)
        writer.writerow((past.epoch, past.market.hex(), past.level, past.seats, *said))
    return out.getvalue()


class Epoch(Sheet):
    """The record of an epoch."""

    BINDINGS = [
        Binding("x", "export", "export", show=False, tooltip="Write all your votes to a CSV file"),
        Binding("q", "back", "back", show=False, tooltip="Back"),
    ]

    class Export(Message):
        """Write the CSV file."""

    def parts(self) -> list[Widget]:
        return [Lines(id="head"), Rows(id="rows"), Lines(id="foot")]

    def show(self, view: View) -> None:
        width, (first, seats, money, participation, calibration) = self.width, record_lines(view.record)
        self.lines("head").put([f" MY RECORD (epoch {view.epoch})", f" {first}", rule(width)])
        body = [Row(f" {line}") for line in (seats, money, participation)]
        self.query_one(Rows).put([*body, Row(rule(width)), Row(f" {calibration}")])
        self.lines("foot").put([rule(width), " x export csv   Esc back"])

    def action_export(self) -> None:
        self.post_message(self.Export())
