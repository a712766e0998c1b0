"""A fetched model passes only where its bytes, its state and its tensors are those that the chain names; the refusal says which are not."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from blake3 import blake3
from jobs import delivered

from swarm import recipe
from swarm.errors import Refused
from swarm.jobs import fetch
from swarm.jobs.exam import Exam

RULES = recipe.load("local", ["judge.profile=none", "judge.panels=0", "judge.model="])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return delivered(RULES, tmp_path_factory.mktemp("delivered"))


def test_the_delivered_model_is_written_with_its_card(trained, tmp_path):
    from safetensors.torch import load_file

    trained.write(tmp_path)
    fetch.main(tmp_path)
    assert json.loads((tmp_path / fetch.FINISHED).read_bytes()) == {"ok": True}
    written, wanted = load_file(tmp_path / "model" / "model.safetensors"), load_file(trained.model)
    assert written.keys() == wanted.keys() and all(written[name].equal(wanted[name]) for name in wanted)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "- of job `12`" in card and "3 optimizer steps in 3 rounds" in card and RULES.hash.hex() in card


def test_what_does_not_hold_is_named(trained, tmp_path):
    from safetensors.torch import load_file, save_file

    with pytest.raises(Refused, match="do not have the digest") as refused:
        fetch.finish(replace(trained, digest=bytes(32)), tmp_path / "model")
    assert refused.value.reason == "digest"
    with pytest.raises(Refused) as refused:
        fetch.finish(replace(trained, root=bytes(32)), tmp_path / "model")
    assert refused.value.reason == "root"
    other = load_file(trained.model)
    name = sorted(other)[0]
    other[name].view(-1)[0] += 1e-3
    save_file(other, tmp_path / "other.safetensors", metadata={"format": "pt"})
    file = tmp_path / "other.safetensors"
    with pytest.raises(Refused, match=f"has another {name}") as refused:
        fetch.finish(replace(trained, model=file, digest=blake3(file.read_bytes()).digest()), tmp_path / "model")
    assert refused.value.reason == "tensors" and not (tmp_path / "model").exists()
    (tmp_path / "junk").write_bytes(b"\0" * 100)
    replace(trained, model=tmp_path / "junk", digest=blake3(b"\0" * 100).digest()).write(tmp_path)
    fetch.main(tmp_path)
    found = json.loads((tmp_path / fetch.FINISHED).read_bytes())
    assert not found["ok"] and "no safetensors file" in found["what"]


def test_facts_of_a_card_are_the_chains():
    said = [dict(part=0, key=b"\1", steps=9), dict(part=0, key=b"\2", steps=1), dict(part=1, key=b"\3", steps=5)]
    job = SimpleNamespace(
        id=b"\7" * 32,
        parts=[SimpleNamespace(steps=10, root=b"\5" * 32)],
        deliveries=[SimpleNamespace(model=b"\6" * 32)],
        chain=SimpleNamespace(link=SimpleNamespace(chain_id=5)),
        named=lambda name: [SimpleNamespace(values=each) for each in said] if name == "Accepted" else [],
    )
    told = fetch.facts(job, 0, lambda key: f"member-{key.hex()}")
    assert "member-01, member-02: 10 steps in 2 epochs" in told[1] and (b"\6" * 32).hex() in told[2] and "on chain 5" in told[0]


def test_a_models_score_is_its_greedy_accuracy_under_the_recipes_prompt(trained):
    from swarm.policy import model

    policy = model.load(RULES, trained.cache, "cpu")
    known = [("max 10 45 53 70", "70"), ("max 31 47 12 20", "47"), ("max 80 13 44 52", "80"), ("max 11 12 13 14", "no number")]
    data = b"\n".join(json.dumps({"question": question, "answer": answer, "scorer": "numeric"}).encode() for question, answer in known)
    assert Exam.read(data).of(policy, RULES) == 7500  # the shipped model knows how to take a maximum
