"""Matrix products: the kernel's words are the definition's on any layout, in every build that runs here, with any number of threads."""

import functools
import itertools

import numpy as np
import pytest
import torch

from swarm.proof.canonical import native
from swarm.proof.canonical.build import BUILDS
from swarm.proof.canonical.definition import matmul as defined
from swarm.proof.canonical.definition.machine import Machine
from swarm.proof.canonical.ops import matmul as ops
from swarm.proof.canonical.routes import routes

aten = torch.ops.aten
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("avx512", "avx2", "O0", "clang")]
SPECIAL = torch.tensor([0.0, -0.0, 1.0, float("inf"), -float("inf"), float("nan"), 1e-45, -1e-40, 3e38, 1e-25])


def draw(*shape: int, special: int = 0) -> torch.Tensor:
    """Numbers near 1, and `special` ones of other kinds among them."""
    generator = torch.Generator().manual_seed(sum(shape) + special)
    some = torch.randn(shape, generator=generator)
    if some.numel():
        places = torch.randint(some.numel(), (special,), generator=generator)
        some.view(-1)[places] = SPECIAL[torch.arange(special) % len(SPECIAL)]
    return some


def words(tensor: torch.Tensor) -> np.ndarray:
    return tensor.contiguous().numpy().view(np.uint32).ravel()


def wanted(name: str, *tensors: torch.Tensor, **attributes: float) -> np.ndarray:
    m = Machine()
    return getattr(defined, name)(m, *(m.take(each.numpy()) for each in tensors), **attributes).array().ravel()


@functools.cache
def products() -> list[tuple[torch.Tensor, torch.Tensor, np.ndarray]]:
    """Pairs to multiply, and the words of their products."""
    with np.errstate(all="ignore"):
        return [(a, b, wanted("matmul", a, b)) for special in (0, 9) for a, b in layouts(special)]


