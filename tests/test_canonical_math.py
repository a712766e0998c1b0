"""The canonical functions keep their stated errors, and their special values are IEEE-754's; AdamW's numbers are made without libm."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from benchmarks.canonical_accuracy import FUNCTIONS, Worst, chunks, measure
from swarm.proof.canonical.adamw import CanonicalAdamW
from swarm.proof.canonical.ops import Unsupported
from swarm.proof.canonical.ops import elementwise as ops
from swarm.proof.canonical.ops.optimizer import power, rates

INF, NAN = math.inf, math.nan
SPECIAL = {
    "exp": [(INF, INF), (-INF, 0.0), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN), (1e-45, 1.0), (88.8, INF), (-104.0, 0.0), (-103.9, 1e-45)],
    "log": [(INF, INF), (-INF, NAN), (0.0, -INF), (-0.0, -INF), (NAN, NAN), (1.0, 0.0), (-1e-45, NAN)],
    "sin": [(INF, NAN), (-INF, NAN), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN), (1e-45, 1e-45)],
    "cos": [(INF, NAN), (-INF, NAN), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN)],
    "tanh": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN), (-1e-45, -1e-45)],
    "erf": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN), (-1e-45, -1e-45)],
    "rsqrt": [(INF, 0.0), (-INF, NAN), (0.0, INF), (-0.0, -INF), (NAN, NAN)],
    "sigmoid": [(INF, 1.0), (-INF, 0.0), (0.0, 0.5), (-0.0, 0.5), (NAN, NAN)],
    "silu": [(INF, INF), (-INF, NAN), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_errors_stay_within_what_is_stated(function):
    worst = Worst()
    for sample in chunks(40009):
        measure(function, sample, worst)
    assert worst.wrong == 0 and 0.45 < worst.ulp < function.bound


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_errors_stay_within_what_is_stated_in_more_places(function):
    """A minute: pytest -m slow tests/test_canonical_math.py"""
    worst = Worst()
    for sample in chunks(1021, 5):
        measure(function, sample, worst)
    assert worst.wrong == 0 and worst.ulp < function.bound


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name):
    given, wanted = np.array(SPECIAL[name], np.float32).T
    found = getattr(ops, name)(torch.from_numpy(given)).numpy()
    assert found.view(np.uint32).tolist() == wanted.copy().view(np.uint32).tolist()


def test_powers_are_products():
    wanted, exact = 1.0, Fraction(1)
    for t in range(1, 40):
        wanted, exact = wanted * 0.999, exact * Fraction(0.999)
        assert power(0.999, t) == wanted and abs(Fraction(wanted) / exact - 1) < t * Fraction(1, 2**53)
    assert power(0.999, 3) == 0.999 * 0.999 * 0.999  # an earlier step than the last
    assert rates(1e-3, (0.9, 0.999), 1e-8, 0.01, 2).root == math.sqrt(1 - 0.999 * 0.999)


def test_adamw_follows_pytorchs():
    start = [torch.linspace(-1, 1, 35).reshape(5, 7), torch.linspace(0, 2, 9)]
    found, wanted = ([each.clone().requires_grad_() for each in start] for _ in range(2))
    mine = CanonicalAdamW(found, lr=1e-2, betas=(0.9, 0.99), foreach=False, fused=False)
    stock = torch.optim.AdamW(wanted, lr=1e-2, betas=(0.9, 0.99), foreach=False, fused=False)
    for step in range(20):
        for one, other in zip(found, wanted, strict=True):
            one.grad = torch.sin(one.detach() * 3 + step).t().contiguous().t() if one.dim() == 2 else torch.sin(one.detach() * 3 + step)
            other.grad = torch.sin(other.detach() * 3 + step)
        mine.step()
        stock.step()
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        assert mine.state[one].keys() == stock.state[other].keys() and mine.state[one]["step"] == 20
        torch.testing.assert_close(mine.state[one]["exp_avg_sq"], stock.state[other]["exp_avg_sq"], rtol=1e-4, atol=1e-7)


def test_adamw_changes_what_autograd_saved():
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * weight).sum()
    weight.grad = torch.ones(3)
    CanonicalAdamW([weight]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_adamws_extras_are_refused():
    weight = torch.ones(3, requires_grad=True)
    with pytest.raises(Unsupported, match="AdamW with amsgrad"):
        CanonicalAdamW([weight], amsgrad=True)
    CanonicalAdamW([weight], amsgrad=False, maximize=False).step()
