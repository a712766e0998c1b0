"""Line charts as numbers for a template: an inline SVG needs no script, no style attribute and no library.

Coordinates are those of a WIDTH x HEIGHT view box. Every chart comes with its figures as a table, for who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 40, 628, 14, 228
POINTS = 160  # of one line; more are put together
COLOURS = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line; `level` is a horizontal one, such as what a constant answer reaches."""

    name: str
    points: tuple[Point, ...] = ()
    level: float | None = None


@dataclass(frozen=True)
class Drawn:
    """A line in coordinates. `style`: which colour and dashes."""

    name: str
    style: str
    path: str
    dots: tuple[tuple[str, str], ...]
    first: float
    last: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Chart:
    """A chart. Ticks are (coordinate, label)."""

    title: str
    about: str
    lines: tuple[Drawn, ...]
    across: tuple[tuple[str, str], ...]
    up: tuple[tuple[str, str], ...]


def chart(title: str, about: str, lines: Iterable[Line]) -> Chart | None:
    """Draw lines over rounds from 0 to the last one; None where there is no point. What is no finite number is left out."""
    whole = [Line(line.name, _finite(line.points), line.level) for line in lines]
    points = [point for line in whole for point in line.points]
    if not points:
        return None
    end = max(1.0, *(x for x, _ in points))
    levels = [line.level for line in whole if line.level is not None and math.isfinite(line.level)]
    low, high = min(0.0, *levels, *(y for _, y in points)), max(1.0, *levels, *(y for _, y in points))
    scale = _Scale(end, low, high)
    drawn = [_drawn(line, number, scale) for number, line in enumerate(whole) if line.points or line.level is not None]
    across = tuple((scale.x(x), f"{x:g}") for x in _ticks(0.0, end, whole=True))
    return Chart(title, about, tuple(drawn), across, tuple((scale.y(y), f"{y:g}") for y in _ticks(low, high)))


@dataclass(frozen=True)
class _Scale:
    end: float
    low: float
    high: float

    def x(self, value: float) -> str:
        return f"{LEFT + (RIGHT - LEFT) * value / self.end:.1f}"

    def y(self, value: float) -> str:
        return f"{BOTTOM - (BOTTOM - TOP) * (value - self.low) / (self.high - self.low):.1f}"


def _drawn(line: Line, number: int, scale: _Scale) -> Drawn:
    points = _fewer(line.points) if line.level is None else ((0.0, line.level), (scale.end, line.level))
    values = [y for _, y in (line.points or points)]
    spots = tuple((scale.x(x), scale.y(y)) for x, y in points)
    path = " ".join(f"{x},{y}" for x, y in spots)
    style = "level" if line.level is not None else f"s{number % COLOURS}"
    return Drawn(line.name, style, path, spots if line.level is None and len(spots) <= 40 else (), values[0], values[-1], min(values), max(values))


def _finite(points: Iterable[tuple[object, object]]) -> tuple[Point, ...]:
    kept = [(float(x), float(y)) for x, y in points if _is_number(x) and _is_number(y) and x >= 0]
    return tuple(sorted(kept, key=lambda point: point[0]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12  # no NaN either


def _fewer(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """At most POINTS: the mean of so many neighbours each."""
    step = -(-len(points) // POINTS)
    groups = [points[start : start + step] for start in range(0, len(points), step)]
    return tuple((sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups)


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Four to eight round numbers from `low` to `high`."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]