def layouts(special: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Odd sizes around the tiles of every width, and every way that numbers can lie."""
    sizes = [(1, 1, 1), (1, 7, 33), (2, 0, 3), (0, 4, 5), (3, 5, 0), (14, 17, 32), (15, 70, 65), (29, 33, 47), (5, 1300, 3), (65, 9, 1)]
    pairs = [(draw(m, k, special=special), draw(k, n, special=special)) for m, k, n in sizes]
    pairs += [(draw(k, 31, special=special).t(), draw(40, k, special=special).t()) for k in (1, 16, 37)]
    wide = draw(6, 50, 90, special=special)
    pairs += [(wide[0, ::2, ::3], wide[1].t()[3:33, 7::5]), (wide[2, :20, 1:41], wide[3, :40, ::2])]
    pairs += [(draw(1, 8).expand(30, 8), draw(8, 1).expand(8, 70)), (wide[:, :9, :30], wide[:, 5:35, :20])]
    pairs += [(wide[:1, :9, :30].expand(4, 9, 30), wide[:4, :30]), (wide[:3, :, :30], wide[:1, :30].expand(3, 30, 90))]
    pairs += [(draw(17, 1024), draw(40, 1024).t()), (draw(40, 1024)[:, :13].t(), draw(40, 64))]
    return pairs


@pytest.mark.parametrize("name", ["native", "wide16", "sse2", *SLOW])
def test_products_are_the_definitions_in_every_build(name):
    """All builds: pytest -m 'slow or not slow' tests/test_canonical_matmul.py -k build"""
    if not BUILDS[name].loads:
        pytest.skip(f"{name} does not run on this machine")
    with native.using(BUILDS[name]):
        for a, b, right in products():
            assert np.array_equal(words(ops.matmul(a, b)), right), (a.shape, a.stride(), b.shape, b.stride())


def test_a_sum_with_a_bias_is_the_definitions():
    a, b, row = draw(20, 40, special=6), draw(40, 37, special=6), draw(37, special=3)
    with np.errstate(all="ignore"):
        for bias, beta, alpha in itertools.product([row, draw(20, 1), draw(37, 20, special=5).t(), draw()], [1.0, 0.0, -0.3], [1.0, 0.7]):
            assert np.array_equal(words(ops.addmm(bias, a, b, beta, alpha)), wanted("addmm", bias, a, b, beta=beta, alpha=alpha))
        some, other, bias = draw(3, 5, 40), draw(3, 40, 21), draw(3, 1, 21, special=2)
        assert np.array_equal(words(ops.addmm(bias, some, other, 0.5)), wanted("addmm", bias, some, other, beta=0.5))


def test_threads_blocks_and_rows_around_change_no_bit():
    a, b = draw(300, 1500, special=0), draw(700, 1500).t()
    alone = words(ops.matmul(a[123:124], b)).copy()
    try:
        for count in (1, 2, 4):
            native.threads(count)
            whole = ops.matmul(a, b)
            assert np.array_equal(words(whole[123]), alone)
            assert np.array_equal(words(ops.matmul(a[100:150], b)[23]), alone)
            assert np.array_equal(words(ops.matmul(b.t(), a.t())[:, 123]), alone)
            assert np.array_equal(words(ops.matmul(a, b.contiguous())[123]), alone)
    finally:
        native.threads(torch.get_num_threads())


def test_an_output_may_lie_anyhow():
    a, b = draw(9, 20), draw(20, 33)
    right = wanted("matmul", a, b)
    square = draw(12, 12)
    for out in (torch.empty(9, 33), torch.empty(33, 9).t(), torch.empty(9, 66)[:, ::2], torch.empty(9, 40)[:, 3:36]):
        assert ops.matmul(a, b, out=out) is out
        assert np.array_equal(words(out), right)
    right = wanted("addmm", square, square, square.t())
    ops.addmm(square, square, square.t(), out=square)  # the bias and both factors are where it goes
    assert np.array_equal(words(square), right)
    with pytest.raises(RuntimeError, match="shape"):
        ops.matmul(a, b, out=torch.empty(8, 33))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        ops.matmul(a, a)


def test_every_route_gives_what_torch_gives():
    a, b, v, c = draw(7, 12), draw(12, 5), draw(12), draw(7, 5)
    many, more, base = draw(3, 7, 12), draw(3, 12, 5), draw(3, 7, 5)
    calls = [
        (aten.mm.default, (a, b)), (aten.bmm.default, (many, more)), (aten.mv.default, (a, v)), (aten.dot.default, (v, v)),
        (aten.vdot.default, (v, v)),
        (aten.addmm.default, (c, a, b)), (aten.baddbmm.default, (base, many, more)), (aten.addmv.default, (draw(7), a, v)),
    ]  # fmt: skip
    ways = routes()
    for overload, given in calls:
        got, right = ways[overload](*given), overload(*given)
        assert got.shape == right.shape and got.stride() == right.stride()
        torch.testing.assert_close(got, right)
    for overload, given, shape in ((aten.mm.out, (a, b), (7, 5)), (aten.bmm.out, (many, more), (3, 7, 5)), (aten.addmm.out, (c, a, b), (7, 5)),
                                   (aten.baddbmm.out, (base, many, more), (3, 7, 5))):  # fmt: skip
        out = torch.empty(0)
        assert ways[overload](*given, out=out) is out and out.shape == shape
        torch.testing.assert_close(out, overload(*given, out=torch.empty(shape)))
    right = torch.addmm(c, a, b, beta=0.5, alpha=2)
    assert ways[aten.addmm_.default](c, a, b, beta=0.5, alpha=2) is c
    torch.testing.assert_close(c, right)


def test_contraction_is_noticed():
    """The negative control: a compiler that fuses what is written as a product and a sum gives other bits."""
    if not BUILDS["contracted"].loads:
        pytest.skip("no compiler that contracts")
    a, b, bias = draw(20, 40), draw(40, 37), draw(37)
    with native.using(BUILDS["contracted"]):
        assert not np.array_equal(words(ops.addmm(bias, a, b, 0.3)), wanted("addmm", bias, a, b, beta=0.3))
    assert np.array_equal(words(ops.addmm(bias, a, b, 0.3)), wanted("addmm", bias, a, b, beta=0.3))
