"""The three stages as text: the prompt of a group, the tokens of a rollout, and its reward.

Both sides use this module: the author to make rollouts, everyone else to read them again. A foreign rollout arrives as text,
is encoded under the own tokenizer with special tokens split, and is scored here: no reward ever comes from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swarm import seeds
from swarm.errors import TaskError
from swarm.groups import Group, Rollout
from swarm.proof.canonical import numerics
from swarm.recipe import Recipe

if TYPE_CHECKING:
    from swarm.learn.batch import Scored
    from swarm.learn.step import TrainGroup
    from swarm.policy.chat import Chat
    from swarm.policy.model import Policy
    from swarm.tasks.mix import Mix
    from swarm.tasks.task import Question

RIGHT = 0.5  # an answer that scores at least this counts as right


class Stages:
    """Prompts, tokens and rewards under one recipe, tokenizer and mix of tasks."""

    def __init__(self, recipe: Recipe, policy: Policy, mix: Mix):
        self.recipe, self.mix, self.policy = recipe, mix, policy
        self.epoch_seed = recipe.hash  # of the round that is played; without a chain the recipe's hash stands in
        self.verdicts: Callable[[Group], Sequence[float | None] | None] = lambda group: None  # rewards of answers that the market judged
        self.chat: Chat = policy.chat
        self.cue = self.chat.encode(recipe.critique.cue)
        self.labels = [self.chat.encode(recipe.critique.wrong), self.chat.encode(recipe.critique.right)]

    def prompt(self, group: Group, question: Question) -> list[int]:
        """Token ids of the prompt that `group`'s rollouts complete; foreign parts are cut so that it fits."""
        recipe = self.recipe
        own = {"question": question.prompt, "critiques": self._critiques(group)}
        text = self.chat.fill(getattr(recipe, group.stage).prompt, recipe.answer.max_tokens, own=own, answer=group.answer or "")
        return self.chat.prompt(text, self.room(group.stage))

    def check(self, question: Question, answer: str) -> list[int]:
        """Prefix after which a label says whether `answer` is right, without a text before it."""
        return self.prompt(Group("critique", b"", 0, 0, (), answer=answer), question) + self.cue

    def room(self, stage: str) -> int:
        """Tokens a prompt may have."""
        return self.recipe.model.max_length - self.max_tokens(stage)

    def max_tokens(self, stage: str) -> int:
        """Most tokens of a completion, cue and label included."""
        longest_label = max(len(label) for label in self.labels)
        match stage:
            case "answer":
                return self.recipe.answer.max_tokens
            case "critique":
                return self.recipe.critique.max_tokens + len(self.cue) + longest_label
            case _:
                return self.recipe.resolve.max_tokens

    def completion(self, rollout: Rollout) -> list[int]:
        """A foreign rollout's text as ids under the own tokenizer, with cue and label, or with EOS where it ended by itself."""
        ids = self.chat.encode(rollout.text)
        if rollout.label is not None:
            return ids + self.cue + self.labels[rollout.label]
        return ids + [self.policy.tokenizer.eos_token_id] if rollout.finished or not ids else ids

    def judged(self, group: Group) -> bool:
        """Whether the reward of this group comes from a verdict of the judge market."""
        return self.recipe.has_judged and self.mix.judged(self.question(group))

    def rewards(self, group: Group, question: Question) -> list[float | None]:
        """One reward in [0, 1] per rollout.

        Answers and final answers: the task's score, 0 where the length limit cut them off. Critiques: 1 where the label agrees with the
        task's score of the judged answer. Raises TaskError when the scorer fails. Answers to a judged task: what `verdicts` says, None for a
        rollout that was not judged; TaskError where it says nothing, and for the other stages of such a task.
        """
        if self.mix.judged(question):
            found = self.verdicts(group) if group.stage == "answer" else None
            if found is None:
                raise TaskError(f"task {question.task}: there is no verdict on this {group.stage}", "the judge market says later what it is worth")
            return list(found)
        if group.stage == "critique":
            right = self.is_right(question, group.answer or "")
            return [float(bool(rollout.label) == right) for rollout in group.rollouts]
        return [self.mix.score(question, rollout.text) if rollout.finished else 0.0 for rollout in group.rollouts]

    def for_training(self, scored: Scored, me: bytes) -> TrainGroup:
        """What the optimizer step takes; the cue of a critique is marked as put there by the stage, not chosen by the policy."""
        from swarm.learn import batch

        group = scored.group
        completions = [list(r.ids) if by == me else self.completion(r) for by, r in zip(scored.by, group.rollouts, strict=True)]
        sampled = [self._sampled(ids, r) for ids, r in zip(completions, group.rollouts, strict=True)] if group.stage == "critique" else None
        return batch.for_training(scored, self.prompt(group, self.question(group)), completions, me, sampled)

    def checked(self, scored: Scored, dropped: Counter[str]) -> Scored:
        """A foreign group without the rollouts that do not fit in the model or look planted under it; those are counted by reason.

        What may look planted is what the author's policy wrote, not the cue and label that the stage puts after every critique.
        """
        from swarm.learn import batch
        from swarm.policy import sampler

        completions = [self.completion(rollout) for rollout in scored.group.rollouts]
        prompt = self.prompt(scored.group, self.question(scored.group))
        room = self.recipe.model.max_length - len(prompt)  # a text may have more tokens here than its author reports
        reasons: list[str | None] = [batch.TOO_LONG if len(ids) > room else None for ids in completions]
        written = [self.chat.encode(r.text) if r.label is not None else ids for r, ids in zip(scored.group.rollouts, completions, strict=True)]
        fitting = [i for i, reason in enumerate(reasons) if reason is None and written[i]]  # a critique may be a label alone
        if self.recipe.sharing.filter and fitting:
            kept = [written[i] for i in fitting]
            rows, temperature = self.recipe.sampling.rows, self.recipe.sampling.temperature
            with numerics(self.recipe):
                logprobs = sampler.logprobs(self.policy.model, [prompt] * len(kept), kept, temperature=temperature, rows=rows)
            for i, reason in zip(fitting, batch.suspicious(kept, logprobs, self.recipe.sharing), strict=True):
                reasons[i] = reason
        dropped.update(f"rollout {reason}" for reason in reasons if reason)
        return batch.without(scored, reasons)

    def question(self, group: Group) -> Question:
        """The question that a group is about, derived again from seeds: nobody's word is taken for it."""
        seed = seeds.question_seed(self.recipe.hash, group.seed, group.asker, group.round, group.index)
        return self.mix.question(seed, group.specialty)

    def _sampled(self, ids: list[int], rollout: Rollout) -> list[bool]:
        label = len(self.labels[rollout.label or 0])
        start = len(ids) - label - len(self.cue)
        return [not start <= i < start + len(self.cue) for i in range(len(ids))]

    def is_right(self, question: Question, answer: str) -> bool:
        return self.mix.score(question, answer) >= RIGHT

    def _critiques(self, group: Group) -> str:
        """The critiques of a resolve group, one line each; labels are the recipe's, texts are quoted."""
        critique, line = self.recipe.critique, self.recipe.resolve.critique_line
        labels = {0: critique.wrong.strip(), 1: critique.right.strip()}
        return "".join(self.chat.fill(line, max(1, critique.max_tokens), own={"label": labels[said.label]}, text=said.text) for said in group.said)
