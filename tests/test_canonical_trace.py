"""Traces: every value and how it came about, equal for equal computations, and each call the same as its definition."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from traces import State, record, require_defined

from swarm.proof import dispute_format as form
from swarm.proof.canonical import movers
from swarm.proof.canonical.mode import canonical
from swarm.proof.canonical.ops import recording
from swarm.proof.canonical.ops.elementwise import add, neg
from swarm.proof.canonical.trace import Done, Lie, Recorder

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")
EYE = torch.eye(4, 6).bool()


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def moves(state: State) -> dict[str, torch.Tensor]:
    """Movers of all sorts; the result hangs on each."""
    x, y = state["x"], state["y"]  # (4, 6)
    out = {
        "clone": x.t().clone(),
        "contiguous": x.t().contiguous(),
        "cat": torch.cat([x, y[:, :2], x], 1),
        "stack": torch.stack([x, y], 1),
        "where": torch.where(x > y, x, y),
        "where constant": torch.where(torch.tensor([True, False] * 3), x, y),
        "masked": x.masked_fill(y < 0, 0.5),
        "masked constant": x.masked_fill(EYE, -torch.inf),
        "gather": x.gather(1, torch.tensor([[0, 5], [1, 1], [2, 3], [4, 4]])),
        "index": x[torch.tensor([3, -1, 0])],
        "two indices": x[torch.tensor([[0], [3]]), torch.tensor([1, -2])],
        "index behind": x[:, torch.tensor([1, 5])],
        "mask": x[torch.tensor([True, False, True, True])],
        "roll": x.roll(2, 1),
        "repeat": x.repeat(2, 1, 2),
        "select_scatter": x.select_scatter(y[0], 0, -1),
        "slice_scatter": x.slice_scatter(y[:, :3], 1, 0, None, 2),
        "nan": torch.nan_to_num(x),
        "number": (x > 0).float(),
        "whole": (x > 0).any(1).float(),
        "all": (x > -9).all().float(),
        "not": (~(x > 0)).float(),
        "both": ((x > 0) & (y > 0)).float(),
        "how many": (x > 0).sum(1, keepdim=True).float(),
        "in all": (x > 0).sum().float(),
        "product": ((x > 0) * (y > 0)).float(),
        "one less": ((x > 0).sum(1) - 1).float(),
        "count": (x >= 0.25).long().float(),
    }
    written = x.clone()
    written[1:3, ::2] = y[1:3, ::2]
    written[0] = 7
    written[torch.tensor([3, 2])] = y[:2]
    written[EYE] = 0.25
    empty = torch.empty(3, 4)
    empty[1] = x[:, 0]
    later = torch.zeros(2, 6)
    later.scatter_(1, torch.tensor([[1, 0], [5, 2]]), y[:2, :2])
    return out | {"written": written, "empty": empty, "scattered": later, "x": x}


@pytest.fixture(scope="module")
def state() -> State:
    return {"x": some(4, 6), "y": some(4, 6, seed=1)}


def test_movers_are_what_their_definitions_say(state: State):
    trace = require_defined(moves, state)
    made = {trace.values[value.source].kind for value in trace.values if value.kind == form.FINAL}
    assert made == {form.INITIAL, form.MADE}
    assert {"copy", "cat", "where", "masked_fill", "put", "index", "gather", "compare", "any"} <= {call.name for call in trace.calls}


def test_views_and_constants_are_no_calls(state: State):
    def play(state: State) -> State:
        mask = torch.ones(6, 6).tril().bool() | (torch.arange(6) > 3)
        return {"x": state["x"].view(6, 4).t(), "mask": mask.float()}

    trace = require_defined(play, state)
    assert trace.calls == []
    assert [value.kind for value in trace.values] == [form.INITIAL, form.INITIAL, form.GIVEN, form.FINAL, form.FINAL]


def test_a_part_of_a_storage_is_written_as_an_update(state: State):
    def play(state: State) -> State:
        x = state["x"]
        neg(x[1:], out=x[1:])
        add(x[:, 2:], state["y"][:, 2:], out=x[:, 2:])
        return {"x": x}

    trace = require_defined(play, state)
    assert [call.outputs[0].base is None for call in trace.calls] == [False, False]


def test_operators_without_a_definition_are_part_of_the_question(state: State):
    def play(state: State) -> State:
        order = state["x"].sort(stable=True, dim=1).values
        return {"x": neg(order)}

    trace = require_defined(play, state)
    assert [call.name for call in trace.calls] == ["neg"] and trace.values[2].kind == form.GIVEN


def test_a_place_counted_from_the_end_that_floats_gave_is_part_of_the_question(state: State):
    def last(own: State) -> State:
        none = (own["x"] > 9).sum(1) - 1
        return {"x": own["x"][none], "y": own["y"].index_select(0, none + 1)}

    assert [call.name for call in require_defined(last, state).calls].count("index") == 1


def test_a_lie_differs_first_where_it_was_told(state: State):
    honest, _ = record(moves, state)
    lying, _ = record(moves, state, Lie(call=3, element=2))
    told = honest.calls[3].outputs[0].value
    assert lying.said.structure == honest.said.structure and lying.said.values != honest.said.values
    assert lying.roots[:told] == honest.roots[:told] and lying.roots[told] != honest.roots[told]


def test_the_second_pass_stops_where_it_has_seen_enough(state: State):
    trace, _ = record(moves, state)
    call = trace.calls[4]
    own = {name: tensor.clone() for name, tensor in state.items()}
    recorder = Recorder(own, wanted=call.inputs, until=4)
    with pytest.raises(Done), canonical(), recording(recorder):
        moves(own)
    assert {form.value_root(recorder.words[n]) for n in call.inputs} == {trace.roots[n] for n in call.inputs}


def test_what_lay_in_fresh_memory_is_no_part_of_a_trace(state: State):
    def play(state: State) -> State:
        fresh = torch.empty(5000)
        fresh[:4] = state["x"][:, 0]
        return {"x": add(fresh[:4], state["y"][:, 0])}

    rubbish = torch.full((5000,), 3.0)
    del rubbish
    assert require_defined(play, state).said == record(play, state)[0].said


def test_a_state_tensor_fills_its_storage():
    with pytest.raises(ValueError, match="does not fill"):
        Recorder({"x": torch.zeros(4)[1:]})


def test_of_equal_words_for_one_place_the_last_is_named():
    lowered = movers._inverse(torch.zeros(4), torch.tensor([2, 0, 2, 2, 0]), torch.ones(5))
    assert lowered.tensors[2].tolist() == [4, -1, 3, -1]
