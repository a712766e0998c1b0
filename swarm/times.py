"""Lengths of time and moments, as people write and read them."""

from __future__ import annotations

import re
import time

from swarm.errors import InputError

SIZES = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
YEAR_S = 365 * SIZES["d"]


def seconds(text: str, flag: str) -> int:
    """Seconds of `90s`, `30m`, `2h` or `1d`, a year at most. Raises InputError."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text.strip())
    found = int(match[1]) * SIZES[match[2]] if match else 0
    if not 0 < found <= YEAR_S:
        raise InputError(f"{flag} {text!r} is not a length of time", "a whole number and s, m, h or d, a year at most: 30m")
    return found


def span(seconds: int) -> str:
    """`2 d 3 h`, `59 min`, `4 min 10 s` or `0 s`: the two largest units that there are."""
    parts = []
    for unit, size in SIZES.items():
        if many := seconds // size:
            parts.append(f"{many} {'min' if unit == 'm' else unit}")
            seconds %= size
    return " ".join(parts[:2]) or "0 s"


def date(moment: int) -> str:
    """A chain's or this machine's time in seconds since 1970."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
