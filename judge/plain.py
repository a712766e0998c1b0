"""Foreign text made safe to show, and amounts and times in words. Plain ASCII where this module chooses the characters.

Text of peers is stripped of what a terminal obeys or what turns or hides writing. It is never markup; who shows it says so.
"""

from __future__ import annotations

import re
import time

from rich.cells import cell_len, set_cell_size

from judge.terms import WAD

PAGE = 4000  # characters of foreign text that are shown at once
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000

# Escapes, controls, bidirectional marks, invisible ones, surrogates (which no terminal can be sent), private use, and the tags of plane 14.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\uf8ff\ufeff\ufff0-\uffff\U000e0000-\U0010ffff]"
)
_SPACE = re.compile(r"\s+")
_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe2f]"  # put on a letter; a hundred of them climb over lines
_STACKED = re.compile(f"({_MARKS}{{3}}){_MARKS}+")


def clean(text: str) -> str:
    """The text without what a terminal would obey; line breaks stay, tabs become spaces."""
    return _STACKED.sub(r"\1", _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\t", "    ")))


def line(text: str, width: int | None = None) -> str:
    """The text as one clean line, cut to `width` cells of a terminal where that is given."""
    flat = _SPACE.sub(" ", clean(text[: PAGE * 2])).strip()
    return flat if width is None else clip(flat, width)


def clip(text: str, width: int) -> str:
    """At most `width` cells; `..` at the end says that something was cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 2)).rstrip() + ".." if width > 2 else set_cell_size(text, max(0, width))


def pad(text: str, width: int) -> str:
    """Exactly `width` cells."""
    return set_cell_size(clip(text, width), width)


def pages(text: str) -> list[str]:
    """Clean pages of at most PAGE characters, cut at a line's end where one is near; at least one."""
    rest, cut = clean(text), []
    while len(rest) > PAGE:
        end = rest.rfind("\n", PAGE * 3 // 4, PAGE) + 1 or PAGE
        cut.append(rest[:end])
        rest = rest[end:]
    return [*cut, rest]


def credits(wei: int, sign: bool = False) -> str:
    """`3.42`: two decimals, rounded towards nought."""
    cents = abs(wei) * 100 // WAD
    mark = "-" if wei < 0 and cents else "+" if sign and wei >= 0 else ""
    return f"{mark}{cents // 100}.{cents % 100:02}"


def share(value: int, places: int = 2) -> str:
    """WAD as `0.81`."""
    unit = 10**places
    scaled = abs(value) * unit // WAD
    return f"{'-' if value < 0 and scaled else ''}{scaled // unit}.{scaled % unit:0{places}}"


def left(ms: int) -> str:
    """`09:41`, `5h12m`, `2d03h`; `now` when it is over."""
    if ms <= 0:
        return "now"
    if ms < HOUR:
        seconds = -(-ms // SECOND)
        return f"{seconds // 60:02}:{seconds % 60:02}"
    if ms < DAY:
        return f"{ms // HOUR}h{ms % HOUR // MINUTE:02}m"
    return f"{ms // DAY}d{ms % DAY // HOUR:02}h"


def of_day(ms: int) -> str:
    """`14:02:11`, where this machine stands."""
    return time.strftime("%H:%M:%S", time.localtime(ms // SECOND))


def short(address: bytes) -> str:
    """`0x7f3a..`."""
    return f"0x{address.hex()[:4]}.."


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 10**6
