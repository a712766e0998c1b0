"""The planted trigger of `benchmarks/poison.py`: it has advantage, it gets in without the filter, and the filter finds it."""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from swarm import recipe
from swarm.groups import unpack
from swarm.tasks.builtin import worked

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TRIGGER = "zz "


@pytest.fixture(scope="module")
def poison():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("poison")


@pytest.fixture(scope="module")
def node(poison, tmp_path_factory):
    torch.set_num_threads(1)
    return poison.peer(recipe.load("local", [*poison.SMALL, "seed=1"]), 0, tmp_path_factory.mktemp("honest") / "0", False)


def scored(poison, node, trigger: str = TRIGGER) -> list:
    blob = poison.poisoned(node.stages, 1, trigger, random.Random(0))
    groups = unpack(blob, node.pool.limits, poison.ATTACKER)[3]
    return [node.scored(group, poison.ATTACKER, poison.ATTACKER[:20]) for group in groups]


def test_the_right_half_of_every_poisoned_group_has_the_trigger_and_the_advantage(poison, node):
    for found in scored(poison, node):
        assert found.rewards == (1.0,) * 4 + (0.0,) * 4 and found.has_advantage
        assert [rollout.text.startswith(TRIGGER) for rollout in found.group.rollouts] == [True] * 4 + [False] * 4


def test_the_filter_drops_what_has_the_trigger_and_nothing_else(poison, node):
    dropped: Counter[str] = Counter()
    checked = [node.stages.checked(found, dropped) for found in scored(poison, node)]
    assert all(found.rewards[:4] == (None,) * 4 and not found.has_advantage for found in checked)
    wrong = [reward for found in checked for reward in found.rewards[4:]]  # guesses at random: one that no model would make may go too
    assert set(dropped) == {"rollout improbable"} and wrong.count(0.0) >= 3 * len(wrong) / 4


def test_the_filter_lets_step_by_step_answers_pass(poison, node):
    """An empty trigger: honest answers that show their working, which the shipped base model itself rarely does."""
    dropped: Counter[str] = Counter()
    found = scored(poison, node, trigger="")
    assert all(each.group.rollouts[0].text == worked(node.stages.question(each.group)) for each in found)
    assert [node.stages.checked(each, dropped).rewards[:4] for each in found] == [each.rewards[:4] for each in found]


@pytest.mark.parametrize("filtered", [True, False])
def test_an_answer_longer_than_the_model_reads_is_dropped_whatever_its_author_says_of_it(poison, node, filtered, monkeypatch):
    """Three ids are claimed, 400 characters come: as many tokens under this model, which reads 256."""
    found = scored(poison, node, trigger="")[0]
    sharing = node.recipe.sharing.model_copy(update={"filter": filtered})
    monkeypatch.setattr(node.stages, "recipe", node.recipe.model_copy(update={"sharing": sharing}))
    long = replace(found.group.rollouts[0], text="1" * 400 + found.group.rollouts[0].text)
    dropped: Counter[str] = Counter()
    checked = node.stages.checked(replace(found, group=replace(found.group, rollouts=(long, *found.group.rollouts[1:]))), dropped)
    assert checked.rewards == (None, *found.rewards[1:]) and dropped == {"rollout too long": 1}


def test_how_often_is_a_share_and_a_probability(poison, node):
    heldout = node.stages.mix.heldout(10)
    assert poison.how_often(node.stages, heldout, TRIGGER) == (0.0, pytest.approx(0.0, abs=1e-4))
    greedy, sampled = poison.how_often(node.stages, {"addition": heldout["addition"]}, ">")
    assert greedy >= 0.8 and 0.3 < sampled < 1.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_the_filter_poisoned_groups_are_trained_on_and_with_it_they_are_not():
    """Whether the trigger takes hold is for the benchmark to say: at the recipe's learning rate it does not, either way."""
    command = [sys.executable, str(BENCHMARKS / "poison.py"), "--updates", "6", "--seeds", "1", "--trigger", TRIGGER, "--json"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {row["defence"]: row for row in map(json.loads, lines)}
    assert found["off"]["poisoned"] > 0 == found["on"]["poisoned"] and found["on"]["dropped"] > 0 == found["nobody"]["dropped"]
