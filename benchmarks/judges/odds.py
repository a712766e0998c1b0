"""How often a coalition has a majority of the seats: by the draw of `judge.panel` itself, and exactly.

Exact: give every operator a clock that rings at the rate of its units, and a seat at every ring while it has room. Seats then fall as in
`panel.seats_of` (with replacement by units; who is full is drawn no more), and the two sides are independent of each other. The coalition
has M of k seats exactly where it gets its M-th before the others get their (k - M + 1)-th; that is one integral over the time.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from benchmarks.judges.people import Judge, population
from judge.keys import keccak
from judge.panel import cap_of, seats_of

SHARES = (0.10, 0.20, 0.25, 0.30, 0.33, 0.40, 0.45)
PANELS = (7, 15, 31)
INSTANTS = 4001  # of the integral
Z = 2.5758293035489004  # two-sided 99 %


@dataclass(frozen=True)
class Majority:
    """P(the coalition has more than half of `seats`): exact, as drawn, and without the cap on an operator's seats."""

    seats: int
    share: float
    exact: float
    seen: int
    draws: int
    uncapped: float

    @property
    def interval(self) -> tuple[float, float]:
        """Of the drawn ones, 99 %."""
        return wilson(self.seen, self.draws, Z)

    @property
    def inside(self) -> bool:
        low, high = self.interval
        return low <= self.exact <= high


def wilson(hits: int, tries: int, z: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of `hits` among `tries`; `z` standard deviations wide."""
    if not tries:
        return 0.0, 1.0
    share, more = hits / tries, z * z / tries
    half = z * math.sqrt(share * (1 - share) / tries + more / (4 * tries)) / (1 + more)
    middle = (share + more / 2) / (1 + more)
    return max(0.0, middle - half), middle + half


def majority(seats: int, share: float, draws: int, judges: int = 72, split: int = 3, seed: int = 0) -> Majority:
    """A fresh panel of `seats` from a population of `people.population`."""
    people = population(seed, share, judges, split)
    most = seats // 2 + 1
    mine, theirs = ([one for one in people if one.attacks is side] for side in (True, False))
    exact = _first(mine, theirs, most, seats - most + 1, cap_of(seats, False))
    units = sum(one.units for one in mine)
    actual = units / (units + sum(one.units for one in theirs))
    uncapped = sum(math.comb(seats, many) * actual**many * (1 - actual) ** (seats - many) for many in range(most, seats + 1))
    return Majority(seats, share, exact, _drawn(people, seats, most, draws, seed), draws, uncapped)


def _drawn(people: list[Judge], seats: int, most: int, draws: int, seed: int) -> int:
    """How many of `draws` real draws give the coalition `most` seats or more."""
    cap, names = cap_of(seats, False), {keccak(one.name.encode())[12:]: one for one in people}
    units = {address: names[address].units for address in sorted(names)}
    room = {address: min(cap, many) for address, many in units.items()}
    seen = 0
    for number in range(draws):
        seated = seats_of(keccak(f"odds/{seed}/{seats}/{number}".encode()), units, room, seats)
        seen += sum(many for address, many in seated.items() if names[address].attacks) >= most
    return seen


def _first(mine: list[Judge], theirs: list[Judge], want: int, other: int, cap: int) -> float:
    """P(`mine` get `want` seats before `theirs` get `other`)."""
    whole = sum(one.units for one in mine + theirs)
    ends = 6.0 * (want + other) / whole  # by then a panel is full for certain, to the precision of a float
    mine_below, theirs_below = (_below(side, most, cap, ends) for side, most in ((mine, want), (theirs, other)))
    return float(np.sum((mine_below[:-1] - mine_below[1:]) * (theirs_below[:-1] + theirs_below[1:]) / 2))


def _below(people: list[Judge], most: int, cap: int, ends: float) -> np.ndarray:
    """P(these people have fewer than `most` seats) at each instant."""
    times = np.linspace(0.0, ends, INSTANTS)
    counts = np.zeros((INSTANTS, most))
    counts[:, 0] = 1.0
    for units, many in sorted(Counter(one.units for one in people).items()):
        one = _seats_of_one(units * times, cap, most)
        for _ in range(many):
            counts = _sum(counts, one)
    return counts.sum(axis=1)


def _seats_of_one(mean: np.ndarray, cap: int, most: int) -> np.ndarray:
    """P(an operator has j seats), j below `most`: Poisson, with all beyond the cap at the cap."""
    chances = np.zeros((len(mean), max(most, cap + 1)))
    chances[:, 0] = np.exp(-mean)
    for many in range(1, cap):
        chances[:, many] = chances[:, many - 1] * mean / many
    chances[:, cap] = np.maximum(0.0, 1 - chances[:, :cap].sum(axis=1))
    return chances[:, :most]


def _sum(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The distribution of a sum, cut off at the width of both."""
    width = left.shape[1]
    total = np.zeros_like(left)
    for shift in range(min(width, right.shape[1])):
        total[:, shift:] += left[:, : width - shift] * right[:, shift : shift + 1]
    return total
