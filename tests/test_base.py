"""The shipped base model: the very file, what it can do, and (slow) that its script makes such a model again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from swarm import evaluation, recipe, seeds
from swarm.groups import Group
from swarm.policy import model, sampler
from swarm.stages import Stages
from swarm.tasks.builtin import CUE
from swarm.tasks.mix import Mix

DIGEST = "be4b0178d144fa95b89956f643509ee72c625dbcd2046955db65809f51e3f0dd"
WITH_IT = ["local", "specialists", "own-task"]


def stages_of(folder: Path | None = None) -> Stages:
    torch.set_num_threads(1)
    rules = recipe.load("local")
    if folder:
        rules = rules.model_copy(update={"model": rules.model.model_copy(update={"source": f"path:{folder}", "digest": None})})
    return Stages(rules, model.load(rules, Path("."), "cpu"), Mix(rules, trusted=True))


def manners(stages: Stages, task: str, n: int = 80) -> tuple[float, float, float]:
    """At temperature 1: share of answers that show their working, their accuracy, and that of direct answers."""
    questions = stages.mix.heldout(n)[task]
    prompts = [stages.prompt(Group("answer", b"", 0, 0, ()), question) for question in questions]
    noise = [[seeds.derive("manner", task, i, g) for g in range(4)] for i in range(n)]
    drawn = sampler.generate(stages.policy.model, prompts, noise, max_tokens=32, eos=stages.policy.eos, pad=stages.policy.pad, rows=128)
    worked, direct = [], []
    for question, samples in zip(questions, drawn, strict=True):
        for sample in samples:
            text = stages.chat.decode(sample.ids)
            (direct if text.startswith(CUE) else worked).append(stages.mix.score(question, text))
    return len(worked) / (4 * n), sum(worked) / max(1, len(worked)), sum(direct) / max(1, len(direct))


def check_quality(stages: Stages) -> None:
    """Answers directly when greedy, adds badly that way, and knows a working that is nearly always right."""
    greedy = evaluation.accuracy(stages, stages.mix.heldout(80))
    assert greedy["addition"] <= 0.6 and greedy["letters"] <= 0.75 and greedy["maximum"] >= 0.9
    for task in ("addition", "letters"):
        share, worked, direct = manners(stages, task)
        assert 0.1 <= share <= 0.5
        assert worked >= 0.75 > direct + 0.2


def test_the_file_is_the_one_that_recipes_pin():
    assert stages_of().policy.digest == DIGEST
    assert [recipe.load(name).model.digest for name in WITH_IT] == [DIGEST] * len(WITH_IT)


def test_it_answers_directly_and_knows_the_working_it_does_not_show():
    check_quality(stages_of())


def test_every_text_of_its_tasks_survives_its_tokenizer():
    stages = stages_of()
    for questions in stages.mix.heldout(20).values():
        for question in questions:
            text = question.prompt + " " + question.entry + CUE + question.reference
            assert stages.chat.decode(stages.chat.encode(text)) == text


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_its_script_makes_such_a_model_again(tmp_path):
    command = [sys.executable, "-m", "swarm.policy.base.pretrain", "--out", str(tmp_path / "base")]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    check_quality(stages_of(tmp_path / "base"))
