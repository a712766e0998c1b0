"""reasoning-gym in its sandbox: draws, grades, and answers that are code."""

import time

import pytest
import unlocked

from swarm import recipe as recipes
from swarm.errors import TaskError
from swarm.sections import GymTask
from swarm.seeds import derive
from swarm.tasks import sandbox
from swarm.tasks import task as tasks
from swarm.tasks.gym import open_gym
from swarm.tasks.mix import Mix
from swarm.tasks.sandbox import Child

pytest.importorskip("reasoning_gym")
SEED = b"s" * 32


def gym(source, **config):
    notes: list[str] = []
    task = open_gym(GymTask(kind="gym", name="g", source=source, config=config), Child(must=False), notes)
    return task, notes


def test_draws_by_seed_with_its_configuration():
    task, notes = gym("chain_sum", min_terms=2, max_terms=2, min_digits=1, max_digits=1)
    tasks.check(task)
    assert not notes
    questions = {task.draw(derive("q", i)).prompt for i in range(300)}
    assert len(questions) > 100
    question = task.draw(SEED)
    assert task.score(question, question.reference) == 1
    assert task.score(question, f"I think it is <answer> {question.reference} </answer>.") == 1
    assert task.score(question, "<answer>1</answer> no, <answer>nothing</answer>") == 0
    task.close()


@pytest.mark.parametrize("source", ["gsm_symbolic", "pool_matrix", "graph_color", "rush_hour"])
def test_data_sets_that_plan_their_questions_or_have_no_single_answer(source):
    task, _ = gym(source)
    tasks.check(task)
    task.close()


@pytest.mark.slow
def test_every_data_set_of_the_library_passes_its_check():
    import reasoning_gym.factory as factory

    for source in sorted(set(factory.DATASETS) - {"composite"}):  # a recipe mixes by itself
        task, _ = gym(source)
        tasks.check(task)
        task.close()


def test_an_answer_that_is_code_reaches_nothing(tmp_path):
    target = tmp_path / "pwned"
    answer = f"__import__('pathlib').Path({str(target)!r}).touch()"
    for source in ("countdown", "spiral_matrix"):
        task, _ = gym(source)
        assert task.score(task.draw(SEED), answer) < 1
        task.close()
    assert not target.exists()


def test_an_answer_that_never_ends_costs_one_error(monkeypatch):
    monkeypatch.setattr(sandbox, "SCORE", 0.5)
    task, _ = gym("countdown")
    question = task.draw(SEED)
    start = time.monotonic()
    with pytest.raises(TaskError, match="no reply"):
        task.score(question, "9**9**9**9")
    assert time.monotonic() - start < 5
    assert task.score(question, task.gold(question)) == 1
    task.close()


@pytest.mark.parametrize("source, config", [("no_such_set", {}), ("chain_sum", {"colour": 1}), ("chain_sum", {"min_terms": -5})])
def test_unknown_names_and_bad_configurations_are_named(source, config):
    with pytest.raises(TaskError, match="task g: "):
        gym(source, **config)


def test_without_a_sandbox_only_scorers_that_compare_are_used(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "ROOT", unlocked.package(tmp_path))
    for source in ("chain_sum", "gcd"):
        task, notes = gym(source)
        assert "no sandbox here" in notes[0]
        tasks.check(task)
        task.close()
    with pytest.raises(TaskError, match="may run an answer as code"):
        gym("countdown")


def test_the_package_missing_is_a_sentence(monkeypatch):
    monkeypatch.setattr("swarm.tasks.gym.importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match="not installed"):
        gym("chain_sum")


def test_the_shipped_mix_opens_and_passes_its_checks():
    recipe = recipes.load("reasoning-gym")
    assert len(recipe.tasks) >= 12
    with Mix(recipe) as mix:  # as a stranger would get it: nothing in it needs trust
        mix.check()
        assert {mix.question(derive("q", i)).task for i in range(400)} == set(mix.tasks)
        for name, questions in mix.heldout(20).items():
            assert len(questions) == 20, name
            assert mix.constant(questions) < 0.9, name
