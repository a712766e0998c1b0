"""Rollouts and groups as they travel: the content of a stage's blob.

A blob is a msgpack list `[VERSION, stage, round, epoch_seed, groups]` whose author, swarm and round are vouched for by
the signed announcement that carries its digest. Reading one is bounded by the recipe (`Limits`), checked for type
before use, and never runs anything. Rewards do not travel: they are recomputed by whoever uses a group.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import msgpack
from blake3 import blake3

from swarm.errors import Refused
from swarm.recipe import Recipe
from swarm.seeds import STAGES

VERSION = 2
TEXT_PER_TOKEN = 16  # bytes of UTF-8 a token may stand for, on average, before a text is refused


@dataclass(frozen=True)
class Rollout:
    """One sampled completion: its text without special tokens, its ids, and log-probs under the author's policy."""

    text: str
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]  # float32 values, nats, one per id
    finished: bool  # ended by itself (EOS or label), not by the length limit
    label: int | None = None  # critique: 1 right, 0 wrong; chosen by log-probability, never parsed
    forecast: float | None = None  # resolve: probability that most critics call this answer right

    @property
    def digest(self) -> bytes:
        """32 bytes: BLAKE3 over the rollout as it travels."""
        return blake3(_pack(_rollout_out(self))).digest()


@dataclass(frozen=True)
class Said:
    """A critique as it is shown inside a resolve prompt."""

    label: int
    text: str


@dataclass(frozen=True)
class Group:
    """All rollouts of one question in one stage. `asker`, `round` and `index` name the question, for anyone to derive."""

    stage: str
    asker: bytes  # 32-byte peer whose question it is
    round: int  # the asker's round
    index: int  # the question's index in that round
    rollouts: tuple[Rollout, ...]
    answer: str | None = None  # critique, resolve: the answer that is judged or reconsidered
    said: tuple[Said, ...] = ()  # resolve: critiques shown
    specialty: int = -1  # index of the asker's task where the recipe says specialists, else -1
    seed: bytes = bytes(32)  # epoch seed under which the asker drew the question

    @property
    def key(self) -> tuple[str, bytes, int, int]:
        return (self.stage, self.asker, self.round, self.index)


@dataclass(frozen=True)
class Limits:
    """Bounds on a foreign blob, all derived from the recipe."""

    group_size: int
    groups: dict[str, int]
    tokens: dict[str, int]
    critiques: int
    tasks: int
    vocabulary: int = 2**20
    rounds: int = field(default=2**31)

    @classmethod
    def of(cls, recipe: Recipe) -> Limits:
        label = 64  # tokens of cue and label after a critique's text
        return cls(
            group_size=recipe.learn.group_size,
            groups={"answer": recipe.answer.questions, "critique": recipe.critique.groups, "resolve": recipe.resolve.groups},
            tokens={"answer": recipe.answer.max_tokens, "critique": recipe.critique.max_tokens + label, "resolve": recipe.resolve.max_tokens},
            critiques=recipe.resolve.critiques,
            tasks=len(recipe.tasks),
        )

    def text_bytes(self, stage: str) -> int:
        return self.tokens[stage] * TEXT_PER_TOKEN

    def blob_bytes(self, stage: str) -> int:
        """Largest blob of a stage: texts, 5-byte ids, 4-byte log-probs, context, and framing."""
        rollout = self.text_bytes(stage) + 9 * self.tokens[stage] + 64
        context = self.text_bytes("answer") + self.critiques * (self.text_bytes("critique") + 16) + 256
        return 1024 + self.groups[stage] * (self.group_size * rollout + context)


def pack(stage: str, round: int, epoch_seed: bytes, groups: list[Group]) -> bytes:
    """The blob of a stage."""
    return _pack([VERSION, stage, round, epoch_seed, [_group_out(group) for group in groups]])


