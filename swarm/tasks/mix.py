"""All tasks of one recipe: questions by weight, the held-out set, scores, and the constant-answer baseline.

A recipe that came over the network is hostile input. `Mix` therefore starts from distrust: a Python task needs its
SHA-256 in `allow_code`, an environment of `verifiers` is refused, and local files must lie inside `folder`.
`trusted=True` says that the recipe is a file of this machine's own user.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from swarm import seeds
from swarm.errors import TaskError
from swarm.recipe import ROWS, Recipe
from swarm.sections import AnyTask, BuiltinTask, DatasetTask, GymTask, PythonTask, VerifiersTask
from swarm.tasks import task as tasks
from swarm.tasks.builtin import Builtin
from swarm.tasks.rows import open_rows
from swarm.tasks.sandbox import Child, Sandbox
from swarm.tasks.task import Question, Task

FEW = "a task needs more than a handful of different questions"
REDRAWS = 1000  # a task that gives this many held-out questions in a row has (nearly) no others
PATIENCE = 60  # draws per held-out question wanted; about 10 are needed where questions do not repeat
CONSTANTS = 16  # most frequent references tried as the constant answer


class Mix:
    """The tasks of `recipe`, opened; close it, or use it as a context manager. `folder` is where the recipe's files lie.

    `notes` are sentences a person should see (a sandbox that is not there, for example).
    Raises Refused("code" | "path") for what a foreign recipe may not name, TaskError for what cannot be opened.
    """

    def __init__(
        self, recipe: Recipe, *, allow_code: str | None = None, trusted: bool = False, folder: Path | None = None, rows: Path | None = None
    ):
        """`rows` is the file with the recipe's rows, where it has any: a task of their own, which is only evaluated."""
        self.recipe = recipe
        self.rows = open_rows(rows or Path(), recipe) if recipe.learn.method == "sft" else None
        self.notes: list[str] = []
        self.tasks: dict[str, Task] = {}
        self._weights = list(itertools.accumulate(task.weight for task in recipe.tasks))
        self._judged = {task.name for task in recipe.tasks if task.judged}
        self._unscored: set[str] = set()
        gym = Child(must=False)
        try:
            for spec in recipe.tasks:
                task = self.tasks[spec.name] = _open(spec, allow_code, trusted, folder or Path(), gym, self.notes)
                if spec.judged and isinstance(spec, PythonTask) and isinstance(task, Sandbox) and not task.scored:
                    self._unscored.add(spec.name)
        except BaseException:
            self.close()
            raise
        if self.rows is not None:
            self.tasks[ROWS] = self.rows

    def __enter__(self) -> Mix:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes of all tasks."""
        for task in self.tasks.values():
            task.close()

    def check(self) -> None:
        """Every task's self-check on gold answers. Raises TaskError naming the task."""
        for name, task in self.tasks.items():
            tasks.check(task, scored=self.scored(name))

    def judged(self, question: Question) -> bool:
        """Whether the judge market, and no scorer, says what an answer to this question is worth."""
        return question.task in self._judged

    @property
    def all_judged(self) -> bool:
        """Whether every task is judged."""
        return self._judged == self.tasks.keys()

    def scored(self, name: str) -> bool:
        """Whether a task has a scorer: only a judged one may have none."""
        return name not in self._unscored

    def question(self, seed: bytes, specialty: int = -1) -> Question:
        """The training question of a 32-byte seed: task by weight (or task number `specialty`), redrawn until not held out."""
        task = self._pick(seed, specialty)
        for again in range(REDRAWS):
            question = task.draw(seeds.derive("draw", seed, again))
            if not tasks.held_out(question):
                return question
        raise TaskError(f"task {task.name}: {REDRAWS} draws gave only held-out questions", FEW)

    def heldout(self, n: int) -> dict[str, list[Question]]:
        """Up to `n` held-out questions per task that has a scorer, with distinct prompts; fewer where a task has no more. Same for everyone."""
        return {name: self._heldout(task, n) for name, task in self.tasks.items() if self.scored(name)}

    def score(self, question: Question, answer: str) -> float:
        """Grade in [0, 1]. Raises TaskError when the scorer itself fails: the caller drops the group and counts it."""
        return self.tasks[question.task].score(question, answer)

    def gold(self, question: Question) -> str | None:
        """An answer that scores 1, or None where the task knows none."""
        return self.tasks[question.task].gold(question)

    def constant(self, questions: list[Question]) -> float:
        """Mean score of the best constant answer, tried among the gold answers of the most frequent references.

        Keep `questions` to one task for the usual baseline. 0.0 for an empty list.
        """
        if not questions:
            return 0.0
        frequent = Counter((q.task, q.reference) for q in questions).most_common(CONSTANTS)
        first = {(q.task, q.reference): q for q in reversed(questions)}
        return max(self._mean(questions, self.gold(first[key]) or "") for key, _ in frequent)

    def _mean(self, questions: list[Question], answer: str) -> float:
        return sum(self.score(question, answer) for question in questions) / len(questions)

    def _pick(self, seed: bytes, specialty: int) -> Task:
        names = list(self.tasks)
        if specialty >= 0:
            return self.tasks[names[specialty % len(names)]]
        point = int.from_bytes(seeds.derive("task", seed)[:8], "little") / 2**64 * self._weights[-1]
        index = next((i for i, end in enumerate(self._weights) if point < end), len(names) - 1)
        return self.tasks[names[index]]

    def _heldout(self, task: Task, n: int) -> list[Question]:
        found: dict[str, Question] = {}
        for index in range(n * PATIENCE):
            if len(found) == n:
                break
            question = task.draw(seeds.derive("held-out", self.recipe.hash, task.name, index))
            if tasks.held_out(question):
                found.setdefault(question.prompt, question)
        if not found and n:
            raise TaskError(f"task {task.name}: no held-out question in {n * PATIENCE} draws", FEW)
        return list(found.values())


def _open(spec: AnyTask, allow_code: str | None, trusted: bool, folder: Path, gym: Child, notes: list[str]) -> Task:
    """One task, opened; adapters are imported only where a recipe names them."""
    match spec:
        case BuiltinTask():
            return Builtin(spec.name, spec.source)
        case GymTask():
            from swarm.tasks.gym import open_gym

            return open_gym(spec, gym, notes)
        case DatasetTask():
            from swarm.tasks.dataset import open_dataset

            return open_dataset(spec, folder, trusted)
        case PythonTask():
            from swarm.tasks.python import open_python

            return open_python(spec, folder, allow_code, trusted, notes)
        case VerifiersTask():
            from swarm.tasks.verifiers import open_verifiers

            return open_verifiers(spec, trusted, notes)
