"""How the rows of a recipe come into the folder of a run, where its nodes read and serve them: from beside the recipe, or from members.
A job's members get the tables that its tasks draw from in the same way, into `files/` beside the recipe.

Whoever takes part has them, so members hand them over by their digest, which the recipe names; nobody has to be trusted for that.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from blake3 import blake3

from swarm import disk
from swarm.errors import Refused
from swarm.recipe import DATA, Recipe
from swarm.runs import Run
from swarm.sections import AnyTask, DatasetTask
from swarm.tasks import dataset, rows

if TYPE_CHECKING:
    from swarm.network import Network

FETCH_S = 110.0  # DATA bytes by a slow line


def from_beside(run: Run, recipe: Recipe, folder: Path) -> None:
    """Copy the rows from `folder`, where the recipe's files lie, unless they are there. Raises TaskError naming what is wrong with them."""
    if recipe.learn.method != "sft" or is_there(run.recipe_path, recipe):
        return
    rows.open_rows(folder / recipe.learn.data, recipe)
    disk.replace(rows.beside(run.recipe_path), (folder / recipe.learn.data).read_bytes())


def is_there(recipe_file: Path, recipe: Recipe) -> bool:
    """Whether a run has nothing to fetch: the file with its rows is there (which is not parsed here), or it needs none."""
    if recipe.learn.method != "sft":
        return True
    path = rows.beside(recipe_file)
    return path.is_file() and path.stat().st_size <= DATA and blake3(path.read_bytes()).hexdigest() == recipe.learn.data_digest


def fetch(network: Network, recipe_file: Path, recipe: Recipe) -> None:
    """Get the rows of `recipe` from members into the folder of its file. Raises NetworkError, Refused, TaskError."""
    data = network.fetch(bytes.fromhex(recipe.learn.data_digest), DATA, timeout=FETCH_S)
    if blake3(data).hexdigest() != recipe.learn.data_digest:
        raise Refused("digest", "the rows that a member sent are not those the recipe names", "ask for a new invite")
    rows.parse(data, recipe)
    disk.replace(rows.beside(recipe_file), data)


def tables_folder(recipe_file: Path) -> Path:
    """Where the tables lie that belong to a joined run's recipe file."""
    return recipe_file.with_name("files")


def tables(recipe: Recipe) -> dict[str, bytes]:
    """Digests (32 bytes) of the local tables that tasks draw from, by their path beside the recipe."""
    return {task.source.removeprefix("path:"): bytes.fromhex(task.digest) for task in recipe.tasks if is_table(task)}


def is_table(task: AnyTask) -> bool:
    """Whether a task draws from a file of text beside the recipe that its digest pins: it may come from anybody, and nothing in it runs."""
    if not isinstance(task, DatasetTask) or not task.source.startswith("path:") or task.digest is None:
        return False
    path = PurePosixPath(task.source.removeprefix("path:"))
    return path.suffix in (".jsonl", ".csv") and not path.is_absolute() and ".." not in path.parts


def held_tables(recipe_file: Path, recipe: Recipe) -> dict[str, bytes]:
    """The tables that are there, whole, by their path."""
    paths = {name: tables_folder(recipe_file) / name for name in tables(recipe)}
    found = {name: path.read_bytes() for name, path in paths.items() if path.is_file() and path.stat().st_size <= dataset.FILE}
    return {name: data for name, data in found.items() if blake3(data).digest() == tables(recipe)[name]}


def fetch_tables(network: Network, recipe_file: Path, recipe: Recipe) -> None:
    """Get the tables that are missing from members. Raises NetworkError, Refused."""
    folder, held = tables_folder(recipe_file), held_tables(recipe_file, recipe)
    for name, digest in tables(recipe).items():
        if name in held:
            continue
        path = folder / name
        data = network.fetch(digest, dataset.FILE, timeout=FETCH_S)
        if blake3(data).digest() != digest:
            raise Refused("digest", f"{name}, as a member sent it, is not the file that the recipe names")
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace(path, data)
