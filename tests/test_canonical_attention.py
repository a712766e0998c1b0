"""Attention gives the definition's words, and no padding, mask, cache or other row of the batch changes a bit of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from canonical import assert_canonical, by_kernel

from swarm.proof.canonical import native
from swarm.proof.canonical.build import BUILDS, CONTRACTED
from swarm.proof.canonical.cases import Draw
from swarm.proof.canonical.ops import Unsupported
from swarm.proof.canonical.ops.attention import attention, attention_backward

NEVER = float("-inf")
SIZES = ((1, 1, 1), (1, 3, 17), (3, 5, 8), (4, 1, 16), (65, 65, 12), (7, 130, 64), (70, 66, 3))  # queries, keys, words


def drawn(name: str, *shape: int) -> torch.Tensor:
    return torch.from_numpy(Draw(name).normal(*shape))


def three(name: str, batches: int, heads: int, queries: int, keys: int, size: int) -> list[torch.Tensor]:
    shapes = (queries, keys, keys)
    return [drawn(f"{name} {each}", batches, heads, n, size) for each, n in zip("qkv", shapes, strict=True)]


def assert_both_ways(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, causal: bool) -> None:
    given = {"causal": causal, "scale": 0.3}
    assert_canonical("attention", query, key, value, mask, **given)
    out, sums = attention(query, key, value, mask, **given)
    assert_canonical("attention_backward", torch.cos(out.nan_to_num()), query, key, value, out, sums, mask, **given)


@pytest.mark.parametrize("queries, keys, size", SIZES)
def test_attention_of_any_size(queries, keys, size):
    query, key, value = three("size", 1, 2, queries, keys, size)
    causal = queries > 1
    assert_both_ways(query, key, value[..., : max(1, size - 1)], None, causal)
    mask = torch.where(drawn("mask", 1, 1, queries, keys) > 1, NEVER, drawn("bias", 1, 1, queries, keys))
    assert_both_ways(query, key, value, mask, False)


def test_nothing_to_attend_to():
    query, key, value = three("empty", 2, 1, 70, 5, 8)
    assert_both_ways(query, key[:, :, :0], value[:, :, :0], None, False)
    assert_both_ways(query[:, :, :0], key, value, None, False)
    for queries in (1, 70):
        out, sums = attention(query[:, :, :queries], key, value, torch.full((5,), NEVER), False, 1.0)
        assert not out.any() and (sums == NEVER).all()
        assert_both_ways(query[:, :, :queries], key, value, torch.full((queries, 5), NEVER), True)


def test_any_strides_and_masks():
    query, key, value = (each.transpose(1, 2) for each in (drawn("s q", 2, 66, 3, 8), drawn("s k", 2, 70, 3, 8), drawn("s v", 2, 70, 3, 8)))
    for mask in (drawn("m", 70), drawn("m", 66, 1), drawn("m", 3, 1, 70), drawn("m", 2, 1, 66, 70), drawn("m", 70, 66).t()):
        assert_both_ways(query, key, value, mask, False)
    assert_both_ways(query, key[:1, :1].expand(2, 3, 70, 8), value.flip(3)[..., ::2], None, True)


@pytest.mark.parametrize("queries", (2, 70))
def test_wild_words(queries):
    for place in range(3):
        tensors = three("wild", 1, 1, queries, 68, 4)
        flat = tensors[place].view(-1)
        flat[::7] = torch.from_numpy(Draw(f"wild {place}").wild(*flat[::7].shape))
        mask = torch.where(drawn("wild mask", queries, 68) > 0.5, NEVER, 0.0)
        mask[:, -4:] = NEVER
        assert_both_ways(*tensors, mask, False)
        assert_both_ways(*tensors, None, True)


def test_a_value_that_is_no_number_behind_the_mask_is_not_passed_over():
    query, key, value = three("behind", 1, 1, 130, 130, 4)
    value[0, 0, 129, 1] = torch.inf
    assert_both_ways(query, key, value, None, True)
    assert np.isnan(by_kernel("attention", query, key, value, None, causal=True, scale=0.3)[0].view(np.float32)[0, 0, :129, 1]).all()


def test_what_is_no_number_in_a_logsumexp_reaches_later_keys_too():
    query, key, value = three("strange", 1, 1, 130, 130, 4)
    out, sums = attention(query, key, value, None, True, 0.3)
    sums[0, 0, 3], sums[0, 0, 4] = torch.nan, torch.inf
    assert_canonical("attention_backward", out, query, key, value, out, sums, None, causal=True, scale=0.3)


@pytest.mark.parametrize("place", range(3))
def test_scores_that_overflow_behind_the_mask_are_not_passed_over(place):
    tensors = three("overflow", 1, 1, 70, 130, 4)
    tensors[place][0, 0, -1] = 3e38
    mask = torch.zeros(70, 130)
    mask[:, 64:] = NEVER
    assert_both_ways(*tensors, mask, False)
    calm = torch.zeros(1, 1, 70)
    steep = [torch.full((1, 1, 70, 4), 3e20)] * 2  # the product of gradient and result, not those of their parts
    assert_canonical("attention_backward", steep[0], *(each.clamp(-9, 9) for each in tensors), steep[1], calm, mask, causal=False, scale=0.3)
    assert_canonical("attention_backward", *(tensors[0], *tensors, tensors[0].clamp(-9, 9), calm), mask, causal=False, scale=0.3)


@pytest.mark.parametrize("queries", (1, 5))
def test_no_result_is_a_negative_zero(queries):
    query, key, value = torch.zeros(1, 1, queries, 4), torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    value[0, 0, 0] = -1e-45  # half of it is nothing, from below
    assert_both_ways(query, key, value, None, False)
    out, sums = (torch.from_numpy(each).view(torch.float32) for each in by_kernel("attention", query, key, value, None, causal=False, scale=1.0))
    assert not out.view(torch.int32).any()
    grad = torch.zeros_like(query)
    grad[0, 0, 0] = -1e-45
    assert_canonical("attention_backward", grad, query, key, value, out, sums, None, causal=False, scale=1.0)
    assert not by_kernel("attention_backward", grad, query, key, value, out, sums, None, causal=False, scale=1.0)[2].any()


def _masked(valid: torch.Tensor, queries: int) -> torch.Tensor:
    """(batch, 1, queries, keys): causal from the right end, and only valid keys."""
    keys = valid.shape[1]
    later = torch.arange(keys)[None, :] > torch.arange(keys - queries, keys)[:, None]
    return torch.where(valid[:, None, None, :] & ~later, 0.0, NEVER)


@pytest.mark.parametrize("left, right", ((3, 0), (0, 5), (67, 1)))
def test_padding_and_other_rows_change_no_bit(left, right):
    """One prompt alone, and among others between padding: the same words, gradients too."""
    n, whole = 70, 70 + left + right
    query, key, value = three("alone", 1, 2, n, n, 16)
    grad = drawn("alone g", 1, 2, n, 16)
    out, sums = attention(query, key, value, None, True, 0.25)
    alone = (out, sums, *attention_backward(grad, query, key, value, out, sums, None, True, 0.25))
    batch, place = [drawn(f"others {each}", 3, 2, whole, 16) for each in "qkvg"], slice(left, left + n)
    for each, mine in zip(batch, (query, key, value, grad), strict=True):
        each[1:2, :, place] = mine
    batch[3][:, :, :left], batch[3][:, :, left + n :] = 0.0, 0.0  # nothing comes back to what was padding
    valid = torch.ones(3, whole, dtype=torch.bool)
    valid[1, :left], valid[1, left + n :] = False, False
    mask = _masked(valid, whole)
    outs, many = attention(*batch[:3], mask, False, 0.25)
    together = (outs, many, *attention_backward(batch[3], *batch[:3], outs, many, mask, False, 0.25))
    for one, all_ in zip(alone, together, strict=True):
        assert torch.equal(one[0].view(torch.int32), all_[1, :, place].view(torch.int32))


@pytest.mark.parametrize("step", (1, 2, 5, 20))
def test_a_cache_gives_the_words_of_one_full_pass(step):
    query, key, value = three("cache", 2, 2, 80, 80, 16)
    full, _ = attention(query, key, value, None, True, 0.25)
    for start in range(0, 80, step):
        end = start + step
        mask = _masked(torch.ones(2, end, dtype=torch.bool), step)
        part, _ = attention(query[:, :, start:end], key[:, :, :end], value[:, :, :end], mask, False, 0.25)
        assert torch.equal(part.contiguous().view(torch.int32), full[:, :, start:end].contiguous().view(torch.int32))


def test_shapes_that_do_not_fit_are_refused():
    query, key, value = three("gqa", 1, 4, 5, 5, 8)
    for wrong in (key[:, :3], key[..., :7], key.repeat(2, 1, 1, 1), key[:, :0]):
        with pytest.raises(Unsupported, match="attention of shapes"):
            attention(query, wrong, value[:, : wrong.shape[1]], None, True, 1.0)
    with pytest.raises(Unsupported, match="attention_backward of shapes"):
        attention_backward(query, query, key[:, :2], value[:, :2], query, query[..., 0], None, True, 1.0)
    with pytest.raises(Unsupported, match="torch.float64"):
        attention(query.double(), key, value, None, True, 1.0)


@pytest.mark.parametrize("queries", (1, 9))
def test_keys_of_fewer_heads(queries):
    query, key, value = three("fewer", 2, 6, queries, 9, 8)
    for mask in (None, drawn("fewer mask", 6, queries, 9)):
        given = {"causal": mask is None, "scale": 0.3}
        assert_canonical("attention", query, key[:, :2], value[:, :2], mask, **given)
        wide = [each[:, :2].repeat_interleave(3, 1) for each in (key, value)]
        for few, many in zip(attention(query, key[:, :2], value[:, :2], mask, **given), attention(query, *wide, mask, **given), strict=True):
            assert torch.equal(few, many)


@pytest.mark.parametrize("masked", (False, True))
def test_keys_of_fewer_heads_are_as_if_repeated(masked):
    """As Llama and Qwen2 ask for it: grouped queries, forward and backward through ATen."""
    from swarm.proof.canonical import canonical

    query, key, value = three("grouped", 2, 6, 9, 9, 8)
    mask = _masked(torch.ones(2, 9, dtype=torch.bool), 9) if masked else None

    def run(repeat: bool) -> list[torch.Tensor]:
        q, k, v = (each.clone().requires_grad_() for each in (query, key[:, :2].contiguous(), value[:, :2].contiguous()))
        wide = [each[:, :, None].expand(2, 2, 3, 9, 8).reshape(2, 6, 9, 8) for each in (k, v)] if repeat else [k, v]
        out = torch.nn.functional.scaled_dot_product_attention(q, *wide, attn_mask=mask, is_causal=not masked, enable_gqa=not repeat)
        out.backward(torch.ones_like(out) * 0.3)
        return [out.detach(), q.grad, k.grad, v.grad]

    with canonical():
        assert all(torch.equal(one, other) for one, other in zip(run(True), run(False), strict=True))


@pytest.mark.parametrize("count", (2, 4))
def test_threads_change_no_bit(count):
    query, key, value = three("threads", 3, 3, 130, 130, 16)

    def both() -> list[torch.Tensor]:
        out, sums = attention(query, key, value, None, True, 0.25)
        return [out, sums, *attention_backward(value, query, key, value, out, sums, None, True, 0.25)]

    alone = both()
    native.threads(count)
    try:
        assert all(torch.equal(one, other) for one, other in zip(alone, both(), strict=True))
    finally:
        native.threads(torch.get_num_threads())


@pytest.mark.slow
@pytest.mark.parametrize("build", [name for name, build in BUILDS.items() if build is not CONTRACTED])
def test_builds_agree(build):
    """pytest -m slow tests/test_canonical_attention.py -k builds"""
    if not BUILDS[build].loads:
        pytest.skip(f"this machine cannot compile or run {build}")
    with native.using(BUILDS[build]):
        for sizes in SIZES:
            test_attention_of_any_size(*sizes)
        test_nothing_to_attend_to()
        test_any_strides_and_masks()
        test_wild_words(70)
        test_a_value_that_is_no_number_behind_the_mask_is_not_passed_over()
        test_a_cache_gives_the_words_of_one_full_pass(5)
