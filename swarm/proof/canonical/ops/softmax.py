"""Softmax and its kin along one axis (kernels/softmax.c)."""

from __future__ import annotations

from typing import Any

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import check, operator, require_shape
from swarm.proof.canonical.ops.range import range_of, rows_last

_softmax = Kernel("canonical_softmax", "ppnni")
_log_softmax = Kernel("canonical_log_softmax", "ppnn")
_logsumexp = Kernel("canonical_logsumexp", "ppnn")
_softmax_backward = Kernel("canonical_softmax_backward", "pppnn")
_log_softmax_backward = Kernel("canonical_log_softmax_backward", "pppnn")


def _along(kernel: Kernel, dim: int, tensors: tuple[torch.Tensor, ...], *more: Any) -> torch.Tensor:
    """`kernel` on rows along `dim`."""
    last = tensors[0].dim() - 1
    moves = last >= 0 and dim % (last + 1) != last
    rows = [each.movedim(dim, -1).contiguous() if moves else each.contiguous() for each in tensors]
    out = torch.empty_like(rows[0])
    n = out.shape[-1] if last >= 0 else 1
    kernel.call(out.data_ptr(), *(each.data_ptr() for each in rows), out.numel() // max(1, n), n, *more)
    return out.movedim(-1, dim).contiguous() if moves else out


@operator("softmax(Tensor x, int dim) -> Tensor")
def softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    check("softmax", x)
    return _along(_softmax, dim, (x,), 0)


@operator("safe_softmax(Tensor x, int dim) -> Tensor")
def safe_softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Zeros in rows of nothing but -inf."""
    check("safe_softmax", x)
    return _along(_softmax, dim, (x,), 1)


@operator("log_softmax(Tensor x, int dim) -> Tensor")
def log_softmax(x: torch.Tensor, dim: int) -> torch.Tensor:
    check("log_softmax", x)
    return _along(_log_softmax, dim, (x,))


@operator("logsumexp(Tensor x, int[] dims, bool keepdim=False) -> Tensor")
def logsumexp(x: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    check("logsumexp", x)
    way, rows = range_of(x, dims), rows_last(x, dims)
    out = way.empty(keepdim)
    _logsumexp.call(out.data_ptr(), rows.data_ptr(), out.numel(), way.n)
    return out


@operator("softmax_backward(Tensor grad, Tensor y, int dim) -> Tensor")
def softmax_backward(grad: torch.Tensor, y: torch.Tensor, dim: int) -> torch.Tensor:
    check("softmax_backward", grad, y)
    require_shape("softmax_backward", grad, *y.shape)
    return _along(_softmax_backward, dim, (grad, y))


@operator("log_softmax_backward(Tensor grad, Tensor y, int dim) -> Tensor")
def log_softmax_backward(grad: torch.Tensor, y: torch.Tensor, dim: int) -> torch.Tensor:
    check("log_softmax_backward", grad, y)
    require_shape("log_softmax_backward", grad, *y.shape)
    return _along(_log_softmax_backward, dim, (grad, y))
