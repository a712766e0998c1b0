"""Comparing an answer with a reference: exact, numeric, or by a regular expression under a time limit.

Patterns come from recipes, answers from strangers, so either may be built to take forever. Matching is done by the
`regex` package, which can stop; a pattern's own size is bounded before it is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import regex

from swarm.errors import TaskError

SECONDS = 0.5  # of matching one answer
REPEATS = 1000  # largest count in a pattern's {m,n}; a few nested ones of any size would fill the memory
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+")
DIGITS = 60  # longest number compared

Scorer = Callable[[str, str], float]


def exact(answer: str, reference: str) -> float:
    """1.0 where both are the same text but for spaces."""
    return float(answer.split() == reference.split())


def number(text: str) -> Decimal | None:
    """The last number in a text, thousands separators allowed; None where there is none, or one too long to be meant."""
    found = [match for match in NUMBER.findall(text) if len(match) <= DIGITS]
    return Decimal(found[-1].replace(",", "")) if found else None


def numeric(answer: str, reference: str) -> float:
    """1.0 where the last numbers of both texts are equal (`1,000.0` is `1000`)."""
    wanted = number(reference)
    return float(wanted is not None and number(answer) == wanted)


class Pattern:
    """A regular expression with at least one group, from a recipe. Raises TaskError naming what is wrong with it."""

    def __init__(self, task: str, key: str, pattern: str):
        self._where = f"task {task}: {key} = {pattern!r}"
        if any(int(count) > REPEATS for count in re.findall(r"\d+", "".join(re.findall(r"\{[^}]*\}", pattern)))):
            raise TaskError(f"{self._where} repeats more than {REPEATS} times", "use + or *")
        try:
            self._compiled = regex.compile(pattern, regex.MULTILINE)
        except (regex.error, RecursionError, OverflowError, ValueError) as error:
            raise TaskError(f"{self._where} is no regular expression: {error}", "test it with Python's `regex` package") from None
        if self._compiled.groups < 1:
            raise TaskError(f"{self._where} has no group", "put the part to compare into ( )")

    def last(self, text: str) -> str | None:
        """The first group of the last match, None without a match. Raises TaskError after `SECONDS`."""
        found = None
        try:
            for match in self._compiled.finditer(text, timeout=SECONDS, concurrent=True):
                found = match
        except TimeoutError:
            hint = "patterns with nested repeats, like (a+)+, can take forever; write it without"
            raise TaskError(f"{self._where} took longer than {SECONDS:g} s on a text of {len(text)} characters", hint) from None
        return None if found is None else found.group(1)

    def score(self, answer: str, reference: str) -> float:
        """1.0 where the first group of the last match equals the reference (but for spaces)."""
        found = self.last(answer)
        return 0.0 if found is None else exact(found, reference)
