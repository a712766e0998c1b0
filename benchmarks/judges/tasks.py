"""The questions of the specification's model (judge-spec.md 2.3): four answers, one true, some hard, one in ten gold.

Truth is skewed (.4 / .2 / .2 / .2), except in gold, which is label-balanced (1.6). `lie` is what a coalition agrees on: any wrong answer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

OUTCOMES = 4
TRUTH = (0.4, 0.2, 0.2, 0.2)
HARD, TARGET = 0.15, 0.20
EPOCH = 10  # markets; one tenth of them gold, at places drawn anew for each epoch


@dataclass(frozen=True)
class Task:
    """A question. `target`: one of those that a coalition on target cares about."""

    number: int
    truth: int
    distractor: int
    lie: int
    hard: bool
    target: bool
    gold: bool


def drawn(seed: int, count: int, gold: int, clear: bool = False) -> list[Task]:
    """`count` tasks, `gold` per cent of every epoch of 10 of them gold. The same seed gives the same tasks, whoever judges them.

    `clear`: the lie is never the distractor, on which honest errors fall too; otherwise it is in a third of the tasks.
    """
    rng = random.Random(f"tasks/{seed}")
    tasks = []
    for number in range(count):
        if number % EPOCH == 0:
            marked = rng.sample(range(EPOCH), gold * EPOCH // 100)
        tasks.append(_task(rng, number, number % EPOCH in marked, clear))
    return tasks


def _task(rng: random.Random, number: int, gold: bool, clear: bool) -> Task:
    truth = rng.choices(range(OUTCOMES), None if gold else TRUTH)[0]
    wrong = [answer for answer in range(OUTCOMES) if answer != truth]
    distractor, lie = rng.choice(wrong), rng.choice(wrong)
    if clear and lie == distractor:
        lie = wrong[wrong.index(lie) - 1]
    return Task(number, truth, distractor, lie, rng.random() < HARD, rng.random() < TARGET, gold)
