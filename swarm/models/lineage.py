"""Where a model comes from: its ancestors back to the state that its swarm began with, each with what the chain says of it.

A step back follows the parent that the chain's records name, registered or not; only where they know nothing is a leaf followed that claims
to be the parent, and what it says is shown as what it is. A model's lineage is whole where every step is trained and the last parent is the
state that its swarm began with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swarm.chain.values import Kind
from swarm.models.index import Entry, Index
from swarm.models.model import Model
from swarm.models.standing import Standing, State

LONGEST = 100_000  # steps


@dataclass(frozen=True)
class Step:
    """One training of a lineage. `entry` is where the model is registered, None where nobody did that."""

    model: Model
    standing: Standing
    entry: Entry | None = None


@dataclass(frozen=True)
class Lineage:
    """From the model asked for backwards. `ends`: where the row ends: base, unknown (`state` is of nobody) or a circle of false leaves."""

    steps: tuple[Step, ...]
    ends: str
    state: bytes

    @property
    def is_whole(self) -> bool:
        """Whether every training of it is trained, back to a base state."""
        return self.ends == "base" and all(step.standing.state == State.TRAINED for step in self.steps)

    @property
    def first_trouble(self) -> Step | None:
        """The nearest ancestor, or the model itself, that is not trained."""
        return next((step for step in self.steps if step.standing.state != State.TRAINED), None)


def lineage(index: Index, model: Model, entry: Entry | None = None, longest: int = LONGEST) -> Lineage:
    """The lineage of a leaf."""
    steps, seen = [], set()
    for step in _back(index, Step(model, index.truth.standing(model), entry)):
        if step.model.digest in seen or len(steps) == longest:
            return Lineage(tuple(steps), "circle" if len(steps) < longest else "unknown", step.model.model)
        seen.add(step.model.digest)
        steps.append(step)
    state = _before(steps[-1].model)
    return Lineage(tuple(steps), "base" if index.truth.is_base(steps[-1].model, state) else "unknown", state)


def _back(index: Index, step: Step) -> Iterator[Step]:
    while True:
        yield step
        state = _before(step.model)
        if index.truth.is_base(step.model, state) or (found := _ending_with(index, state)) is None:
            return
        step = found


def _before(model: Model) -> bytes:
    """The state to look for next: a job's delivery was made out of the state that its last accepted epoch ended with."""
    return model.proof if model.kind == Kind.JOB else model.parent


def _ending_with(index: Index, state: bytes) -> Step | None:
    """The training that ended with a state: one that the chain knows, a trained one first, else one that a leaf claims."""
    known, claimed = index.truth.ending_with(state), index.of(state)
    if known:
        model, standing = known[0]
        return Step(model, standing, next((entry for entry in claimed if entry.model == model), None))
    if claimed:
        return Step(claimed[0].model, index.truth.standing(claimed[0].model), claimed[0])
    return None
