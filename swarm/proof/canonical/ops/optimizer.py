"""AdamW, one pass over a tensor (kernels/optimizer.c), and the numbers of a step."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import Unsupported, operator
from swarm.proof.canonical.ops.operand import ready3

_adamw = Kernel("canonical_adamw", "wppppfffffff")


class Rates(NamedTuple):
    """What a step multiplies by: float64 values, which the operator rounds to float32."""

    decay: float  # 1 - lr * weight decay
    c1: float  # 1 - beta1
    b2: float
    c2: float  # 1 - beta2
    root: float  # sqrt(1 - beta2^t)
    eps: float
    step: float  # lr / (1 - beta1^t)


def rates(lr: float, betas: tuple[float, float], eps: float, weight_decay: float, t: int) -> Rates:
    """Of step number `t`, from 1: by float64 operations that IEEE-754 rounds correctly, so equal on every machine."""
    b1, b2 = betas
    return Rates(1 - lr * weight_decay, 1 - b1, b2, 1 - b2, math.sqrt(1 - power(b2, t)), eps, lr / (1 - power(b1, t)))


_powers: dict[float, tuple[int, float]] = {}


def power(beta: float, t: int) -> float:
    """beta^t by t products, no libm. The last one of each beta is kept: the next step's is one product further."""
    known, value = _powers.get(beta, (0, 1.0))
    if known > t:
        known, value = 0, 1.0
    for _ in range(t - known):
        value *= beta
    _powers[beta] = (t, value)
    return value


@operator(
    "adamw(Tensor(a!) p, Tensor g, Tensor(b!) first, Tensor(c!) second, *, float decay, float c1, float b2, float c2, float root, float eps, "
    "float step) -> (Tensor(a!), Tensor(b!), Tensor(c!))"
)
def adamw(
    p: torch.Tensor,
    g: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    decay: float,
    c1: float,
    b2: float,
    c2: float,
    root: float,
    eps: float,
    step: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Change weights `p` and moments in place by gradient `g`, all of one shape."""
    if not p.shape == g.shape == first.shape == second.shape:
        shapes = [tuple(each.shape) for each in (p, g, first, second)]
        raise Unsupported("adamw", f"of shapes {shapes}", "weights, gradient and moments have one shape")
    walk, p, g, first, second = ready3("adamw", g, first, second, p)
    _adamw.call(walk.at, p.data_ptr(), g.data_ptr(), first.data_ptr(), second.data_ptr(), decay, c1, b2, c2, root, eps, step)
    return p, first, second
