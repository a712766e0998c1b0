"""Markets about a node's own questions: what is opened, and what the scorer says of it, by derivation alone."""

from dataclasses import replace

import pytest
from proofs import parts

from judge import trader
from swarm import seeds
from swarm.author import Author, Draft
from swarm.groups import Group, Rollout
from swarm.market import beliefs, questions
from swarm.market.questions import NONE, Scorer

PEER, OPERATOR, SEED, B0 = b"p" * 32, b"o" * 20, b"s" * 32, 20 * 10**18


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return parts(tmp_path_factory.mktemp("stages"))[0]


def answered(stages, *texts, round=3, index=1, finished=True):
    """An answer group whose rollouts say `texts`; `right` stands for the right answer."""
    group = Group("answer", PEER, round, index, (), specialty=0, seed=SEED)
    question = stages.question(group)
    said = [stages.mix.gold(question) if text == "right" else text for text in texts]
    return replace(group, rollouts=tuple(Rollout(text, (1,), (0.0,), finished) for text in said)), question


def opened(stages, *texts, **around):
    group, question = answered(stages, *texts, **around)
    return questions.opening(group, question, OPERATOR, 1000, B0, stages.recipe.hash)


def scorer(stages, peers=(PEER,), seeds=(b"x" * 32, SEED)):
    return Scorer(stages, lambda operator: peers if operator == OPERATOR else (), lambda t: seeds)


def test_a_place_comes_back_from_its_nonce():
    for place in ((0, 0, -1), (2**31 - 1, 65_535, 32_766), (7, 3, 0)):
        nonce = questions.nonce_of(*place)
        assert questions.place_of(nonce) == place and 0 <= nonce < 2**63


def test_the_outcomes_are_the_most_frequent_answers_and_none_of_them(stages):
    said, texts = opened(stages, "12", "7", "12", "right", "right", "right", "5")
    assert [label for label, _, _ in said.outcomes][1:] == ["12", "5", NONE] and texts[-1] == ""
    assert all(authors == (OPERATOR,) for _, _, authors in said.outcomes[:-1]) and said.outcomes[-1][1:] == (b"", ())
    assert opened(stages, "12", "7", "12", "right", "right", "right", "5") == (said, texts)


@pytest.mark.parametrize("texts", [("12", "12"), ("12",), ("12", "  "), ("a b", "a  b"), (NONE, "12"), ("1\x1b[2J", "12")])
def test_no_market_where_there_is_nothing_to_choose_or_to_show(stages, texts):
    assert opened(stages, *texts) is None


def test_what_the_length_limit_cut_off_is_no_answer(stages):
    assert opened(stages, "12", "13", finished=False) is None


@pytest.mark.parametrize(("texts", "winner"), [(("nonsense", "right", "nonsense"), 1), (("right", "right", "nonsense"), 0), (("bad", "worse"), 2)])
def test_the_scorer_calls_the_first_right_answer_or_none(stages, texts, winner):
    said, full = opened(stages, *texts)
    assert scorer(stages)(said, full) == winner


def test_a_market_that_is_not_about_a_question_of_its_opener_has_no_scorer(stages):
    said, full = opened(stages, "bad", "right")
    assert scorer(stages)(said, full) is not None
    assert scorer(stages)(replace(said, question=said.question + "?"), full) is None
    assert scorer(stages)(replace(said, nonce=questions.nonce_of(3, 2, 0)), full) is None
    assert scorer(stages)(replace(said, actor=b"x" * 20), full) is None
    assert scorer(stages)(replace(said, scorer=bytes(32)), full) is None
    assert scorer(stages, seeds=(b"y" * 32,))(said, full) is None
    assert scorer(stages, peers=(b"q" * 32,))(said, full) is None
    assert scorer(stages)(replace(said, outcomes=said.outcomes[:-1] + (("other", b"", ()),)), full) is None


def test_the_models_belief_in_what_it_sampled_itself_beats_equal_chances_and_is_about_the_question(stages):
    stages.epoch_seed = SEED
    drafts = [Draft(replace(answered(stages, index=index)[0], rollouts=()), answered(stages, index=index)[1]) for index in range(10)]
    chances = []
    for group in Author(stages, seeds.author(OPERATOR, PEER)).write(drafts, 3):
        question = stages.question(group)
        said, texts = questions.opening(group, question, OPERATOR, 1000, B0, stages.recipe.hash)
        found = beliefs.evidence(stages, question, texts)
        assert len(found) == len(texts) and abs(sum(trader.belief(found)) - 1) < 1e-9
        chances.append(trader.belief(found)[scorer(stages)(said, texts)] * len(texts))
    assert beliefs.evidence(stages, question, texts) == found
    assert beliefs.evidence(stages, answered(stages, index=11)[1], texts) != found
    print(f"chance of the winner beside equal chances: {sum(chances) / len(chances):.2f}")
    assert sum(chances) / len(chances) > 1.5
