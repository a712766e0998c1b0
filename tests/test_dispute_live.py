"""A few whole disputes on a real local chain, both sides processes of their own: `pytest -m slow tests/test_dispute_live.py`."""

from __future__ import annotations

import pytest

from benchmarks.disputes.__main__ import KINDS, LIMIT, run
from benchmarks.disputes.step import Step
from swarm.proof import dispute_format as form
from swarm.proof.canonical.trace import perform


@pytest.mark.slow
def test_every_kind_of_forgery_is_lost_on_chain():
    """One game of each kind: some two minutes. More of them: `python -m benchmarks.disputes`."""
    games = run(len(KINDS), 0, 11, print)
    assert [game.kind for game in games] == list(KINDS)
    assert all(game.forger_lost for game in games)
    assert all(game.gas <= LIMIT and len(game.moves) <= 40 for game in games)


@pytest.mark.slow
def test_a_whole_step_is_what_its_definitions_say():
    """Every operator of a GRPO step, forward, backward, clipping and AdamW: its definition, run on the words that went in, gives what came out,
    and all that reaches the weights has a definition."""
    step = Step("tiny")
    side, _ = step.side()
    calls = side.trace.calls
    words = side.again(range(len(side.trace.values)), len(calls))
    for call in calls:
        machine, ends = perform(call, words)
        assert all((machine.values[end] == words[writing.value]).all() for end, writing in zip(ends, call.outputs, strict=True)), call.name
    assert {"matmul", "attention_backward", "embedding_backward", "norm", "adamw", "drawn", "follows"} <= {call.name for call in calls}
    finals = [side.trace.values[value.source].kind for value in side.trace.values if value.kind == form.FINAL]
    assert finals and set(finals) == {form.MADE}
