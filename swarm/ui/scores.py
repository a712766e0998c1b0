"""Scores as text: tables of 80 columns in a terminal, whole values in plain columns elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from swarm.explanation import decimals
from swarm.score import points

Value = dict[str, Any]
HASH = 10  # characters of a transaction shown where there is little room


def score_table(rows: list[Value], console: Console) -> None:
    """One line for each operator and epoch, and below them why some earned nothing."""
    whole = not console.is_terminal
    lines = [[r["name"], r["epoch"], score_of(r), *parts_of(r), f"{r['units']:,}", _hashes(r, whole)] for r in rows]
    _table(console, ["operator", "epoch", "score", "W", "J", "F", "E", "U", "units", "transaction"], "lrrrrrrrrl", lines)
    for each in rows:
        for why in each["why"]:
            _line(console, f"epoch {each['epoch']}, {each['name']}: {why}")


def leaderboard(rows: list[Value], console: Console) -> None:
    """One line for each operator, the largest total first."""
    lines = [[place, r["name"], r["operator"], f"{r['score']:.3f}", r["epochs"], f"{r['units']:,}"] for place, r in enumerate(rows, 1)]
    if console.is_terminal:
        lines = [[place, name, _short(who), *rest] for place, name, who, *rest in lines]
    _table(console, ["", "operator", "address", "score", "epochs", "units"], "rllrrr", lines)


def explanation(value: Value, console: Console) -> None:
    """Everything behind one operator's score."""
    console.print()
    console.print(Text(f"{value['name']}  {value['operator']}", style="bold"), soft_wrap=True)
    _pairs(console, pairs_of(value))


def pairs_of(value: Value) -> list[tuple[str, str]]:
    """The same as labels and sentences; one without a label goes on under the last one."""
    pairs = [("score", value["formula"]), ("work", f"{value['units']:,} units (MFLOP) verified, {value['most_units']:,} count in an epoch")]
    pairs += [("uptime", _heard(value["heard"])), *(("", _unread(each)) for each in value["unread"])]
    pairs += [("" if place else "judge", text) for place, text in enumerate(value["judge"]["sentences"])]
    for made in value["commitments"]:
        pairs += _commitment(made)
    if not value["commitments"]:
        pairs.append(("why", "it committed nothing in this epoch, so there is no transaction"))
    return pairs


def _commitment(made: Value) -> list[tuple[str, str]]:
    drawn = ", ".join(map(str, made["drawn_steps"])) or "not drawn yet"
    steps = f"T = {made['steps']} steps, q = {made['drawn']}" + (f" drawn (step {drawn})" if made["drawn"] else ": never drawn")
    pairs = [("peer", f"{made['name']}: {made['units_verified']:,} of {made['units_claimed']:,} claimed units verified"), ("audit", steps)]
    pairs += [("", made["odds"]["sentence"])] if made["drawn"] else []
    pairs += [("", _audit(vote)) for vote in made["audits"]]
    pairs += [("", "a small panel: fewer operators than seats, a weaker promise")] if made["small_panel"] else []
    pairs += [("committed", made["committed"]), ("settled", made["settled"] or "no transaction yet")]
    return pairs + ([("why", made["why"])] if made["why"] else [])


def _audit(vote: Value) -> str:
    where = f", jury {vote['level']}" if vote["level"] else f", draw {vote['roll'] + 1}" if vote["roll"] else ""
    step = f" (step {vote['step']})" if vote["verdict"] in ("fault", "unavailable") else ""
    return f"{vote['auditor']}{where}: {vote['verdict']}{step}"


def _heard(heard: Value) -> str:
    if not heard["needed"]:
        return "nobody else committed in this epoch, so nobody can say that it was heard"
    names = f": {', '.join(heard['by'])}" if heard["by"] else ""
    return f"heard by {len(heard['by'])} of {heard['others']} others who committed, {heard['needed']} needed{names}"


def _unread(each: Value) -> str:
    return f"{each['name']} counts as not having heard it: its blob {each['digest'][:16]}… is {each['why']}"


def score_of(row: Value) -> str:
    """Points; `≥` where something is not known here."""
    if row["score"] is None:
        return "open"
    return ("≥" if None in row["parts"].values() else "") + points(round(row["score"] * 1000))


def parts_of(row: Value) -> list[str]:
    """W, J, F, E and U."""
    found = {name: None if text is None else Fraction(text) for name, text in row["parts"].items()}
    shown = {name: "?" if part is None else decimals(part, 2) if part else "0" for name, part in found.items()}
    return [decimals(found["W"], 3), *(shown[name] for name in "JFEU")]


def _hashes(row: Value, whole: bool) -> str:
    return " ".join(each if whole else _short(each) for each in row["transactions"]) or ("none yet" if row["score"] is None else "none")


def _short(text: str) -> str:
    return f"{text[:HASH]}…"


def _table(console: Console, heads: list[str], sides: str, lines: list[list[Any]]) -> None:
    """`sides` has l or r for each column."""
    cells = [[str(cell) for cell in line] for line in lines]
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head, side in zip(heads, sides, strict=True):
            table.add_column(head, justify="right" if side == "r" else "left", no_wrap=side == "r", overflow="fold")
        for line in cells:
            table.add_row(*map(Text, line))
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in [heads, *cells]:
        shown = [cell.rjust(width) if side == "r" else cell.ljust(width) for cell, width, side in zip(line, widths, sides, strict=True)]
        _line(console, "  ".join(shown).rstrip())


def _pairs(console: Console, pairs: list[tuple[str, str]]) -> None:
    if not console.is_terminal:
        for label, text in pairs:
            _line(console, f"  {label:<10}{text}")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in pairs:
        table.add_row(Text(f"  {label}"), Text(text))
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=not console.is_terminal)
