"""Recorded rounds of real nodes are replayed by another one, bit for bit; every forgery is named."""

import dataclasses

import pytest
import torch
from proofs import a_recorded_node, a_replayer, hand_over, packed_before

from swarm.groups import pack, unpack
from swarm.learn import record as batches
from swarm.learn.record import digest_of
from swarm.proof.leaf import sealed
from swarm.proof.replay import Fault

ROUNDS = 5


@pytest.fixture(scope="module")
def swarm(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("recorded")
    members = [a_recorded_node(folder / str(number), number) for number in (1, 2, 3)]
    for round in range(1, ROUNDS + 1):
        for node, session in members:
            node.play_round()
            hand_over(node, session, [other for other, _ in members if other is not node], round)
    return [node for node, _ in members], a_replayer(folder / "auditor")


def opening(swarm, peer=0, place=ROUNDS - 1):
    nodes, replayer = swarm
    node = nodes[peer]
    step = node.scribe.recorder.steps(0)[place]
    return node, replayer, step.leaf, packed_before(node, place, replayer)


def test_every_step_of_every_peer_comes_out_the_same(swarm):
    nodes, replayer = swarm
    for peer, node in enumerate(nodes):
        for place, step in enumerate(node.scribe.recorder.steps(0)):
            _, _, leaf, packed = opening(swarm, peer, place)
            assert digest_of(packed) == step.state, "a state made again has other bytes"
            replayed = replayer.replay(leaf, packed, node.scribe.recorder.store.get, {node.stages.epoch_seed}, node.operator)
            assert leaf.gradient == sealed(step.salt, replayed.gradient)
    assert any(record_of(node, step).sources for node in nodes for step in node.scribe.recorder.steps(0)), "no foreign group was trained on"


def record_of(node, step):
    return batches.unpack(node.scribe.recorder.store.get(step.leaf.batch), node.recipe)


def fault_of(node, replayer, leaf, packed, blobs, seeds):
    with pytest.raises(Fault) as fault:
        replayer.replay(leaf, packed, blobs, seeds, node.operator)
    return fault.value.where


def test_one_weight_off_by_one_ulp_is_seen(swarm):
    from swarm.learn import state
    from swarm.learn.root import state_root

    node, replayer, leaf, packed = opening(swarm)
    tensors, scalars = state.unpack(packed)
    name = next(name for name in sorted(tensors) if name.startswith("model/") and "layers.0" in name)
    flat = tensors[name].reshape(-1)
    flat[0] = torch.nextafter(flat[0], torch.tensor(float("inf")))
    blobs, seeds = node.scribe.recorder.store.get, {node.stages.epoch_seed}
    assert fault_of(node, replayer, leaf, state.pack(tensors, scalars), blobs, seeds) == "before"
    forged = dataclasses.replace(leaf, before=state_root(tensors, scalars))
    assert fault_of(node, replayer, forged, state.pack(tensors, scalars), blobs, seeds) in ("after", "rollouts")
    assert fault_of(node, replayer, dataclasses.replace(leaf, after=bytes(32)), packed, blobs, seeds) == "after"


def test_records_of_a_squatted_peer_id_do_not_fit_another_operator(swarm):
    node, replayer, leaf, packed = opening(swarm)
    thief = dataclasses.replace(node, operator=bytes(20))
    assert fault_of(thief, replayer, leaf, packed, node.scribe.recorder.store.get, {node.stages.epoch_seed}) == "rollouts"


def test_own_rollouts_are_derived_without_decoding(swarm, monkeypatch):
    node, replayer, leaf, packed = opening(swarm)
    monkeypatch.setattr("swarm.policy.sampler.generate", None)
    store, seeds, step = node.scribe.recorder.store, {node.stages.epoch_seed}, node.scribe.recorder.steps(0)[ROUNDS - 1]
    found = replayer.derive(leaf, packed, store.get, seeds, node.operator)
    assert not any(one.difference for one in found) and sum(one.tokens for one in found) >= leaf.sampled > 0
    own = [unpack(store.get(digest), node.journal.limits, node.me)[3] for _, digest in record_of(node, step).own]
    assert [one.rollouts for one in found] == [sum(len(group.rollouts) for group in groups) for groups in own]
    (one,) = replayer.derive(leaf, packed, store.get, seeds, bytes(20))
    assert one.difference.stage == "answer"  # at which token, is the noise's to say


def test_forged_rewards_rollouts_seeds_and_units_are_seen(swarm):
    steps = swarm[0][0].scribe.recorder.steps(0)
    place = next(place for place, step in enumerate(steps) if any(t.source < 0 for t in record_of(swarm[0][0], step).trained))
    node, replayer, leaf, packed = opening(swarm, 0, place)
    store, seeds = node.scribe.recorder.store, {node.stages.epoch_seed}
    record = batches.unpack(store.get(leaf.batch), node.recipe)

    def with_record(changed, blobs=None):
        data = changed.pack()
        extra = {digest_of(data): data} | (blobs or {})
        said = dataclasses.replace(leaf, batch=digest_of(data), rollouts=changed.rollout_root, rewards=changed.reward_root)
        return fault_of(node, replayer, said, packed, lambda digest: extra.get(digest) or store.get(digest), seeds)

    first = record.trained[0]
    (digest, reward, advantage), *rest = first.rollouts
    forged = dataclasses.replace(first, rollouts=((digest, 1.0 - reward, advantage), *rest))
    assert with_record(dataclasses.replace(record, trained=(forged, *record.trained[1:]))) == "rewards"
    assert with_record(dataclasses.replace(record, trained=record.trained[1:])) == "selection"
    assert with_record(dataclasses.replace(record, trained=(*record.trained, record.trained[0]))) == "selection"

    stage, answers = record.own[0]
    groups = unpack(store.get(answers), node.journal.limits, node.me)[3]
    better = dataclasses.replace(groups[0].rollouts[0], text=groups[0].rollouts[0].text + "1")
    groups[0] = dataclasses.replace(groups[0], rollouts=(better, *groups[0].rollouts[1:]))
    blob = pack("answer", leaf.round, leaf.epoch_seed, groups)
    changed = dataclasses.replace(record, own=((stage, digest_of(blob)), *record.own[1:]))
    assert with_record(changed, {digest_of(blob): blob}) == "rollouts"

    assert fault_of(node, replayer, leaf, packed, store.get, {bytes(32)}) == "seed"
    assert fault_of(node, replayer, dataclasses.replace(leaf, units=leaf.units + 1), packed, store.get, seeds) == "units"
    assert fault_of(node, replayer, dataclasses.replace(leaf, sampled=leaf.sampled + 1), packed, store.get, seeds) == "counts"
    assert fault_of(node, replayer, dataclasses.replace(leaf, round=leaf.round + 1), packed, store.get, seeds) == "before"


def test_a_foreign_blob_that_its_author_did_not_sign_for_is_seen(swarm):
    node, replayer, _, _ = opening(swarm)
    steps = node.scribe.recorder.steps(0)
    place = next(place for place, step in enumerate(steps) if record_of(node, step).sources)
    node, replayer, leaf, packed = opening(swarm, 0, place)
    record, store = record_of(node, steps[place]), node.scribe.recorder.store
    for source in (
        dataclasses.replace(record.sources[0], shelf=record.sources[0].shelf[:-1] + b"\x00"),
        dataclasses.replace(record.sources[0], round=record.sources[0].round + 1),
        dataclasses.replace(record.sources[0], operator=bytes(20)),
    ):
        changed = dataclasses.replace(record, sources=(source, *record.sources[1:]))
        said = dataclasses.replace(leaf, batch=digest_of(changed.pack()))
        blobs = {said.batch: changed.pack()}
        assert fault_of(node, replayer, said, packed, lambda d, b=blobs: b.get(d) or store.get(d), {leaf.epoch_seed}) == "foreign"
