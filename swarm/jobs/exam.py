"""The evaluation of a job with a target: questions that nobody but the submitter knows until the models are delivered.

    one a line, at most 2,000 lines:   {"question": TEXT, "answer": TEXT}   and, if wanted, "scorer": "exact" (the default) or "numeric"

A model's score is its greedy accuracy on them, in 1/10000, under the recipe's prompt and limits: every machine of the job's class gets the
same number, so seeders who did the work agree on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarm import evaluation
from swarm.bounds import json_of
from swarm.errors import Refused
from swarm.recipe import Recipe
from swarm.stages import Stages
from swarm.tasks import scorers
from swarm.tasks.task import Question

if TYPE_CHECKING:
    from swarm.policy.model import Policy

MAX_BYTES = 2**20
QUESTIONS, CHARACTERS = 2_000, 4_000
NAME = "evaluation"
WHOLE = 10_000
SCORERS = {"exact": scorers.exact, "numeric": scorers.numeric}


class Exam:
    """The questions of an evaluation's file, and how an answer to one is scored."""

    def __init__(self, questions: list[Question]):
        self.questions = questions

    @classmethod
    def read(cls, data: bytes) -> Exam:
        """From anybody's bytes. Raises Refused("oversize" | "malformed") naming the line."""
        if len(data) > MAX_BYTES:
            raise Refused("oversize", f"an evaluation of {len(data)} bytes; at most {MAX_BYTES} are read")
        lines = [line for line in data.split(b"\n") if line.strip()]
        if not 1 <= len(lines) <= QUESTIONS:
            raise Refused("malformed", f"an evaluation has 1 to {QUESTIONS} questions, this one {len(lines)}")
        return cls([_question(number, line) for number, line in enumerate(lines, 1)])

    def score(self, question: Question, answer: str) -> float:
        return SCORERS[question.entry](answer, question.reference)

    def of(self, policy: Policy, recipe: Recipe) -> int:
        """The score of a model, 0 to 10,000."""
        found = evaluation.accuracy(Stages(recipe, policy, self), {NAME: self.questions})  # type: ignore[arg-type]  (it only scores)
        return int(found[NAME] * WHOLE + 1e-6)


def _question(number: int, line: bytes) -> Question:
    try:
        row: Any = json_of(line)
    except (ValueError, RecursionError):
        raise Refused("malformed", f"line {number} of the evaluation is not JSON") from None
    if not isinstance(row, dict) or not {"question", "answer"} <= row.keys() <= {"question", "answer", "scorer"}:
        raise Refused("malformed", f"line {number} of the evaluation is no object of question, answer and perhaps scorer")
    question, answer, scorer = row["question"], row["answer"], row.get("scorer", "exact")
    if not all(type(text) is str and 0 < len(text.strip()) <= CHARACTERS for text in (question, answer)) or scorer not in SCORERS:
        what = f"line {number} of the evaluation: texts of 1 to {CHARACTERS} characters, and a scorer of {', '.join(SCORERS)}"
        raise Refused("malformed", what)
    return Question.of(NAME, question, answer, scorer)
