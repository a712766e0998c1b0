"""Rounds of real nodes with the real base model, blobs handed over by hand instead of over a network."""

import time

import pytest
import torch

from swarm import recipe
from swarm.groups import pack, unpack
from swarm.learn.step import trainable
from swarm.peer import assemble
from swarm.policy import model
from swarm.seeds import STAGES
from swarm.stages import Stages
from swarm.tasks.mix import Mix
from swarm.trainee import Trainee

SMALL = ["answer.questions=4", "critique.groups=2", "resolve.groups=2", "sharing.own=5", "sharing.foreign=3", "sharing.operator_share=0.5"]


def a_node(folder, number=1, *overrides):
    rules = recipe.load("local", [*SMALL, *overrides])
    folder.mkdir(exist_ok=True)
    stages = Stages(rules, model.load(rules, folder, "cpu"), Mix(rules, trusted=True))
    trainee = Trainee(stages.policy, rules, folder / "checkpoints")
    trainee.resume()
    me = bytes([number]) * 32
    return assemble(stages, trainee, folder, me, me[:20])


def hand_over(node, others, round):
    """Give a node's blobs of `round` to the others, as the network would after its checks."""
    for other in others:
        for stage in STAGES:
            other.pool.take(node.me, node.operator, f"node {node.me[0]}", -1, stage, round, node.journal.blob(round, stage), time.time())


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("three")
    nodes = [a_node(folder / str(number), number) for number in (1, 2, 3)]
    for round in range(1, 6):
        for node in nodes:
            node.play_round()
            hand_over(node, [other for other in nodes if other is not node], round)
    return nodes


def test_nodes_train_on_all_stages_and_on_both_others(three):
    for node in three:
        assert node.trainee.round == 5 and node.totals.steps >= 4
        assert set(node.totals.stage) == set(STAGES)
        assert len(node.totals.author) == 2 and node.totals.foreign >= 0.2 * (node.totals.own + node.totals.foreign)


def test_everything_that_was_shared_is_read_again_by_its_readers(three):
    assert all(not node.pool.refused for node in three)


def test_a_lone_node_skips_what_needs_others_and_goes_on(tmp_path):
    node = a_node(tmp_path / "lone", 1, "answer.questions=10")
    this = node.play_round()
    assert (this.row["critique"]["groups"], this.row["resolve"]["groups"]) == (0, 0)
    assert this.row["trained"]["foreign"] == 0 and this.row["trained"]["own"] > 0


def test_a_restart_takes_up_weights_moments_pool_and_totals(three):
    node = three[0]
    node.pool.save(node.folder / "pool.msgpack")  # what arrived since the round ended would be fetched again
    again = a_node(node.folder, 1)
    assert again.trainee.round == node.trainee.round and again.trainee.steps == node.trainee.steps
    assert again.totals.as_dict() == node.totals.as_dict()
    for name, tensor in trainable(node.trainee.policy.model).items():
        assert torch.equal(tensor, trainable(again.trainee.policy.model)[name])
    assert all(torch.equal(node.trainee.optimizer[name], again.trainee.optimizer[name]) for name in node.trainee.optimizer)
    assert [shared.key for shared in again.pool.fresh("learn")] == [shared.key for shared in node.pool.fresh("learn")]


def test_a_round_cut_off_is_taken_up_where_it_was(tmp_path):
    first = a_node(tmp_path / "cut")
    first.learn = None  # the process dies before the optimizer step
    with pytest.raises(TypeError):
        first.play_round()
    again = a_node(tmp_path / "cut")
    this = again.play_round()
    assert this.number == 1 and again.author.tokens == 0, "the answers of the cut round were written anew"
    whole = a_node(tmp_path / "whole")
    whole.play_round()
    for name, tensor in trainable(whole.trainee.policy.model).items():
        assert torch.equal(tensor, trainable(again.trainee.policy.model)[name]), "the round ended differently than without the cut"


def test_rewards_of_shared_groups_are_recomputed_here(three):
    node, other = three[0], three[1]
    shared = next(s for s in node.pool.fresh("anything", "answer") if s.author == other.me)
    question = node.stages.question(shared.group)
    right = node.stages.mix.gold(question)
    rollouts = tuple(type(r)(right if i == 0 else "> 1e30", r.ids, r.logprobs, True) for i, r in enumerate(shared.group.rollouts))
    forged = type(shared.group)("answer", other.me, shared.group.round, shared.group.index, rollouts, seed=shared.group.seed)
    assert node.scored(forged, other.me, other.operator).rewards == (1.0,) + (0.0,) * (len(rollouts) - 1)


