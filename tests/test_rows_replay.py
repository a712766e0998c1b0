"""Steps on rows that a real node recorded are replayed bit for bit; every forgery is named with its step's round."""

import dataclasses

import msgpack
import pytest
import torch
from proofs import a_recorded_node, packed_before, parts

from swarm import evaluation
from swarm.errors import Refused, TaskError
from swarm.learn import record as batches
from swarm.learn.record import digest_of
from swarm.learn.step import trainable
from swarm.lessons import Lessons
from swarm.proof.leaf import sealed
from swarm.proof.replay import Fault
from swarm.proof.rows_replay import RowsReplayer
from swarm.tasks.rows import Row

ROUNDS = 4


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("rows")
    node, _ = a_recorded_node(folder / "node", 1, "learn.batch=8", name="sft")
    for _ in range(ROUNDS):
        node.play_round()
    return node, RowsReplayer(*parts(folder / "auditor", "learn.batch=8", name="sft"))


def opening(swarm, place=ROUNDS - 1):
    node, replayer = swarm
    step = node.scribe.recorder.steps(0)[place]
    return step, packed_before(node, place, replayer)


def test_the_loss_on_held_out_rows_falls(swarm, tmp_path):
    node, _ = swarm
    stages, _ = parts(tmp_path, "learn.batch=8", name="sft")
    before, after = (evaluation.loss(Lessons(one), one.policy, 20) for one in (stages, node.stages))
    assert after < 0.8 * before


def fault_of(swarm, leaf, packed, blobs=None, seeds=None, operator=None):
    node, replayer = swarm
    get = node.scribe.recorder.store.get
    with pytest.raises(Fault) as fault:
        replayer.replay(leaf, packed, lambda d: (blobs or {}).get(d) or get(d), seeds or {node.stages.epoch_seed}, operator or node.operator)
    return fault.value.where, fault.value.what


def test_every_step_comes_out_the_same_and_earns_by_formula(swarm):
    node, replayer = swarm
    for place, step in enumerate(node.scribe.recorder.steps(0)):
        _, packed = opening(swarm, place)
        assert digest_of(packed) == step.state, "a state made again has other bytes"
        replayed = replayer.replay(step.leaf, packed, node.scribe.recorder.store.get, {node.stages.epoch_seed}, node.operator)
        assert step.leaf.gradient == sealed(step.salt, replayed.gradient) and step.leaf.units > 0
        record = batches.unpack(node.scribe.recorder.store.get(step.leaf.batch), node.recipe)
        assert len({line for line, _ in record.rows}) == 8 and record.pack() == node.scribe.recorder.store.get(step.leaf.batch)
    drawn = [node.lessons.drawn(node.stages.epoch_seed, node.me, round) for round in (1, 2)]
    assert drawn[0] != drawn[1] and not set(drawn[0]) & set(node.lessons.rows.heldout)


def test_a_record_of_other_rows_than_were_drawn_is_seen(swarm):
    node, _ = swarm
    step, packed = opening(swarm)
    record = batches.unpack(node.scribe.recorder.store.get(step.leaf.batch), node.recipe)
    others = node.lessons.rows.train
    easy = next(row for row in others if row.line not in dict(record.rows))

    def with_record(changed):
        data = changed.pack()
        said = dataclasses.replace(step.leaf, batch=digest_of(data), rollouts=changed.rollout_root)
        return fault_of(swarm, said, packed, {digest_of(data): data})

    replaced = dataclasses.replace(record, rows=((easy.line, easy.digest), *record.rows[1:]))
    assert with_record(replaced) == ("rows", f"round {ROUNDS} trains on line {easy.line} where line {record.rows[0][0]} is drawn (row 1 of 8)")
    assert with_record(dataclasses.replace(record, rows=record.rows[:-1]))[0] == "rows"
    assert with_record(dataclasses.replace(record, data=bytes(32)))[0] == "rows"
    assert with_record(dataclasses.replace(record, rows=((record.rows[0][0], bytes(32)), *record.rows[1:])))[0] == "rows"


