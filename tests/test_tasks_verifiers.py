"""Environments of the `verifiers` package; what needs the package is skipped where it is not installed."""

import importlib.util
import sys

import pytest

from swarm import recipe as recipes
from swarm.errors import Refused, TaskError
from swarm.tasks.mix import Mix

INSTALLED = importlib.util.find_spec("verifiers") is not None
needs_package = pytest.mark.skipif(not INSTALLED, reason="the package verifiers is not installed")

TASKSET = """
import verifiers.v1 as vf

class Data(vf.TaskData):
    answer: str

class Double(vf.Task[Data]):
    @vf.reward
    async def right(self, trace) -> float:
        {body}

class Doubles(vf.Taskset[Double, vf.TasksetConfig]):
    def load(self):
        for n in range(500):
            yield Double(Data(prompt=f"What is {{n}} + {{n}}?", answer=str(2 * n)), self.config.task)

__all__ = ["Doubles"]
"""


def mix(folder, monkeypatch, name, body="return float(trace.last_reply == self.data.answer)"):
    (folder / f"{name}.py").write_text(TASKSET.format(body=body))
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    return Mix(recipes.parse({"name": "test", "tasks": [{"kind": "verifiers", "name": "double", "source": name}]}), trusted=True)


def test_a_foreign_recipe_may_not_name_a_package():
    recipe = recipes.parse({"name": "test", "tasks": [{"kind": "verifiers", "name": "v", "source": "antigravity"}]})
    for allowed in (None, "0" * 64):
        with pytest.raises(Refused) as caught:
            Mix(recipe, allow_code=allowed)
        assert caught.value.reason == "code"
    assert "antigravity" not in sys.modules


@pytest.mark.skipif(INSTALLED, reason="the package verifiers is installed")
def test_without_the_package_a_sentence_says_so():
    recipe = recipes.parse({"name": "test", "tasks": [{"kind": "verifiers", "name": "v", "source": "double"}]})
    with pytest.raises(TaskError, match="not installed") as caught:
        Mix(recipe, trusted=True)
    assert "pip install verifiers" in caught.value.hint


@needs_package
def test_a_single_turn_taskset_draws_and_grades(tmp_path, monkeypatch):
    with mix(tmp_path, monkeypatch, "doubles_one") as tasks:
        tasks.check()
        question = tasks.question(b"s" * 32)
        assert tasks.gold(question) == question.reference
        assert tasks.score(question, question.reference) == 1 and tasks.score(question, "x") == 0


@needs_package
def test_grading_is_locked_in(tmp_path, monkeypatch):
    with mix(tmp_path, monkeypatch, "doubles_two", body=f"open({__file__!r}).read()") as tasks, pytest.raises(TaskError, match="Permission"):
        tasks.score(tasks.tasks["double"].draw(b"s" * 32), "x")


@needs_package
def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    recipe = recipes.parse({"name": "test", "tasks": [{"kind": "verifiers", "name": "v", "source": "nothing-there"}]})
    with pytest.raises(TaskError, match="nothing-there"):
        Mix(recipe, trusted=True)
