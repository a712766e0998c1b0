"""What a play brought its cheat, read from the chain, and the table over many plays.

gained  the recipe's `proof.gain` for every step that was paid for without being worked, and for every drawn step that an auditor did not replay;
        and rewards (audit fees, shares of convicted stakes)
lost    what left the cheat's stake for good: convictions, lies, absences, concessions, and bonds that did not come back
units   work units that were settled in its favour for steps that it did not work
A cheat is caught where its stake was taken or a commitment of its was closed as anything but clean.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

from benchmarks.cheats.play import Member, Play
from swarm.chain.abi import Event
from swarm.chain.values import WEI, Outcome, Reason

BOND, INVITER = b"bond", b"inviter"


@dataclass(frozen=True)
class Result:
    """One play of one cheat. Credits, except `units` (MFLOP)."""

    caught: bool
    gained: float
    units: int
    lost: float
    honest_lost: float
    unpaid: int  # epochs that honest peers worked and were not paid for
    ends: tuple[str, ...] = ()  # how the cheat's commitments ended
    note: str = ""

    @property
    def net(self) -> float:
        return self.gained - self.lost


@dataclass
class Row:
    """All plays of one cheat."""

    name: str
    results: list[Result] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return statistics.mean(result.net for result in self.results)

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval of the mean (Student's t, by the first term of its expansion around the normal's 1.96)."""
        if (n := len(self.results)) < 2:
            return math.inf
        t = 1.96 + (1.96**3 + 1.96) / (4 * (n - 1))
        return t * statistics.stdev(result.net for result in self.results) / math.sqrt(n)

    def total(self, what: str) -> float:
        return sum(getattr(result, what) for result in self.results)


def result(play: Play, me: Member, events: list[Event], honest: list[Member], spared: int) -> Result:
    """What a finished play brought `me`. `spared` are drawn steps that it should have replayed and did not."""
    gain = play.swarm.terms.gain / WEI
    settled = [event.values["epoch"] for event in events if event.name == "Settled" and event.values["key"] == me.key]
    free = [(number, step) for number in settled for step in me.work[number].forged]
    units = sum(me.work[number].epoch.leaves[step].units for number, step in free)
    ends = _ends(play, me)
    lost = _lost(events, me)
    fees = sum(event.values["amount"] for event in events if event.name == "Rewarded" and event.values["account"] == me.operator) / WEI
    fees = fees if me.conduct.earns else 0.0
    bonds = _slashed(events, me.key, lambda reason: reason == BOND)
    return Result(
        caught=lost > 0 or any(end != Outcome.CLEAN.name.lower() for end in ends),
        gained=gain * (len(free) + spared) + max(0.0, fees - bonds),
        units=units,
        lost=lost + max(0.0, bonds - fees),
        honest_lost=sum(_lost(events, member) for member in honest),
        unpaid=sum(_unpaid(events, member) for member in honest),
        ends=tuple(ends),
        note=me.conduct.note,
    )


def _lost(events: list[Event], member: Member) -> float:
    return _slashed(events, member.key, lambda reason: reason != BOND)


def _slashed(events: list[Event], key: bytes, counts) -> float:
    """Credits that left a stake for reasons that count."""
    taken = [event.values for event in events if event.name == "Slashed" and event.values["key"] == key]
    return sum(values["amount"] for values in taken if counts(values["reason"].rstrip(b"\0"))) / WEI


def _unpaid(events: list[Event], member: Member) -> int:
    paid = {event.values["epoch"] for event in events if event.name == "Settled" and event.values["key"] == member.key}
    planted = {event.values["epoch"] for event in events if event.name == "PlantOpened" and event.values["key"] == member.key}
    return len(set(member.work) - paid - planted)


def _ends(play: Play, me: Member) -> list[str]:
    return [Outcome(play.swarm.case(me.key, number).outcome).name.lower() for number in sorted(me.work)]


def why_unscored(events: list[Event], key: bytes) -> list[str]:
    """Why commitments of a member brought nothing."""
    return [Reason(event.values["reason"]).name.lower() for event in events if event.name == "Unscored" and event.values["key"] == key]


def table(rows: list[Row], heading: str) -> str:
    """The one table."""
    heads = f"{'caught':>9} {'gained':>8} {'units':>8} {'lost':>9} {'net a play, 95 %':>24} {'honest lost':>12} {'unpaid':>7}"
    lines = [heading, f"{'cheat':<22} {'plays':>5} {heads}"]
    for row in rows:
        plays = len(row.results)
        caught = sum(each.caught for each in row.results)
        net = f"{row.mean:+.3f} [{row.mean - row.half:+.2f}, {row.mean + row.half:+.2f}]"
        money = f"{row.total('gained'):8.2f} {row.total('units'):8.0f} {row.total('lost'):9.2f}"
        honest = f"{row.total('honest_lost'):12.2f} {row.total('unpaid'):7.0f}"
        lines.append(f"{row.name:<22} {plays:5} {caught:4}/{plays:<4} {money} {net:>24} {honest}  {row.results[-1].note}".rstrip())
    return "\n".join(lines)
