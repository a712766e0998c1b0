"""Layer norm over the last `width` axes (kernels/norm.c)."""

from __future__ import annotations

import math

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import check, operator, require_shape
from swarm.proof.canonical.ops.range import range_of
from swarm.proof.canonical.ops.rows import SUM

_forward = Kernel("canonical_layer_norm", "ppppppnnf")
_input = Kernel("canonical_layer_norm_input", "ppppppnn")
_weight = Kernel("canonical_layer_norm_weight", "pppppnn")
_reduce = Kernel("canonical_reduce", "ippw")


@operator("layer_norm(Tensor x, Tensor? weight, Tensor? bias, int width, float eps) -> (Tensor, Tensor, Tensor)")
def layer_norm(
    x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, width: int, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The result, and each row's mean and 1 / deviation."""
    check("layer_norm", *(each for each in (x, weight, bias) if each is not None))
    for each in (weight, bias):
        require_shape("layer_norm", each, *_normalized("layer_norm", x, width))
    x, w, b = x.contiguous(), _flat(weight), _flat(bias)
    out, kept = torch.empty_like(x), (*x.shape[:-width], *(1,) * width)
    mean, scale = torch.empty(kept), torch.empty(kept)
    _forward.call(*map(_at, (out, mean, scale, x, w, b)), mean.numel(), math.prod(x.shape[-width:]), eps)
    return out, mean, scale


@operator(
    "layer_norm_backward(Tensor grad, Tensor x, Tensor mean, Tensor rstd, Tensor? weight, int width) -> (Tensor, Tensor, Tensor)"
)
def layer_norm_backward(
    grad: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, rstd: torch.Tensor, weight: torch.Tensor | None, width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of x, weight and bias."""
    check("layer_norm_backward", *(each for each in (grad, x, mean, rstd, weight) if each is not None))
    require_shape("layer_norm_backward", weight, *_normalized("layer_norm_backward", x, width))
    require_shape("layer_norm_backward", grad, *x.shape)
    for each in (mean, rstd):
        require_shape("layer_norm_backward", each, *x.shape[:-width], *(1,) * width)
    grad, x, mean, rstd, w = grad.contiguous(), x.contiguous(), mean.contiguous(), rstd.contiguous(), _flat(weight)
    dx, dweight, dbias = torch.empty_like(x), torch.empty(x.shape[-width:]), torch.empty(x.shape[-width:])
    rows, n = mean.numel(), math.prod(x.shape[-width:])
    _input.call(*map(_at, (dx, grad, x, mean, rstd, w)), rows, n)
    _weight.call(*map(_at, (dweight, grad, x, mean, rstd)), rows, n)
    _reduce.call(SUM, dbias.data_ptr(), grad.data_ptr(), range_of(grad, range(grad.dim() - width)).at)
    return dx, dweight, dbias


def _normalized(name: str, x: torch.Tensor, width: int) -> torch.Size:
    if not 1 <= width <= x.dim():
        raise RuntimeError(f"{name}: over {width} of {x.dim()} axes")
    return x.shape[-width:]


def _flat(weight: torch.Tensor | None) -> torch.Tensor | None:
    return None if weight is None else weight.contiguous()


def _at(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
