"""The recipe of a swarm that one comes to by an invite: from a file, from an earlier start, or fetched from members; and then its rows.

Fetching is a short child process without the operator key, since it parses what strangers send.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from swarm import launch, names, settings, supply
from swarm import recipe as recipes
from swarm.errors import Refused, ResourceError
from swarm.invite import Invite
from swarm.recipe import MAX_BYTES, Recipe
from swarm.runs import Run
from swarm.supervisor import Child

if TYPE_CHECKING:
    from swarm.network import Network
    from swarm.settings import NodeSettings

TIMEOUT_S = 45.0
FETCH_S = 150.0  # for the child process, which loads hivemind first


def recipe_of(run: Run, given: Invite, file: Path | None, say: Callable[[str], None]) -> Recipe:
    """The recipe of an invite's swarm, kept in the run's folder, which is prepared for fetching it (`launch.prepare_fetch`).

    Raises Refused where its hash is not the invite's, ResourceError where no member has it.
    """
    if file is not None:
        found = recipes.load(file)
    elif run.recipe_path.exists():
        found = recipes.from_bytes(run.recipe_path.read_bytes())
    else:
        say("fetching the recipe from members (loading hivemind first, 10 s)")
        _fetch(run, "recipe")
        found = recipes.from_bytes(run.recipe_path.read_bytes())
    if found.hash != given.recipe_hash:
        what = f"the recipe has hash {found.hash.hex()}, the invite names {given.recipe_hash.hex()}"
        raise Refused("recipe hash", what, "leave --recipe out to fetch the right one from members, or ask for a new invite")
    if not run.recipe_path.exists():
        run.write_recipe(found)
    run.update(recipe=names.plain(found.name, 40), seed=found.seed)
    return found


def rows_of(run: Run, recipe: Recipe, say: Callable[[str], None]) -> None:
    """Have the rows of an admitted recipe in the run's folder, where it has rows. Raises ResourceError where no member hands them over."""
    if not supply.is_there(run.recipe_path, recipe):
        say(f"fetching the rows that the recipe names ({recipe.learn.data}) from members (loading hivemind first, 10 s)")
        _fetch(run, "file with the recipe's rows")


def tables_of(run: Run, recipe: Recipe, say: Callable[[str], None]) -> Path | None:
    """The folder with the tables of an admitted recipe's tasks; None where it has none. Raises ResourceError where no member hands them over."""
    wanted = supply.tables(recipe)
    if wanted.keys() - supply.held_tables(run.recipe_path, recipe).keys():
        say(f"fetching {', '.join(sorted(wanted))} from members (loading hivemind first, 10 s)")
        _fetch(run, "table that a task draws from")
    return supply.tables_folder(run.recipe_path) if wanted else None


def _fetch(run: Run, what: str) -> None:
    child = Child(0, run.peer(0), launch.FETCH)
    child.start_if_due(time.monotonic())
    try:
        ending = child.wait(FETCH_S)
    finally:
        child.stop(time.monotonic() + 5)
    if not ending.done:
        error = ResourceError(f"the {what} could not be fetched: {ending.cause}", "is the peer that gave the invite still on? Ask for a new one")
        error.exit_code = ending.code
        raise error


def fetch(folder: Path) -> None:
    """Fetch the recipe by digest into the file that `node.json` names; where it is there and lacks its rows or tables, those. Raises
    NetworkError where no member has them."""
    from swarm.network import Network, NetworkSettings
    from swarm.session import Session

    told = settings.load(folder)
    choice = NetworkSettings(**told.network.for_network())
    network = Network(Session.load(told.session), folder / "blobs", choice, None)
    network.start()
    try:
        found = recipes.from_bytes(told.recipe.read_bytes()) if told.recipe.exists() else None
        if found is None:
            _fetch_recipe(network, told)
        elif not supply.is_there(told.recipe, found):
            supply.fetch(network, told.recipe, found)
        elif supply.tables(found).keys() - supply.held_tables(told.recipe, found).keys():
            supply.fetch_tables(network, told.recipe, found)
        else:
            _fetch_recipe(network, told)
    finally:
        network.close()


def _fetch_recipe(network: Network, told: NodeSettings) -> None:
    data = network.fetch(bytes.fromhex(told.recipe_blob), MAX_BYTES, timeout=TIMEOUT_S)
    if blake3(data).hexdigest() != told.recipe_blob:
        raise Refused("digest", "the recipe that a member sent is not the one the invite names", "ask for a new invite")
    part = told.recipe.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, told.recipe)
