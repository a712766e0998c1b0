"""Which groups a step trains on: quotas, drop rules alike on both sides, mixing, planted rollouts, the batch blob."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm import recipe
from swarm.errors import Refused
from swarm.groups import Group, Rollout, Said
from swarm.learn.batch import (
    IMPROBABLE,
    NO_ADVANTAGE,
    OPERATOR_SHARE,
    OWN_NO_ADVANTAGE,
    TOO_LONG,
    Scored,
    for_training,
    select,
    suspicious,
    without,
)
from swarm.learn.record import Source, max_bytes, of_batch, unpack
from swarm.sections import Sharing
from swarm.seeds import STAGES

ME = b"\x01" * 32
MY_OPERATOR = b"\x01" * 20


def rollout(mark: int, ids: tuple[int, ...] = (5, 6)) -> Rollout:
    return Rollout(f"text {mark}", ids, (-0.5,) * len(ids), True)


def group(index: int, stage="answer", author=ME, operator=None, rewards=(1.0, 0.0, 0.0, 1.0), asker=None, **more) -> Scored:
    rollouts = tuple(rollout(1000 * author[0] + 10 * index + i) for i in range(len(rewards)))
    said = Group(stage, asker or author, 0, index, rollouts, **more)
    return Scored(said, tuple(rewards), operator or author[:20], author)


def others(count: int, peers: int = 2, stage="answer", **more) -> list[Scored]:
    return [group(i, stage, author=bytes([2 + i % peers]) * 32, **more) for i in range(count)]


def pick(ours, theirs, seed=0, **changes):
    return select(ours, theirs, Sharing.model_validate({"own": 6, "foreign": 2, "operator_share": 1.0} | changes), random.Random(seed))


def origins(batch) -> Counter:
    return Counter(("own" if g.author == ME else "foreign") for g in batch.groups)


def test_own_and_foreign_fill_their_own_places_only():
    assert origins(pick([group(i) for i in range(20)], others(20))) == {"own": 6, "foreign": 2}
    assert origins(pick([group(0)], others(20))) == {"own": 1, "foreign": 2}  # a shortage is not filled from the other side
    assert origins(pick([group(i) for i in range(20)], [])) == {"own": 6}
    assert pick([], []).groups == ()


def test_groups_without_advantage_are_dropped_before_sampling_on_both_sides_alike():
    flat = (1.0,) * 4
    own = [group(i, rewards=flat) for i in range(30)] + [group(99)]
    batch = pick(own, [*others(30, rewards=flat), group(99, author=b"\x05" * 32)])
    assert [g.group.index for g in batch.groups] == [99, 99]
    assert batch.dropped == {OWN_NO_ADVANTAGE: 30, NO_ADVANTAGE: 30}
    assert len(batch.left_out) == 30 and {reason for _, reason in batch.left_out} == {NO_ADVANTAGE}


def test_a_dropped_rollout_does_not_count_as_a_difference():
    assert not group(0, rewards=(1.0, None, 1.0, 1.0)).has_advantage
    assert not group(0, rewards=(None, None, None, 1.0)).has_advantage
    assert group(0, rewards=(None, None, 0.0, 1.0)).has_advantage


def test_nothing_is_taken_twice():
    batch = pick([group(i) for i in range(7)], others(5), own=7, foreign=5)
    assert len({g.question for g in batch.groups}) == 12


def test_stages_take_turns():
    judged = [group(i, "critique", answer="x") for i in range(3)] + [group(i, "resolve", answer="x") for i in range(50)]
    own = [group(i, "answer") for i in range(50)] + judged
    counts = Counter(g.group.stage for g in pick(own, [], own=9).groups)
    assert counts == {"answer": 3, "critique": 3, "resolve": 3}
    counts = Counter(g.group.stage for g in pick(own, [], own=13).groups)
    assert counts == {"answer": 5, "critique": 3, "resolve": 5}


@pytest.mark.parametrize(("own", "foreign", "most"), [(8, 4, 4), (6, 6, 4), (0, 9, 1), (1, 1, 1)])
def test_one_operator_gets_at_most_its_share_of_the_batch_that_comes_out(own, foreign, most):
    """9 groups by one operator under two peer ids and 1 by another: a third of the batch at most, but one always."""
    hog = [group(i, author=bytes([7 + i % 2]) * 32, operator=b"\x07" * 20) for i in range(9)]
    batch = pick([group(i) for i in range(own)], [*hog, group(50, author=b"\x03" * 32)], own=own, foreign=foreign, operator_share=1 / 3)
    by_hog = sum(g.operator == b"\x07" * 20 for g in batch.groups)
    assert 1 <= by_hog <= max(1, len(batch.groups) / 3)
    assert by_hog <= most


def test_the_share_rule_says_what_it_cost():
    batch = pick([group(0)], others(9, peers=1), own=1, foreign=6, operator_share=1 / 3)
    assert origins(batch) == {"own": 1, "foreign": 1} and batch.dropped[OPERATOR_SHARE] == 5


def test_the_choice_depends_on_the_groups_and_the_generator_only():
    own, foreign = [group(i) for i in range(20)], others(20)
    first = pick(own, foreign, seed=1)
    assert first == pick(own[::-1], foreign[::-1], seed=1)
    assert first.groups != pick(own, foreign, seed=2).groups


def test_used_says_origin_stage_and_author():
    batch = pick([group(0)], [group(1, "critique", author=b"\x05" * 32, answer="x")])
    assert batch.used == {("own", "answer", ME): 1, ("foreign", "critique", b"\x05" * 32): 1}


def test_own_and_foreign_rollouts_of_one_question_are_mixed():
    """All own ones wrong, all foreign ones right: alone neither teaches anything, mixed both do, and no rollout is lost."""
    ours = group(3, rewards=(0.0,) * 4)
    theirs = group(3, author=b"\x05" * 32, asker=ME, rewards=(1.0,) * 4)
    assert pick([ours], [theirs], join="groups").groups == ()
    batch = pick([ours], [theirs], join="mixed")
    assert len(batch.groups) == 2 and all(sorted(g.rewards) == [0, 0, 1, 1] for g in batch.groups)
    assert all(sorted(g.by) == [ME, ME, b"\x05" * 32, b"\x05" * 32] for g in batch.groups)
    for g in batch.groups:
        for said, reward, author in zip(g.group.rollouts, g.rewards, g.by, strict=True):
            source = ours if author == ME else theirs
            assert said in source.group.rollouts and reward == source.rewards[0]
    assert len({r.digest for g in batch.groups for r in g.group.rollouts}) == 8
    assert {origin for origin, _, _ in batch.used} == {"mixed"}


def test_mixing_needs_the_same_prompt():
    ours = group(3, "resolve", answer="5", said=(Said(1, "fine"),))
    for other in (dict(answer="6", said=(Said(1, "fine"),)), dict(answer="5", said=(Said(0, "fine"),)), dict(answer="5")):
        theirs = group(3, "resolve", author=b"\x05" * 32, asker=ME, **other)
        assert {origin for origin, _, _ in pick([ours], [theirs], join="mixed").used} == {"own", "foreign"}
    same = group(3, "resolve", author=b"\x05" * 32, asker=ME, answer="5", said=(Said(1, "fine"),))
    assert {origin for origin, _, _ in pick([ours], [same], join="mixed").used} == {"mixed"}


RULES = Sharing(min_logprob=-6.0, length_ratio=4.0)


def test_improbable_and_overlong_rollouts_are_found():
    likely = [-0.5]
    assert suspicious([[5] * 10] * 2, [likely * 10, [-6.5] * 10], RULES) == [None, IMPROBABLE]
    assert suspicious([[5] * 10] * 3 + [[5] * 41], [likely * 10] * 3 + [likely * 41], RULES) == [None, None, None, TOO_LONG]
    assert suspicious([[5] * 10] * 3 + [[5] * 40], [likely * 10] * 3 + [likely * 40], RULES) == [None] * 4


def test_a_short_planted_string_is_found_in_a_likely_rollout():
    """Four improbable tokens in 40 likely ones: the mean is -1.2, so the mean alone would let them pass."""
    planted = [-0.2] * 20 + [-9.0] * 4 + [-0.2] * 16
    assert sum(planted) / 40 > -2
    assert suspicious([[5] * 40], [planted], RULES) == [IMPROBABLE]
    assert suspicious([[5] * 40], [[-0.2] * 20 + [-9.0] * 2 + [-0.2] * 18], RULES) == [None]  # two rare tokens do happen


def test_a_logprob_that_is_no_number_is_improbable_and_the_filter_can_be_switched_off():
    assert suspicious([[5] * 3], [[-0.1, float("nan"), -0.1]], RULES) == [IMPROBABLE]
    assert suspicious([[5] * 3], [[-50.0] * 3], Sharing(filter=False)) == [None]


def test_dropped_rollouts_lose_their_reward_and_nothing_else():
    scored = group(0, rewards=(1.0, 0.0, 1.0, 0.0))
    cleaned = without(scored, [None, IMPROBABLE, None, TOO_LONG])
    assert cleaned.rewards == (1.0, None, 1.0, None) and cleaned.group == scored.group


def test_training_gets_author_logprobs_only_where_they_fit():
    theirs = group(0, author=b"\x05" * 32)
    fitting = for_training(theirs, [2, 3], [[5, 6], [5, 6], [5], [5, 6]], ME)
    assert fitting.logprobs == [[-0.5, -0.5], [-0.5, -0.5], None, [-0.5, -0.5]] and fitting.foreign
    assert for_training(group(0), [2, 3], [[5, 6]] * 4, ME).logprobs is None
    mixed = pick([group(3)], [group(3, author=b"\x05" * 32, asker=ME)], join="mixed").groups[0]
    rows = for_training(mixed, [2], [[5, 6]] * 4, ME).logprobs
    assert [row is None for row in rows] == [author == ME for author in mixed.by]


def a_record():
    own, theirs = group(0), without(group(7, author=b"\x05" * 32), [None, None, None, TOO_LONG])
    flat = group(1, rewards=(1.0,) * 4)
    batch = pick([own, flat], [theirs])
    source = Source(theirs.author, theirs.operator, "answer", 3, b"\x0a" * 32, b"a signed shelf")
    places = {id(own.group): ("answer", 0), id(flat.group): ("answer", 1)}
    advantages = [[0.5, -0.5, -0.5, 0.5], [1.0, -0.5, -0.5, 0.0]]
    return batch, of_batch(4, b"\x09" * 32, batch, advantages, {"answer": b"\x0b" * 32}, places, {id(theirs.group): (source, 2)})


def test_the_record_lists_what_was_trained_and_what_was_not():
    batch, record = a_record()
    assert [(t.stage, t.author, t.source, t.place) for t in record.trained] == [("answer", ME, -1, 0), ("answer", b"\x05" * 32, 0, 2)]
    assert record.left == (("answer", 1, NO_ADVANTAGE),) and record.digests == [b"\x0b" * 32, b"\x0a" * 32]
    assert [reward for _, reward, _ in record.trained[1].rollouts] == [1.0, 0.0, 0.0, None]
    assert record.trained[1].rollouts[0][0] == batch.groups[1].group.rollouts[0].digest


def test_a_record_comes_back_the_same_and_its_roots_follow_from_it():
    rules = recipe.load("local", ["learn.group_size=4"])
    _, record = a_record()
    again = unpack(record.pack(), rules)
    assert again == record and (again.rollout_root, again.reward_root) == (record.rollout_root, record.reward_root)
    first = replace(record.trained[0], rollouts=((bytes(32), 1.0, 0.5), *record.trained[0].rollouts[1:]))
    assert replace(record, trained=(first, record.trained[1])).rollout_root != record.rollout_root


@pytest.mark.parametrize("damage", [
    lambda row: row[:-1],
    lambda row: [1, *row[1:]],
    lambda row: [*row[:2], b"short", *row[3:]],
    lambda row: [*row[:4], [[b"\x05" * 32, bytes(20), 0, 3, bytes(32), bytes(5000)]], *row[5:]],
    lambda row: [*row[:5], [[0, ME, 7, 0, row[5][0][4]]], row[6]],
    lambda row: [*row[:5], [[0, ME, -1, 0, [[bytes(32), float("nan"), 0.0]] * 4]], row[6]],
    lambda row: [*row[:5], [[0, ME, -1, 0, row[5][0][4][:3]]], row[6]],
])  # fmt: skip
def test_a_record_that_breaks_its_form_is_refused(damage):
    rules = recipe.load("local", ["learn.group_size=4"])
    with pytest.raises(Refused, match="record"):
        unpack(msgpack.packb(damage(msgpack.unpackb(a_record()[1].pack()))), rules)


def test_a_record_larger_than_the_recipe_allows_is_refused_before_it_is_read():
    rules = recipe.load("local", ["learn.group_size=4"])
    with pytest.raises(Refused, match="at most"):
        unpack(bytes(max_bytes(rules) + 1), rules)


REWARDS = st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=4, max_size=4).map(tuple)
FOREIGN = st.lists(st.tuples(st.integers(2, 6), st.sampled_from(STAGES), REWARDS), max_size=25)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), FOREIGN, st.integers(0, 8), st.integers(0, 8), st.sampled_from(["groups", "mixed"]), st.integers(0, 9))
def test_quotas_shares_and_counts_hold_for_any_input(own, foreign, i, j, join, seed):
    theirs = []
    for n, (peer, stage, rewards) in enumerate(foreign):
        theirs.append(group(n, stage, author=bytes([peer]) * 32, rewards=rewards, answer=None if stage == "answer" else "x"))
    if i + j == 0:
        return
    batch = select([group(n) for n in range(own)], theirs, Sharing(own=i, foreign=j, join=join), random.Random(seed))
    counts = origins(batch)
    assert counts["own"] <= i and counts["foreign"] <= j and all(g.has_advantage for g in batch.groups)
    assert len(set(map(id, batch.groups))) == len(batch.groups) == sum(batch.used.values())
    per_operator = Counter(g.operator for g in batch.groups if g.author != ME)
    assert all(count <= max(1, len(batch.groups) / 3 + 1e-9) for count in per_operator.values())
    assert counts["own"] + len(batch.left_out) == own
