"""Cells, their means over seeds with Student's 95 % interval, and the lines that are printed."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from benchmarks.judges.odds import Majority
from benchmarks.judges.people import ATTACKS
from benchmarks.judges.play import Result, Setting
from benchmarks.judges.published import APART, ATTACKER_PAY, HONEST_PAY

BEHIND = ("right", "stands", "void", "last", "first", "late", "panels", "purse")


@dataclass
class Cell:
    """The runs of one setting, and what the specification says of it."""

    rule: str
    setting: Setting
    results: list[Result]
    published: float | None = None

    @property
    def title(self) -> str:
        return ATTACKS[self.setting.attack].title

    def mean(self, what: str) -> float:
        return statistics.fmean(getattr(result, what) for result in self.results)

    def half(self, what: str) -> float:
        """Half the width of the 95 % interval of the mean (Student's t, by the first term of its expansion around the normal's 1.96)."""
        if (n := len(self.results)) < 2:
            return math.inf
        t = 1.96 + (1.96**3 + 1.96) / (4 * (n - 1))
        return t * statistics.stdev(getattr(result, what) for result in self.results) / math.sqrt(n)

    def side(self, side: str, what: str) -> float:
        """The mean of a number of the honest or of the attackers."""
        return statistics.fmean(getattr(getattr(result, side), what) for result in self.results)

    @property
    def apart(self) -> bool:
        return self.published is not None and abs(self.mean("right") - self.published) > APART


def grid(rows: dict[str, list[Cell]]) -> str:
    """Accuracy by rows and shares: mean +- half, the specification's value, a star where they are apart."""
    shares = [cell.setting.share for cell in max(rows.values(), key=len)]
    lines = [f"{'':<24}" + "".join(f"{f's = {share:g}':<20}" for share in shares)]
    for title, cells in rows.items():
        lines.append(f"{title:<24}" + "".join(f"{_accuracy(cell):<20}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def _accuracy(cell: Cell) -> str:
    published = "" if cell.published is None else f" {cell.published:.3f}{'*' if cell.apart else ''}"
    return _ours(cell) + published


def _ours(cell: Cell) -> str:
    half = cell.half("right")
    return f"{cell.mean('right'):.3f}" + (f"±{half:.3f}" if half < math.inf else "")


def behind(rows: dict[str, list[Cell]]) -> str:
    """What lies behind each of these cells."""
    lines = [f"{'':<24}{'s':<7}{'spec':>7}" + "".join(f"{what:>8}" for what in BEHIND)]
    for title, cell in ((title, cell) for title, cells in rows.items() for cell in cells):
        published = "" if cell.published is None else f"{cell.published:.3f}"
        numbers = "".join(f"{cell.mean(what):>8.3f}" for what in BEHIND[:-1]) + f"{cell.mean('purse'):>8.1f}"
        lines.append(f"{title:<24}{cell.setting.share:<7g}{published:>7}{numbers}")
    return "\n".join(lines)


def pay(cells: list[Cell]) -> str:
    """What a seat brings, per side: coherence and credits; and what gold says of the two sides at the end."""
    pairs = ("coherence", "pay", "gold_votes", "weight")
    lines = [f"{'':<24}{'s':<7}" + "".join(f"{what.replace('_', ' '):<18}" for what in pairs) + "honest / attackers"]
    for cell in cells:
        numbers = [f"{cell.side('honest', what):+.2f} / {_theirs(cell, what)}" for what in pairs]
        lines.append(f"{cell.title:<24}{cell.setting.share:<7g}" + "".join(f"{number:<18}" for number in numbers).rstrip())
    said = [cell for cell in cells if cell.setting.attack in ("constant", "always", "target")]  # the attacks of the specification's range
    honest = [cell.side("honest", "coherence") for cell in said]
    attackers = [cell.side("attackers", "coherence") for cell in said if cell.setting.share]
    spec = f"honest {HONEST_PAY[0]:+.2f}..{HONEST_PAY[1]:+.2f}, attackers {ATTACKER_PAY[0]:+.2f}..{ATTACKER_PAY[1]:+.2f}"
    found = f"honest {min(honest):+.2f}..{max(honest):+.2f}, attackers {min(attackers):+.2f}..{max(attackers):+.2f}"
    lines.append(f"coherence, lazy random and gold-aware aside: {found}; spec: {spec}")
    return "\n".join(lines)


def _theirs(cell: Cell, what: str) -> str:
    return f"{cell.side('attackers', what):+.2f}" if cell.setting.share else "-"


def odds(found: list[Majority], published: dict[int, tuple[float, ...]], shares: tuple[float, ...]) -> str:
    """P(the coalition has a majority of the seats)."""
    lines = [f"{'seats':<7}{'s':<7}{'spec':>9}{'exact':>10}{'no cap':>10}{'drawn':>9}   {'99 % Wilson':<20}exact inside   spec inside"]
    for one in found:
        spec = published[one.seats][shares.index(one.share)]
        low, high = one.interval
        numbers = f"{spec:>9.2g}{one.exact:>10.3g}{one.uncapped:>10.3g}{one.seen / one.draws:>9.4f}"
        agrees = "yes" if low <= spec <= high else "no"
        mark = "*" if abs(spec / one.exact - 1) > 0.1 else ""
        interval = f"{low:.4f}..{high:.4f}"
        lines.append(f"{one.seats:<7}{one.share:<7g}{numbers}   {interval:<20}{'yes' if one.inside else 'NO':<15}{agrees}{mark}")
    return "\n".join(lines)
