"""The trace of a recorded step: the step is done again, in this process, with a recorder listening.

It is only made when a dispute needs it. The first time keeps roots; each question about words does the step once more, up to where they came
about. All numbers follow from the state before, the record and the recipe, so everyone has the same trace.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection

from swarm.learn import state
from swarm.proof.canonical.ops import recording
from swarm.proof.canonical.trace import Done, Lie, Recorder
from swarm.proof.leaf import Leaf
from swarm.proof.replay import Blobs, Replayer
from swarm.proof.side import Side, Words
from swarm.proof.state_tree import StateTree


class Retracer:
    """Does one step again. `packed` is the state before it, `after` the one that its record names behind it, where that can be had. With a
    `lie` it plays a forger."""

    def __init__(self, replayer: Replayer, leaf: Leaf, packed: bytes, blobs: Blobs, after: bytes | None = None, lie: Lie | None = None):
        self.replayer, self.leaf, self.packed, self.blobs, self.after, self.lie = replayer, leaf, packed, blobs, after, lie

    def side(self) -> Side:
        """Raises Fault where the state or the record is not what the leaf names."""
        recorder = self._recorder()
        self._take(recorder)
        before, after = (functools.partial(_state, packed) if packed else None for packed in (self.packed, self.after))
        return Side(recorder.trace(self.replayer.trainee.tensors), self.words, before, after)

    def words(self, wanted: Collection[int], until: int) -> Words:
        """The words of some values; all of them are there after call `until`."""
        recorder = self._recorder(wanted, until)
        with contextlib.suppress(Done):
            self._take(recorder)
            recorder.trace(self.replayer.trainee.tensors)
        return recorder.words

    def _recorder(self, wanted: Collection[int] = (), until: int | None = None) -> Recorder:
        """At the state before the step, each tensor in a storage of its own."""
        self.replayer.load(self.packed, self.leaf)
        trainee = self.replayer.trainee
        if trainee.optimizer is not None:
            trainee.optimizer = {name: tensor.clone() for name, tensor in trainee.optimizer.items()}
        return Recorder(trainee.tensors, self.lie, wanted, until)

    def _take(self, recorder: Recorder) -> None:
        with recording(recorder):
            self.replayer.take(self.leaf, self.blobs)


def _state(packed: bytes) -> StateTree:
    return StateTree(*state.unpack(packed))
