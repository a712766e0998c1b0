"""The frequent operators among those that stay stock, and the cheapest ways to them: on a small model, what calling an operator costs is a good
part of the whole.

`FREE` are views, new memory and `cat`: the dispatcher passes them by, at no cost. `DIRECT` are PyTorch's own bindings of others, which cost a
third of what calling an operator by its overload does; each takes the arguments of its overload and gives what that gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

FREE: frozenset[Any] = frozenset(
    {
        aten._unsafe_view.default,
        aten.alias.default,
        aten.cat.default,
        aten.as_strided.default,
        aten.detach.default,
        aten.empty.memory_format,
        aten.empty_strided.default,
        aten.expand.default,
        aten.lift_fresh.default,
        aten.permute.default,
        aten.select.int,
        aten.slice.Tensor,
        aten.split.Tensor,
        aten.squeeze.default,
        aten.squeeze.dim,
        aten.t.default,
        aten.transpose.int,
        aten.unsqueeze.default,
        aten.view.default,
    }
)
DIRECT: dict[Any, Callable[..., Any]] = {
    aten._local_scalar_dense.default: Tensor.item,
    aten.clone.default: Tensor.clone,
    aten.copy_.default: Tensor.copy_,
    aten.eq.Scalar: Tensor.eq,
    aten.eq.Tensor: Tensor.eq,
    aten.gather.default: Tensor.gather,
    aten.ge.Scalar: Tensor.ge,
    aten.le.Tensor: Tensor.le,
    aten.masked_fill.Scalar: Tensor.masked_fill,
    aten.ne.Scalar: Tensor.ne,
    aten.where.self: torch.where,
}
