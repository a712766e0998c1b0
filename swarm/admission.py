"""Which recipes from the network are obeyed: on join a recipe is hostile input until it has passed here.

Allowed are built-in and reasoning-gym tasks, and models that are shipped or come as safetensors from the hub. Whatever
would run a stranger's code or open a local file is refused by name; a Python task passes only under its own digest.
"""

from __future__ import annotations

from pathlib import Path

from swarm import supply
from swarm.errors import Refused
from swarm.recipe import Recipe
from swarm.sections import AnyTask, DatasetTask, PythonTask, VerifiersTask


def admit(recipe: Recipe, allow_code: str | None = None, folder: Path | None = None, allow_hub: bool = False, tables: bool = False) -> None:
    """Return if the recipe may be joined. Raises Refused("code" | "path" | "hub") with the sentence a person needs.

    `allow_code` is the SHA-256 of the one Python task that may run (sandboxed), `folder` where its file lies,
    `allow_hub` lets data sets be fetched from the hub, `tables` lets plain tables come from members by their digest.
    """
    if recipe.model.source.startswith("path:"):
        raise Refused("path", f"the recipe names a local model ({recipe.model.source})", "ask for a recipe with a shipped or a hub model")
    for task in recipe.tasks:
        if not (tables and supply.is_table(task)):
            _admit_task(task, allow_code, folder, allow_hub)


def _admit_task(task: AnyTask, allow_code: str | None, folder: Path | None, allow_hub: bool) -> None:
    if isinstance(task, VerifiersTask):
        raise Refused("code", f"task {task.name} would run the verifiers environment {task.source}", "only swarms of your own may use those")
    if isinstance(task, DatasetTask) and task.source.startswith("path:"):
        raise Refused("path", f"task {task.name} names a local file ({task.source})", "ask for a recipe with built-in tasks or hub data")
    if isinstance(task, DatasetTask) and not allow_hub:
        raise Refused("hub", f"task {task.name} would download {task.source} from the hub", "if you trust that data set, join with --allow-hub")
    if isinstance(task, PythonTask):
        _admit_code(task, allow_code, folder)


def _admit_code(task: PythonTask, allow_code: str | None, folder: Path | None) -> None:
    if task.digest is None:
        raise Refused("code", f"task {task.name} is Python code without a digest", "ask for a recipe that was read from its file")
    if allow_code != task.digest:
        hint = f"get {task.source} from the sender, read it, then join with --allow-code {task.digest} --files FOLDER; it runs locked in"
        raise Refused("code", f"task {task.name} would run Python code (SHA-256 {task.digest})", hint)
    if folder is None or not (folder / task.source).resolve().is_relative_to(folder.resolve()) or not (folder / task.source).is_file():
        raise Refused("code", f"task {task.name}: {task.source} is not in the folder of --files", "put the file there, under that name")
