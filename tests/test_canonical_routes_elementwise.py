"""Element-by-element ATen operators arrive at the right canonical ones: near PyTorch's results, of its types, in place where it is."""

import pytest
import torch

from swarm.proof.canonical import canonical
from swarm.proof.canonical.ops import Unsupported

A = torch.linspace(-3, 3, 60).reshape(4, 15)
B = torch.linspace(0.5, 4, 15)
COUNT = torch.arange(1, 16)
MARK = COUNT % 2 == 0
HALF = torch.tensor(0.5)

SAME = {
    "one": lambda a: [getattr(torch, n)(a) for n in ("neg", "abs", "sign", "exp", "sin", "cos", "tanh", "erf", "sigmoid", "relu", "square")],
    "one, positive": lambda a: [getattr(torch, n)(a.abs() + 0.1) for n in ("log", "sqrt", "rsqrt", "reciprocal")],
    "activations": lambda a: [f(a) for f in (torch.nn.functional.silu, torch.nn.functional.gelu)],
    "gelu": lambda a: torch.nn.functional.gelu(a, approximate="tanh"),
    "in place": lambda a: a.clone().exp_().log_().neg_().tanh_().mul_(2).add_(B, alpha=0.5).sub_(1).div_(B).clamp_(-1, 1).pow_(2),
    "numbers": lambda a: [a + 1, 1 + a, a - 2, 2 - a, a * 3, a / 3, 3 / (a + 9), a + True, torch.rsub(a, 2, alpha=3)],
    "tensors": lambda a: [a + B, a - B, a * B, a / B, B - a, torch.sub(a, B, alpha=2), torch.maximum(a, B), torch.minimum(a, HALF)],
    "integers": lambda a: [a * COUNT, COUNT / B, COUNT / COUNT, a + MARK, MARK * a, COUNT * HALF, COUNT * 0.5, MARK.sum() / 3],
    "integers bounded": lambda a: [COUNT.clamp(min=1.5), a.clamp(min=COUNT), MARK.sum().clamp(min=1.0)],
    "bounds": lambda a: [a.clamp(0, 1), a.clamp(max=0), a.clamp_min(0.5), a.clamp_max(0.5), a.clamp(-B, B)],
    "powers": lambda a: [(a.abs() + 0.1).pow(e) for e in (-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4)],
    "three": lambda a: [torch.lerp(a, a + B, 0.1), torch.lerp(a, a + B, B), torch.addcmul(a, B, a, value=2), torch.addcdiv(a, a, B, value=-1)],
    "three in place": lambda a: a.clone().lerp_(a * 2, 0.5).addcmul_(a, B, value=0.1).addcdiv_(a, B),
    "out": lambda a: [torch.add(a, B, out=torch.empty(4, 15)), torch.exp(a, out=torch.empty(4, 15))],
    "lists": lambda a: [*torch._foreach_mul([a, B], HALF), *torch._foreach_add([a, B], [a, B], alpha=2), *torch._foreach_div([a, B], [2.0, 3.0])],
    "transposed": lambda a: [a.t() * a.t(), a.t().mul(COUNT[:, None]), a[:, ::3] + a[:, 1::3], a.expand(3, 4, 15) * HALF],
}


@pytest.mark.parametrize("name", SAME)
def test_results_are_near_pytorchs(name):
    wanted = SAME[name](A.clone())
    with canonical():
        found = SAME[name](A.clone())
    for got, right in zip(found, wanted, strict=True):
        assert got.dtype == right.dtype and got.stride() == right.stride()
        torch.testing.assert_close(got, right, rtol=1e-6, atol=1e-6)


def test_lists_in_place():
    tensors = [A.clone(), B.clone()]
    with canonical():
        torch._foreach_mul_(tensors, HALF)
        torch._foreach_add_(tensors, 1.0)
        torch._foreach_sub_(tensors, [A, B], alpha=0.5)
    for tensor in tensors:
        torch.testing.assert_close(tensor, torch.ones_like(tensor))


def test_gradients_are_near_pytorchs():
    def gradient():
        x = A.clone().requires_grad_()
        y = x.abs() + 0.1
        total = torch.nn.functional.silu(x) + torch.nn.functional.gelu(x) + torch.nn.functional.gelu(x, approximate="tanh")
        total = total + x.sigmoid() + x.tanh() + x.erf() + x.sin() + x.cos() + x.exp() + y.log() + y.sqrt() + y.rsqrt() + y.reciprocal()
        total = total + x * B / y - x.pow(3) + torch.maximum(x, HALF) + x.clamp(-1, 1) + x.relu()
        total.backward(torch.ones_like(total))
        return x.grad

    wanted = gradient()
    with canonical():
        torch.testing.assert_close(gradient(), wanted, rtol=1e-5, atol=1e-5)


def test_an_input_that_shares_words_with_the_output_is_read_first():
    a = torch.arange(10.0)
    square = torch.arange(9.0).reshape(3, 3)
    with canonical():
        a[1:] += a[:-1]
        square += square.t()
    assert a.tolist() == [0, 1, 3, 5, 7, 9, 11, 13, 15, 17] and torch.equal(square, square.t())
    with canonical(), pytest.raises(RuntimeError, match="several places in one word"):
        torch.zeros(1).expand(3).add_(1)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: A.double() * A.double(),
        lambda: A * torch.tensor(2.0, dtype=torch.float64),
        lambda: A.to(torch.float32).half(),
        lambda: A.pow(1.5),
        lambda: torch.pow(2.0, A),
        lambda: COUNT.clone().mul_(HALF),
        lambda: torch.add(A, B, out=torch.empty(4, 15, dtype=torch.float64)),
        lambda: A.div(2, rounding_mode="floor"),
        lambda: torch.lgamma(A),
    ],
)
def test_what_has_no_canonical_form_is_refused(bad):
    with canonical(), pytest.raises(Unsupported):
        bad()
