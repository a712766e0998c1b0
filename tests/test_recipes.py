"""Every recipe in the repository: it parses, says what it is in its first lines, and comes out of the network as it went in."""

import re
from dataclasses import replace

import pytest

from judge.terms import PROFILES
from swarm import enrolment
from swarm import recipe as recipes
from swarm.cli import up
from swarm.errors import RecipeError

DAY = 86_400

NAMES = ["gsm8k", "local", "open-answers", "own-task", "reasoning-gym", "sft", "smollm2", "specialists"]


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


PROVED = ["proof.profile=pinned", "proof.epoch=600", "proof.grace=300", "proof.steps=64", "proof.gain=0.01"]


@pytest.mark.parametrize("profile", ["test", "local", "swarm", "human"])
def test_stakes_stay_until_the_longest_market_that_began_under_them_is_over(profile):
    """JudgeAnchor keeps a deposit for max(terms.unbonding, 16 days + 4 epochs); T_max with its waits for randomness can be longer."""
    rules = recipes.load("local", [*PROVED, f"judge.profile={profile}"])
    terms = enrolment.terms(rules.proof, "", "", True, market=rules.longest_market)
    delay = max(terms["unbonding"], 16 * DAY + enrolment.TAIL_EPOCHS * terms["epoch"])
    assert delay >= rules.longest_market + enrolment.TAIL_EPOCHS * terms["epoch"]
    waits = (600 + rules.proof.beacon + 2) * 1000
    assert rules.longest_market * 1000 >= replace(PROFILES[profile], seed=waits).most > rules.longest_market * 1000 - 1000
    assert recipes.load("local", ["judge.profile=none"]).longest_market == 0


def test_a_market_that_would_hold_stakes_for_months_is_refused_with_the_longest_epoch_that_would_not():
    said = [*PROVED[:1], "judge.profile=human", "proof.grace=300000", "proof.beacon=60", "proof.gain=0.001"]
    with pytest.raises(RecipeError) as no:
        recipes.load("local", [*said, "proof.epoch=400000"])
    most = int(re.search(r"set proof.epoch to (\d+) or less", str(no.value))[1])
    assert "judge.profile = human can take 90 days with proof.epoch = 400000" in str(no.value) and "60 days at most" in str(no.value)
    assert recipes.load("local", [*said, f"proof.epoch={most}"]).longest_market <= 60 * DAY
    with pytest.raises(RecipeError):
        recipes.load("local", [*said, f"proof.epoch={most + 1}"])


def test_pages_must_have_time_to_travel_before_a_root_is_voted_on():
    with pytest.raises(RecipeError, match="proof.grace = 15 leaves 9 s: set it to 17 or more"):
        recipes.load("local", ["judge.profile=live"])
    assert recipes.load("local", ["judge.profile=live", "proof.grace=17"]).has_market


def test_canonical_numerics_are_float32():
    assert recipes.load("local", ["proof.profile=canonical"]).proof.profile == "canonical"
    with pytest.raises(RecipeError, match="float32"):
        recipes.load("local", ["proof.profile=canonical", "model.dtype=bfloat16"])


def test_without_a_compiler_a_swarm_of_ones_own_is_pinned_and_told_so(monkeypatch, capsys):
    """A swarm that is joined stays as it is: doctor refuses there."""
    assert up._computable("local", ["run.rounds=3"]).proof.profile == "canonical" and not capsys.readouterr().err
    monkeypatch.setattr(up.build.shutil, "which", lambda name: None)
    assert up._computable("local", ["run.rounds=3"]).proof.profile == "pinned" and "install gcc" in capsys.readouterr().err
    assert up._computable("local", ["proof.profile=canonical"]).proof.profile == "canonical"
    assert up._computable("local", ["proof.profile=none"]).proof.profile == "none" and not capsys.readouterr().err
