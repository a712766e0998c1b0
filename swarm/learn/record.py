"""What a step was trained on, as a blob: enough to build the batch again from own and foreign blobs (design.md section 6).

Canonical msgpack `[version, round, epoch seed, own, sources, trained, left out]`: `own` are the digests of the round's own stage
blobs by stage; a source is a foreign blob with the signed shelf that vouches for it, or an own one of an earlier round, whose answers
had to wait for their verdict (its own step record vouches for that); `trained` lists, in training order, whose
group of which blob it was and every rollout's digest, reward (nil: dropped) and advantage; `left out` are own groups that were
not trained on, and why. Reading is bounded by the recipe.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from blake3 import blake3

from swarm import merkle
from swarm.errors import Refused
from swarm.keys import keccak
from swarm.learn import rows_record
from swarm.learn.batch import Batch
from swarm.learn.rows_record import RowsRecord
from swarm.recipe import Recipe
from swarm.records import Shelf
from swarm.seeds import STAGES

VERSION = 2
NOTHING = bytes(32)  # root of no rollouts
_NAN = struct.pack(">d", math.nan)


@dataclass(frozen=True)
class Source:
    """A blob of another peer, or an own one of an earlier round: whose, of which stage and round, its digest, and what vouches for it.

    `shelf`: the signed shelf that names it (wire bytes); of an own one the number of the epoch that recorded its round, 4 bytes.
    """

    author: bytes
    operator: bytes
    stage: str
    round: int
    digest: bytes
    shelf: bytes


@dataclass(frozen=True)
class Trained:
    """One trained group: place `place` in source number `source` (-1: in the own blob of its stage)."""

    stage: str
    author: bytes
    source: int
    place: int
    rollouts: tuple[tuple[bytes, float | None, float], ...]  # digest, reward, advantage


@dataclass(frozen=True)
class BatchRecord:
    """A whole record. `own` holds (stage, digest), `left` (stage, place in the own blob, reason)."""

    round: int
    epoch_seed: bytes
    own: tuple[tuple[str, bytes], ...]
    sources: tuple[Source, ...]
    trained: tuple[Trained, ...]
    left: tuple[tuple[str, int, str], ...]

    def pack(self) -> bytes:
        own = [[STAGES.index(stage), digest] for stage, digest in self.own]
        sources = [[s.author, s.operator, STAGES.index(s.stage), s.round, s.digest, s.shelf] for s in self.sources]
        trained = [[STAGES.index(t.stage), t.author, t.source, t.place, [list(r) for r in t.rollouts]] for t in self.trained]
        left = [[STAGES.index(stage), place, reason] for stage, place, reason in self.left]
        return msgpack.packb([VERSION, self.round, self.epoch_seed, own, sources, trained, left], use_bin_type=True)

    @property
    def digests(self) -> list[bytes]:
        """Every blob that the record names: own ones, then sources."""
        return [digest for _, digest in self.own] + [source.digest for source in self.sources]

    @property
    def rollout_root(self) -> bytes:
        """32-byte root over the trained rollouts' digests, in training order."""
        rows = [digest for group in self.trained for digest, _, _ in group.rollouts]
        return merkle.root(rows) if rows else NOTHING

    @property
    def reward_root(self) -> bytes:
        """32-byte root over their rewards: keccak256 of each float64's big-endian bits, not-a-number for a dropped one."""
        rewards = [_NAN if reward is None else struct.pack(">d", reward) for group in self.trained for _, reward, _ in group.rollouts]
        hashed = {each: keccak(each) for each in set(rewards)}  # a few different ones stand for hundreds
        return merkle.root([hashed[each] for each in rewards]) if rewards else NOTHING


def max_bytes(recipe: Recipe) -> int:
    """Largest record under a recipe."""
    if recipe.learn.method == "sft":
        return rows_record.max_bytes(recipe.learn.batch)
    sharing, size = recipe.sharing, recipe.learn.group_size
    made = recipe.answer.questions + recipe.critique.groups + recipe.resolve.groups
    return 1024 + 160 * sharing.own + sharing.foreign * (Shelf.MAX_BYTES + 160) + (sharing.own + sharing.foreign) * (80 + 56 * size) + 64 * made


