"""Element-by-element operators (kernels/elementwise.c). `out` may be one of the inputs."""

from __future__ import annotations

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import check, operator
from swarm.proof.canonical.ops.operand import walk1, walk2

_neg = Kernel("canonical_neg", "wpp")
_add = Kernel("canonical_add", "wpppf")


@operator("neg(Tensor a, *, Tensor(a!)? out=None) -> Tensor")
def neg(a: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """-a"""
    check("neg", a)
    walk = walk1(a, out)
    out = walk.empty() if out is None else out
    _neg.call(walk.at, out.data_ptr(), a.data_ptr())
    return out


@operator("add(Tensor a, Tensor b, float alpha=1.0, *, Tensor(a!)? out=None) -> Tensor")
def add(a: torch.Tensor, b: torch.Tensor, alpha: float = 1.0, out: torch.Tensor | None = None) -> torch.Tensor:
    """a + alpha * b"""
    check("add", a, b)
    walk = walk2(a, b, out)
    out = walk.empty() if out is None else out
    _add.call(walk.at, out.data_ptr(), a.data_ptr(), b.data_ptr(), alpha)
    return out
