"""Replay: do a recorded step again and compare every bit (design.md section 6).

From the packed state before the step, the batch record and the stage blobs, the replayer derives the questions again, looks at the
own rollouts of the round, recomputes every reward, checks that foreign groups are signed by their authors, builds the batch and
takes the optimizer step through the same function as the trainer. Anything that does not come out the same is a `Fault` that says
where. Nothing here opens a socket or believes a size: the caller fetched by digest and bound.

Own rollouts are decoded again in their recorded batch shape and order under the profile `pinned`, for sums depend on these. Under `canonical`
they are derived from one teacher-forced pass: all of a step, or those that the audit beacon draws where the recipe says how many.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from swarm import records, seeds
from swarm.author import Author, Draft
from swarm.errors import Refused, StateError, TaskError
from swarm.groups import Group, Limits, pack, unpack
from swarm.learn import record as batches
from swarm.learn import state
from swarm.learn.batch import Scored
from swarm.learn.record import BatchRecord, Source, Trained
from swarm.learn.root import state_root
from swarm.proof import derivation
from swarm.proof import leaf as leaves
from swarm.proof.judged import Judged, Place
from swarm.proof.leaf import Leaf
from swarm.proof.units import sizes, units

if TYPE_CHECKING:

    from swarm.learn.step import StepResult, TrainGroup
    from swarm.stages import Stages
    from swarm.trainee import Trainee

Blobs = Callable[[bytes], bytes]  # digest -> content, already checked against it
MARGIN = 1e-3  # of a near token where numbers are stock PyTorch's: between batch shapes and machines logits differ by a tenth of that at most


class Fault(Exception):
    """The record does not hold. `where` is a short fixed word, `what` a sentence."""

    def __init__(self, where: str, what: str):
        super().__init__(what)
        self.where, self.what = where, what


class Unjudged(Exception):
    """Rewards follow from a verdict that is not known here: nothing can be said of the step."""


@dataclass(frozen=True)
class Replayed:
    """A step that was done again and came out the same. `gradient` is the root that only doing it yields."""

    gradient: bytes
    cpu_s: float


class Replayer:
    """Replays steps under one recipe, with a model and tasks of its own. `trainee` is overwritten by every replay."""

    def __init__(self, stages: Stages, trainee: Trainee):
        self.stages, self.trainee, self.recipe = stages, trainee, stages.recipe
        self.limits = Limits.of(stages.recipe)
        self._sizes = sizes(trainee.policy.model)
        self._operator = self._beacon = b""
        self._verdicts: Mapping[Place, Judged] = {}
        stages.verdicts = lambda group: self._judged(group).rewards

    def replay(
        self,
        leaf: Leaf,
        packed: bytes,
        blobs: Blobs,
        usable_seeds: Collection[bytes],
        operator: bytes,
        verdicts: Mapping[Place, Judged] = MappingProxyType({}),
        beacon: bytes = b"",
    ) -> Replayed:
        """Do one step again. `packed` is the state before it, `usable_seeds` are the epoch seeds it may have used, `operator` (20 bytes) is
        its author's: another operator's noise is another. `verdicts` are those on the answers that it was trained on, where they were final then.
        `beacon` draws the rollouts that are looked at, where not all are; without one all are.

        Raises Fault where the record does not hold, Unjudged where a verdict is missing.
        """
        self._operator, self._verdicts, self._beacon = operator, verdicts, beacon
        begun = time.process_time()
        if leaf.kind != leaves.LEARN:
            return Replayed(bytes(32), 0.0)  # a restore: earlier and later leaves vouch for both roots
        record = self._take_up(leaf, packed, blobs, usable_seeds)
        result = self._again(leaf, record, blobs)
        if self.trainee.root != leaf.after:
            raise Fault("after", f"the state after round {leaf.round} differs")
        return Replayed(result.gradient, time.process_time() - begun)

    def derive(
        self, leaf: Leaf, packed: bytes, blobs: Blobs, usable_seeds: Collection[bytes], operator: bytes, beacon: bytes = b""
    ) -> list[derivation.Derived]:
        """Look at the own rollouts of a step only, stage by stage, up to the first difference; arguments as in `replay`. What stock PyTorch
        cannot tell, where this machine is of another class or the batch has another shape, counts as near. Raises Fault."""
        self._operator, self._beacon = operator, beacon
        if leaf.kind != leaves.LEARN:
            return []
        record = self._take_up(leaf, packed, blobs, usable_seeds)
        own = self._own_groups(leaf, record, blobs)
        found: list[derivation.Derived] = []
        for stage, places in self._drawn(leaf, own).items():
            found.append(self._derived(leaf, own[stage], places, 0.0 if self._is_canonical else MARGIN))
            if found[-1].difference:
                break
        return found

    def _take_up(self, leaf: Leaf, packed: bytes, blobs: Blobs, usable_seeds: Collection[bytes]) -> BatchRecord:
        """The state before a step, its record, and the seed it was played under."""
        self.load(packed, leaf)
        record = self.record(leaf, blobs)
        if leaf.units and leaf.epoch_seed not in usable_seeds:
            raise Fault("seed", f"round {leaf.round} was played under a seed that no epoch near {leaf.epoch} has")
        self.stages.epoch_seed = leaf.epoch_seed
        return record

    def _again(self, leaf: Leaf, record: BatchRecord, blobs: Blobs) -> StepResult:
        """The round from its own rollouts to the optimizer step, compared with what is said of it."""
        own = self._own_groups(leaf, record, blobs)
        drawn = self._drawn(leaf, own)
        for stage, groups in own.items():
            blob = blobs(dict(record.own)[stage])
            if pack(stage, leaf.round, leaf.epoch_seed, groups) != blob:
                raise Fault("rollouts", f"{stage} of round {leaf.round} travels in other bytes than the format has")
            if not self._is_canonical:
                self._decode_again(leaf, stage, groups, blob)
            elif difference := self._derived(leaf, groups, drawn[stage], 0.0).difference:
                raise Fault("rollouts", f"round {leaf.round}: {difference}")
        result = self._step(leaf, self._batch(leaf, record, own, blobs))
        if result.advantages != [[advantage for _, _, advantage in trained.rollouts] for trained in record.trained]:
            raise Fault("advantages", f"round {leaf.round} was trained with other advantages than were recorded")
        self._require_counts(leaf, sum(len(rollout.ids) for groups in own.values() for group in groups for rollout in group.rollouts), result)
        return result

    def advance(self, leaf: Leaf, blobs: Blobs) -> None:
        """Take the step of one's own leaf again without decoding, to reach the state after it. Raises Fault where it is not reached."""
        self.take(leaf, blobs)
        if self.trainee.root != leaf.after:
            raise Fault("after", f"round {leaf.round} does not lead where its record says")

    def take(self, leaf: Leaf, blobs: Blobs) -> None:
        """The optimizer step of a record, wherever it leads. Raises Fault where the record names what its blobs do not hold."""
        record = self.record(leaf, blobs)
        self.stages.epoch_seed = leaf.epoch_seed
        own = {stage: self._unpack(blobs(digest), leaf.peer)[3] for stage, digest in record.own}
        foreign = [self._unpack(blobs(source.digest), source.author)[3] for source in record.sources]
        self._step(leaf, [self._scored(leaf, trained, record, own, foreign) for trained in record.trained])

    def load(self, packed: bytes, leaf: Leaf) -> None:
        """Take up the state before a leaf. Raises Fault where it is not the one that the leaf names."""
        try:
            tensors, scalars = state.unpack(packed)
            if state_root(tensors, scalars) != leaf.before:
                raise Fault("before", f"the state before round {leaf.round} is not the one that its record names")
            if scalars.keys() != {"round", "steps"} or scalars["round"] != leaf.round - 1:
                raise Fault("before", f"the state before round {leaf.round} is of another round")
            self.trainee.adopt(tensors, scalars)
        except (Refused, StateError) as error:
            raise Fault("before", f"the state before round {leaf.round}: {error}") from None

    def record(self, leaf: Leaf, blobs: Blobs) -> BatchRecord:
        """The batch record of a leaf, which it must name by digest and roots."""
        try:
            record = batches.unpack(blobs(leaf.batch), self.recipe)
        except Refused as error:
            raise Fault("batch", str(error)) from None
        if (record.round, record.epoch_seed) != (leaf.round, leaf.epoch_seed):
            raise Fault("batch", f"the batch record is of round {record.round}, the step of round {leaf.round}")
        if (record.rollout_root, record.reward_root) != (leaf.rollouts, leaf.rewards):
            raise Fault("batch", "the batch record has other rollouts or rewards than the step record names")
        return record

    def _own_groups(self, leaf: Leaf, record: BatchRecord, blobs: Blobs) -> dict[str, list[Group]]:
        """The round's own groups by stage, of the form that the rules give them."""
        own: dict[str, list[Group]] = {}
        for stage, digest in record.own:
            said, round, seed, groups = self._unpack(blobs(digest), leaf.peer)
            if (said, round, seed) != (stage, leaf.round, leaf.epoch_seed) or stage in own:
                raise Fault("own blobs", f"the {stage} blob of round {leaf.round} is of another round or stage")
            own[stage] = groups
        if [group.index for group in own.get("answer", [])] != list(range(self.recipe.answer.questions)):
            raise Fault("own blobs", f"round {leaf.round} does not answer its questions in order")
        return own

    @property
    def _is_canonical(self) -> bool:
        return self.recipe.proof.profile == "canonical"

    def _drawn(self, leaf: Leaf, own: dict[str, list[Group]]) -> dict[str, list[derivation.Place]]:
        count = self.recipe.proof.rollouts if self._beacon else 0
        return derivation.drawn(own, self._beacon, leaf.peer, leaf.step, count)

    def _derived(self, leaf: Leaf, groups: list[Group], places: Collection[derivation.Place], margin: float) -> derivation.Derived:
        try:
            return derivation.Deriver(self.stages, seeds.author(self._operator, leaf.peer), margin).derive(groups, leaf.round, places)
        except TaskError as error:
            raise Fault("question", str(error)) from None

    def _decode_again(self, leaf: Leaf, stage: str, groups: list[Group], blob: bytes) -> None:
        """Write a stage's rollouts again and compare the bytes."""
        try:
            drafts = [Draft(dataclasses.replace(group, rollouts=()), self.stages.question(group)) for group in groups]
        except TaskError as error:
            raise Fault("question", str(error)) from None
        again = Author(self.stages, seeds.author(self._operator, leaf.peer)).write(drafts, leaf.round)
        if pack(stage, leaf.round, leaf.epoch_seed, again) != blob:
            raise Fault("rollouts", f"{stage} of round {leaf.round}: {_first_difference(groups, again)}")

    def _batch(self, leaf: Leaf, record: BatchRecord, own: dict[str, list[Group]], blobs: Blobs) -> list[Scored]:
        """The trained groups with rewards computed here, which must be the recorded ones."""
        foreign = [self._foreign(leaf, source, blobs) for source in record.sources]
        found = []
        for trained in record.trained:
            scored = self._rewarded(self._scored(leaf, trained, record, own, foreign), leaf)
            if scored.rewards != tuple(reward for _, reward, _ in trained.rollouts):
                raise Fault("rewards", f"a {trained.stage} group of round {leaf.round} has other rewards than were recorded")
            if not scored.has_advantage:
                raise Fault("selection", f"a {trained.stage} group of round {leaf.round} without advantage was trained on")
            found.append(scored)
        self._rules(leaf, record, own, found)
        return found

    def _rewarded(self, scored: Scored, leaf: Leaf) -> Scored:
        """The group with recomputed rewards, foreign ones without what the filter drops."""
        try:
            rewards = self.stages.rewards(scored.group, self.stages.question(scored.group))
        except TaskError as error:
            raise Fault("rewards", f"the scorer failed: {error}") from None
        again = dataclasses.replace(scored, rewards=tuple(None if reward is None else float(reward) for reward in rewards))
        return again if scored.author == leaf.peer else self.stages.checked(again, Counter())

    def _scored(
        self, leaf: Leaf, trained: Trained, record: BatchRecord, own: dict[str, list[Group]], foreign: list[list[Group]]
    ) -> Scored:
        """The group behind a line of the record, with the recorded rewards."""
        source = record.sources[trained.source] if trained.source >= 0 else None
        groups = own.get(trained.stage, []) if source is None else foreign[trained.source]
        author = leaf.peer if source is None else source.author
        if trained.author != author or trained.place >= len(groups):
            raise Fault("batch", "the batch record names a group that its blob does not hold")
        group = groups[trained.place]
        if group.stage != trained.stage or [r.digest for r in group.rollouts] != [digest for digest, _, _ in trained.rollouts]:
            raise Fault("batch", "the batch record names other rollouts than its blob holds")
        operator = b"" if source is None else source.operator
        return Scored(group, tuple(reward for _, reward, _ in trained.rollouts), operator, author)

    def _foreign(self, leaf: Leaf, source: Source, blobs: Blobs) -> list[Group]:
        """The groups of a foreign blob: signed for by its author, for this round, fresh when they were used; or of an own earlier one."""
        if source.author == leaf.peer:
            return self._earlier(leaf, source, blobs)
        known = [each for (author, round, _), each in self._verdicts.items() if (author, round) == (source.author, source.round)]
        judged = [int(each.opened) for each in known if each.rewards]
        try:  # answers that waited for a verdict were announced when their market was opened
            shelf = records.read(source.shelf, leaf.swarm, min([leaf.time, *judged]), kind=records.Shelf)
        except Refused as error:
            raise Fault("foreign", f"a foreign blob of round {leaf.round} is not vouched for: {error.reason}") from None
        named = any((e.stage, e.round, e.digest) == (source.stage, source.round, source.digest) for e in shelf.entries)
        if (shelf.peer, shelf.operator) != (source.author, source.operator) or not named:
            raise Fault("foreign", f"a foreign blob of round {leaf.round} is not the one that its author signed for")
        if source.round <= shelf.round - self.recipe.sharing.freshness:
            raise Fault("foreign", f"a foreign blob of round {leaf.round} was stale when it was announced")
        said, round, _, groups = self._unpack(blobs(source.digest), source.author)
        if (said, round) != (source.stage, source.round):
            raise Fault("foreign", f"a foreign blob of round {leaf.round} is of another round or stage")
        return groups

    def _earlier(self, leaf: Leaf, source: Source, blobs: Blobs) -> list[Group]:
        """Own answers of an earlier round, which had to wait for their verdict. That they were sampled then is what that round's record says."""
        said, round, _, groups = self._unpack(blobs(source.digest), leaf.peer)
        there = (said, round, source.operator, len(source.shelf))
        if there != (source.stage, source.round, self._operator, 4) or said != "answer" or round >= leaf.round:
            raise Fault("own blobs", f"an own blob of an earlier round is not what the record of round {leaf.round} says")
        return groups

    def _is_judged(self, group: Group) -> bool:
        try:
            return self.stages.judged(group)
        except TaskError as error:
            raise Fault("question", str(error)) from None

    def _judged(self, group: Group) -> Judged:
        try:
            found = self._verdicts[group.asker, group.round, group.index]
        except KeyError:
            raise Unjudged(f"no verdict on answer {group.index} of its author's round {group.round} was final here when the step was taken") from None
        if not found.rewards:
            raise Fault("verdict", f"there was no verdict on answer {group.index} of its author's round {group.round} when the step was taken")
        return found

    def _rules(self, leaf: Leaf, record: BatchRecord, own: dict[str, list[Group]], scored: list[Scored]) -> None:
        """The choice obeys the recipe: quotas, no group twice, no own group that could have been trained on left out without need."""
        sharing = self.recipe.sharing
        mine = [(t.stage, t.place) for t in record.trained if t.source < 0]
        others = [(t.source, t.place) for t in record.trained if t.source >= 0]
        waited = [(source, place) for source, place in others if record.sources[source].author == leaf.peer]
        theirs = [each for each in others if each not in waited]
        self._require_waited(leaf, record, scored)
        twice = any(len(set(places)) != len(places) for places in (mine, waited, theirs))
        if len(mine) + len(waited) > sharing.own or len(theirs) > sharing.foreign or twice:
            raise Fault("selection", f"round {leaf.round} trains on {len(mine) + len(waited)} own and {len(theirs)} foreign groups")
        usable = [
            (stage, place)
            for stage, groups in own.items()
            for place, group in enumerate(groups)
            if not self._is_judged(group) and self._rewarded(Scored(group, (), b"", leaf.peer), leaf).has_advantage
        ]
        if len(mine) + len(waited) < min(sharing.own, len(usable) + len(waited)):
            raise Fault("selection", f"round {leaf.round} trains on {len(mine)} of {len(usable)} usable own groups")
        operators = Counter(s.operator for s in scored if s.author != leaf.peer)
        most = max(1, int(sharing.operator_share * len(scored) + 1e-9))
        if operators and max(operators.values()) > most:
            raise Fault("selection", f"round {leaf.round} takes more than its share from one operator")

    def _require_waited(self, leaf: Leaf, record: BatchRecord, scored: list[Scored]) -> None:
        """Own groups of earlier rounds are there because they waited for a verdict, and only those of earlier rounds have one."""
        for trained, each in zip(record.trained, scored, strict=True):
            if each.author == leaf.peer and (trained.source >= 0) != self._is_judged(each.group):
                raise Fault("selection", f"round {leaf.round} trains on own answers of another round than their verdict allows")

    def _step(self, leaf: Leaf, scored: list[Scored]) -> StepResult:
        groups: list[TrainGroup] = [self.stages.for_training(each, leaf.peer) for each in scored]
        result = self.trainee.step(groups, seeds.derive("step", leaf.epoch_seed, leaf.peer, leaf.round))
        self.trainee.round = leaf.round
        return result

    def _require_counts(self, leaf: Leaf, sampled: int, result: StepResult) -> None:
        """Learning rate, token counts and work units are what the step gives."""
        counted = (leaves.bits(result.lr), sampled, result.tokens)
        if counted != (leaf.lr, leaf.sampled, leaf.trained):
            raise Fault("counts", f"round {leaf.round} has other token counts or another learning rate than were recorded")
        formula = units(*self._sizes, sampled, result.tokens)
        if leaf.units not in (0, formula):
            raise Fault("units", f"round {leaf.round} claims {leaf.units} work units, the formula gives {formula}")

    def _unpack(self, blob: bytes, author: bytes) -> tuple[str, int, bytes, list[Group]]:
        try:
            return unpack(blob, self.limits, author)
        except Refused as error:
            raise Fault("blobs", f"a stage blob does not parse: {error}") from None


def _first_difference(said: list[Group], again: list[Group]) -> str:
    for a, b in zip(said, again, strict=True):
        for sample, (mine, theirs) in enumerate(zip(a.rollouts, b.rollouts, strict=True)):
            if mine != theirs:
                place = next((i for i, (x, y) in enumerate(zip(mine.ids, theirs.ids, strict=False)) if x != y), None)
                where = "its log-probabilities differ" if place is None else f"token {place} is {mine.ids[place]}, decoding gives {theirs.ids[place]}"
                return f"question {a.index}, sample {sample}: {where}"
    return "the groups differ"


