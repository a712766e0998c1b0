"""Comparing an answer with a reference: exact, numeric, or by a regular expression under a time limit.

Patterns come from recipes, answers from strangers, so either may be built to take forever. Matching is done by the
`regex` package, which can stop. Compiling cannot stop (six nested repeats of `{999}` fill the memory), so a pattern is
compiled in a child process with limits first.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal

import regex

from swarm.errors import TaskError

SECONDS = 0.5  # of matching one answer
COMPILE_SECONDS = 3  # of CPU, for compiling a pattern
COMPILE = """
import regex, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (%d,) * 2)
resource.setrlimit(resource.RLIMIT_AS, (2**29,) * 2)
try:
    regex.compile(sys.argv[1])
except (regex.error, RecursionError, OverflowError, ValueError):
    pass
"""
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+", re.ASCII)
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
        self._try(pattern)
        try:
            self._compiled = regex.compile(pattern, regex.MULTILINE)
        except (regex.error, RecursionError, OverflowError, ValueError) as error:
            raise TaskError(f"{self._where} is no regular expression: {error}", "test it with Python's `regex` package") from None
        if self._compiled.groups < 1:
            raise TaskError(f"{self._where} has no group", "put the part to compare into ( )")

    def _try(self, pattern: str) -> None:
        """Compile the pattern where it can do no harm. A pattern that is merely wrong passes: its own message follows."""
        command = [sys.executable, "-P", "-s", "-c", COMPILE % COMPILE_SECONDS, pattern]
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * COMPILE_SECONDS).returncode
        except (subprocess.TimeoutExpired, ValueError):  # ValueError: a null byte, which no argument can carry
            code = -1
        if code != 0:
            raise TaskError(f"{self._where} cannot be compiled within {COMPILE_SECONDS} s", "nested repeats with counts multiply; use + or *")

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
