"""`swarm eval`'s child: the shipped model measured from a peer's folder."""

from __future__ import annotations

from blake3 import blake3

from swarm import measuring, recipe
from swarm.settings import NodeSettings


def test_a_peers_state_is_measured_without_changing_its_folder(tmp_path):
    rules = recipe.load("local")
    (tmp_path / "recipe.json").write_bytes(rules.canonical)
    peer = tmp_path / "peer-0"
    peer.mkdir()
    blob = blake3(rules.canonical).hexdigest()
    told = NodeSettings(recipe=tmp_path / "recipe.json", recipe_blob=blob, session=peer / "none", swarm="00" * 32, rounds=1, cache=tmp_path / "cache")
    told.save(peer)
    found = measuring.measure(peer, 8)
    names = {task.name for task in rules.tasks}
    assert found["round"] == 0 and set(found["accuracy"]) == set(found["constant"]) == names
    assert all(0 <= value <= 1 for value in found["accuracy"].values()) and max(found["accuracy"].values()) > 0
    assert not [path for path in (peer / "checkpoints").glob("*")] and measuring.measure(peer, 8) == found
