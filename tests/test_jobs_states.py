"""States and models that travel between a job's members: checked against the chain's root before anything of them is used; and going on from one."""

from __future__ import annotations

import copy

import pytest
from proofs import a_recorded_node, parts

from swarm import keys
from swarm.errors import Refused
from swarm.jobs import checkpoints
from swarm.jobs.delivery import MODEL, fits
from swarm.jobs.scoring import Scoring
from swarm.learn import export, state


@pytest.fixture(scope="module")
def trainee(tmp_path_factory):
    return parts(tmp_path_factory.mktemp("states"))[1]


def test_a_checkpoint_is_used_only_if_its_root_is_the_chain_s(trainee):
    packed = state.pack(trainee.tensors, trainee.scalars)
    tensors, scalars = checkpoints.opened(packed, trainee.root)
    assert tensors.keys() == trainee.tensors.keys() and scalars == {"round": 0, "steps": 0}
    for data, root in ((packed, bytes(32)), (packed[:-1] + b"\x01", trainee.root), (b"\x00" * 64, trainee.root)):
        with pytest.raises(Refused):
            checkpoints.opened(data, root)
    odd = state.pack(trainee.tensors, trainee.scalars | {"more": 1})
    with pytest.raises(Refused, match="without its round"):
        checkpoints.opened(odd, trainee.root)


def test_only_the_export_of_the_accepted_state_is_attested(trainee, tmp_path):
    from safetensors.torch import load, save

    policy = trainee.policy
    right = (export.export(policy, tmp_path / "model", "") / MODEL).read_bytes()
    assert fits(right, policy) == ""
    tensors = load(right)
    name = sorted(tensors)[0]
    off = copy.deepcopy(tensors)
    off[name].view(-1)[0] += 1e-3
    assert f"another {name}" in fits(save(off), policy)
    assert "other tensors" in fits(save({key: each for key, each in tensors.items() if key != name}), policy)
    assert "no safetensors" in fits(b"<script>", policy)


def test_a_score_is_hidden_by_a_salt_that_a_restart_finds_again():
    from types import SimpleNamespace

    chain = SimpleNamespace(places={"delivery": b"\x0d" * 20})
    one, again, other = (Scoring(chain, b"\x01" * 32, b"\x02" * 32, b"\x03" * 20, bytes(31) + secret, print) for secret in (b"4", b"4", b"5"))
    assert one.salt(0) == again.salt(0) != one.salt(1) and one.salt(0) != other.salt(0)
    words = [b"\x03" * 20, b"\x0d" * 20, b"\x01" * 32, b"\x07", (8123).to_bytes(4, "big"), one.salt(7)]
    assert one.hash(7, 8123) == keys.keccak(b"".join(word.rjust(32, b"\0") for word in words)) != one.hash(7, 8124)


def test_a_node_goes_on_from_an_earlier_state_as_if_the_later_rounds_had_not_been(tmp_path):
    node, _ = a_recorded_node(tmp_path / "a", 0)
    recorder = node.scribe.recorder
    recorder.restores = False
    node.play_round()
    root, packed = node.trainee.root, state.pack(node.trainee.tensors, node.trainee.scalars)
    node.play_round()
    recorder.abandon(set())
    node.go_on_from(*checkpoints.opened(packed, root))
    assert node.trainee.root == node.scribe.root == recorder.head == root and recorder.since(-1) == []
    assert node.journal.groups(2, "answer") is None and node.journal.groups(1, "answer") is not None
    again, _ = a_recorded_node(tmp_path / "a", 0)
    assert again.trainee.root == root, "a restart would take up the state that was left"
    node.play_round()
    assert [step.leaf.round for step in recorder.since(-1)] == [2] and recorder.since(-1)[0].leaf.before == root
