"""Honest, lazy and colluding judges before this judge market: `python -m benchmarks.judges` (some 20 CPU-minutes; --only, --quick).

The model is that of judge-spec.md 2.3; the state, its events and every rule are `judge.ledger`'s. 72 judges, 400 tasks a run, 40 of them gold,
opened after their epoch of ten; 7, 15 and 31 seats. Attackers own the stake share s in three times as many identities per stake. Tables:

built     R4: stake, gold 10 %, appeals (watchers dispute 90 % of wrong and 5 % of right verdicts; a coalition disputes all against it)
panel     R2: the same without a watcher or an appeal
watchers  R4 with fewer watchers, with none, and with the odds that nodes' watchers were measured at (--challenged)
pay       what a seat brings honest judges and attackers, in R4: +1 a coherent seat and -1 another, and in credits
sybils    R4 at s = .3 for 1, 3 and 9 identities per stake
causes    R4 once more with one rule changed at a time
odds      how often a coalition has a majority of the seats: by draws of `judge.panel.seats_of`, and exactly

Accuracy is the share of tasks whose FINAL is the truth; VOID is wrong. Gold tasks are left out, and against a coalition on target only
its targets count. Means over --seeds with Student's 95 % interval, then the specification's number, with a star beyond .03. Columns behind
a cell: `stands` accuracy if a disputed verdict stood where the last panel has no majority, `void` share that ended VOID, `last` and `first` share
whose heaviest choice of the last or first panel was right, `late` second half of the run, `panels` and `purse` (coalition's credits lost to
bonds) a market. Simplifications: markets run one at a time, stakes are brought back up every epoch, the peer bonus stays in its pool.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

from benchmarks.judges import tables
from benchmarks.judges.odds import PANELS, SHARES, majority
from benchmarks.judges.people import ATTACKS
from benchmarks.judges.play import Result, Setting, play
from benchmarks.judges.published import MAJORITY, REASONS, accuracy
from benchmarks.judges.published import SHARES as STAKES
from benchmarks.judges.tables import Cell
from judge import panel

SECTIONS = ("built", "panel", "watchers", "pay", "sybils", "causes", "odds")
MEASURED = Path(__file__).with_name("watchers.json")  # {"wrong": odds, "right": odds}, as the nodes' watchers print them
QUICK = {"seeds": 1, "tasks": 60, "draws": 100}


class Bench:
    """What was chosen, and the runs made for it. A setting is run once, whichever tables show it."""

    def __init__(self, chosen: argparse.Namespace):
        self.chosen = chosen
        self.play = functools.cache(self._played)
        self.shares = (0.0, 0.3, 0.45) if chosen.quick else STAKES

    def cell(self, rule: str, attack: str, share: float, **changes: object) -> Cell:
        """All seeds of a setting. Without attackers, all attacks are the same run."""
        setting = Setting(attack, share, tasks=self.chosen.tasks, signed=self.chosen.signed, **changes)
        run = dataclasses.replace(setting, attack="always", split=3) if not share else setting
        return Cell(rule, setting, [self.play(run, seed) for seed in range(self.chosen.seeds)], accuracy(rule, attack, share))

    def row(self, rule: str, attack: str, shares: tuple[float, ...], **changes: object) -> list[Cell]:
        return [self.cell(rule, attack, share, **changes) for share in shares]

    def _played(self, setting: Setting, seed: int) -> Result:
        found = play(setting, seed)
        if self.chosen.json:
            print(json.dumps({"setting": dataclasses.asdict(setting), "seed": seed, **dataclasses.asdict(found)}), flush=True)
        return found

    # ---- the tables

    def built(self) -> Iterator[str]:
        rows = {attack.title: self.row("built", name, self.shares) for name, attack in ATTACKS.items()}
        yield from self._explained("R4: stake, gold 10 %, appeals", rows, REASONS["built"])

    def panel(self) -> Iterator[str]:
        rows = {attack.title: self.row("panel", name, self.shares, appeals=False) for name, attack in ATTACKS.items()}
        yield from self._explained("R2: stake, gold 10 %, nobody appeals", rows, REASONS["panel"])

    def watchers(self) -> Iterator[str]:
        shares = tuple(share for share in self.shares if share < 0.5)
        rows = {}
        for rule, attack, odds in (("watched .4", "target", (0.4, 0.05)), ("watched 0", "target", (0.0, 0.0)), ("watched .4", "aware", (0.4, 0.05))):
            rows[f"{attack}, {rule}"] = self.row(rule, attack, shares, wrong=odds[0], right=odds[1])
        if self.chosen.challenged:
            wrong, right = self.chosen.challenged
            for attack in ("always", "target", "aware"):
                rows[f"{attack}, {wrong:g}/{right:g}"] = self.row("measured", attack, shares, wrong=wrong, right=right)
        yield from self._explained("R4 by how many wrong verdicts somebody disputes", rows, REASONS["watchers"])

    def pay(self) -> Iterator[str]:
        cells = [cell for name in ATTACKS for cell in self.row("built", name, self.shares) if cell.setting.share or name == "constant"]
        yield (
            "what a seat brings in R4: coherence (+1 / -1), credits, and gold votes and weight of a judge at the end\n"
            + tables.pay(cells)
            + "\n"
            + REASONS["pay"]
        )

    def sybils(self) -> Iterator[str]:
        rows = {f"{name}, {split} per stake": [self.cell("", name, 0.3, split=split)] for name in ("always", "target") for split in (1, 3, 9)}
        yield "R4 by identities per stake\n" + tables.grid(rows) + "\n" + REASONS["sybils"]

    def causes(self) -> Iterator[str]:
        """R4 as it is, and with one rule after another changed."""
        yield self._cause("as it is", False)
        yield self._cause("the coalition disputes nothing", False, coalition=0.0)
        yield self._cause("earlier jurors may sit again", True)
        yield self._cause("earlier jurors may sit again, and the lie is never the distractor", True, clear=True) + "\n" + REASONS["causes"]

    def _cause(self, title: str, again: bool, **changes: object) -> str:
        rows = {}
        with seated_again() if again else nullcontext():
            for name in ("always", "target", "aware"):
                rows[ATTACKS[name].title] = [self._variant(name, share, again, **changes) for share in (0.3, 0.45)]
        return f"R4, {title}\n" + tables.behind(rows)

    def odds(self) -> Iterator[str]:
        found = [majority(seats, share, self.chosen.draws) for seats in PANELS for share in SHARES]
        yield "P(the coalition has a majority of the seats)\n" + tables.odds(found, MAJORITY, SHARES) + "\n" + REASONS["odds"]

    def _variant(self, attack: str, share: float, again: bool, **changes: object) -> Cell:
        if not again:
            return self.cell("built", attack, share, **changes)
        setting = Setting(attack, share, tasks=self.chosen.tasks, signed=self.chosen.signed, **changes)
        return Cell("built", setting, [self._played(setting, seed) for seed in range(self.chosen.seeds)], accuracy("built", attack, share))

    def _explained(self, title: str, rows: dict[str, list[Cell]], reasons: str) -> Iterator[str]:
        yield title + "\n" + tables.grid(rows)
        apart = {name: [cell for cell in cells if cell.apart] for name, cells in rows.items()}
        if any(apart.values()):
            yield "behind the marked cells\n" + tables.behind(apart) + "\n" + reasons


@contextmanager
def seated_again() -> Iterator[None]:
    """A counterfactual: who sat in an earlier panel of a market can be drawn again."""
    real = panel.conflict

    def conflict(*given: object, **named: object) -> str:
        why = real(*given, **named)
        return "" if why == "sat in an earlier panel of it" else why

    with mock.patch.object(panel, "conflict", conflict):
        yield


def challenged() -> list[float] | None:
    """The odds at which the nodes' watchers were measured, where somebody has."""
    if not MEASURED.exists():
        return None
    said = json.loads(MEASURED.read_text())
    return [said["wrong"], said["right"]]


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a table; may be given several times (default: all)")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=400, help="of a run")
    parser.add_argument("--draws", type=int, default=5000, help="of a panel, for `odds`")
    measured = {"default": challenged(), "help": f"odds that somebody disputes such a verdict (default: from {MEASURED.name}, if it is there)"}
    parser.add_argument("--challenged", type=float, nargs=2, metavar=("WRONG", "RIGHT"), **measured)
    parser.add_argument("--signed", action="store_true", help="sign every event and check it (about four times as long)")
    parser.add_argument("--quick", action="store_true", help="one seed, 60 tasks, three shares: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one line of JSON a run instead of the tables")
    chosen = parser.parse_args(given)
    if chosen.quick:
        vars(chosen).update(QUICK)
    bench, begun = Bench(chosen), time.process_time()
    for name in chosen.only or SECTIONS:
        for text in getattr(bench, name)():
            if not chosen.json:
                print(text + "\n", flush=True)
    if not chosen.json:
        print(f"{chosen.seeds} seeds of {chosen.tasks} tasks; {time.process_time() - begun:.0f} CPU-seconds")


if __name__ == "__main__":
    main()
