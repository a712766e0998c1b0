"""Judges: what they own, how well they see, and how each attack of the specification votes (judge-spec.md 2.3).

An honest judge is right with a chance of its own, Beta(9, 3), less .25 on a hard task; half of its errors fall on the task's distractor.
Attackers own the stake share s in `split` times as many identities per stake, and see as well as honest judges where they care to look.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.judges.tasks import OUTCOMES, Task

SKILL, HARDER, SHARED = (9, 3), 0.25, 0.5
UNITS = 72  # of stake, an honest judge; enough that a sybil's ninth is 8 units and a slash moves no share


@dataclass(frozen=True)
class Judge:
    """One operator with `units` of stake."""

    name: str
    skill: float
    units: int
    attacks: bool = False


@dataclass(frozen=True)
class Attack:
    """How the attackers vote, given what they see; and on which tasks they are in league, which is also where they dispute."""

    title: str
    vote: Callable[[Task, int, random.Random], int]
    league: Callable[[Task], bool] = lambda task: False
    measured: Callable[[Task], bool] = lambda task: True  # tasks whose accuracy counts, gold ones aside


def _together(league: Callable[[Task], bool]) -> Callable[[Task, int, random.Random], int]:
    return lambda task, seen, rng: task.lie if league(task) else seen


def _targeted(task: Task) -> bool:
    return task.target


def _always(task: Task) -> bool:
    return True


def _unless_gold(task: Task) -> bool:
    return task.target and not task.gold


ATTACKS = {
    "constant": Attack("lazy constant", lambda task, seen, rng: 0),
    "random": Attack("lazy random", lambda task, seen, rng: rng.randrange(OUTCOMES)),
    "always": Attack("collude always", _together(_always), _always),
    "target": Attack("collude target", _together(_targeted), _targeted, _targeted),
    "aware": Attack("gold-aware target", _together(_unless_gold), _unless_gold, _targeted),
}


def population(seed: int, share: float, judges: int = 72, split: int = 3) -> list[Judge]:
    """`judges` operators, of whom the attackers own `share` of all units, each about 1/`split` of what an honest judge owns."""
    rng = random.Random(f"people/{seed}")
    hostile = round(judges * split * share / (1 - share + split * share))
    honest = judges - hostile
    people = [Judge(f"honest {index}", rng.betavariate(*SKILL), UNITS) for index in range(honest)]
    owned, rest = divmod(round(honest * UNITS * share / (1 - share)), max(1, hostile))
    return people + [Judge(f"attacker {index}", rng.betavariate(*SKILL), owned + (index < rest), True) for index in range(hostile)]


def seen(judge: Judge, task: Task, rng: random.Random) -> int:
    """The answer that a judge takes for the true one when it looks."""
    if rng.random() < judge.skill - HARDER * task.hard:
        return task.truth
    if rng.random() < SHARED:
        return task.distractor
    return rng.choice([answer for answer in range(OUTCOMES) if answer not in (task.truth, task.distractor)])
