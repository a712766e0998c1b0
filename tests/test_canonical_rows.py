"""Kernels that reduce give the definition's words: any length, layout and kind of word."""

from __future__ import annotations

import pytest
import torch
from canonical import assert_canonical, by_kernel

from swarm.proof.canonical import native
from swarm.proof.canonical.build import BUILDS, CONTRACTED
from swarm.proof.canonical.cases import Draw
from swarm.proof.canonical.ops import Unsupported

LENGTHS = (0, 1, 2, 15, 16, 17, 31, 33, 130, 4096, 4097, 9001)
SUMS = ("sum", "mean", "nansum", "norm")
FIRST = ("amax", "amin", "argmax", "argmin")
ALONG = ("softmax", "safe_softmax", "log_softmax")


def tame(name: str, *shape: int) -> torch.Tensor:
    return torch.from_numpy(Draw(name).normal(*shape, scale=4.0))


def wild(name: str, *shape: int) -> torch.Tensor:
    return torch.from_numpy(Draw(name).wild(*shape))


def rare(name: str, *shape: int) -> torch.Tensor:
    """Mostly tame words: a wild one here and there, so that not every sum is NaN."""
    place = torch.from_numpy(Draw(name + " places").integers(0, 40, *shape)) == 0
    return torch.where(place, wild(name, *shape), tame(name, *shape))


