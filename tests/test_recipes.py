"""Every recipe in the repository: it parses, says what it is in its first lines, and comes out of the network as it went in."""

import re

import pytest

from swarm import recipe as recipes

NAMES = ["gsm8k", "local", "open-answers", "own-task", "reasoning-gym", "smollm2", "specialists"]


@pytest.mark.parametrize("path", recipes.shipped(), ids=lambda path: path.stem)
def test_a_shipped_recipe_parses_and_introduces_itself(path):
    recipe = recipes.load(path)
    assert recipe.name == path.stem, "people call it by its file's name"
    assert recipes.from_bytes(recipe.canonical).hash == recipe.hash
    head = path.read_text().split("\n\n")[0]
    for word in ("What", "Model", "Memory", "Time", "Measured"):
        assert re.search(rf"^# {word}\b.*\w", head, re.MULTILINE), f"the first comment does not say: {word}"
    assert recipe.about


def test_the_shipped_recipes_are_all_there():
    assert {path.stem for path in recipes.shipped()} >= set(NAMES)


def test_the_reasoning_gym_mix_has_a_dozen_tasks_of_equal_weight():
    recipe = recipes.load("reasoning-gym")
    assert len(recipe.tasks) >= 12 and {task.kind for task in recipe.tasks} == {"gym"}


def test_specialists_draw_one_task_each():
    recipe = recipes.load("specialists")
    assert recipe.sharing.specialists and len(recipe.tasks) == recipe.run.peers


@pytest.mark.parametrize(("settings", "market"), [([], True), (["judge.profile=none"], False), (["proof.profile=none"], False)])
def test_a_market_needs_a_profile_and_the_chain(settings, market):
    assert recipes.load("local", settings).has_market is market
