"""How the rows of a recipe come into the folder of a run, where its nodes read and serve them: from beside the recipe, or from members.

Whoever takes part has them, so members hand them over by their digest, which the recipe names; nobody has to be trusted for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from swarm import disk
from swarm.errors import Refused
from swarm.recipe import DATA, Recipe
from swarm.runs import Run
from swarm.tasks import rows

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
