"""Training in canonical numerics: the same state roots from processes that share nothing but recipe and identity, and an auditor on aarch64."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from proofs import SWARM, a_recorded_node, a_replayer, packed_before

from swarm.groups import Group, pack, unpack
from swarm.identity import Identity
from swarm.learn import record as batches
from swarm.learn import state
from swarm.learn.record import digest_of
from swarm.policy import sampler
from swarm.proof.canonical import check, native
from swarm.proof.canonical.build import BUILDS
from swarm.proof.derivation import Deriver
from swarm.proof.leaf import sealed
from swarm.proof.replay import Fault

HERE = Path(__file__).parent
CANONICAL = "proof.profile=canonical"
AARCH64 = BUILDS["aarch64"]
needs_aarch64 = pytest.mark.skipif(not AARCH64.runs, reason="needs aarch64-linux-gnu-gcc and qemu-user-static")


def trained(folder: Path, build: str, threads: int, rows: int, rounds: int) -> list[str]:
    """State roots after each round of a process with that build, so many threads, and batches of so many rows."""
    if not BUILDS[build].loads:
        pytest.skip(f"this machine cannot run the {build} build")
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    command = [sys.executable, str(HERE / "canonical_process.py"), str(folder), build, str(threads), str(rows), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def identities(place: Path, count: int) -> list[Path]:
    """Folders of the same peer."""
    folders = [place / str(number) for number in range(count)]
    Identity.open_or_create_local(folders[0] / "identity").session(SWARM, 86_400)
    for other in folders[1:]:
        shutil.copytree(folders[0], other)
    return folders


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A node with one recorded round, and a replayer."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("recorded")
    rules = (CANONICAL, "proof.rollouts=5")
    node, _ = a_recorded_node(folder / "prover", 1, *rules)
    node.play_round()
    return node, a_replayer(folder / "auditor", *rules)


def test_a_step_is_replayed_without_decoding(recorded, monkeypatch):
    node, replayer = recorded
    looked: list[int] = []
    whole = Deriver.derive
    monkeypatch.setattr(sampler, "generate", None)
    monkeypatch.setattr(Deriver, "derive", lambda self, groups, round, places: looked.append(len(places)) or whole(self, groups, round, places))
    (step,) = node.scribe.recorder.steps(0)
    blobs, usable = node.scribe.recorder.store.get, {node.stages.epoch_seed}
    for beacon, count in ((b"\x01" * 32, 5), (b"", sum(len(group.rollouts) for group in answers(node)))):
        looked.clear()
        done = replayer.replay(step.leaf, packed_before(node, 0, replayer), blobs, usable, node.operator, beacon=beacon)
        assert step.leaf.gradient == sealed(step.salt, done.gradient) and sum(looked) == count


def test_a_token_that_was_not_drawn_is_a_fault_that_names_it(recorded):
    node, replayer = recorded
    (step,) = node.scribe.recorder.steps(0)
    store = node.scribe.recorder.store
    groups = answers(node)
    said = groups[1].rollouts[2]
    forged = replace(said, ids=(said.ids[0] % 50 + 7, *said.ids[1:]))
    groups[1] = replace(groups[1], rollouts=(*groups[1].rollouts[:2], forged, *groups[1].rollouts[3:]))
    blob = pack("answer", 1, step.leaf.epoch_seed, groups)
    record = batches.unpack(store.get(step.leaf.batch), node.recipe)
    changed = replace(record, own=(("answer", digest_of(blob)), *record.own[1:]))
    extra = {digest_of(data): data for data in (blob, changed.pack())}
    leaf = replace(step.leaf, batch=digest_of(changed.pack()), rollouts=changed.rollout_root, rewards=changed.reward_root)
    with pytest.raises(Fault, match=rf"answer, question 1, sample 2: token 0 is {forged.ids[0]}, {said.ids[0]} follows") as fault:
        replayer.replay(leaf, packed_before(node, 0, replayer), lambda d: extra.get(d) or store.get(d), {node.stages.epoch_seed}, node.operator)
    assert fault.value.where == "rollouts"


def answers(node) -> list[Group]:
    """The own answers of the one recorded round."""
    (step,) = node.scribe.recorder.steps(0)
    store = node.scribe.recorder.store
    record = batches.unpack(store.get(step.leaf.batch), node.recipe)
    return unpack(store.get(dict(record.own)["answer"]), node.journal.limits, node.me)[3]


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_fifty_steps_end_in_one_root_whatever_threads_vectors_and_batches(tmp_path):
    """pytest -m slow tests/test_canonical_swarm.py -k fifty"""
    one, other, third = identities(tmp_path, 3)
    roots = trained(one, "avx2", threads=1, rows=4096, rounds=50)
    assert roots == trained(other, "wide16", threads=2, rows=7, rounds=50)
    assert roots[:2] == trained(third, "sse2", threads=3, rows=20, rounds=2)
    assert len(roots) == 50 and len(set(roots)) > 40, "steps without a gradient prove nothing"


@pytest.mark.slow
@needs_aarch64
@pytest.mark.timeout(2400)
def test_an_auditor_on_aarch64_verifies_steps_trained_on_avx2(tmp_path):
    """pytest -m slow tests/test_canonical_swarm.py -k aarch64: every float operator of the replay is served by a process under qemu"""
    if not BUILDS["avx2"].loads:
        pytest.skip("this machine cannot run the avx2 build")
    torch.set_num_threads(1)
    with native.using(BUILDS["avx2"]):
        node, _ = a_recorded_node(tmp_path / "prover", 1, CANONICAL)
        for _ in range(3):
            node.play_round()
    steps = node.scribe.recorder.steps(0)
    replayer = a_replayer(tmp_path / "auditor", CANONICAL)
    with native.using(AARCH64):
        packed = packed_before(node, 0, replayer)
        for step in steps:
            done = replayer.replay(step.leaf, packed, node.scribe.recorder.store.get, {node.stages.epoch_seed}, node.operator)
            assert replayer.trainee.root == step.leaf.after and step.leaf.gradient == sealed(step.salt, done.gradient)
            packed = state.pack(replayer.trainee.tensors, replayer.trainee.scalars)
        assert native.library().calls > 1000, "nothing was served by the helper"


@pytest.mark.slow
@needs_aarch64
def test_aarch64_passes_the_conformance_suite():
    """pytest -m slow tests/test_canonical_swarm.py -k conformance"""
    assert AARCH64 in check.builds()
    assert not list(check.checked(AARCH64, step=False))


@needs_aarch64
def test_operators_are_served_by_another_architecture():
    from swarm.proof.canonical.ops import elementwise, matmul, rows

    def results() -> list[torch.Tensor]:
        x, y = (torch.linspace(-9, 9, 600).reshape(shape) for shape in ((20, 30), (30, 20)))
        wide = torch.arange(24.0).reshape(2, 3, 4)
        whole = torch.zeros(8, 20)
        elementwise.add(x[:4, :20], x.t()[:4], 0.3, out=whole[2:6])  # in the midst of another tensor
        own = x.clone()
        elementwise.exp(own, out=own)
        return [whole, own, matmul.matmul(x, y), rows.sum(wide.transpose(0, 2), [1]), rows.argmax(x, [1]), elementwise.neg(torch.empty(0, 3))]

    here = results()
    with native.using(AARCH64):
        there = results()
        assert native.width() == 4
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))


@needs_aarch64
def test_a_helper_that_ended_is_an_error_and_no_result():
    from swarm.errors import ResourceError
    from swarm.proof.canonical.remote import Remote

    remote = Remote(AARCH64)
    remote.canonical_threads.argtypes = [native.TYPES["n"]]
    remote.canonical_threads(1)
    remote.close()
    with pytest.raises((ResourceError, ValueError)):
        remote.canonical_threads(1)