def _each_reduction(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> None:
    for name in (*SUMS, *(FIRST if 0 < x.numel() < 10000 else ()), "logsumexp"):
        assert_canonical(name, x, dims=dims, keepdim=keepdim)
    assert_canonical("var", x, dims=dims, correction=3.5, keepdim=keepdim)
    assert_canonical("std", x, dims=dims, correction=1.0, keepdim=keepdim)


@pytest.mark.parametrize("n", LENGTHS)
def test_reductions_of_rows_of_any_length(n):
    for make in (tame, rare) if n < 1000 else (tame,):
        _each_reduction(make(f"rows {n}", 2, n), [1])


@pytest.mark.parametrize("n", (1, 16, 17, 4097, 8300))
def test_reductions_over_the_first_axis(n):
    """A vector holds words of several rows; each row still has its own lanes."""
    for make in (tame, rare) if n < 1000 else (tame,):
        _each_reduction(make(f"columns {n}", n, 3), [0])
    assert_canonical("sum", tame("wide columns", n, 131), dims=[0])


def test_reductions_over_any_axes():
    x = rare("axes", 3, 5, 2, 7)
    for dims in ([], [0], [1], [2], [3], [0, 1], [1, 2], [0, 3], [1, 3], [0, 1, 2, 3]):
        for keepdim in (False, True):
            _each_reduction(x, dims, keepdim)


def test_reductions_of_any_strides():
    base = rare("strides", 6, 40, 9)
    for x in (base.permute(2, 0, 1), base[:, ::3], base[1:, :, 4:5].expand(5, 40, 8), base[..., 3], base.transpose(0, 1)[::2, 1:], base[2, 5, 1]):
        for dims in ([0], [-1], [0, 1]) if x.dim() > 1 else ([],):
            for name in (*SUMS, *FIRST, "logsumexp"):
                assert_canonical(name, x, dims=[axis % x.dim() for axis in dims])
        for name in ("softmax", "log_softmax", "cumsum"):
            assert_canonical(name, x, dim=0)


def test_wild_words():
    x = wild("wild", 200, 3)
    _each_reduction(x, [0])
    _each_reduction(x, [1])
    for name in ALONG:
        assert_canonical(name, x, dim=1)


def test_extremes_tell_the_zeros_apart():
    zeros = torch.tensor([[-0.0, 0.0, -0.0], [-0.0, -0.0, -0.0], [-1.0, -0.0, 0.0]]).repeat(1, 7)
    last = torch.full((2, 70), -0.0)
    last[0, 60], last[1] = 0.0, -last[0]  # a vector's lanes are full of the lesser, then greater zero before
    for x in (zeros, last, -last):
        for dims in ([0], [1]):
            for name in FIRST:
                assert_canonical(name, x, dims=dims)


@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_of_any_length(n):
    for x in (tame(f"softmax {n}", 2, n), rare(f"softmax rare {n}", 2, n))[: 2 if n < 1000 else 1]:
        grad = tame(f"softmax grad {n}", 2, n)
        for name in ALONG:
            assert_canonical(name, x, dim=1)
        assert_canonical("softmax_backward", grad, x, dim=1)
        assert_canonical("log_softmax_backward", grad, x, dim=1)


def test_softmax_of_masked_rows():
    x = tame("masked", 4, 37)
    x[1], x[2, :30], x[3, 5] = -torch.inf, -torch.inf, torch.inf
    for name in ALONG:
        assert_canonical(name, x, dim=1)
        assert_canonical(name, x, dim=0)
    assert not by_kernel("safe_softmax", x, dim=1)[0][1].any()


def test_running_sums():
    for x, dim in ((rare("running", 3, 50), 1), (rare("running", 3, 50), 0), (torch.tensor(-0.0), 0), (tame("none", 2, 0), 1)):
        assert_canonical("cumsum", x, dim=dim)


@pytest.mark.parametrize("shape", ((5, 1), (3, 16), (2, 2, 65), (4, 4097), (0, 8), (2, 0)))
def test_layer_norm(shape):
    x, grad, weight, bias = (rare(f"norm {name} {shape}", *size) for name, size in (("x", shape), ("g", shape), ("w", shape[-1:]), ("b", shape[-1:])))
    for given in ((weight, bias), (weight, None), (None, bias), (None, None)):
        assert_canonical("layer_norm", x, *given, width=1, eps=1e-5)
    _, mean, scale = map(torch.from_numpy, by_kernel("layer_norm", x, weight, bias, width=1, eps=1e-5))
    for given in (weight, None):
        assert_canonical("layer_norm_backward", grad, x, mean.view(torch.float32), scale.view(torch.float32), given, width=1)


def test_layer_norm_over_several_axes_and_many_rows():
    x, weight = tame("many rows", 4100, 2, 3), tame("weight", 2, 3)
    out, mean, scale = (torch.from_numpy(each).view(torch.float32) for each in by_kernel("layer_norm", x, weight, None, width=2, eps=1e-5))
    assert_canonical("layer_norm", x, weight, None, width=2, eps=1e-5)
    assert_canonical("layer_norm_backward", out, x, mean, scale, weight, width=2)


def test_embedding():
    weight, grad, indices = wild("embedding", 11, 6), rare("embedding grad", 5, 7, 6), torch.from_numpy(Draw("ids").integers(0, 11, 5, 7))
    assert_canonical("embedding", weight, indices)
    for padding in (-1, 3):
        assert_canonical("embedding_backward", grad, indices, entries=11, padding=padding)
    assert_canonical("embedding_backward", grad[:0], indices[:0], entries=4, padding=-1)
    with pytest.raises(IndexError, match="outside 0 to 3"):
        by_kernel("embedding_backward", grad, indices, entries=4, padding=-1)


@pytest.mark.parametrize("dim", (0, 1, 2))
def test_sums_into_indexed_places(dim):
    base, draw = rare("places", 4, 5, 19), Draw(f"places {dim}")
    size = base.shape[dim]
    index = torch.from_numpy(draw.integers(0, size, 8))
    source = torch.from_numpy(draw.wild(*(8 if axis == dim else n for axis, n in enumerate(base.shape))))
    assert_canonical("index_add", base, index, source, dim=dim)
    for smaller in (0, 1):
        shape = [8 if axis == dim else n - smaller for axis, n in enumerate(base.shape)]
        assert_canonical("scatter_add", base, torch.from_numpy(draw.integers(0, size, *shape)), source, dim=dim)
    with pytest.raises(IndexError, match="outside"):
        by_kernel("index_add", base, index - 1 - size, source, dim=dim)


@pytest.mark.parametrize("reduction", (0, 1, 2))
def test_loss_of_given_classes(reduction):
    for n in (0, 1, 40):
        scores, target = rare("scores", 7, n).t(), torch.from_numpy(Draw(f"targets {n}").integers(0, 7, n))
        for weight in (None, rare("weights", 7)):
            for ignore in (-100, 3):
                given = {"reduction": reduction, "ignore": ignore}
                assert_canonical("nll_loss", scores, target, weight, **given)
                count = torch.from_numpy(by_kernel("nll_loss", scores, target, weight, **given)[1]).view(torch.float32)
                grad = tame("loss grad", n + 1)[n] if reduction else rare("loss grad", n)
                assert_canonical("nll_loss_backward", grad, target, weight, count, classes=7, **given)
    with pytest.raises(IndexError, match="a target outside 0 to 6"):
        by_kernel("nll_loss", tame("scores", 1, 7), torch.tensor([7]), None, reduction=reduction, ignore=-100)


def test_an_extreme_of_nothing_is_refused():
    for name in FIRST:
        with pytest.raises(Unsupported, match=f"{name} of nothing"):
            by_kernel(name, torch.empty(3, 0), dims=[1])


@pytest.mark.parametrize("count", (2, 4))
def test_threads_change_no_bit(count):
    x, y = tame("threads", 70, 5000), tame("threads grad", 70, 5000)
    calls = [("sum", (x,), {"dims": dims}) for dims in ([0], [1], [0, 1])]
    calls += [("softmax", (x,), {"dim": 1}), ("log_softmax_backward", (x, y), {"dim": 1})]
    calls += [("embedding_backward", (x, torch.arange(70) % 9), {"entries": 9, "padding": -1})]
    alone = [by_kernel(name, *tensors, **given) for name, tensors, given in calls]
    native.threads(count)
    try:
        for (name, tensors, given), right in zip(calls, alone, strict=True):
            assert (by_kernel(name, *tensors, **given)[0] == right[0]).all(), name
    finally:
        native.threads(torch.get_num_threads())


@pytest.mark.slow
@pytest.mark.parametrize("build", [name for name, build in BUILDS.items() if build is not CONTRACTED])
def test_builds_agree(build):
    """pytest -m slow tests/test_canonical_rows.py -k builds"""
    if not BUILDS[build].loads:
        pytest.skip(f"this machine cannot compile or run {build}")
    with native.using(BUILDS[build]):
        for n in LENGTHS:
            test_reductions_of_rows_of_any_length(n)
            test_softmax_of_any_length(n)
        for n in (1, 17, 4097):
            test_reductions_over_the_first_axis(n)
        test_wild_words()
        test_running_sums()
        test_layer_norm((2, 2, 65))
        test_embedding()
        test_sums_into_indexed_places(1)
        test_loss_of_given_classes(1)
