"""Shared by the tests of traces: a computation recorded twice, and every call of it held against its definition."""

from __future__ import annotations

from collections.abc import Callable

import torch

from swarm.proof import dispute_format as form
from swarm.proof.canonical.mode import canonical
from swarm.proof.canonical.ops import recording
from swarm.proof.canonical.trace import Lie, Recorder, Trace, perform

State = dict[str, torch.Tensor]
Play = Callable[[State], State]  # a computation: state before to state after


def record(play: Play, state: State, lie: Lie | None = None, wanted: range | tuple = ()) -> tuple[Trace, Recorder]:
    own = {name: tensor.clone() for name, tensor in state.items()}
    recorder = Recorder(own, lie, wanted)
    with canonical(), recording(recorder):
        after = play(own)
    return recorder.trace(after), recorder


def require_defined(play: Play, state: State) -> Trace:
    """The trace, after each of its calls gave the same words by its definition, by the program that it commits to."""
    trace, _ = record(play, state)
    again, recorder = record(play, state, wanted=range(len(trace.values)))
    assert again.said == trace.said
    for number, call in enumerate(trace.calls):
        machine, ends = perform(call, recorder.words)
        for end, writing in zip(ends, call.outputs, strict=True):
            same = machine.values[end].tolist() == recorder.words[writing.value].tolist()
            assert same, (number, call.name, call.attributes, machine.values[end], recorder.words[writing.value])
        sizes = [len(words) for words in machine.values]
        assert trace.program(number).packed == tuple(form.instruction(each, sizes) for each in machine.instructions)
    return trace
