"""Fetching a swarm's recipe from a member, and its rows, over a real network on loopback."""

from __future__ import annotations

import pytest
from networks import network, session, started

from swarm import joining, supply
from swarm import recipe as recipes
from swarm.errors import NetworkError
from swarm.settings import NetworkChoice, NodeSettings


def test_a_recipe_and_its_rows_are_fetched_from_a_member_by_digest(tmp_path, monkeypatch):
    rules, joiner = recipes.load("sft"), session(tmp_path / "joiner")
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
        joining.fetch(tmp_path)
        assert told.recipe.read_bytes() == rules.canonical and not supply.is_there(told.recipe, rules)
        data = (recipes.FOLDER / rules.learn.data).read_bytes()
        member.put(data)
        joining.fetch(tmp_path)
        assert supply.is_there(told.recipe, rules) and (tmp_path / "rows.jsonl").read_bytes() == data
        table = b'{"question": "1+1", "answer": "2"}'
        task = {"name": "sums", "kind": "dataset", "source": "path:data/sums.jsonl", "digest": member.put(table).hex()}
        drawn = recipes.parse(recipes.load("local").model_dump(mode="json") | {"tasks": [task]})
        told.recipe.write_bytes(drawn.canonical)
        joining.fetch(tmp_path)
        assert supply.held_tables(told.recipe, drawn) == {"data/sums.jsonl": table}
        monkeypatch.setattr(joining, "TIMEOUT_S", 3.0)
        told.model_copy(update={"recipe_blob": "00" * 32}).save(tmp_path)
        with pytest.raises(NetworkError):
            joining.fetch(tmp_path)
