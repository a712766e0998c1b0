"""The scribe: follows one round of a node and writes its step record at the end.

It takes down the state before the round, the blobs of each stage, where every trained group lies, and the state after; the
recorder makes it durable. The node calls `begin`, `wrote`, `stepped` (or `taught` alone), `write`, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarm.groups import Group
from swarm.learn import state
from swarm.learn.record import BatchRecord, Source, digest_of, of_batch
from swarm.learn.rows_record import RowsRecord
from swarm.proof import leaf as leaves
from swarm.proof.leaf import Leaf
from swarm.proof.recorder import Recorder, Step
from swarm.proof.units import sizes, units

if TYPE_CHECKING:
    from swarm.learn.batch import Batch
    from swarm.learn.step import StepResult
    from swarm.trainee import Trainee


Found = tuple[Source, int, list[bytes]]  # where a group lies: its source, its place there, and the blobs that show it


@dataclass
class _Round:
    number: int
    before: bytes
    state: bytes
    stored: bool
    own: dict[str, bytes] = field(default_factory=dict)  # stage -> digest
    places: dict[int, tuple[str, int]] = field(default_factory=dict)  # id(own group) -> (stage, place in its blob)
    held: list[list[Group]] = field(default_factory=list)  # keeps the groups alive, so that their ids stay theirs
    sampled: int = 0
    kept: list[bytes] = field(default_factory=list)  # digests of blobs that others will ask for, to audit this step
    record: BatchRecord | RowsRecord | None = None
    result: StepResult | None = None


class Scribe:
    """Writes the step records of one node. `now()` is the chain's time, unix seconds."""

    def __init__(self, recorder: Recorder, trainee: Trainee, every: int, now: Callable[[], float]):
        self.recorder, self.trainee, self.every, self.now = recorder, trainee, every, now
        self._sizes = sizes(trainee.policy.model)
        self._head: tuple[bytes, bytes] | None = None  # root after the last step, digest of the packed state
        self._round: _Round | None = None

    def resume(self) -> None:
        """Fit the records to the state that was taken up. A round that was committed is never played a second time, even where its state is lost."""
        self.trainee.round = max(self.trainee.round, self.recorder.committed_round)
        self._head = self._look()
        self.recorder.resume(self.trainee.round, self._head[0], int(self.now()))

    @property
    def root(self) -> bytes:
        """State root of the trainee between two rounds."""
        self._head = self._head or self._look()
        return self._head[0]

    def rebase(self) -> None:
        """Go on from the state that the trainee took up, to which no record leads."""
        self._head = self._look()
        self.recorder.rebase(self._head[0])

    def begin(self, number: int) -> None:
        """A round begins at the present state."""
        root, digest = self._head or self._look()
        self._head = None
        stored = self.recorder.stored(number, self.every)
        if stored and self._keep(state.pack(self.trainee.tensors, self.trainee.scalars)) != digest:
            raise RuntimeError(f"the state changed between round {number} and the one before")
        self._round = _Round(number, root, digest, stored)

    def wrote(self, stage: str, groups: list[Group], blob: bytes) -> None:
        """A stage of the round is written."""
        this = self._now
        if groups:
            this.own[stage] = self._keep(blob)
            this.places |= {id(group): (stage, place) for place, group in enumerate(groups)}
            this.held.append(groups)
            this.sampled += sum(len(rollout.ids) for group in groups for rollout in group.rollouts)

    def stepped(self, batch: Batch, result: StepResult, source: Callable[[Group], Found | None], epoch_seed: bytes) -> None:
        """The optimizer step was taken; `source(group)` says where a group lies that is not of the round's own blobs."""
        this, sources = self._now, {}
        for scored in batch.groups:
            if (found := source(scored.group)) is not None:
                origin, place, blobs = found
                this.kept += [self._keep(blob) for blob in blobs]
                sources[id(scored.group)] = (origin, place)
        this.record = of_batch(this.number, epoch_seed, batch, result.advantages, this.own, this.places, sources)
        this.result = result

    def taught(self, record: RowsRecord, result: StepResult) -> None:
        """The optimizer step was taken on rows, in a recipe that has them: there are no stages then."""
        self._now.record, self._now.result = record, result

    def write(self, paid: bool = True) -> Step:
        """Write the leaf of the round; the trainee is at the state after it. `paid`: whether its seed was fresh enough to earn units."""
        this, recorder = self._now, self.recorder
        assert this.record is not None and this.result is not None
        packed_record = this.record.pack()
        blobs = list(dict.fromkeys([recorder.store.put(packed_record), *this.record.digests, *this.kept]))
        root, _ = self._head = self._look()
        none, weights = bytes(32), self._sizes
        leaf = Leaf(
            swarm=recorder.swarm,
            peer=recorder.peer,
            epoch=0,
            epoch_seed=this.record.epoch_seed,
            step=0,
            kind=leaves.LEARN,
            round=this.number,
            time=int(self.now()),
            before=this.before,
            batch=blobs[0],
            rollouts=this.record.rollout_root,
            rewards=this.record.reward_root,
            machine=recorder.machine,
            lr=leaves.bits(this.result.lr),
            sampled=this.sampled,
            trained=this.result.tokens,
            units=units(*weights, this.sampled, this.result.tokens) if paid else 0,
            gradient=none,
            after=root,
        )
        self._round = None
        return recorder.add(leaf, this.result.gradient, this.state, blobs, this.stored)

    @property
    def _now(self) -> _Round:
        if self._round is None:
            raise ValueError("the scribe follows no round: begin comes first")
        return self._round

    def _keep(self, blob: bytes) -> bytes:
        """Have a blob in the store, written once however often it is used, and return its digest."""
        store, digest = self.recorder.store, digest_of(blob)
        store.keep(digest)  # first: nothing may push it out before the leaf that names it is written
        return digest if store.has(digest) else store.put(blob)

    def _look(self) -> tuple[bytes, bytes]:
        trainee = self.trainee
        return trainee.root, state.packed_digest(trainee.tensors, trainee.scalars)
