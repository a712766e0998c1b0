"""What a task is: a question drawn by a seed, a score in [0, 1] for an answer, and a self-check on gold answers.

The held-out split is by hash of the prompt, so that every node leaves the same questions out of training without a list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from blake3 import blake3

from swarm.errors import TaskError
from swarm.seeds import derive

MAX_PROMPT = 65_536  # characters of a prompt or a reference; a longer one is a defect of the task
HELD_OUT = 26  # of 256 values of the prompt's first hash byte: 10.2 %
CHECKS = 5  # questions whose gold answer must score 1


@dataclass(frozen=True)
class Question:
    """One question. `id` (hex) names its text; `entry` is whatever the task's scorer needs beside the reference."""

    task: str
    id: str
    prompt: str
    reference: str
    entry: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, task: str, prompt: str, reference: str, entry: Any = None) -> Question:
        """A question with its id: 16 bytes of hash over task, prompt and reference. Raises TaskError on wrong types or sizes."""
        for label, text in (("prompt", prompt), ("reference", reference)):
            if not isinstance(text, str) or len(text) > MAX_PROMPT:
                shown = f"{len(text)} characters" if isinstance(text, str) else type(text).__name__
                raise TaskError(f"task {task}: a {label} is {shown}; it must be text of at most {MAX_PROMPT} characters", "mend the task's draw")
        if not prompt.strip():
            raise TaskError(f"task {task}: an empty prompt was drawn", "mend the task's draw")
        # A lone surrogate cannot be written as UTF-8, so it could neither be hashed nor sent.
        prompt, reference = (text.encode("utf-8", "replace").decode() for text in (prompt, reference))
        return cls(task, derive("question text", task, prompt, reference)[:16].hex(), prompt, reference, entry)


class Task(Protocol):
    """A source of questions and the scorer that goes with it. All methods may raise TaskError."""

    name: str

    def draw(self, seed: bytes) -> Question:
        """The question of a 32-byte seed; the same on every machine."""

    def score(self, question: Question, answer: str) -> float:
        """Grade of an answer, finite, in [0, 1]. A failure of the scorer is a TaskError, never a silent 0."""

    def gold(self, question: Question) -> str | None:
        """An answer that scores 1; None where the task can grade but not solve (some puzzles of reasoning-gym)."""

    def close(self) -> None:
        """End child processes, if the task has any. May be called twice."""


def held_out(question: Question) -> bool:
    """Whether a question belongs to the held-out split (about 10 %), which is never trained on."""
    return blake3(question.prompt.encode()).digest()[0] < HELD_OUT


def grade(task: str, value: Any) -> float:
    """`value` as a score: a finite number, clamped to [0, 1]. Raises TaskError on anything else."""
    number = isinstance(value, int | float) and not (isinstance(value, float) and math.isnan(value))
    if not number or value in (math.inf, -math.inf):
        raise TaskError(f"task {task}: the scorer returned {value!r:.60}", "a scorer returns a number from 0 to 1")
    return float(min(1, max(0, value)))


def check(task: Task, questions: int = CHECKS, scored: bool = True) -> None:
    """Self-check: the same seed gives the same question, and every gold answer scores 1 (not of a task without a scorer). Raises TaskError."""
    for index in range(questions):
        seed = derive("task check", task.name, index)
        question = task.draw(seed)
        if task.draw(seed) != question:
            raise TaskError(f"task {task.name}: the same seed gave two questions", "draw must depend on its seed alone")
        if not scored:
            continue
        gold = task.gold(question)
        score = task.score(question, gold or "")
        if gold is not None and score < 1:
            what = f"task {task.name}: the gold answer of {question.prompt!r:.120} scores {score:g} instead of 1"
            raise TaskError(what, "mend the scorer, or the reference it compares with")
