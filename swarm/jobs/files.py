"""The local files that a recipe names, as a job's members get them: by digest, under the path that the recipe has.

Whoever takes a job has none of the submitter's files, so everything a step depends on is either shipped with this program, pinned on the
hub by a commit or digest, or served as a blob. That all start from the same weights is settled by the swarm's base root on the chain.
"""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from swarm import supply
from swarm.errors import InputError
from swarm.jobs.brief import File
from swarm.recipe import Recipe
from swarm.sections import AnyTask, DatasetTask, PythonTask, VerifiersTask

LARGEST = 2**30  # bytes of one file: a blob is held in memory while it is sent


def served(recipe: Recipe, folder: Path) -> list[tuple[File, Path]]:
    """The files to serve, and where they lie. `folder`: of the recipe. Raises InputError where a member could not get or check something."""
    _require_model(recipe)
    rows = [recipe.learn.data] if recipe.learn.data is not None else []
    found = [(_file("data", name, folder), folder / name) for name in rows]
    for task in recipe.tasks:
        if (named := _of_task(task)) is not None:
            role, source = named
            found.append((_file(role, source, folder), folder / source))
    return found


def _require_model(recipe: Recipe) -> None:
    model = recipe.model
    if model.source.startswith("path:"):
        what = f"the recipe's model is a folder of this machine ({model.source}), which nobody else has"
        raise InputError(what, "take base or smollm2, or put it on the hub: model.source=hub:ORG/NAME with model.digest")
    if model.source.startswith("hub:") and model.digest is None and model.revision is None:
        what = f"the model {model.source} has neither digest nor commit, so nobody could start from the same weights for sure"
        raise InputError(what, "pin it: model.revision=COMMIT, or model.digest, the BLAKE3 of its safetensors")


def _of_task(task: AnyTask) -> tuple[str, str] | None:
    """Role and path of the local file that a task names, if it does."""
    if isinstance(task, VerifiersTask):
        raise InputError(f"task {task.name} runs an environment of the verifiers package", "a job's tasks are built in, of reasoning-gym, or data")
    if isinstance(task, PythonTask):
        return "code", task.source
    if not isinstance(task, DatasetTask):
        return None
    if supply.is_table(task):
        return "data", task.source.removeprefix("path:")
    if task.source.startswith("path:"):
        what = f"task {task.name} reads {task.source}, and members open only text files from beside a recipe"
        raise InputError(what, "make it a .jsonl or .csv beside the recipe, or put it on the hub with a commit")
    if task.revision is None and task.digest is None:
        what = f"task {task.name}: the data set {task.source} has neither commit nor digest, so nobody could check that it is the same"
        raise InputError(what, f"pin it: tasks.N.revision=COMMIT for {task.source}")
    return None


def _file(role: str, source: str, folder: Path) -> File:
    path = folder / source
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{path} has {size} bytes; a job serves files of at most {LARGEST}", "split it")
        return File(role, source, blake3(path.read_bytes()).digest(), size)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "paths are relative to the recipe") from None
