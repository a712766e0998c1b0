"""Derivation: whether own rollouts follow from weights, prompts and seeds, from one teacher-forced pass instead of decoding again.

Tokens, their log-probabilities and where a sample had to end come from the pass (`swarm.policy.redraw`); text, label and forecast are then made
of the derived samples exactly as their author made them. Under canonical numerics all of it is compared bit for bit (`margin = 0`). With a
margin (stock PyTorch in another batch shape, or on another machine) nearly tied tokens and labels count as near, which is no fault.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swarm import seeds
from swarm.author import Author, Draft
from swarm.groups import Group, Rollout
from swarm.proof.canonical import numerics

if TYPE_CHECKING:
    from swarm.policy.labels import Choice
    from swarm.policy.redraw import Redrawn, Told
    from swarm.policy.sampler import Sample
    from swarm.stages import Stages

Place = tuple[int, int]  # a group of the stage, a sample of it


@dataclass(frozen=True)
class Difference:
    """The first thing of a rollout that does not follow. `token` is the place of a token, None where it is something else."""

    stage: str
    question: int
    sample: int
    token: int | None
    what: str

    def __str__(self) -> str:
        return f"{self.stage}, question {self.question}, sample {self.sample}: {self.what}"


@dataclass(frozen=True)
class Derived:
    """What came of a stage: rollouts and tokens that were looked at, tokens and labels too near to tell, and the first difference."""

    rollouts: int
    tokens: int
    near: int
    widest: float  # of the near ones
    difference: Difference | None


def drawn(groups: dict[str, list[Group]], beacon: bytes, key: bytes, step: int, count: int) -> dict[str, list[Place]]:
    """The `count` rollouts of a step that are looked at, drawn by a beacon that was not known when they were committed (0: all of them)."""
    every = [(stage, (n, g)) for stage, some in groups.items() for n, group in enumerate(some) for g in range(len(group.rollouts))]
    if 0 < count < len(every):
        every = sorted(random.Random(seeds.derive("rollouts", beacon, key, step)).sample(every, count))
    return {stage: [place for of, place in every if of == stage] for stage in groups}


class Deriver(Author):
    """An author that writes nothing: it derives what another said it wrote. `me` is the other's, `margin` as in `redraw`."""

    def __init__(self, stages: Stages, me: bytes, margin: float = 0.0):
        super().__init__(stages, me)
        self.margin = margin

    def derive(self, groups: list[Group], round: int, places: Collection[Place]) -> Derived:
        """Derive the rollouts at `places` of the groups of one stage, in their order."""
        taken = {n: [g for at, g in places if at == n] for n in sorted({n for n, _ in places})}
        if not taken:
            return Derived(0, 0, 0, 0.0, None)
        with numerics(self.stages.recipe):
            return self._derive(groups, round, taken)

    def _derive(self, groups: list[Group], round: int, taken: dict[int, list[int]]) -> Derived:
        drafts = [Draft(replace(groups[n], rollouts=()), self.stages.question(groups[n])) for n in taken]
        told = [replace(groups[n], rollouts=tuple(groups[n].rollouts[g] for g in of)) for n, of in taken.items()]
        prompts = [self.stages.prompt(draft.group, draft.question) for draft in drafts]
        noise = [[self._seeds(round, groups[n].stage, n)[g] for g in of] for n, of in taken.items()]
        where = [(n, g) for n, of in taken.items() for g in of]
        return self._compare(drafts, told, prompts, noise, where)

    def _compare(self, drafts: list[Draft], told: list[Group], prompts: list[list[int]], noise: list[list[bytes]], where: list[Place]) -> Derived:
        flat = [rollout for group in told for rollout in group.rollouts]
        again = self._redrawn(told, prompts, noise)
        near = [one.behind for each in again for one in each.near]
        first = next(((at, rollout, each) for at, rollout, each in zip(where, flat, again, strict=True) if each.place is not None), None)
        if first is not None:
            return self._told(told, flat, near, self._token(told[0].stage, *first))
        samples = iter(each.sample for each in again)
        groups = self._finish(drafts, prompts, [[next(samples) for _ in group.rollouts] for group in told], noise)
        derived = [rollout for group in groups for rollout in group.rollouts]
        unlike = (
            Difference(told[0].stage, n, g, None, what)
            for k, ((n, g), said, own) in enumerate(zip(where, flat, derived, strict=True))
            if (what := self._unlike(said, own, k, near))
        )
        return self._told(told, flat, near, next(unlike, None))

    def _told(self, told: list[Group], flat: list[Rollout], near: list[float], difference: Difference | None) -> Derived:
        return Derived(len(flat), sum(len(rollout.ids) for rollout in flat), len(near), max(near, default=0.0), difference)

    def _redrawn(self, told: list[Group], prompts: list[list[int]], noise: list[list[bytes]]) -> list[Redrawn]:
        from swarm.policy.redraw import Ends, redraw

        recipe, policy, stage = self.stages.recipe, self.stages.policy, told[0].stage
        ends = Ends(getattr(recipe, stage).max_tokens, policy.eos, tuple(self.stages.cue) if stage == "critique" else ())
        rows = [
            self._as_told(prompt, rollout, seed, stage)
            for prompt, group, of in zip(prompts, told, noise, strict=True)
            for rollout, seed in zip(group.rollouts, of, strict=True)
        ]
        how = dict(top_p=recipe.sampling.top_p, margin=self.margin, **self._warmth)
        again = redraw(policy.model, rows, ends, pad=policy.pad, **how)
        self._said = {(tuple(row.prompt), tuple(row.ids)): list(one.scores) for row, one in zip(rows, again, strict=True)}
        return again

    def _as_told(self, prompt: list[int], rollout: Rollout, seed: bytes, stage: str) -> Told:
        """What a sample went on with, and where a critique's cue begins. A label that is not there shows when the whole is compared."""
        from swarm.policy.redraw import Told

        if stage != "critique":
            return Told(prompt, list(rollout.ids), seed)
        body = list(rollout.ids[: len(rollout.ids) - len(self.stages.labels[rollout.label or 0])])
        text = len(body) - len(self.stages.cue)
        return Told(prompt, body, seed, text if text >= 0 and body[text:] == self.stages.cue else None)

    def _token(self, stage: str, at: Place, said: Rollout, again: Redrawn) -> Difference:
        place, follows = again.place, again.sample.ids[again.place :]
        theirs = f"token {place} is {said.ids[place]}" if place < len(said.ids) else f"it ends after {place} tokens"
        return Difference(stage, *at, place, f"{theirs}, {follows[0]} follows" if follows else f"{theirs}, but it had to end after {place} tokens")

    def _unlike(self, said: Rollout, own: Rollout, k: int, near: list[float]) -> str | None:
        """What two rollouts of the same tokens differ in, in one clause; None where nothing."""
        if said.digest == own.digest:
            return None
        if said.label != own.label:
            if self._chosen[k].ahead < self.margin:
                near.append(self._chosen[k].ahead)
                return None
            return f"its label is {said.label}, {own.label} follows"
        if said.ids != own.ids:
            return "its tokens are not those of its text, cue and label"
        if said.text != own.text or said.finished != own.finished:
            return "its text or its end is not that of its tokens"
        apart = [(i, a, b) for i, (a, b) in enumerate(zip(said.logprobs, own.logprobs, strict=True)) if not self._same(a, b)]
        if apart:
            return "the log-probability of token {} is {!r}, {!r} follows".format(*apart[0])
        if said.forecast != own.forecast and not (said.forecast and own.forecast and self._same(said.forecast, own.forecast)):
            return f"its forecast is {said.forecast!r}, {own.forecast!r} follows"
        return None if self.margin else "it travels in other bytes"

    def _same(self, one: float, other: float) -> bool:
        return one == other if not self.margin else abs(one - other) < self.margin

    def _sample(self, *_: object) -> list[list[Sample]]:
        raise NotImplementedError("a deriver draws no samples")

    def _scores(self, prompts: list[list[int]], ids: list[list[int]]) -> list[list[float]]:
        known = [self._said.get((tuple(prompt), tuple(own))) for prompt, own in zip(prompts, ids, strict=True)]
        other = [k for k, scores in enumerate(known) if scores is None]  # what was told ends in another way
        rest = iter(super()._scores([prompts[k] for k in other], [ids[k] for k in other]))
        return [next(rest) if scores is None else scores for scores in known]

    def _labels(self, prompts: list[list[int]], ids: list[list[int]], seeds: list[bytes]) -> list[Choice]:
        self._chosen = super()._labels(prompts, ids, seeds)
        return self._chosen