def of_batch(
    round: int,
    epoch_seed: bytes,
    batch: Batch,
    advantages: Sequence[Sequence[float]],
    own: dict[str, bytes],
    places: dict[int, tuple[str, int]],
    sources: dict[int, tuple[Source, int]],
) -> BatchRecord:
    """The record of a step. `own` are stage blobs' digests; `places` and `sources` tell by `id(group)` where a group lies."""
    used = list(dict.fromkeys(sources[id(s.group)][0] for s in batch.groups if id(s.group) in sources))
    trained = []
    for scored, row in zip(batch.groups, advantages, strict=True):
        if id(scored.group) in sources:
            source, place = sources[id(scored.group)]
            at = used.index(source)
        else:
            at, (_, place) = -1, places.get(id(scored.group), ("", 0))  # a mixed group lies nowhere: such recipes are not proved
        rewards = [None if reward is None else float(reward) for reward in scored.rewards]
        rollouts = tuple(zip((r.digest for r in scored.group.rollouts), rewards, row, strict=True))
        trained.append(Trained(scored.group.stage, scored.author, at, place, rollouts))
    left = tuple((*places[id(scored.group)], reason) for scored, reason in batch.left_out if id(scored.group) in places)
    return BatchRecord(round, epoch_seed, tuple(own.items()), tuple(used), tuple(trained), left)


def unpack(data: bytes, recipe: Recipe) -> BatchRecord | RowsRecord:
    """A foreign record, of the kind that the recipe's method makes. Raises Refused("oversize" | "malformed")."""
    if recipe.learn.method == "sft":
        return rows_record.unpack(data, recipe.learn.batch)
    if len(data) > max_bytes(recipe):
        raise Refused("oversize", f"a batch record of {len(data)} bytes; at most {max_bytes(recipe)} are read")
    try:
        version, round, seed, own, sources, trained, left = msgpack.unpackb(data, max_map_len=0, max_ext_len=0)
        _require(version == VERSION and _is_int(round, 0, 2**31) and _is_digest(seed))
        record = BatchRecord(
            round,
            seed,
            tuple((STAGES[_int(stage, 0, len(STAGES))], _digest(digest)) for stage, digest in own),
            tuple(_source(row) for row in sources),
            tuple(_trained(row, recipe.learn.group_size, len(sources)) for row in trained),
            tuple((STAGES[_int(stage, 0, len(STAGES))], _int(place, 0, 2**16), _text(reason)) for stage, place, reason in left),
        )
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise Refused("malformed", f"a batch record does not parse ({type(error).__name__})") from None
    _require(record.pack() == data)
    return record


def digest_of(data: bytes) -> bytes:
    """32 bytes: BLAKE3."""
    return blake3(data).digest()


def _source(row: Any) -> Source:
    author, operator, stage, round, digest, shelf = row
    _require(type(operator) is bytes and len(operator) == 20 and type(shelf) is bytes and len(shelf) <= Shelf.MAX_BYTES)
    return Source(_digest(author), operator, STAGES[_int(stage, 0, len(STAGES))], _int(round, 0, 2**31), _digest(digest), shelf)


def _trained(row: Any, size: int, sources: int) -> Trained:
    stage, author, source, place, rollouts = row
    _require(len(rollouts) == size)
    rows = tuple((_digest(digest), None if reward is None else _float(reward), _float(advantage)) for digest, reward, advantage in rollouts)
    return Trained(STAGES[_int(stage, 0, len(STAGES))], _digest(author), _int(source, -1, sources), _int(place, 0, 2**16), rows)


def _is_int(value: Any, low: int, end: int) -> bool:
    return type(value) is int and low <= value < end


def _int(value: Any, low: int, end: int) -> int:
    _require(_is_int(value, low, end))
    return value


def _is_digest(value: Any) -> bool:
    return type(value) is bytes and len(value) == 32


def _digest(value: Any) -> bytes:
    _require(_is_digest(value))
    return value


def _float(value: Any) -> float:
    _require(type(value) is float and math.isfinite(value))
    return value


def _text(value: Any) -> str:
    _require(type(value) is str and len(value) <= 64)
    return value


def _require(condition: bool) -> None:
    if not condition:
        raise Refused("malformed", "a batch record breaks its form")
