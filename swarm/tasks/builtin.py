"""The three tasks of the shipped base model, small enough for a character model of 0.65 million parameters.

An answer is whatever follows the last `>`: what comes before it is working, which a model may or may not write.
`worked()` writes that working; the pre-training corpus (see the script beside the base model) contains some of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from swarm.tasks.task import Question

CUE = ">"
LETTERS = "abcd"


def final(answer: str) -> str | None:
    """The text after the last `>`, stripped; None where there is no `>`."""
    _, cue, text = answer.rpartition(CUE)
    return text.strip() if cue else None


def _addition(rng: random.Random) -> tuple[str, str, str]:
    a, b = rng.randint(10, 99), rng.randint(10, 99)
    ones = a % 10 + b % 10
    tens = a // 10 + b // 10 + ones // 10
    return f"{a}+{b}", str(a + b), f"{a % 10}+{b % 10}={ones} {a // 10}+{b // 10}+{ones // 10}={tens}"


def _maximum(rng: random.Random) -> tuple[str, str, str]:
    numbers = [rng.randint(10, 99) for _ in range(4)]
    running = [max(numbers[: i + 1]) for i in range(4)]
    return f"max {' '.join(map(str, numbers))}", str(running[-1]), " ".join(map(str, running))


def _letters(rng: random.Random) -> tuple[str, str, str]:
    text = "".join(rng.choice(LETTERS) for _ in range(8))
    letter = rng.choice(LETTERS)
    found = "".join(c if c == letter else "-" for c in text)
    return f"count {letter} in {text}", str(text.count(letter)), found


SOURCES: dict[str, Callable[[random.Random], tuple[str, str, str]]] = {"addition": _addition, "maximum": _maximum, "letters": _letters}


class Builtin:
    """`addition` (`47+38`), `maximum` (`max 12 99 45 31`) or `letters` (`count b in abcbbdac`)."""

    def __init__(self, name: str, source: str):
        self.name = name
        self._make = SOURCES[source]

    def draw(self, seed: bytes) -> Question:
        prompt, reference, working = self._make(random.Random(seed))
        return Question.of(self.name, prompt, reference, working)

    def score(self, question: Question, answer: str) -> float:
        return float(final(answer) == question.reference)

    def gold(self, question: Question) -> str:
        return CUE + question.reference

    def close(self) -> None:
        """Nothing to end."""


def worked(question: Question) -> str:
    """The gold answer with its working before the `>`, as in `7+8=15 4+3+1=8>85`; for questions of this module."""
    return question.entry + CUE + question.reference