def unpack(data: bytes, limits: Limits, author: bytes) -> tuple[str, int, bytes, list[Group]]:
    """`(stage, round, epoch_seed, groups)` of a foreign blob. Raises Refused("malformed" | "oversize" | "not finite")."""
    if len(data) > max(limits.blob_bytes(stage) for stage in STAGES):
        raise Refused("oversize", f"blob of {len(data)} bytes")
    try:
        version, stage, round, epoch_seed, rows = msgpack.unpackb(data, use_list=True, strict_map_key=True, max_map_len=0, max_ext_len=0)
        _require(version == VERSION and stage in STAGES, "malformed")
        _require(len(data) <= limits.blob_bytes(stage), "oversize")
        _require(_is_int(round, 0, limits.rounds) and type(epoch_seed) is bytes and len(epoch_seed) == 32, "malformed")
        _require(type(rows) is list and len(rows) <= limits.groups[stage], "oversize")
        groups = [_group_in(row, stage, limits) for row in rows]
    except Refused:
        raise
    except (ValueError, TypeError, KeyError, struct.error, msgpack.UnpackException, RecursionError) as error:
        raise Refused("malformed", f"blob does not parse: {type(error).__name__}") from None
    _require(len({group.key + (group.answer,) for group in groups}) == len(groups), "duplicate")
    for group in groups:
        own = group.asker == author and (stage == "resolve" or group.round == round)
        _require(group.asker != author if stage == "critique" else own, "malformed")
        _require(stage != "answer" or group.seed == epoch_seed, "malformed")
    return stage, round, epoch_seed, groups


def _pack(value: Any) -> bytes:
    return msgpack.packb(value, use_bin_type=True)


def _rollout_out(r: Rollout) -> list[Any]:
    forecast = None if r.forecast is None else struct.pack("<f", r.forecast)
    return [r.text, list(r.ids), struct.pack(f"<{len(r.logprobs)}f", *r.logprobs), r.finished, r.label, forecast]


def _group_out(g: Group) -> list[Any]:
    said = [[s.label, s.text] for s in g.said]
    return [g.asker, g.round, g.index, g.specialty, g.answer, said, [_rollout_out(r) for r in g.rollouts], g.seed]


def _group_in(row: Any, stage: str, limits: Limits) -> Group:
    asker, round, index, specialty, answer, said, rollouts, seed = row
    _require(type(asker) is bytes and len(asker) == 32 and type(seed) is bytes and len(seed) == 32, "malformed")
    _require(_is_int(round, 0, limits.rounds) and _is_int(index, 0, limits.groups["answer"]), "malformed")
    _require(_is_int(specialty, -1, limits.tasks), "malformed")
    _require(type(rollouts) is list and len(rollouts) == limits.group_size, "malformed")
    _require(type(said) is list and len(said) <= limits.critiques, "oversize")
    _require((answer is None) == (stage == "answer") and (not said or stage == "resolve"), "malformed")
    if answer is not None:
        _text(answer, limits.text_bytes("answer"))
    quotes = tuple(_said_in(entry, limits) for entry in said)
    return Group(stage, asker, round, index, tuple(_rollout_in(r, stage, limits) for r in rollouts), answer, quotes, specialty, seed)


def _said_in(entry: Any, limits: Limits) -> Said:
    label, text = entry
    _require(_is_int(label, 0, 2), "malformed")
    return Said(label, _text(text, limits.text_bytes("critique")))


def _rollout_in(row: Any, stage: str, limits: Limits) -> Rollout:
    text, ids, logprobs, finished, label, forecast = row
    _text(text, limits.text_bytes(stage))
    _require(type(ids) is list and 1 <= len(ids) <= limits.tokens[stage], "oversize")
    _require(all(_is_int(i, 0, limits.vocabulary) for i in ids), "malformed")
    _require(type(logprobs) is bytes and len(logprobs) == 4 * len(ids) and type(finished) is bool, "malformed")
    values = struct.unpack(f"<{len(ids)}f", logprobs)
    _require(all(math.isfinite(v) and v <= 1e-3 for v in values), "not finite")
    _require(_is_int(label, 0, 2) if stage == "critique" else label is None, "malformed")
    if forecast is not None:
        _require(stage == "resolve" and type(forecast) is bytes and len(forecast) == 4, "malformed")
        (forecast,) = struct.unpack("<f", forecast)
        _require(math.isfinite(forecast) and 0 <= forecast <= 1, "not finite")
    return Rollout(text, tuple(ids), values, finished, label, forecast)


def _text(value: Any, most: int) -> str:
    _require(type(value) is str, "malformed")
    _require(len(value.encode("utf-8", "surrogatepass")) <= most, "oversize")
    return value


def _is_int(value: Any, low: int, end: int) -> bool:
    return type(value) is int and low <= value < end


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)

