"""The loss that cross-entropy ends in (kernels/loss.c). `reduction` is torch's: 0 none, 1 mean, 2 sum."""

from __future__ import annotations

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import check, operator, require_shape

_loss = Kernel("canonical_nll_loss", "pppnnppnin")
_backward = Kernel("canonical_nll_loss_backward", "ppnpppnnin")


@operator("nll_loss(Tensor scores, Tensor target, Tensor? weight, int reduction, int ignore) -> (Tensor, Tensor)")
def nll_loss(
    scores: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, reduction: int, ignore: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """scores (N, classes), target (N) of integers: the loss, (N) without reduction, and the sum of the targets' weights."""
    check("nll_loss", *(each for each in (scores, weight) if each is not None))
    require_shape("nll_loss", scores, len(target), scores.shape[-1])
    n, (target, weight) = len(target), _classes("nll_loss", target, weight, scores.shape[1], ignore)
    loss, count = torch.empty(() if reduction else (n,)), torch.empty(())
    steps = scores.stride()
    _loss.call(loss.data_ptr(), count.data_ptr(), scores.data_ptr(), *steps, target.data_ptr(), _at(weight), n, reduction, ignore)
    return loss, count


@operator(
    "nll_loss_backward(Tensor grad, Tensor target, Tensor? weight, Tensor count, int classes, int reduction, int ignore) -> Tensor"
)
def nll_loss_backward(
    grad: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, count: torch.Tensor, classes: int, reduction: int, ignore: int
) -> torch.Tensor:
    """(N, classes): -grad at the target, +0 elsewhere."""
    check("nll_loss_backward", *(each for each in (grad, weight, count) if each is not None))
    n, (target, weight) = len(target), _classes("nll_loss_backward", target, weight, classes, ignore)
    require_shape("nll_loss_backward", grad, *(() if reduction else (n,)))
    require_shape("nll_loss_backward", count)
    out, step = torch.zeros(n, classes), grad.stride(0) if grad.dim() else 0
    _backward.call(
        out.data_ptr(), grad.data_ptr(), step, target.data_ptr(), _at(weight), count.data_ptr(), n, classes, reduction, ignore
    )
    return out


def _classes(name: str, target: torch.Tensor, weight: torch.Tensor | None, classes: int, ignore: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The target and the weights as the kernels take them. Raises IndexError, RuntimeError where they do not fit."""
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"{name}: a target of {target.dtype}, which torch takes as int64 or uint8 only")
    require_shape(name, target, target.numel())
    require_shape(name, weight, classes)
    target = target.to(torch.int64)
    if bool((((target < 0) | (target >= classes)) & (target != ignore)).any()):
        raise IndexError(f"{name}: a target outside 0 to {classes - 1}")
    return target.contiguous(), None if weight is None else weight.contiguous()


def _at(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
