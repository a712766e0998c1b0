"""Games before a model of the dispute court: whoever tells one wrong word anywhere loses, prover or challenger."""

from __future__ import annotations

import contextlib
import random
import shutil

import numpy as np
import pytest
import torch
from games import SALT, play
from model_court import ModelCourt, Reverted

from swarm.chain.values import Ruling, Stage
from swarm.proof import dispute_format as form
from swarm.proof.canonical.definition import defined, definitions
from swarm.proof.canonical.definition.codes import Code
from swarm.proof.canonical.definition.machine import Machine, View
from swarm.proof.canonical.trace import Done, Lie, Recorder
from swarm.proof.dispute import Player
from swarm.proof.side import Side

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler on this machine")


@defined("test_matrix")
def matrix(m: Machine, a: View, b: View) -> View:
    """(i, k) by (k, j), and 1 added to what is above 0: a fold and some instructions after it."""
    left, right = a.grown(1, b.shape[1]), b.transpose(0, 1).grown(0, a.shape[0])
    product = m.fold(Code.FMA, m.constant(0), left, right)
    return m.map(Code.SELECT, m.map(Code.LT, m.word(0), product), m.map(Code.ADD, product, m.constant(1)), product)


@defined("test_lookup")
def lookup(m: Machine, table: View, index: View) -> View:
    return m.gather(table, index, 0)


@defined("test_pair")
def pair(m: Machine, x: View) -> tuple[View, View]:
    """Two results."""
    half = m.map(Code.MUL, x, m.constant(0.5))
    return half, m.map(Code.SUB, x, half)


def run(recorder: Recorder, name: str, *tensors: torch.Tensor, out: torch.Tensor | None = None, **attributes) -> tuple[torch.Tensor, ...]:
    """An operator by its definition, as `ops` and the mode would tell it."""
    named = {f"t{place}": tensor for place, tensor in enumerate(tensors)}
    recorder.before(name, named, attributes)
    machine = Machine()
    found = definitions()[name](machine, *(machine.take(tensor.numpy()) for tensor in tensors), **attributes)
    outputs = tuple(torch.from_numpy(view.floats().copy()) for view in (found if isinstance(found, tuple) else (found,)))
    if out is not None:
        outputs = (out.copy_(outputs[0]),)
    recorder.after(name, named, attributes, outputs)
    return outputs


def computation(recorder: Recorder, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A little step: folds, a table, a part of a storage written over, two results."""
    (hidden,) = run(recorder, "test_lookup", state["table"], torch.tensor([3, 0, 8, 3, 5]))
    (wide,) = run(recorder, "test_matrix", hidden, state["weight"])
    half, rest = run(recorder, "test_pair", wide)
    (more,) = run(recorder, "test_matrix", half.t(), rest)
    run(recorder, "add", state["weight"][:, 2:5], more[:16, :3], out=state["weight"][:, 2:5])
    return {"weight": state["weight"], "table": run(recorder, "neg", state["table"])[0]}


def state() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(3)
    return {name: torch.from_numpy(rng.standard_normal(shape, np.float32)) for name, shape in {"table": (9, 16), "weight": (16, 21)}.items()}


def many(recorder: Recorder, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One operator of as many inputs as a model has tensors: more than a byte counts."""
    (weights,) = run(recorder, "cat", *state.values(), dim=0)
    return {"weight": run(recorder, "neg", weights)[0]}


def scattered() -> dict[str, torch.Tensor]:
    return {f"{n:03}": torch.tensor([float(n)]) for n in range(300)}


def side(lie: Lie | None = None, play=computation, begin=state) -> Side:
    def again(wanted, until):
        own = begin()
        recorder = Recorder(own, lie, wanted, until)
        with contextlib.suppress(Done):
            recorder.trace(play(recorder, own))
        return recorder.words

    own = begin()
    recorder = Recorder(own, lie)
    return Side(recorder.trace(play(recorder, own)), again)


@pytest.fixture(scope="module")
def honest() -> Side:
    return side()


def lies(honest: Side, count: int) -> list[Lie]:
    """Drawn at random: call, output, element."""
    draw, found = random.Random(5), []
    for _ in range(count):
        call = draw.randrange(len(honest.trace.calls))
        output = draw.randrange(len(honest.trace.calls[call].outputs))
        size = int(np.prod(honest.trace.calls[call].outputs[output].shape))
        found.append(Lie(call, output, draw.randrange(size)))
    return found


def test_a_forger_loses_wherever_it_forged(honest: Side):
    for lie in lies(honest, 25):
        court, moves = play(side(lie), honest)
        assert court.m.ruling == Ruling.PROVER_LOST and court.word == court.m.challengerWord, lie
        assert moves <= 30


def test_a_slanderer_loses_wherever_it_lied(honest: Side):
    for lie in lies(honest, 25):
        court, _ = play(honest, side(lie))
        assert court.m.ruling == Ruling.CHALLENGER_LOST and court.word == court.m.proverWord, lie


def test_a_lie_about_an_operator_of_many_inputs():
    truth, lie = side(None, many, scattered), side(Lie(0, 0, 297), many, scattered)
    assert play(lie, truth)[0].m.ruling == Ruling.PROVER_LOST
    assert play(truth, lie)[0].m.ruling == Ruling.CHALLENGER_LOST


def test_two_liars_are_led_to_the_first_lie(honest: Side):
    court, _ = play(side(Lie(1, 0, 7)), side(Lie(3, 0, 2)))
    assert court.m.ruling == Ruling.PROVER_LOST
    court, _ = play(side(Lie(3, 0, 2)), side(Lie(1, 0, 7)))
    assert court.m.ruling == Ruling.CHALLENGER_LOST


def test_equal_traces_are_no_match(honest: Side):
    court, _ = play(honest, side())
    assert court.m.stage == Stage.EQUAL


def test_nodes_that_are_not_in_the_tree_are_refused(honest: Side):
    court = ModelCourt(side(Lie(1)).said.sealed(bytes(32), bytes(32), 0, 0, SALT))
    prover, challenger = Player(honest, False), Player(side(Lie(1)), True, SALT)
    for player in (prover, challenger):
        move = player.next(court.board)
        court.call(move.function, move.args)
    move = prover.next(court.board)
    with pytest.raises(Reverted):
        court.reveal(bytes(32), [bytes(32)] * len(move.args[1]))
    assert prover.next(court.board) == move, "the match stands as it was"


def test_a_final_tensor_is_the_value_that_it_came_from(honest: Side):
    """A trace that ends honestly, but says another state came of it."""
    final = next(n for n, value in enumerate(honest.trace.values) if value.kind == form.FINAL)
    liar = side()
    liar.trace.values[final] = type(liar.trace.values[final])(**{**vars(liar.trace.values[final]), "root": bytes(31) + b"\1"})
    assert play(liar, honest)[0].m.ruling == Ruling.PROVER_LOST
    assert play(honest, liar)[0].m.ruling == Ruling.CHALLENGER_LOST
