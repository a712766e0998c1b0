"""Softmax and its kin."""

from __future__ import annotations

import torch

from swarm.proof.canonical.ops import Unsupported, softmax
from swarm.proof.canonical.routes import route
from swarm.proof.canonical.routes.rows import Axes, axes, axis_of

aten = torch.ops.aten


def _require_float32(name: str, dtype: torch.dtype | None) -> None:
    if dtype not in (None, torch.float32):
        raise Unsupported(name, f"in {dtype} has no canonical form")


@route(aten._softmax.default)
def softmax_(x: torch.Tensor, dim: int, half_to_float: bool) -> torch.Tensor:
    return softmax.softmax(x, axis_of(x, dim))


@route(aten._safe_softmax.default)
def safe_softmax(x: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    _require_float32("aten._safe_softmax", dtype)
    return softmax.safe_softmax(x, axis_of(x, dim))


@route(aten._log_softmax.default)
def log_softmax(x: torch.Tensor, dim: int, half_to_float: bool) -> torch.Tensor:
    return softmax.log_softmax(x, axis_of(x, dim))


@route(aten.logsumexp.default)
def logsumexp(x: torch.Tensor, dim: Axes, keepdim: bool = False) -> torch.Tensor:
    return softmax.logsumexp(x, axes(x, dim), keepdim)


@route(aten._softmax_backward_data.default)
def softmax_backward(grad: torch.Tensor, y: torch.Tensor, dim: int, input_dtype: torch.dtype) -> torch.Tensor:
    _require_float32("aten._softmax_backward_data", input_dtype)
    return softmax.softmax_backward(grad, y, axis_of(y, dim))


@route(aten._log_softmax_backward_data.default)
def log_softmax_backward(grad: torch.Tensor, y: torch.Tensor, dim: int, input_dtype: torch.dtype) -> torch.Tensor:
    _require_float32("aten._log_softmax_backward_data", input_dtype)
    return softmax.log_softmax_backward(grad, y, axis_of(y, dim))
