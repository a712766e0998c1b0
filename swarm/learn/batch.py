"""Which groups a step trains on: I own ones, J of others, chosen by rules that are the same for both.

Pure functions of their arguments. Groups in which all rewards are equal have no advantage and are dropped *before*
sampling, own and foreign alike (SAPO, Amico et al. 2025, arXiv 2509.08721); stages take turns; no foreign operator gets
more than its share; nothing is taken twice. Single rollouts that look planted (arXiv 2511.09780) are dropped before that.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from swarm.groups import Group
from swarm.learn.step import TrainGroup
from swarm.sections import Sharing
from swarm.seeds import STAGES

SAME = 1e-6  # rewards that differ by less are equal
WINDOW = 4  # tokens: a planted string is short, so the mean over a whole rollout would hide it

IMPROBABLE, TOO_LONG, NO_ADVANTAGE = "improbable", "too long", "no advantage"
OWN_NO_ADVANTAGE, OPERATOR_SHARE = "no advantage (own)", "operator share"


@dataclass(frozen=True)
class Scored:
    """A group with rewards computed here. A reward of None marks a rollout that was dropped."""

    group: Group
    rewards: tuple[float | None, ...]
    operator: bytes  # 20-byte address behind the author
    author: bytes  # 32-byte peer
    authors: tuple[bytes, ...] = ()  # per rollout, where own and foreign ones were mixed

    @property
    def by(self) -> tuple[bytes, ...]:
        """The author of each rollout."""
        return self.authors or (self.author,) * len(self.rewards)

    @property
    def question(self) -> tuple:
        """What the rollouts complete; equal for two groups exactly if their prompts are."""
        return (*self.group.key, self.group.answer, self.group.said)

    @property
    def has_advantage(self) -> bool:
        """Whether the rewards differ, so that the group teaches anything."""
        rewards = [reward for reward in self.rewards if reward is not None]
        return len(rewards) > 1 and max(rewards) - min(rewards) > SAME


@dataclass(frozen=True)
class Batch:
    """What a step trains on, in this order, and what became of the rest."""

    groups: tuple[Scored, ...]
    used: Counter[tuple[str, str, bytes]]  # ("own" | "foreign" | "mixed", stage, author) -> groups
    dropped: Counter[str]  # reason -> groups that could not be used
    left_out: tuple[tuple[Scored, str], ...]  # own groups that are not trained on, and why


def select(own: Sequence[Scored], foreign: Sequence[Scored], sharing: Sharing, rng: random.Random) -> Batch:
    """Choose a batch. The result depends on the groups and on `rng`, not on the order in which they are given.

    `foreign` holds only groups that were never trained on before (the pool's business). Own and foreign groups of one
    question are mixed first where the recipe says so. A shortage on one side is not filled from the other.
    """
    own, foreign = _shuffled(own, rng), _shuffled(foreign, rng)
    if sharing.join == "mixed":
        own, foreign = _mix(own, foreign, rng)
    usable = [group for group in foreign if group.has_advantage]
    taken = _in_turn([group for group in own if group.has_advantage], sharing.own)
    given, over_share = _within_share(usable, len(taken), sharing)
    flat = sum(not group.has_advantage for group in own)
    dropped = Counter({OWN_NO_ADVANTAGE: flat, NO_ADVANTAGE: len(foreign) - len(usable), OPERATOR_SHARE: over_share})
    kept = {id(group) for group in taken}
    left = [(group, "not drawn" if group.has_advantage else NO_ADVANTAGE) for group in own if id(group) not in kept]
    origins = [(group, "own") for group in taken] + [(group, "foreign") for group in given]
    used = Counter((_origin(group, kind), group.group.stage, group.author) for group, kind in origins)
    return Batch((*taken, *given), used, +dropped, tuple(left))


def suspicious(completions: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]], sharing: Sharing) -> list[str | None]:
    """For each foreign rollout of a group: why it is dropped, or None.

    `completions` are ids under the own tokenizer, `logprobs` their log-probabilities under the own model (nats, one per
    id). `improbable`: the mean, over the whole rollout or over any WINDOW tokens in a row, is below `min_logprob`.
    `too long`: more than `length_ratio` times the group's median length.
    """
    if not sharing.filter:
        return [None] * len(completions)
    usual = median(map(len, completions))
    reasons: list[str | None] = []
    for ids, row in zip(completions, logprobs, strict=True):
        if len(ids) > sharing.length_ratio * usual:
            reasons.append(TOO_LONG)
        else:
            reasons.append(IMPROBABLE if _least_mean(row) < sharing.min_logprob else None)
    return reasons


def without(scored: Scored, reasons: Sequence[str | None]) -> Scored:
    """`scored` with the rollouts that have a reason marked as dropped."""
    return replace(scored, rewards=tuple(None if reason else reward for reward, reason in zip(scored.rewards, reasons, strict=True)))


def for_training(
    scored: Scored, prompt: list[int], completions: Sequence[Sequence[int]], me: bytes, sampled: Sequence[Sequence[bool]] | None = None
) -> TrainGroup:
    """What `step` takes. `completions` are ids under the own tokenizer, one per rollout; `sampled` marks the tokens the
    policy chose (False: put there by the stage, as a critique's cue). Where a foreign text encodes to other ids than its
    author reports, the author's log-probabilities fit nothing and are left out."""
    rows: list[list[float] | None] = []
    for author, rollout, ids in zip(scored.by, scored.group.rollouts, completions, strict=True):
        rows.append(list(rollout.logprobs) if author != me and rollout.ids == tuple(ids) else None)
    return TrainGroup(
        prompt=list(prompt),
        completions=[list(ids) for ids in completions],
        rewards=list(scored.rewards),
        logprobs=rows if any(row is not None for row in rows) else None,
        sampled=None if sampled is None else [list(row) for row in sampled],
        foreign=any(author != me for author in scored.by),
        key=scored.group.key,
    )


def _shuffled(groups: Sequence[Scored], rng: random.Random) -> list[Scored]:
    """In a random order that depends on the groups alone."""
    ordered = sorted(groups, key=lambda g: (*g.group.key, g.author, g.group.answer or "", tuple(r.digest for r in g.group.rollouts)))
    rng.shuffle(ordered)
    return ordered


def _in_turn(groups: Sequence[Scored], count: int, cap: int | None = None) -> list[Scored]:
    """Up to `count` groups, one stage after the other, at most `cap` per operator; then sorted by stage."""
    waiting = {stage: [group for group in groups if group.group.stage == stage] for stage in dict.fromkeys(g.group.stage for g in groups)}
    taken: list[Scored] = []
    per_operator: Counter[bytes] = Counter()
    while len(taken) < count and any(waiting.values()):
        for stage in waiting:
            group = next((g for g in waiting[stage] if cap is None or per_operator[g.operator] < cap), None)
            if group is None:
                waiting[stage] = []
            elif len(taken) < count:
                waiting[stage].remove(group)
                per_operator[group.operator] += 1
                taken.append(group)
    return sorted(taken, key=lambda g: STAGES.index(g.group.stage))


def _within_share(groups: list[Scored], own: int, sharing: Sharing) -> tuple[list[Scored], int]:
    """The largest choice of foreign groups in which no operator has more than its share of the whole batch (but one
    group always), and how many fewer that is than could be had without the rule."""
    wanted = min(sharing.foreign, len(groups))
    for size in range(wanted, 0, -1):
        cap = max(1, int(sharing.operator_share * (own + size) + 1e-9))
        taken = _in_turn(groups, size, cap)
        if len(taken) == size:
            return taken, wanted - size
    return [], wanted


def _mix(own: list[Scored], foreign: list[Scored], rng: random.Random) -> tuple[list[Scored], list[Scored]]:
    """Where both sides answered the same question, exchange half of the rollouts: two groups of both manners.

    So a foreign success stands beside own failures of the same question, where it has advantage, even if either group
    alone had none.
    """
    own, foreign = list(own), list(foreign)
    partners = {group.question: i for i, group in reversed(list(enumerate(own)))}
    for at, theirs in enumerate(foreign):
        i = partners.pop(theirs.question, None)
        if i is not None and len(theirs.rewards) == len(own[i].rewards):
            own[i], foreign[at] = _exchange(own[i], theirs, rng)
    return own, foreign


def _exchange(ours: Scored, theirs: Scored, rng: random.Random) -> tuple[Scored, Scored]:
    rows = [list(zip(g.group.rollouts, g.rewards, g.by, strict=True)) for g in (ours, theirs)]
    for row in rows:
        rng.shuffle(row)
    half = len(ours.rewards) // 2
    return _of(ours, rows[0][:half] + rows[1][half:]), _of(theirs, rows[0][half:] + rows[1][:half])


def _of(scored: Scored, rows: list[tuple]) -> Scored:
    rollouts, rewards, authors = zip(*rows, strict=True)
    return replace(scored, group=replace(scored.group, rollouts=rollouts), rewards=rewards, authors=authors)


def _origin(scored: Scored, kind: str) -> str:
    return "mixed" if len(set(scored.by)) > 1 else kind


def _least_mean(logprobs: Sequence[float]) -> float:
    """The smallest mean over the whole row or over WINDOW neighbours; not-a-number counts as minus infinity."""
    windows = [logprobs[i : i + WINDOW] for i in range(max(1, len(logprobs) - WINDOW + 1))]
    means = [sum(window) / len(window) for window in (*windows, logprobs) if window]
    return min((mean if mean == mean else -float("inf") for mean in means), default=-float("inf"))
