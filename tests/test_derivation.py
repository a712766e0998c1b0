"""Rollouts of every stage are derived again without decoding; whatever of one does not follow is named, and drawn samples cost what they are."""

from dataclasses import replace

import pytest
import torch
from proofs import parts

from swarm import seeds
from swarm.author import Author, Draft
from swarm.groups import Group, Said
from swarm.proof.derivation import Deriver, drawn

torch.set_num_threads(1)
ME = seeds.author(b"\x01" * 20, b"\x02" * 32)
MARGIN = 1e-3
ROUND = 4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Stages, and the groups of each that an author wrote."""
    stages, _ = parts(tmp_path_factory.mktemp("derivation"))
    stages.epoch_seed = b"\x05" * 32
    groups = {
        "answer": [Group("answer", bytes(32), ROUND, index, (), seed=stages.epoch_seed) for index in range(3)],
        "critique": [Group("critique", b"\x09" * 32, ROUND, index, (), "7", seed=stages.epoch_seed) for index in range(2)],
        "resolve": [Group("resolve", bytes(32), ROUND, index, (), "12", (Said(1, ""), Said(0, "no")), seed=stages.epoch_seed) for index in range(2)],
    }
    author = Author(stages, ME)
    return stages, {stage: author.write([Draft(g, stages.question(g)) for g in some], ROUND) for stage, some in groups.items()}


def everything(groups: list[Group]) -> list[tuple[int, int]]:
    return [(n, g) for n, group in enumerate(groups) for g in range(len(group.rollouts))]


def with_rollout(groups: list[Group], n: int, g: int, **changes) -> list[Group]:
    rollouts = list(groups[n].rollouts)
    rollouts[g] = replace(rollouts[g], **changes)
    return [replace(group, rollouts=tuple(rollouts)) if at == n else group for at, group in enumerate(groups)]


@pytest.mark.parametrize("stage", seeds.STAGES)
def test_what_an_author_wrote_follows(written, stage, monkeypatch):
    stages, groups = written
    monkeypatch.setattr("swarm.policy.sampler.generate", None)  # nothing is decoded
    found = Deriver(stages, ME, MARGIN).derive(groups[stage], ROUND, everything(groups[stage]))
    assert found.difference is None and found.widest < MARGIN
    assert found.rollouts == sum(len(group.rollouts) for group in groups[stage])
    assert found.tokens == sum(len(rollout.ids) for group in groups[stage] for rollout in group.rollouts)
    some = Deriver(stages, ME, MARGIN).derive(groups[stage], ROUND, [(1, 5), (0, 2)])
    assert some.difference is None and some.rollouts == 2
    assert Deriver(stages, ME).derive(groups[stage], ROUND, []).rollouts == 0


@pytest.mark.parametrize("stage", seeds.STAGES)
def test_another_seed_is_another_rollout(written, stage):
    stages, groups = written
    other = Deriver(stages, seeds.author(b"\x01" * 20, b"\x03" * 32), MARGIN).derive(groups[stage], ROUND, everything(groups[stage]))
    later = Deriver(stages, ME, MARGIN).derive(groups[stage], ROUND + 1, everything(groups[stage]))
    assert other.difference and later.difference


@pytest.mark.parametrize("stage", seeds.STAGES)
def test_the_first_token_that_does_not_follow_is_named(written, stage):
    stages, groups = written
    ids = list(groups[stage][1].rollouts[3].ids)
    ids[0] = ids[0] % 50 + 7
    forged = with_rollout(with_rollout(groups[stage], 1, 3, ids=tuple(ids)), 1, 6, ids=tuple(ids))
    difference = Deriver(stages, ME, MARGIN).derive(forged, ROUND, everything(forged)).difference
    assert (difference.stage, difference.question, difference.sample, difference.token) == (stage, 1, 3, 0)
    assert f"question 1, sample 3: token 0 is {ids[0]}, {groups[stage][1].rollouts[3].ids[0]} follows" in str(difference)


def test_an_answer_that_was_cut_short_or_goes_on_is_named(written):
    stages, groups = written
    answers = groups["answer"]
    n, g = next((n, g) for n, g in everything(answers) if answers[n].rollouts[g].finished and len(answers[n].rollouts[g].ids) > 2)
    whole = answers[n].rollouts[g]
    cut = with_rollout(answers, n, g, ids=whole.ids[:-1], logprobs=whole.logprobs[:-1])
    longer = with_rollout(answers, n, g, ids=(*whole.ids, 9), logprobs=(*whole.logprobs, -1.0))
    unfinished = with_rollout(answers, n, g, finished=False)
    said = [str(Deriver(stages, ME, MARGIN).derive(forged, ROUND, [(n, g)]).difference) for forged in (cut, longer, unfinished)]
    assert f"ends after {len(whole.ids) - 1} tokens, {whole.ids[-1]} follows" in said[0]
    assert f"had to end after {len(whole.ids)} tokens" in said[1] and "its end" in said[2]


@pytest.mark.parametrize(
    "stage, what, change",
    [
        ("answer", "log-probability of token 1", lambda r: {"logprobs": (r.logprobs[0], r.logprobs[1] - 0.01, *r.logprobs[2:])}),
        ("answer", "text", lambda r: {"text": r.text + "1"}),
        ("critique", "label", lambda r: {"label": 1 - r.label, "ids": (*r.ids[:-1], 0)}),
        ("critique", "tokens", lambda r: {"ids": (*r.ids[:-1], r.ids[-1] + 1)}),
        ("resolve", "forecast", lambda r: {"forecast": r.forecast / 2}),
    ],
)
def test_whatever_else_does_not_follow_is_named(written, stage, what, change):
    stages, groups = written
    n, g = next((n, g) for n, g in everything(groups[stage]) if len(groups[stage][n].rollouts[g].ids) > 1)
    forged = with_rollout(groups[stage], n, g, **change(groups[stage][n].rollouts[g]))
    assert what in str(Deriver(stages, ME, MARGIN).derive(forged, ROUND, everything(forged)).difference)


def test_a_critique_without_its_cue_is_named_not_trusted(written):
    stages, groups = written
    said = groups["critique"][0].rollouts[0]
    bare = tuple(token for token in said.ids if token not in stages.cue) or said.ids[-1:]
    forged = with_rollout(groups["critique"], 0, 0, ids=bare, logprobs=said.logprobs[: len(bare)])
    assert Deriver(stages, ME, MARGIN).derive(forged, ROUND, [(0, 0)]).difference


def test_a_beacon_draws_the_rollouts_that_are_looked_at(written):
    _, groups = written
    every = {stage: everything(some) for stage, some in groups.items()}
    assert drawn(groups, b"\x01" * 32, ME, 3, 0) == drawn(groups, b"", ME, 3, 10_000) == every
    one, again, other = (drawn(groups, bytes([beacon]) * 32, ME, 3, 9) for beacon in (1, 1, 2))
    assert one == again != other and sum(map(len, one.values())) == 9
    assert all(set(one[stage]) <= set(every[stage]) and one[stage] == sorted(one[stage]) for stage in every)
    assert drawn(groups, b"\x01" * 32, ME, 4, 9) != one != drawn(groups, b"\x01" * 32, bytes(32), 3, 9)