def test_a_step_on_other_rows_than_its_record_names_is_seen(swarm):
    """The honest record, and a state that the arithmetic on other rows leads to."""
    node, replayer = swarm
    step, packed = opening(swarm)
    replayer.load(packed, step.leaf)
    result = replayer.trainee.step_on_rows([replayer.lessons.tokens(row) for row in node.lessons.rows.train[:8]], bytes(32))
    replayer.trainee.round = ROUNDS
    forged = dataclasses.replace(step.leaf, after=replayer.trainee.root)
    assert fault_of(swarm, dataclasses.replace(forged, trained=result.tokens), packed)[0] in ("counts", "after")
    assert fault_of(swarm, forged, packed)[0] == "after"


def refused(data, rules):
    with pytest.raises(Refused) as no:
        batches.unpack(data, rules)
    return no.value.reason


def test_a_record_that_is_too_large_or_breaks_its_form_is_refused(swarm):
    node, _ = swarm
    step, _ = opening(swarm)
    record = batches.unpack(node.scribe.recorder.store.get(step.leaf.batch), node.recipe)
    row = record.rows[0]
    head = [1, record.round, record.epoch_seed, record.data]
    wrong = [[*head, [list(row)] * 9], [*head, []], [*head, [7]], [2, *head[1:], [list(row)]], [1, -1, *head[2:], [list(row)]], head]
    wrong += [[*head, [one]] for one in ([-1, row[1]], [2**31, row[1]], [True, row[1]], [1, b"short"], [*row, 1])]
    for data in (b"", b"\xc1", record.pack() + b"\0", *map(msgpack.packb, wrong)):
        assert refused(data, node.recipe) == "malformed"
    assert refused(bytes(batches.max_bytes(node.recipe) + 1), node.recipe) == "oversize"


def test_rows_that_do_not_fit_the_recipe_are_refused_with_their_line(swarm):
    lessons = swarm[0].lessons
    fits = lessons.tokens(Row(1, "a" * 90, "b" * 31))
    assert len(fits.completion) == 32
    with pytest.raises(TaskError, match="sums.jsonl, line 7: the completion and its end are 33 tokens; answer.max_tokens = 32"):
        lessons.tokens(Row(7, "a", "b" * 32))
    with pytest.raises(TaskError, match="sums.jsonl, line 8: the prompt is 102 tokens"):
        lessons.tokens(Row(8, "a" * 100, "b"))
    lessons.check()


def test_seeds_counts_units_and_a_squatted_peer_id_are_seen(swarm):
    node, _ = swarm
    step, packed = opening(swarm)
    assert fault_of(swarm, step.leaf, packed, seeds={bytes(32)})[0] == "seed"
    assert fault_of(swarm, dataclasses.replace(step.leaf, units=step.leaf.units + 1), packed)[0] == "units"
    assert fault_of(swarm, dataclasses.replace(step.leaf, trained=step.leaf.trained + 1), packed)[0] == "counts"
    assert fault_of(swarm, step.leaf, packed, operator=bytes(20))[0] == "rows"


def test_a_killed_round_is_taken_again_and_ends_in_the_same_state(swarm, tmp_path):
    whole, _ = swarm
    first, _ = a_recorded_node(tmp_path / "node", 1, "learn.batch=8", name="sft")
    first.play_round()
    first.trainee.save = None  # the process dies between the step's record and its checkpoint
    with pytest.raises(TypeError):
        first.play_round()
    again, _ = a_recorded_node(tmp_path / "node", 1, "learn.batch=8", name="sft")
    assert again.trainee.round == 1 and [step.leaf.round for step in again.scribe.recorder.all_steps] == [1]
    again.play_round()
    assert again.totals.steps == 2 and [step.leaf.round for step in again.scribe.recorder.all_steps] == [1, 2]
    without, _ = a_recorded_node(tmp_path / "whole", 2, "learn.batch=8", name="sft")
    without.me, without.operator = again.me, again.operator
    for _ in range(2):
        without.play_round()
    for name, tensor in trainable(without.trainee.policy.model).items():
        assert torch.equal(tensor, trainable(again.trainee.policy.model)[name])
