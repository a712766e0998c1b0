"""Layer norm. (RMS norm comes as a mean, a root and products.)"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from swarm.proof.canonical.ops import norm, require_shape
from swarm.proof.canonical.routes import route

aten = torch.ops.aten
Maybe = torch.Tensor | None


@route(aten.native_layer_norm.default)
def layer_norm(x: torch.Tensor, shape: Sequence[int], weight: Maybe, bias: Maybe, eps: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    require_shape("aten.native_layer_norm", x, *x.shape[: x.dim() - len(shape)], *shape)
    return norm.layer_norm(x, weight, bias, len(shape), eps)


@route(aten.native_layer_norm_backward.default)
def layer_norm_backward(
    grad: torch.Tensor, x: torch.Tensor, shape: Sequence[int], mean: torch.Tensor, rstd: torch.Tensor, weight: Maybe, bias: Maybe,
    output_mask: Sequence[bool],
) -> tuple[Maybe, Maybe, Maybe]:  # fmt: skip
    found = norm.layer_norm_backward(grad, x, mean, rstd, weight, len(shape))
    return tuple(gradient if wanted else None for gradient, wanted in zip(found, output_mask, strict=True))
