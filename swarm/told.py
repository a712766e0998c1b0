"""What is told of a round: the row in `metrics.jsonl`, the running totals, and a peer's entry in `summary.json`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.heartbeat import GroupCounts
from swarm.result import Heldout, PeerResult, Trained

if TYPE_CHECKING:
    from swarm.journal import Journal
    from swarm.learn.batch import Batch, Scored
    from swarm.learn.step import StepResult

SETTLED = 3  # rounds that a swarm may take to find together


def stage(name: str, scored: list[Scored], seconds: float, tokens: int, journal: Journal) -> dict[str, Any]:
    """One stage: groups, mean reward, wall seconds, tokens sampled; and what only that stage can tell."""
    reward = mean([r for s in scored for r in s.rewards])
    row: dict[str, Any] = {"groups": len(scored), "reward": reward, "seconds": round(seconds, 3), "tokens": tokens}
    if name == "critique":
        # A critique's reward is 1 exactly where its label is right, so reward and label tell which label would have been.
        right = [(reward > 0.5) == bool(rollout.label) for s in scored for rollout, reward in zip(s.group.rollouts, s.rewards, strict=True)]
        row["judged"], row["judged_right"] = len(right), sum(right)
    if name == "resolve":
        pairs = [(mean(s.rewards), before) for s in scored if (before := journal.reward(s.group.round, s.group.index)) is not None]
        row["gain"] = mean([after - before for after, before in pairs])
    return row


def ruled(found: list[Scored], waiting: int) -> dict[str, Any]:
    """Answers on which the judge market came to a verdict: groups, their mean reward; and how many still wait for one."""
    rewards = [reward for scored in found for reward in scored.rewards if reward is not None]
    return {"verdicts": {"ruled": len(found), "reward": mean(rewards), "waiting": waiting - len(found)}}


def learned(batch: Batch, result: StepResult, name_of: Callable[[bytes], str], me: bytes) -> dict[str, Any]:
    """What the optimizer step did, and whose groups it was."""
    by_stage: Counter[str] = Counter()
    by_author: Counter[str] = Counter()
    for (_, stage_name, author), count in batch.used.items():
        by_stage[stage_name] += count
        if author != me:
            by_author[name_of(author)] += count
    foreign = sum(count for (_, _, author), count in batch.used.items() if author != me)
    numbers = {key: _finite(getattr(result, key)) for key in ("loss", "grad_norm", "reward", "advantage", "clipped", "entropy", "kl")}
    trained = {"groups": len(batch.groups), "own": len(batch.groups) - foreign, "foreign": foreign}
    return {
        "learn": {**numbers, "lr": result.lr, "tokens": result.tokens, "applied": result.applied},
        "trained": {**trained, "stage": dict(by_stage), "author": dict(by_author)},
    }


def studied(rows: int, result: StepResult) -> dict[str, Any]:
    """What the optimizer step did on `rows` rows of the recipe."""
    numbers = {key: _finite(getattr(result, key)) for key in ("loss", "grad_norm", "entropy")}
    learned = {**numbers, "lr": result.lr, "tokens": result.tokens, "applied": result.applied}
    return {"learn": learned, "trained": {"rows": rows, "groups": 0, "own": 0, "foreign": 0, "stage": {}, "author": {}}}


def _finite(value: float) -> float | None:
    """To six places; None where it is no finite number, which JSON cannot say."""
    return round(value, 6) if math.isfinite(value) else None


def mean(values: list[float] | tuple[float, ...]) -> float | None:
    """Mean to six places, None of nothing."""
    return round(sum(values) / len(values), 6) if values else None


@dataclass
class Totals:
    """Sums over all rounds of a peer; saved with every checkpoint."""

    steps: int = 0
    made: int = 0
    own: int = 0
    foreign: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    stage: Counter[str] = field(default_factory=Counter)
    author: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    judged_right: int = 0  # judged answers that were right
    judged_well: float = 0.0  # judgements that agreed
    gain: float = 0.0
    gains: int = 0
    heard_two: int = 0  # rounds after the first SETTLED in which two others or more were heard

    def add(self, row: dict[str, Any]) -> None:
        """Count one round's row."""
        self.steps += row["learn"]["applied"]
        self.made += sum(row[name]["groups"] for name in ("answer", "critique", "resolve") if name in row)
        self.own += row["trained"]["own"]
        self.foreign += row["trained"]["foreign"]
        self.dropped.update(row["dropped"])
        self.stage.update(row["trained"]["stage"])
        self.author.update(row["trained"]["author"])
        self.heard_two += row["round"] > SETTLED and row["heard"] >= 2
        if "answer" not in row:  # a recipe with rows has no stages
            return
        critique, resolve = row["critique"], row["resolve"]
        self.judged += critique["judged"]
        self.judged_right += critique["judged_right"]
        self.judged_well += critique["judged"] * (critique["reward"] or 0.0)
        if resolve["gain"] is not None:
            self.gain += resolve["gain"] * resolve["groups"]
            self.gains += resolve["groups"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint's notes."""
        return {key: dict(value) if isinstance(value, Counter) else value for key, value in vars(self).items()}

    @classmethod
    def of(cls, value: dict[str, Any]) -> Totals:
        """From `as_dict`."""
        counters = {key: Counter(value[key]) for key in ("dropped", "stage", "author") if key in value}
        return cls(**{**value, **counters})

    def result(self, name: str, rounds: int, heldout: Heldout, cpu_s: float) -> PeerResult:
        """The peer's report, its entry in `summary.json`."""
        right = self.judged_right / self.judged if self.judged else None
        return PeerResult(
            name=name,
            steps=self.steps,
            rounds=rounds,
            heldout=heldout,
            groups=GroupCounts(own=self.own, used=self.foreign, dropped=dict(self.dropped)),
            trained=Trained(own=self.own, foreign=self.foreign, by_stage=dict(self.stage), by_author=dict(self.author)),
            resolve_gain=self.gain / self.gains if self.gains else None,
            critique_accuracy=self.judged_well / self.judged if self.judged else None,
            critique_constant=max(right, 1 - right) if right is not None else None,
            heard_two=self.heard_two / (rounds - SETTLED) if rounds > SETTLED else None,
            cpu_s=cpu_s,
        )
