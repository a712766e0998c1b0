"""What cross-entropy ends in."""

from __future__ import annotations

from typing import Any

import torch

from swarm.proof.canonical.ops import loss, moved
from swarm.proof.canonical.routes import route

aten = torch.ops.aten


def _view(x: torch.Tensor, *shape: int) -> torch.Tensor:
    return moved(aten.view.default, (x, shape), {}, x.view(shape))


@route(aten.nll_loss_forward.default)
def nll_loss(x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, reduction: int, ignore_index: int) -> Any:
    if x.dim() == 2:
        return loss.nll_loss(x, target, weight, reduction, ignore_index)
    found, count = loss.nll_loss(_view(x, 1, *x.shape), target.reshape(1), weight, reduction, ignore_index)
    return found if reduction else _view(found), count


@route(aten.nll_loss_backward.default)
def nll_loss_backward(
    grad: torch.Tensor, x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, reduction: int, ignore_index: int, total: torch.Tensor
) -> torch.Tensor:
    found = loss.nll_loss_backward(grad, target.reshape(-1), weight, total, x.shape[-1], reduction, ignore_index)
    return found if x.dim() == 2 else _view(found, *x.shape)