def test_critiques_of_answers_never_given_are_refused(three):
    node, other = three[0], three[1]
    shared = next(s for s in three[2].pool.fresh("anything", "critique") if s.author == other.me)
    group = type(shared.group)("critique", node.me, 5, 0, shared.group.rollouts, answer="something I never said", seed=node.stages.epoch_seed)
    blob = pack("critique", 6, node.stages.epoch_seed, [group])
    node.pool.take(other.me, other.operator, "node 2", -1, "critique", 6, blob, time.time())
    before = node.pool.refused["not my answer"]
    this = type("Round", (), {"number": 6})()
    drafts = node.criticised_answers(this)
    assert node.pool.refused["not my answer"] == before + 1
    assert all(draft.group.answer != "something I never said" for draft in drafts)


@pytest.mark.parametrize(
    ("reason", "forge"),
    [
        ("epoch seed", lambda node, stage, round, groups: pack(stage, round, b"x" * 32, [_with(group, seed=b"x" * 32) for group in groups])),
        ("announced otherwise", lambda node, stage, round, groups: pack(stage, round + 1, node.stages.epoch_seed, [])),
        ("malformed", lambda node, stage, round, groups: b"\xc1" * 100),
        ("oversize", lambda node, stage, round, groups: bytes(10**7)),
        ("specialty", lambda node, stage, round, groups: pack(stage, round, node.stages.epoch_seed, [_with(groups[0], specialty=1)])),
        ("duplicate", lambda node, stage, round, groups: pack(stage, round, node.stages.epoch_seed, [groups[0], groups[0]])),
    ],
)
def test_a_blob_that_breaks_a_rule_is_refused_and_counted(three, reason, forge):
    node, other = three[0], three[1]
    groups = unpack(other.journal.blob(5, "answer"), other.journal.limits, other.me)[3]
    before = node.pool.refused[reason]
    data = forge(node, "answer", 5, groups)
    assert node.pool.take(other.me, other.operator, "node 2", -1, "answer", 5, data, time.time()) == 0
    assert node.pool.refused[reason] == before + 1


def test_a_step_that_was_not_taken_is_said(tmp_path):
    node = a_node(tmp_path / "nan", 1, "answer.questions=10")
    for tensor in trainable(node.trainee.policy.model).values():
        tensor.register_hook(lambda gradient: gradient * float("nan"))
    this = node.play_round()
    assert this.row["trained"]["own"] > 0 and not this.row["learn"]["applied"]
    assert [(warned.text, warned.consequence) for warned in node.presence.beat.warnings] == [
        ("the gradient was not finite", "no step was taken this round")
    ]
    assert "average" not in this.row


def test_mixed_batches_hold_own_and_foreign_answers_to_one_question(tmp_path):
    nodes = [a_node(tmp_path / str(number), number, "sharing.join=mixed", "proof.profile=none") for number in (1, 2)]
    for round in (1, 2):
        for node in nodes:
            node.play_round()
            hand_over(node, [other for other in nodes if other is not node], round)
    batch = nodes[0].choose(type("Round", (), {"number": 3, "own": [], "dropped": nodes[0].pool.refused})())
    assert any(len(set(scored.by)) == 2 for scored in batch.groups)


def _with(group, **changes):
    from dataclasses import replace

    return replace(group, **changes)


def test_cue_and_label_of_honest_critiques_are_not_taken_for_planted_text(three):
    """They are put there by the stage, so the own model may find them improbable."""
    node = three[0]
    node.stages.labels, kept = [node.stages.chat.encode("zq" * 6), node.stages.chat.encode("qz" * 6)], node.stages.labels
    try:
        dropped = node.pool.refused.__class__()
        for shared in three[2].pool.fresh("looking", "critique")[:3]:
            scored = node.scored(shared.group, shared.author, shared.operator)
            assert scored.rewards.count(None) == node.stages.checked(scored, dropped).rewards.count(None)
        assert not dropped
    finally:
        node.stages.labels = kept
