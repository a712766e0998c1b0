"""The Triton machine gives the words of the definition. Without a GPU it is run by Triton's interpreter (`pip install triton`), which proves the
addressing and the codes but not a GPU's arithmetic; where there is a GPU the same tests run on it."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

HAS_GPU = torch.cuda.is_available()
if not HAS_GPU:
    os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton is not installed")

from swarm.proof.canonical import gpu  # noqa: E402
from swarm.proof.canonical.definition import definitions  # noqa: E402
from swarm.proof.canonical.definition.codes import FOLD, SCALAR, Code  # noqa: E402
from swarm.proof.canonical.definition.machine import Machine  # noqa: E402

DEVICE = "cuda" if HAS_GPU else "cpu"
WORDS = np.random.default_rng(7).integers(0, 2**32, (3, 6, 50), dtype=np.uint32)
WORDS[:, 0, :12] = [0, 1 << 31, 1, 0x7F800000, 0xFF800000, 0x7FC12345, 0x7F812345, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0xFFFFFFFF]


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    """The interpreter rounds twice in fma: give it the definition's."""
    if not HAS_GPU:
        from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

        def fma(self, x, y, z):
            words = (np.ascontiguousarray(each.data, np.float32).view(np.uint32) for each in (x, y, z))
            return TensorHandle(SCALAR[Code.FMA](*words).view(np.float32), x.dtype.scalar)

        monkeypatch.setattr(InterpreterBuilder, "create_fma", fma)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("code", list(SCALAR))
def test_every_scalar_code(code):
    here, there = Machine(), gpu.GpuMachine(device=DEVICE)
    arity = SCALAR[code].__code__.co_argcount
    said = [m.map(code, *[m.take(words) for words in WORDS][:arity]) for m in (here, there)]
    np.testing.assert_array_equal(said[0].array(), there.words(said[1]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("code", list(FOLD))
def test_every_fold(code):
    here, there = Machine(), gpu.GpuMachine(device=DEVICE)
    arity = FOLD[code].__code__.co_argcount - 1
    said = []
    for m in (here, there):
        views = [m.take(words) for words in WORDS]
        start = m.word(-1) if code == Code.FIRSTEQ else m.constant(0.0)
        said.append(m.fold(code, start, *[v.cut(1, 5, 45, 2) for v in views][:arity]))
    np.testing.assert_array_equal(said[0].array(), there.words(said[1]))


def test_views_gather_update_and_coordinates():
    said = []
    for m in (Machine(), gpu.GpuMachine(device=DEVICE)):
        x, which, far = m.take(WORDS), m.take(np.array([[4, 0], [1, 1]], np.int64)), m.take(np.array([-1, 2, 900], np.int64))
        picked = m.gather(x.transpose(0, 1), which, 0)
        changed = m.update(x.cut(2, 3, 30, 3), m.coordinate((3, 6, 9), 2))
        outside = m.pick(x.at(0, 0).at(0, 0).at(0, 0).expand(3), far, 1)
        said.append([m.map(Code.MOV, each) for each in (picked, outside, changed, x.permute(2, 0, 1).grown(1, 2))])
        last = m
    for one, other in zip(*said, strict=True):
        np.testing.assert_array_equal(one.array(), last.words(other))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["matmul", "exp", "log", "sin", "softmax", "layer_norm", "attention", "embedding_backward", "adamw"])
def test_whole_definitions(name):
    draw = np.random.default_rng(3)

    def floats(*shape):
        return draw.standard_normal(shape).astype(np.float32)

    inputs, attributes = {
        "matmul": ([floats(3, 9), floats(9, 4)], {}),
        "exp": ([WORDS[0]], {}),
        "log": ([WORDS[0]], {}),
        "sin": ([WORDS[0]], {}),
        "softmax": ([floats(3, 21)], dict(dim=1)),
        "layer_norm": ([floats(3, 18), floats(18), floats(18)], dict(width=1, eps=1e-5)),
        "attention": ([floats(1, 2, 3, 4), floats(1, 2, 5, 4), floats(1, 2, 5, 4), None], dict(causal=True, scale=0.5)),
        "embedding_backward": ([floats(6, 4), np.array([1, 0, 1, 4, 2, 1])], dict(entries=5, padding=2)),
        "adamw": ([floats(7), floats(7), floats(7), floats(7) ** 2], dict(decay=0.99, c1=0.1, b2=0.99, c2=0.01, root=0.1, eps=1e-8, step=0.01)),
    }[name]
    here, there = Machine(), gpu.GpuMachine(device=DEVICE)
    said = [definitions()[name](m, *[each if each is None else m.take(each) for each in inputs], **attributes) for m in (here, there)]
    for one, other in zip(*[each if isinstance(each, tuple) else (each,) for each in said], strict=True):
        np.testing.assert_array_equal(one.array(), there.words(other))
