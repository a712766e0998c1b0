"""Element-by-element kernels give their definitions' words: every kind of word, any layout, in place, and by any build and number of threads."""

import numpy as np
import pytest
import torch

from swarm.proof.canonical import check, definition, native
from swarm.proof.canonical.build import BUILDS
from swarm.proof.canonical.cases import Draw, optimizer
from swarm.proof.canonical.cases import elementwise as family
from swarm.proof.canonical.definition.machine import Machine
from swarm.proof.canonical.ops import Unsupported
from swarm.proof.canonical.ops import elementwise as ops
from swarm.proof.canonical.vectors import defined, definitions

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("avx512", "avx2", "O0", "clang")]


def words(tensor: torch.Tensor) -> np.ndarray:
    return tensor.contiguous().numpy().view(np.uint32)


def wanted(name: str, *tensors: torch.Tensor) -> np.ndarray:
    m = Machine()
    with np.errstate(all="ignore"):
        return definitions()[name](m, *(m.take(each.numpy()) for each in tensors)).array()


@pytest.mark.parametrize("name", ["native", "wide16", "sse2", *SLOW])
def test_every_case_gives_the_definitions_words(name):
    """All builds: pytest -m slow tests/test_canonical_elementwise.py"""
    if not BUILDS[name].loads:
        pytest.skip(f"{name} does not run on this machine")
    check.operators()
    with native.using(BUILDS[name]):
        for case in [*family.CASES, *optimizer.CASES]:
            for got, wanted in zip(check.computed(case), defined(case), strict=True):
                assert got.shape == wanted.shape and np.array_equal(got, wanted), case.name


def test_every_operator_has_cases():
    tried = {case.operator for case in [*family.CASES, *optimizer.CASES]}
    families = tuple(f"{definition.__name__}.{name}" for name in ("elementwise", "math", "optimizer"))
    made = {name for name, function in definitions().items() if function.__module__ in families}
    assert tried == made <= check.operators().keys()


@pytest.mark.parametrize("count", [1, 3])
def test_in_place_and_in_parallel(count):
    draw = Draw("in place")
    a, b = (torch.from_numpy(draw.wild(211, 307)) for _ in range(2))
    native.threads(count)
    try:
        for name in ("exp", "silu", "log"):
            c = a.clone()
            assert check.operators()[name](c, out=c) is c and np.array_equal(words(c), wanted(name, a))
        c, whole = a.clone().t(), torch.zeros(307, 300)
        ops.mul(c, b.t(), out=c)
        ops.mul(a.t(), b.t(), out=whole[:, 5:216])
        assert np.array_equal(words(c.t()), wanted("mul", a, b))
        assert np.array_equal(words(whole[:, 5:216]), words(c)) and not whole[:, 216:].any() and not whole[:, :5].any()
    finally:
        native.threads(torch.get_num_threads())


def layout(draw: Draw, shape: list[int]) -> torch.Tensor:
    """Of this shape after broadcasting: axes in any order, with gaps, of size 1, or repeated."""
    kept = [n if draw.integers(0, 4, 1)[0] else 1 for n in shape]
    order = np.argsort(draw.words(len(shape)))
    wide = torch.from_numpy(draw.normal(*(kept[axis] * int(draw.integers(1, 3, 1)[0]) for axis in order)))
    found = wide.permute(*np.argsort(order).tolist())
    found = found[tuple(slice(None, None, found.shape[axis] // n) for axis, n in enumerate(kept))]
    return found.expand(shape) if draw.integers(0, 2, 1)[0] else found


def test_products_of_any_layouts_are_pytorchs():
    draw = Draw("layouts")
    try:
        for number in range(60):
            native.threads(1 + number % 2)
            shape = [int(draw.integers(1, 40, 1)[0]) for _ in range(1 + number % 3)]
            a, b = layout(draw, shape), layout(draw, shape)
            wanted = a * b
            gaps = torch.empty([2 * n for n in wanted.shape])[(slice(None, None, 2),) * wanted.dim()]
            assert torch.equal(ops.mul(a, b), wanted) and torch.equal(ops.mul(a, b, gaps), wanted), (a.stride(), b.stride(), shape)
    finally:
        native.threads(torch.get_num_threads())


def test_what_has_no_canonical_form_is_refused():
    a = torch.ones(3)
    with pytest.raises(Unsupported, match="exponent 2.5"):
        ops.power(a, 2.5)
    with pytest.raises(Unsupported, match="without a bound"):
        ops.clamp(a)
    with pytest.raises(RuntimeError, match="shape"):
        ops.mul(a, torch.ones(4, 3), out=a)
