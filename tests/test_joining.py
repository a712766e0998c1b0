"""Fetching a swarm's recipe from a member, over a real network on loopback."""

from __future__ import annotations

import pytest
from networks import network, session, small_recipe, started

from swarm import joining
from swarm.errors import NetworkError
from swarm.settings import NetworkChoice, NodeSettings


def test_a_recipe_is_fetched_from_a_member_by_digest(tmp_path, monkeypatch):
    rules, joiner = small_recipe(), session(tmp_path / "joiner")
    joiner.save(tmp_path / "session.bin")
    with started(network(tmp_path / "member")) as (member,):
        told = NodeSettings(
            recipe=tmp_path / "recipe.json",
            recipe_blob=member.put(rules.canonical).hex(),
            session=tmp_path / "session.bin",
            swarm=joiner.swarm.hex(),
            rounds=1,
            network=NetworkChoice(boot=member.addresses()),
            cache=tmp_path,
        )
        told.save(tmp_path)
        joining.fetch_recipe(tmp_path)
        assert told.recipe.read_bytes() == rules.canonical
        monkeypatch.setattr(joining, "TIMEOUT_S", 3.0)
        told.model_copy(update={"recipe_blob": "00" * 32}).save(tmp_path)
        with pytest.raises(NetworkError):
            joining.fetch_recipe(tmp_path)
