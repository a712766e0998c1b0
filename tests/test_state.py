"""State on disk survives crashes, damage and full disks; its root depends on every bit and on nothing else."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest
import torch
from blake3 import blake3
from learning import EOS, PAD, lora, some_groups, tiny_model, weights

from swarm import merkle
from swarm.errors import InputError, ResourceError, StateError
from swarm.keys import keccak
from swarm.learn.root import scalar_digest, state_root, tensor_digest
from swarm.learn.state import Checkpoints, pack, packed_digest, restore, tensors_of, unpack
from swarm.learn.step import step, trainable
from swarm.sections import Learn

HERE = Path(__file__).resolve().parent
LEARN = Learn(group_size=4, lr=1e-3, microbatch=8)


def take(model, state, done):
    return step(model, state, some_groups(3, seed=done), LEARN, seed=done, pad=PAD, eos={EOS}, steps_done=done).optimizer_state


def some_tensors(value=1.0):
    return {"a.weight": torch.full((3, 2), value), "b": torch.tensor(value), "c": torch.full((4,), value, dtype=torch.bfloat16)}


def some_moments(value=2.0):
    return {f"{moment}/a.weight": torch.full((3, 2), value) for moment in ("exp_avg", "exp_avg_sq", "step")}


@pytest.mark.parametrize("make", [tiny_model, lambda seed=0: lora(tiny_model(seed=0), seed)])
def test_training_goes_on_from_disk_with_the_same_bits(tmp_path, make):
    """Two steps, a checkpoint, a third step: the same as a third step from the loaded checkpoint in a fresh model."""
    model, store = make(), Checkpoints(tmp_path)
    state = take(model, take(model, None, 0), 1)
    store.save(2, trainable(model), state, {"steps": 2})
    root = state_root(tensors_of(model, state), {"steps": 2})
    loaded, warnings = store.load()
    other = make(seed=7)
    restore(other, loaded.tensors)
    assert (loaded.round, loaded.meta, warnings) == (2, {"steps": 2}, [])
    assert state_root(tensors_of(other, loaded.optimizer), {"steps": 2}) == root
    take(model, state, 2)
    take(other, loaded.optimizer, 2)
    assert weights(model) == weights(other)


def test_types_shapes_and_a_missing_optimizer_survive(tmp_path):
    store = Checkpoints(tmp_path)
    store.save(0, some_tensors(), None, {"name": "amber", "list": [1, 2.5, None]})
    loaded, _ = store.load()
    assert loaded.optimizer is None and loaded.meta == {"name": "amber", "list": [1, 2.5, None]}
    for name, tensor in some_tensors().items():
        assert loaded.tensors[name].dtype == tensor.dtype and torch.equal(loaded.tensors[name], tensor)


def test_the_newest_two_are_kept(tmp_path):
    store = Checkpoints(tmp_path)
    for round in (1, 2, 3, 100_000_000):
        store.save(round, some_tensors(round), some_moments(), {})
    assert sorted(int(path.name.split("-")[1]) for path in tmp_path.iterdir()) == [3, 100_000_000]
    assert store.load()[0].round == 100_000_000


def test_an_empty_folder_gives_nothing(tmp_path):
    assert Checkpoints(tmp_path / "new").load() == (None, [])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [flip, lambda path: os.truncate(path, 100), lambda path: os.truncate(path, 0)], ids=["bit", "cut", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, harm):
    store = Checkpoints(tmp_path)
    store.save(4, some_tensors(4.0), some_moments(), {})
    harm(store.save(5, some_tensors(5.0), some_moments(), {}))
    loaded, warnings = store.load()
    assert loaded.round == 4 and loaded.tensors["b"] == 4.0
    assert len(warnings) == 1 and "round 5" in warnings[0] and "damaged" in warnings[0] and "older" in warnings[0]
    assert store.load()[1] == []  # said once: the file is set aside
    store.save(5, some_tensors(5.5), some_moments(), {})
    assert store.load()[0].tensors["b"] == 5.5


def test_nothing_whole_left_is_said(tmp_path):
    store = Checkpoints(tmp_path)
    for round in (1, 2):
        store.save(round, some_tensors(), None, {})
    for path in list(tmp_path.iterdir()):
        flip(path)
    loaded, warnings = store.load()
    assert loaded is None and len(warnings) == 2 and "starts again" in warnings[1]


def test_a_disk_that_takes_no_more_keeps_the_last_one(tmp_path):
    """The system refuses the write (a file size limit stands in for a full disk): one sentence, the old state whole."""
    store = Checkpoints(tmp_path)
    store.save(1, some_tensors(), None, {})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ResourceError, match="round 2"):
            store.save(2, {"big": torch.zeros(100_000)}, None, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert len(list(tmp_path.iterdir())) == 1 and store.load()[0].round == 1


WRITER = """
import sys, torch
sys.path.insert(0, {root!r})
from pathlib import Path
from swarm.learn.state import Checkpoints
store = Checkpoints(Path({folder!r}))
for round in range(10_000):
    store.save(round, {{"a": torch.full((50_000,), float(round))}}, None, {{}})
    print(round, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_state(tmp_path):
    """kill -9 in the middle of endless saving: what was reported as saved, or the one after it, loads without a warning."""
    code = WRITER.format(root=str(HERE.parent), folder=str(tmp_path))
    for delay in (0.05, 0.11):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
            writer.stdout.readline()
            time.sleep(delay)
            writer.kill()
            said = [int(line) for line in writer.stdout.read().split("\n") if line]
        loaded, warnings = Checkpoints(tmp_path).load()
        assert warnings == [] and loaded.round >= max(said, default=0)
        assert torch.equal(loaded.tensors["a"], torch.full((50_000,), float(loaded.round)))
        for path in tmp_path.iterdir():
            path.unlink()


def test_another_models_state_is_refused():
    with pytest.raises(StateError, match="another model"):
        restore(tiny_model(), {name: tensor.detach() for name, tensor in trainable(tiny_model(layers=3)).items()})
    with pytest.raises(StateError, match="stored"):
        restore(tiny_model(), {name: tensor.detach() for name, tensor in trainable(tiny_model(hidden=64)).items()})


def test_root_depends_on_name_type_shape_and_every_bit():
    base = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    signed = base.clone()
    signed[0, 1] = -0.0
    roots = {
        state_root({"a": base}, {"n": 1}),
        state_root({"b": base}, {"n": 1}),
        state_root({"a": signed}, {"n": 1}),
        state_root({"a": base.reshape(4)}, {"n": 1}),
        state_root({"a": base.view(torch.int32)}, {"n": 1}),
        state_root({"a": base}, {"n": 2}),
        state_root({"a": base, "b": base}, {"n": 1}),
    }
    assert len(roots) == 7
    assert state_root({"a": base.t().contiguous().t()}, {"n": 1}) == state_root({"a": base}, {"n": 1})  # layout in memory is no content
    assert state_root({"x": base, "a": signed}, {}) == state_root({"a": signed, "x": base}, {})


def test_root_follows_the_written_definition():
    tensor = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    digest = blake3(msgpack.packb(["a", "bfloat16", [2]]) + bytes.fromhex("c03f00c0")).digest()
    assert tensor_digest("a", tensor) == digest
    scalars = scalar_digest({"b": 2, "a": 1})
    assert scalars == blake3(msgpack.packb([["a", 1], ["b", 2]])).digest()
    expected = keccak(b"\x01", keccak(b"\x00", digest), keccak(b"\x00", scalars))
    assert state_root({"a": tensor}, {"a": 1, "b": 2}) == expected


def test_an_odd_node_moves_up():
    leaves = [bytes([i]) * 32 for i in range(3)]
    a, b, c = (keccak(b"\x00", leaf) for leaf in leaves)
    assert merkle.root(leaves) == keccak(b"\x01", keccak(b"\x01", a, b), c)
    assert merkle.root(leaves[:1]) == a
    with pytest.raises(InputError):
        merkle.root([])


def test_root_vectors():
    """Others implement this too: the file is the contract."""
    for case in json.loads((HERE / "vectors" / "state_root.json").read_text()):
        tensors = {t["name"]: torch.tensor(t["values"], dtype=getattr(torch, t["dtype"])).reshape(t["shape"]) for t in case["tensors"]}
        assert state_root(tensors, case["scalars"]).hex() == case["root"]


def test_a_packed_state_is_what_the_safetensors_library_writes():
    """Its digest is taken without making it; wide types come first, names may be of any alphabet."""
    from safetensors.torch import save

    tensors = some_tensors() | some_moments() | {'größe "q"': torch.zeros(0), "d": torch.ones(2, dtype=torch.float64)}
    scalars = {"steps": 1, "round": 2}
    for shown in (tensors, {name: tensors[name] for name in reversed(tensors)}, {"h": torch.ones(3, dtype=torch.float16), "b": tensors["c"]}):
        packed = pack(shown, scalars)
        assert packed == save(shown, metadata={"swarm": json.dumps(scalars, sort_keys=True)})
        assert packed_digest(shown, scalars) == blake3(packed).digest()
    read, said = unpack(pack(tensors, scalars))
    assert said == scalars and state_root(read, {}) == state_root(tensors, {})
    turned = torch.arange(6.0).reshape(2, 3).T
    assert pack({"a": turned}, scalars) == pack({"a": turned.contiguous()}, scalars)
