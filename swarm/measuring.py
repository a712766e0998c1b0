"""Held-out accuracy of a peer's newest whole state: what `swarm eval` starts, as a process of its own beside the node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm import evaluation, recipe, settings


def measure(folder: Path, questions: int | None = None) -> dict[str, Any]:
    """`{"round", "accuracy", "constant"}` of the state in `folder`; accuracies by task on `questions` held-out questions each.

    Nothing in the folder is changed. Raises what opening model, tasks or checkpoint raises.
    """
    import torch

    from swarm.policy import model
    from swarm.stages import Stages
    from swarm.tasks.mix import Mix
    from swarm.tasks.rows import beside
    from swarm.trainee import Trainee

    told = settings.load(folder)
    rules = recipe.from_bytes(told.recipe.read_bytes())
    torch.set_num_threads(told.threads)
    around = dict(allow_code=told.allow_code, trusted=told.trusted, folder=told.recipe_folder, rows=beside(told.recipe))
    with Mix(rules, **around) as mix:
        trainee = Trainee(model.load(rules, told.cache, told.torch_device(rules), foreign=not told.trusted), rules, folder / "checkpoints")
        trainee.resume()
        stages = Stages(rules, trainee.policy, mix)
        heldout = mix.heldout(questions or rules.evaluate.questions)
        return {"round": trainee.round, "accuracy": evaluation.accuracy(stages, heldout), "constant": evaluation.constants(stages, heldout)}
