"""Rewards that follow from verdicts of the judge market, as an auditor has them: beside the records, since no record is believed about them.

The node's own log of the market says what was ruled. A step may only use verdicts that a final root has closed, so where that root covers the
step's time and there is no verdict, there was none; where it does not, nothing can be said of the step. Own answers wait for their verdict, so
they are trained on in a later round: the step record of the round that sampled them has to name them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from swarm.errors import Refused
from swarm.groups import Group, Limits, unpack
from swarm.learn import record as batches
from swarm.learn.record import BatchRecord
from swarm.proof import epoch as epochs
from swarm.proof import leaf as leaves
from swarm.proof.epoch import Epoch
from swarm.proof.leaf import Leaf
from swarm.recipe import KEPT, Recipe

if TYPE_CHECKING:
    from swarm.proof.audit import Commitment

Place = tuple[bytes, int, int]  # author, round, index: of a group of answers
Fetch = Callable[[bytes, int], bytes]  # (digest, most bytes) -> blob
Committed = Callable[[bytes, int], tuple[int, bytes] | None]  # (key, epoch) -> (steps, data) of a commitment that this node has seen


class Ruled(Protocol):
    """What the market said of a group of answers: rewards, None for a rollout that was not judged; times in ms of the chain."""

    rewards: tuple[float | None, ...]
    opened: int
    final: int


@dataclass(frozen=True)
class Judged:
    """The rewards of a group of answers by its verdict, None for a rollout that was not judged, none at all where there was no verdict; when its
    market was opened, unix seconds."""

    rewards: tuple[float | None, ...]
    opened: float


def row(place: Place, judged: Judged) -> list[Any]:
    """A verdict as it stands in a replayer's job."""
    author, round, index = place
    return [author.hex(), round, index, list(judged.rewards), judged.opened]


def of_row(row: list[Any]) -> tuple[Place, Judged]:
    """From `row`."""
    author, round, index, rewards, opened = row
    return (bytes.fromhex(author), round, index), Judged(tuple(rewards), opened)


class Judgements:
    """What a desk knows of verdicts. `verdicts` of (operator, group)s, `committed` and `closed` are set where the recipe has judged tasks."""

    def __init__(self, recipe: Recipe, limits: Limits):
        self.recipe, self.limits = recipe, limits
        self.verdicts: Callable[[list[tuple[bytes, Group]]], Sequence[Ruled | None]] | None = None
        self.committed: Committed = lambda key, epoch: None
        self.closed: Callable[[], int] = lambda: -1  # up to when (ms) a final root has closed the market's log

    def rows(self, leaf: Leaf, record: BatchRecord, blob: Callable[[bytes], bytes]) -> list[Any]:
        """For the replayer: the verdicts on what a step was trained on, as they were when it was taken."""
        if self.verdicts is None:
            return []
        then, closed = leaf.time * 1000, self.closed()
        asked: list[tuple[bytes, Group]] = []
        for number, source in enumerate(record.sources):
            if source.stage == "answer":
                groups = unpack(blob(source.digest), self.limits, source.author)[3]
                places = sorted({trained.place for trained in record.trained if trained.source == number})
                asked += [(source.operator, groups[place]) for place in places if place < len(groups)]
        rows = []
        for (_, group), ruled in zip(asked, self.verdicts(asked), strict=True):
            place = (group.asker, group.round, group.index)
            if ruled is not None and ruled.final <= then:
                rows.append(row(place, Judged(ruled.rewards, ruled.opened / 1000)))
            elif then <= closed:
                rows.append(row(place, Judged((), 0.0)))
        return rows

    def require_sampled(self, this: Commitment, record: BatchRecord, known: list[Epoch], fetch: Fetch) -> None:
        """Own answers of earlier rounds must be those that the record of their round names. Raises Refused, and what `fetch` raises."""
        by_number = {epoch.number: epoch for epoch in known}
        for source in record.sources:
            if source.author != this.peer:
                continue
            number = int.from_bytes(source.shelf, "big")
            if number not in by_number:
                by_number[number] = self._epoch(this, number, record, fetch)
            made = next((leaf for leaf in by_number[number].leaves if leaf.round == source.round and leaf.kind == leaves.LEARN), None)
            if made is None:
                raise Refused("own blobs", f"round {record.round} trains on answers of round {source.round}, which epoch {number} does not hold")
            then = batches.unpack(fetch(made.batch, batches.max_bytes(self.recipe)), self.recipe)
            if ("answer", source.digest) not in then.own:
                raise Refused("own blobs", f"round {record.round} trains on other answers of round {source.round} than were sampled then")

    def _epoch(self, this: Commitment, number: int, record: BatchRecord, fetch: Fetch) -> Epoch:
        committed = self.committed(this.key, number) if this.epoch - KEPT <= number < this.epoch else None
        if committed is None:
            raise Refused("own blobs", f"round {record.round} trains on answers of epoch {number}, which its author did not commit")
        steps, data = committed
        epoch = epochs.unpack(fetch(data, epochs.max_bytes(steps)), steps)
        if epoch.digest != data or epoch.peer != this.peer:
            raise Refused("own blobs", f"epoch {number} of another peer")
        return epoch
