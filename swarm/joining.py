"""Fetching a swarm's recipe from its members: a short child process of `swarm join`, without the operator key."""

from __future__ import annotations

import os
from pathlib import Path

from blake3 import blake3

from swarm import settings
from swarm.errors import Refused
from swarm.recipe import MAX_BYTES

TIMEOUT_S = 45.0


def fetch_recipe(folder: Path) -> None:
    """Fetch the recipe's bytes by digest into the file that `node.json` names. Raises NetworkError where no member has it."""
    from swarm.network import Network, NetworkSettings
    from swarm.session import Session

    told = settings.load(folder)
    choice = NetworkSettings(**told.network.for_network())
    network = Network(Session.load(told.session), folder / "blobs", choice, None)
    network.start()
    try:
        data = network.fetch(bytes.fromhex(told.recipe_blob), MAX_BYTES, timeout=TIMEOUT_S)
    finally:
        network.close()
    if blake3(data).hexdigest() != told.recipe_blob:
        raise Refused("digest", "the recipe that a member sent is not the one the invite names", "ask for a new invite")
    part = told.recipe.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, told.recipe)
