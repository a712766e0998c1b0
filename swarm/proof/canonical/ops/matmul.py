"""Products of matrices (kernels/matmul.c): a (..., M, K) with b (..., K, N), at most one leading axis, which broadcasts."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import check, operator

FIELDS = ("batch", "rows", "columns", "depth", "a_batch", "a_row", "a_k", "b_batch", "b_k", "b_column", "c_batch", "c_row")
BIAS = ("bias_batch", "bias_row", "bias_column")
MOST_KEPT = 8192

_matmul = Kernel("canonical_matmul", "wppp")
_addmm = Kernel("canonical_addmm", "wppppff")


class _Struct(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in FIELDS + BIAS]


class Shapes:
    """Sizes and strides of one kind of call, as the C struct `shape`. `turned`: the kernel is given b's transpose and a's, for an output whose
    rows are not consecutive but whose columns are, or that has one column."""

    __slots__ = ("_struct", "at", "shape", "turned")

    def __init__(self, a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor | None):
        self.shape = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + (a.shape[-2], b.shape[-1])
        if a.shape[-1] != b.shape[-2] or len(self.shape) > 3:
            raise RuntimeError(f"shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be multiplied")
        if out is not None and out.shape != self.shape:
            raise RuntimeError(f"an output of shape {tuple(out.shape)} for a product of shape {tuple(self.shape)}")
        batch = self.shape[0] if len(self.shape) == 3 else 1
        like = torch.empty(self.shape, device="meta") if out is None else out
        steps = {"a": _steps(a, batch), "b": _steps(b, batch), "c": _steps(like, batch)}
        steps["bias"] = (0, 0, 0) if bias is None else _steps(bias.expand(self.shape), batch)
        rows, depth, columns = a.shape[-2], a.shape[-1], b.shape[-1]
        self.turned = columns > 1 and steps["c"][2] != 1 or (columns == 1 and rows > 1 and steps["c"][1] == 1)
        if self.turned:
            rows, columns = columns, rows
            steps = {key: (batch, column, row) for key, (batch, row, column) in steps.items()}
            steps["a"], steps["b"] = steps["b"], steps["a"]
        if bias is None and steps["b"][0] == 0 and steps["a"][0] == rows * steps["a"][1] and steps["c"][0] == rows * steps["c"][1]:
            batch, rows = 1, rows * batch  # one tall product
        self._struct = _Struct(batch, rows, columns, depth, *steps["a"], *steps["b"], *steps["c"][:2], *steps["bias"])
        self.at = ctypes.addressof(self._struct)


def _steps(tensor: torch.Tensor, batch: int) -> tuple[int, int, int]:
    """Strides of batch, row, column."""
    leading = tensor.stride(0) if tensor.dim() == 3 and tensor.shape[0] == batch else 0
    return leading, tensor.stride(-2), tensor.stride(-1)


_kept: dict[Any, Shapes] = {}


def _shapes(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None, out: torch.Tensor | None) -> Shapes:
    key = (a.shape, a.stride(), b.shape, b.stride(), None if bias is None else (bias.shape, bias.stride()), None if out is None else out.stride())
    found = _kept.get(key)
    if found is None or out is not None and out.shape != found.shape:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        found = _kept[key] = Shapes(a, b, bias, out)
    return found


def _reachable(out: torch.Tensor | None, *inputs: torch.Tensor) -> bool:
    """Whether the kernel can write into `out`: consecutive along rows or columns, every element once, and apart from the inputs."""
    if out is None or out.numel() == 0:
        return True
    memory = out.untyped_storage().data_ptr()
    dense = out.stride(-1) == 1 or out.stride(-2) == 1 or out.shape[-1] == 1
    return dense and not any(each.untyped_storage().data_ptr() == memory for each in inputs)


@operator("matmul(Tensor a, Tensor b, *, Tensor(a!)? out=None) -> Tensor")
def matmul(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """a @ b"""
    check("matmul", a, b)
    if not _reachable(out, a, b):
        return out.copy_(_product(a, b, None))
    return _product(a, b, out)


def _product(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    shapes = _shapes(a, b, None, out)
    out = torch.empty(shapes.shape) if out is None else out
    one, other = (b, a) if shapes.turned else (a, b)
    _matmul.call(shapes.at, one.data_ptr(), other.data_ptr(), out.data_ptr())
    return out


@operator("addmm(Tensor bias, Tensor a, Tensor b, float beta=1.0, float alpha=1.0, *, Tensor(a!)? out=None) -> Tensor")
def addmm(
    bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, beta: float = 1.0, alpha: float = 1.0, out: torch.Tensor | None = None
) -> torch.Tensor:
    """beta * bias + alpha * (a @ b); `bias` broadcasts, and is not read where beta is 0. `out` may be the bias."""
    check("addmm", bias, a, b)
    if not _reachable(out, bias, a, b):
        return out.copy_(_sum(bias, a, b, beta, alpha, None))
    return _sum(bias, a, b, beta, alpha, out)


def _sum(bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, beta: float, alpha: float, out: torch.Tensor | None) -> torch.Tensor:
    shapes = _shapes(a, b, bias, out)
    out = torch.empty(shapes.shape) if out is None else out
    one, other = (b, a) if shapes.turned else (a, b)
    _addmm.call(shapes.at, one.data_ptr(), other.data_ptr(), out.data_ptr(), bias.data_ptr(), alpha, beta)
    return out
