"""ATen's reductions, softmaxes, norms, attention, indexed sums and losses in the dispatch mode: near what stock operators give, and refused
where they have no canonical form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from swarm.proof.canonical.cases import Draw
from swarm.proof.canonical.mode import canonical
from swarm.proof.canonical.ops import Unsupported

aten = torch.ops.aten


def drawn(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Draw(str(shape)).normal(*shape)).reshape(shape))


X, BASE = drawn(3, 4, 5), drawn(4, 5, 6)
HOLED = torch.where(X > 1, float("nan"), X)
ROW, IDS, WHOLE = torch.tensor([2, 0, 2, -1]), torch.tensor([[1, 3], [3, 0]]), torch.tensor([[2, 0, 1], [1, 1, 3]])
MIDDLE, SCALE, BACK = drawn(3, 4, 1), drawn(3, 4, 1).abs(), (aten._softmax_backward_data, aten._log_softmax_backward_data)
QUERY, KEY, VALUE, MASK = drawn(2, 3, 6, 8), drawn(2, 3, 7, 8), drawn(2, 3, 7, 9)[..., 1:], torch.where(drawn(6, 7) > 1, float("-inf"), 0.0)
SCORES, TARGET, WEIGHT = drawn(6, 5).log_softmax(1), torch.tensor([0, 4, -100, 2, 1, 1]), drawn(5).abs()
attention = aten._scaled_dot_product_flash_attention_for_cpu

CALLS = {
    "sum": lambda: (X.sum(), X.sum(1), X.sum((0, -1), keepdim=True), X.sum([]), drawn().sum(0), (X > 0).sum(1, dtype=torch.float32)),
    "mean": lambda: (X.mean(), X.mean(-1, keepdim=True), X.mean((0, 1)), WHOLE.sum(), WHOLE.to(torch.float32).mean(0)),
    "nansum": lambda: (HOLED.nansum(), HOLED.nansum(1)),
    "norm": lambda: (X.norm(), X.norm(dim=1), torch.linalg.vector_norm(X, dim=(0, 2)), *torch._foreach_norm([X, BASE])),
    "extremes": lambda: (X.max(), X.min(), X.amax((0, 1)), X.amin(1), *X.max(1), *X.min(-1, keepdim=True), X.argmax(), X.argmin(2), WHOLE.max()),
    "spread": lambda: (X.std(), X.var(1), X.std(0, correction=0), X.var((0, 1), unbiased=False, keepdim=True)),
    "cumsum": lambda: (X.cumsum(1), X.cumsum(-1), WHOLE.cumsum(1)),
    "softmax": lambda: (X.softmax(1), X.log_softmax(-1), X.logsumexp((0, 2)), aten._safe_softmax(MASK, 1), drawn().softmax(0)),
    "softmax backward": lambda: [back(X, BASE[:3, :4, :5], 1, torch.float32) for back in BACK],
    "layer norm": lambda: aten.native_layer_norm(X, [4, 5], drawn(4, 5), drawn(5, 4).t(), 1e-5),
    "layer norm backward": lambda: (
        g for g in aten.native_layer_norm_backward(X, BASE[:3, :4, :5], [5], MIDDLE, SCALE, X[0, 0], None, [True, True, False])
        if g is not None
    ),
    "attention": lambda: (*attention(QUERY, KEY, VALUE, attn_mask=MASK), *attention(QUERY, KEY, KEY, is_causal=True, scale=0.3)),
    "attention backward": lambda: aten._scaled_dot_product_flash_attention_for_cpu_backward(
        QUERY, QUERY, KEY, VALUE, *attention(QUERY, KEY, VALUE, attn_mask=MASK), 0.0, False, attn_mask=MASK
    ),
    "embedding": lambda: (
        torch.nn.functional.embedding(IDS, BASE[0]), aten.embedding_dense_backward(drawn(2, 2, 3), IDS, 5, -1, False),
        aten.embedding_dense_backward(drawn(2, 2, 3), IDS, 5, 3, False),
    ),
    "indexed sums": lambda: (
        BASE.index_add(1, ROW.abs(), drawn(4, 4, 6)), BASE.clone().index_add_(0, ROW.abs(), drawn(4, 5, 6)),
        BASE.scatter_add(2, torch.ones(2, 3, 9, dtype=torch.long), drawn(3, 4, 10)),
    ),
    "put sums": lambda: (
        BASE.index_put((ROW,), drawn(4, 5, 6), accumulate=True), BASE.index_put((ROW,), drawn(1), accumulate=True),
        aten.index_put(BASE, [None, IDS], drawn(4, 2, 2, 6), True), BASE.index_put((IDS, IDS), drawn(2, 2, 6), accumulate=True),
        aten.index_put(BASE, [None, ROW, ROW], drawn(4, 4), True), aten.index_put(BASE, [ROW, None, ROW], drawn(4, 5), True),
        BASE.index_put((BASE[..., 0] > 0,), drawn(6), accumulate=True), BASE.clone().index_put_((ROW, ROW), drawn(6), accumulate=True),
        BASE.transpose(0, 2).clone().index_put_((ROW,), drawn(5, 4), accumulate=True), BASE.clone().index_put_((ROW[1:],), drawn(6)),
    ),
    "loss": lambda: [
        each for reduction in range(3) for weight in (None, WEIGHT) for each in aten.nll_loss_forward(SCORES, TARGET, weight, reduction, -100)
    ],
    "loss of one": lambda: (
        *aten.nll_loss_forward(SCORES[0], TARGET[0], None, 1, -100),
        aten.nll_loss_backward(drawn(), SCORES[0], TARGET[0], None, 1, -100, torch.tensor(1.0)),
    ),
    "loss backward": lambda: (
        aten.nll_loss_backward(drawn(), SCORES, TARGET, WEIGHT, 1, -100, torch.tensor(3.5)),
        aten.nll_loss_backward(drawn(6), SCORES, TARGET, None, 0, -100, torch.tensor(0.0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_results_are_near_the_stock_operators(name):
    with canonical():
        mine = list(CALLS[name]())
    for one, stock in zip(mine, CALLS[name](), strict=True):
        assert one.dtype == stock.dtype and one.shape == stock.shape
        torch.testing.assert_close(one, stock, rtol=2e-5, atol=2e-5, equal_nan=True)


def test_attention_lies_as_atens_does():
    for query in (QUERY, drawn(2, 6, 3, 8).transpose(1, 2), drawn(2, 6, 72)[..., :24].view(2, 6, 3, 8).transpose(1, 2)):
        with canonical():
            mine = attention(query, KEY, KEY)
        assert [each.stride() for each in mine] == [each.stride() for each in attention(query, KEY, KEY)]


@pytest.mark.parametrize(
    ("work", "word"),
    [
        (lambda: X.norm(p=1), "order 1"),
        (lambda: X.sum(dtype=torch.float64), "aten.sum in torch.float64"),
        (lambda: X.double().sum(), "torch.float64"),
        (lambda: BASE.index_add(0, ROW.abs(), drawn(4, 5, 6), alpha=2), "alpha 2"),
        (lambda: aten.embedding_dense_backward(drawn(2, 2, 3), IDS, 5, -1, True), "scale_grad_by_freq"),
        (lambda: attention(QUERY, KEY, KEY, 0.1), "dropout 0.1"),
        (lambda: drawn(3, 0).amax(1), "amax of nothing"),
    ],
)
def test_what_has_no_canonical_form_is_refused(work, word):
    with canonical(), pytest.raises(Unsupported, match=word):
        work()


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (lambda: X.sum(3), IndexError),
        (lambda: X.sum((0, -3)), RuntimeError),
        (lambda: BASE.index_put((ROW + 3,), drawn(4, 5, 6), accumulate=True), IndexError),
        (lambda: torch.nn.functional.embedding(IDS, BASE[0, :3]), IndexError),
        (lambda: torch.nn.functional.nll_loss(SCORES, TARGET + 1), IndexError),
    ],
)
def test_mistakes_are_told_as_torch_tells_them(work, error):
    with canonical(), pytest.raises(error):
        work()
