"""Writing rollouts: from drafts (a group without rollouts, and its question) to whole groups.

Every token follows from (weights, prompt, seed) and can be drawn again; labels are chosen by log-probability after a cue, never
parsed from what a model wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from swarm import seeds
from swarm.groups import Group, Rollout
from swarm.proof.canonical import numerics
from swarm.stages import Stages

if TYPE_CHECKING:
    from swarm.policy.labels import Choice
    from swarm.policy.sampler import Sample
    from swarm.tasks.task import Question

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Draft:
    """A group still without rollouts, and the question it is about."""

    group: Group
    question: Question


class Author:
    """Writes rollouts; `me` names the noise (`seeds.author` of operator and peer)."""

    def __init__(self, stages: Stages, me: bytes):
        self.stages, self.me = stages, me
        self.tokens = 0  # sampled so far

    def write(self, drafts: list[Draft], round: int, progress: Progress | None = None, purpose: str = "") -> list[Group]:
        """Fill drafts of one stage with G rollouts each, in order. `purpose` names the noise where it is not the stage."""
        if not drafts:
            return []
        with numerics(self.stages.recipe):
            return self._write(drafts, round, progress, purpose)

    def _write(self, drafts: list[Draft], round: int, progress: Progress | None, purpose: str) -> list[Group]:
        stage = drafts[0].group.stage
        prompts = [self.stages.prompt(draft.group, draft.question) for draft in drafts]
        noise = [self._seeds(round, purpose or stage, index) for index in range(len(drafts))]
        samples = self._sample(stage, prompts, noise, progress)
        self.tokens += sum(len(sample.ids) for group in samples for sample in group)
        return self._finish(drafts, prompts, samples, noise)

    def _finish(self, drafts: list[Draft], prompts: list[list[int]], samples: list[list[Sample]], noise: list[list[bytes]]) -> list[Group]:
        """Samples as groups: with the label of critiques, with the forecast of final answers."""
        stage = drafts[0].group.stage
        rollouts = self._judge(prompts, samples, noise) if stage == "critique" else [[self._rollout(s) for s in group] for group in samples]
        groups = [replace(draft.group, rollouts=tuple(rows)) for draft, rows in zip(drafts, rollouts, strict=True)]
        return self._forecast(groups, drafts) if stage == "resolve" else groups

    def _seeds(self, round: int, stage: str, index: int) -> list[bytes]:
        recipe = self.stages.recipe
        return [seeds.sample_seed(recipe.hash, self.stages.epoch_seed, self.me, round, stage, index, g) for g in range(recipe.learn.group_size)]

    def _sample(self, stage: str, prompts: list[list[int]], noise: list[list[bytes]], progress: Progress | None) -> list[list[Sample]]:
        from swarm.policy import sampler

        recipe, policy = self.stages.recipe, self.stages.policy
        limit = getattr(recipe, stage).max_tokens
        settings = dict(temperature=recipe.sampling.temperature, top_p=recipe.sampling.top_p, rows=recipe.sampling.rows)
        stop = self.stages.cue if stage == "critique" else None
        if limit == 0:  # critiques without a text: only the label is chosen
            return [[sampler.Sample((), (), True) for _ in row] for row in noise]
        return sampler.generate(
            policy.model, prompts, noise, max_tokens=limit, eos=policy.eos, pad=policy.pad, stop=stop, progress=progress, **settings
        )

    def _rollout(self, sample: Sample) -> Rollout:
        return Rollout(self.stages.chat.decode(list(sample.ids)), tuple(sample.ids), tuple(sample.logprobs), sample.finished)

    def _judge(self, prompts: list[list[int]], samples: list[list[Sample]], noise: list[list[bytes]]) -> list[list[Rollout]]:
        """Critiques: the sampled text, then the cue (put there where the model did not write it), then a label drawn by log-probability."""
        flat = [(prompts[n], sample, noise[n][g]) for n, group in enumerate(samples) for g, sample in enumerate(group)]
        texts = [self._text_before_cue(list(sample.ids)) for _, sample, _ in flat]
        ids = [text + self.stages.cue for text in texts]
        chosen = self._labels([prompt for prompt, _, _ in flat], ids, [seed for *_, seed in flat])
        forced = [k for k, (_, sample, _) in enumerate(flat) if tuple(ids[k]) != sample.ids]
        logprobs = dict(zip(forced, self._scores([flat[k][0] for k in forced], [ids[k] for k in forced]), strict=True))
        rollouts = [
            Rollout(
                self.stages.chat.decode(texts[k]),
                tuple(ids[k]) + choice.ids,
                tuple(logprobs.get(k, sample.logprobs)) + choice.token_logprobs,
                finished=True,
                label=choice.index,
            )
            for k, ((_, sample, _), choice) in enumerate(zip(flat, chosen, strict=True))
        ]
        left = iter(rollouts)
        return [[next(left) for _ in group] for group in samples]

    def _labels(self, prompts: list[list[int]], ids: list[list[int]], seeds: list[bytes]) -> list[Choice]:
        from swarm.policy import labels

        prefixes = [prompt + own for prompt, own in zip(prompts, ids, strict=True)]
        how = dict(shared=[len(prompt) for prompt in prompts], **self._warmth)
        return labels.choose(self.stages.policy.model, prefixes, self.stages.labels, seeds, **how)

    def _scores(self, prompts: list[list[int]], ids: list[list[int]]) -> list[list[float]]:
        """Log-probabilities of what was not sampled so."""
        from swarm.policy import sampler

        return sampler.logprobs(self.stages.policy.model, prompts, ids, **self._warmth)

    @property
    def _warmth(self) -> dict[str, Any]:
        sampling = self.stages.recipe.sampling
        return {"temperature": sampling.temperature, "rows": sampling.rows}

    def _text_before_cue(self, ids: list[int]) -> list[int]:
        cue = self.stages.cue
        if cue and ids[-len(cue) :] == cue:
            return ids[: -len(cue)]
        return ids[:-1] if ids and ids[-1] in self.stages.policy.eos else ids

    def _forecast(self, groups: list[Group], drafts: list[Draft]) -> list[Group]:
        """Give every final answer its forecast: the probability, by label, that critics call it right."""
        from swarm.policy import labels

        rows = [(n, rollout) for n, group in enumerate(groups) for rollout in group.rollouts]
        prefixes = [self.stages.check(drafts[n].question, rollout.text) for n, rollout in rows]
        chosen = labels.choose(self.stages.policy.model, prefixes, self.stages.labels, rows=self.stages.recipe.sampling.rows)
        told = iter([replace(row, forecast=min(1.0, choice.probabilities[1])) for (_, row), choice in zip(rows, chosen, strict=True)])
        return [replace(group, rollouts=tuple(next(told) for _ in group.rollouts)) for group in groups]
