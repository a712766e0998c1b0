"""Bounds on text from elsewhere that must hold before a parser sees it."""

from __future__ import annotations

import json
import re
from typing import Any

DEPTH = 64  # of nested lists and objects; ours have fewer than ten levels

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def json_of(data: bytes, depth: int = DEPTH) -> Any:
    """The value of JSON bytes. Raises ValueError for what is not JSON, or is nested deeper than `depth`.

    The interpreter's own recursion limit is no guard: libraries raise it, and then a parser that descends far enough ends the process.
    """
    level = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", data)):
        level += 1 if bracket[0] in b"[{" else -1
        if level > depth:
            raise ValueError(f"nested deeper than {depth} levels")
    return json.loads(data)
