"""Products of matrices and vectors."""

from __future__ import annotations

import torch

from swarm.proof.canonical.ops import matmul as ops
from swarm.proof.canonical.routes import route

aten = torch.ops.aten


def _room(out: torch.Tensor, *shape: int) -> torch.Tensor:
    """`out` of that shape, as torch gives it to one of another."""
    return out if out.shape == shape else out.resize_(shape)


@route(aten.mm.default, aten.bmm.default)
def mm(a, b):
    return ops.matmul(a, b)


@route(aten.mm.out, aten.bmm.out)
def mm_out(a, b, *, out):
    return ops.matmul(a, b, out=_room(out, *a.shape[:-1], b.shape[-1]))


@route(aten.addmm.default, aten.baddbmm.default)
def addmm(bias, a, b, *, beta=1, alpha=1):
    return ops.addmm(bias, a, b, beta, alpha)


@route(aten.addmm.out, aten.baddbmm.out)
def addmm_out(bias, a, b, *, beta=1, alpha=1, out):
    return ops.addmm(bias, a, b, beta, alpha, out=_room(out, *a.shape[:-1], b.shape[-1]))


@route(aten.addmm_.default, aten.baddbmm_.default)
def addmm_(bias, a, b, *, beta=1, alpha=1):
    return ops.addmm(bias, a, b, beta, alpha, out=bias)


@route(aten.mv.default)
def mv(a, vector):
    return ops.matmul(a, vector.unsqueeze(1)).squeeze(1)


@route(aten.addmv.default)
def addmv(bias, a, vector, *, beta=1, alpha=1):
    return ops.addmm(bias.unsqueeze(-1), a, vector.unsqueeze(1), beta, alpha).squeeze(1)


@route(aten.dot.default, aten.vdot.default)
def dot(a, b):
    return ops.matmul(a.unsqueeze(0), b.unsqueeze(1)).view(())
