"""Greedy accuracy on held-out questions, the constant answer it has to be compared with, and the loss on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm.groups import Group
from swarm.proof.canonical import numerics
from swarm.stages import Stages

if TYPE_CHECKING:
    from swarm.lessons import Lessons
    from swarm.policy.model import Policy
    from swarm.tasks.task import Question


def accuracy(stages: Stages, questions: dict[str, list[Question]], progress: Callable[[float], None] | None = None) -> dict[str, float]:
    """Mean score by task of the greedy answers to held-out `questions`; an answer cut off by the limit scores 0, as in training."""
    from swarm.policy import sampler

    recipe, policy = stages.recipe, stages.policy
    flat = [question for rows in questions.values() for question in rows]
    if not flat:
        return {}
    prompts = [stages.prompt(Group("answer", b"", 0, 0, ()), question) for question in flat]
    limit = recipe.evaluate.max_tokens or recipe.answer.max_tokens
    settings = dict(max_tokens=limit, eos=policy.eos, pad=policy.pad, rows=recipe.sampling.rows, progress=progress)
    with numerics(recipe):
        answers = sampler.greedy(policy.model, prompts, **settings)
    scores = {name: 0.0 for name in questions}
    for question, ids in zip(flat, answers, strict=True):
        if ids and ids[-1] in policy.eos:
            scores[question.task] += stages.mix.score(question, policy.chat.decode(ids))
    return {name: scores[name] / len(rows) if rows else 0.0 for name, rows in questions.items()}


def constants(stages: Stages, questions: dict[str, list[Question]]) -> dict[str, float]:
    """Accuracy by task of the best answer that is the same for every held-out question."""
    return {name: stages.mix.constant(rows) for name, rows in questions.items()}


def loss(lessons: Lessons, policy: Policy, most: int) -> float:
    """Mean negative log-likelihood, in nats, of the completion tokens of the first `most` held-out rows."""
    from swarm.policy import sampler

    rows = [lessons.tokens(row) for row in lessons.rows.heldout[:most]]
    batch = lessons.recipe.sampling.rows
    with numerics(lessons.recipe):
        told = sampler.logprobs(policy.model, [row.prompt for row in rows], [row.completion for row in rows], pad=policy.pad, rows=batch)
    return -sum(map(sum, told)) / sum(map(len, told))
