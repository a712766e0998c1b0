"""What a node's own model believes about a market on answers to a question (judge-spec.md 1.9).

The evidence for an answer is its log-probability after the question less that after an empty question, which takes out its length and how
common it is anyway; for `none of these` the same of the probability that is left. How far the model is to be trusted is fitted by `judge.trader`.
Measured on the base model, 50 markets a task, log loss at temperature 1 beside that of equal chances: addition 0.56 (1.39), letters 8.9 (1.39),
maximum 16.7 (1.12): it may be worth nothing, which is why the trust is fitted and begins low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log
from typing import TYPE_CHECKING

from judge import trader
from swarm.groups import Group

if TYPE_CHECKING:
    from swarm.stages import Stages
    from swarm.tasks.task import Question

LEAST = 1e-9  # of the probability that no answer has


def evidence(stages: Stages, question: Question, answers: Sequence[str]) -> tuple[float, ...] | None:
    """Nats per answer; an empty one at the end is `none of these`. None where a log-probability is not finite."""
    given = [answer for answer in answers if answer]
    prompted, empty = (_logprobs(stages, asked, given) for asked in (question, replace(question, prompt="")))
    if len(given) < len(answers):
        prompted, empty = [*prompted, _left(prompted)], [*empty, _left(empty)]
    return trader.log_odds(prompted, empty)


def _left(logprobs: Sequence[float]) -> float:
    """The log-probability of all that is not among these."""
    return log(max(LEAST, 1 - sum(map(exp, logprobs))))


def _logprobs(stages: Stages, question: Question, answers: Sequence[str]) -> list[float]:
    """Of every answer, with its end, as this model would write it."""
    from swarm.policy import sampler

    prompt, end = stages.prompt(Group("answer", b"", 0, 0, ()), question), [stages.policy.tokenizer.eos_token_id]
    completions = [stages.chat.encode(answer)[: stages.recipe.answer.max_tokens] + end for answer in answers]
    rows, temperature = stages.recipe.sampling.rows, stages.recipe.sampling.temperature
    found = sampler.logprobs(stages.policy.model, [prompt] * len(answers), completions, temperature=temperature, rows=rows)
    return [sum(row) for row in found]
