"""The frequent operators among those that stay stock, and the cheapest ways to them: on a small model, what calling an operator costs is a good
part of the whole.

The dispatcher passes those of `FREE` by, at no cost: views, new memory, and others whose kernels call no operator that is not in it. `DIRECT` are
PyTorch's own bindings of others, which cost a third of what calling an operator by its overload does; each takes the arguments of its overload
and gives what that gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from swarm.proof.canonical.routes.exact import overloads

aten = torch.ops.aten

FREE: frozenset[Any] = frozenset(
    overloads(
        """_unsafe_view alias as_strided detach expand permute select.int slice.Tensor split.Tensor squeeze squeeze.dim t transpose.int unsqueeze view
        empty.memory_format empty_like empty_strided new_empty zeros zeros_like ones ones_like full full_like scalar_tensor fill_.Scalar zero_
        cat stack index_select where.self lift_fresh _local_scalar_dense all all.dim any isnan
        eq.Tensor ne.Tensor lt.Tensor le.Tensor gt.Tensor ge.Tensor
        bitwise_and.Tensor bitwise_or.Tensor bitwise_not bitwise_and_.Tensor bitwise_or_.Tensor"""
    )
)
DIRECT: dict[Any, Callable[..., Any]] = {
    aten.clone.default: Tensor.clone,
    aten.copy_.default: Tensor.copy_,
    aten.eq.Scalar: Tensor.eq,
    aten.gather.default: Tensor.gather,
    aten.ge.Scalar: Tensor.ge,
    aten.masked_fill.Scalar: Tensor.masked_fill,
    aten.ne.Scalar: Tensor.ne,
}
