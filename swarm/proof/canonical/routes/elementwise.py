"""Element-by-element ATen operators: functional, in place and with `out`, on tensors, numbers and lists of tensors.

Types are promoted as PyTorch promotes them where the result is float32: integers, truth values and numbers of Python become the nearest
float32. Any other type is refused by the operator, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from swarm.proof.canonical.ops import Unsupported, elementwise, moved
from swarm.proof.canonical.ops.elementwise import Operator
from swarm.proof.canonical.routes import route

aten = torch.ops.aten
Value = torch.Tensor | float


def _float(value: Value) -> Value:
    """A float, or a tensor that the operators take as it is or refuse."""
    if not isinstance(value, torch.Tensor):
        return float(value)
    if value.dtype is torch.float32 or value.is_floating_point() or value.is_complex():
        return value
    return moved(aten._to_copy.default, (value,), {"dtype": torch.float32}, value.to(torch.float32))


def _tensor(value: Value) -> torch.Tensor:
    """A number as a tensor without axes."""
    found = _float(value)
    if isinstance(found, torch.Tensor):
        return found
    return moved(aten.scalar_tensor.default, (found,), {"dtype": torch.float32}, torch.scalar_tensor(found, dtype=torch.float32))


# ---- one tensor


def _unary(packet: Any, operator: Operator) -> None:
    def plain(a: torch.Tensor) -> torch.Tensor:
        return operator(_tensor(a))

    def inplace(a: torch.Tensor) -> torch.Tensor:
        return operator(a, out=a)

    def into(a: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        return operator(_tensor(a), out=out)

    route(packet.default)(plain)
    route(packet.out)(into)
    if hasattr(aten, f"{packet.__name__}_"):
        route(getattr(aten, f"{packet.__name__}_").default)(inplace)


for _packet, _operator in (
    (aten.neg, elementwise.neg),
    (aten.abs, elementwise.absolute),
    (aten.sign, elementwise.sign),
    (aten.sgn, elementwise.sign),
    (aten.sqrt, elementwise.sqrt),
    (aten.reciprocal, elementwise.reciprocal),
    (aten.rsqrt, elementwise.rsqrt),
    (aten.exp, elementwise.exp),
    (aten.log, elementwise.log),
    (aten.sin, elementwise.sin),
    (aten.cos, elementwise.cos),
    (aten.tanh, elementwise.tanh),
    (aten.erf, elementwise.erf),
    (aten.sigmoid, elementwise.sigmoid),
    (aten.silu, elementwise.silu),
):
    _unary(_packet, _operator)


@route(aten.relu.default)
def relu(a: torch.Tensor) -> torch.Tensor:
    return elementwise.clamp(a, 0.0)


@route(aten.gelu.default)
def gelu(a: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
    return elementwise.gelu_tanh(a) if approximate == "tanh" else elementwise.gelu(a)


@route(aten.gelu_backward.default)
def gelu_backward(g: torch.Tensor, a: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
    return elementwise.gelu_tanh_backward(g, a) if approximate == "tanh" else elementwise.gelu_backward(g, a)


@route(aten.threshold_backward.default)
def threshold_backward(g: torch.Tensor, a: torch.Tensor, threshold: float) -> torch.Tensor:
    return elementwise.threshold_backward(g, a, float(threshold))


route(aten.tanh_backward.default)(elementwise.tanh_backward)
route(aten.sigmoid_backward.default)(elementwise.sigmoid_backward)
route(aten.silu_backward.default)(elementwise.silu_backward)


# ---- arithmetic of two operands, either of which may be a number


def _add(a: Value, b: Value, alpha: float = 1, out: torch.Tensor | None = None) -> torch.Tensor:
    a, b = _float(a), _float(b)
    if not isinstance(b, torch.Tensor):
        return elementwise.add_scalar(_tensor(a), b * alpha, out)
    if isinstance(a, torch.Tensor):
        return elementwise.add(a, b, alpha, out)
    return elementwise.add_scalar(b, a, out) if alpha == 1 else elementwise.affine(b, alpha, a, out)


def _sub(a: Value, b: Value, alpha: float = 1, out: torch.Tensor | None = None) -> torch.Tensor:
    a, b = _float(a), _float(b)
    if not isinstance(b, torch.Tensor):
        return elementwise.add_scalar(_tensor(a), -b * alpha, out)
    if isinstance(a, torch.Tensor):
        return elementwise.sub(a, b, out) if alpha == 1 else elementwise.add(a, b, -alpha, out)
    return elementwise.rsub(b, a, out) if alpha == 1 else elementwise.affine(b, -alpha, a, out)


def _rsub(a: Value, b: Value, alpha: float = 1) -> torch.Tensor:
    return _sub(b, a, alpha)


def _mul(a: Value, b: Value, out: torch.Tensor | None = None) -> torch.Tensor:
    a, b = _float(a), _float(b)
    if not isinstance(b, torch.Tensor):
        return elementwise.mul_scalar(_tensor(a), b, out)
    return elementwise.mul(a, b, out) if isinstance(a, torch.Tensor) else elementwise.mul_scalar(b, a, out)


def _div(a: Value, b: Value, out: torch.Tensor | None = None) -> torch.Tensor:
    a, b = _float(a), _float(b)
    return elementwise.div(_tensor(a), b, out) if isinstance(b, torch.Tensor) else elementwise.div_scalar(_tensor(a), b, out)


def _maximum(a: Value, b: Value, out: torch.Tensor | None = None) -> torch.Tensor:
    return elementwise.maximum(_tensor(a), _tensor(b), out=out)


def _minimum(a: Value, b: Value, out: torch.Tensor | None = None) -> torch.Tensor:
    return elementwise.minimum(_tensor(a), _tensor(b), out=out)


def _inplace(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The same into its first operand, which a conversion would copy."""

    def run(a: torch.Tensor, *values: Any, **named: Any) -> torch.Tensor:
        if a.dtype is not torch.float32:
            raise Unsupported(f"{function.__name__.strip('_')}_", f"into {a.dtype} has no canonical form")
        return function(a, *values, out=a, **named)

    return run


route(aten.add.Tensor, aten.add.Scalar, aten.add.out)(_add)
route(aten.add_.Tensor, aten.add_.Scalar)(_inplace(_add))
route(aten.sub.Tensor, aten.sub.Scalar, aten.sub.out)(_sub)
route(aten.sub_.Tensor, aten.sub_.Scalar)(_inplace(_sub))
route(aten.rsub.Tensor, aten.rsub.Scalar)(_rsub)
route(aten.mul.Tensor, aten.mul.Scalar, aten.mul.out)(_mul)
route(aten.mul_.Tensor, aten.mul_.Scalar)(_inplace(_mul))
route(aten.div.Tensor, aten.div.Scalar, aten.div.out)(_div)
route(aten.div_.Tensor, aten.div_.Scalar)(_inplace(_div))
route(aten.maximum.default, aten.maximum.out)(_maximum)
route(aten.minimum.default, aten.minimum.out)(_minimum)


# ---- bounds and powers


def _clamp(a: Value, lower: Value | None = None, upper: Value | None = None, out: torch.Tensor | None = None) -> torch.Tensor:
    found, lower, upper = _tensor(a), *(bound if bound is None else _float(bound) for bound in (lower, upper))
    if not isinstance(lower, torch.Tensor) and not isinstance(upper, torch.Tensor):
        return elementwise.clamp(found, lower, upper, out=out)
    if lower is not None:
        found = _maximum(found, lower, out=out)
    return found if upper is None else _minimum(found, upper, out=out)


def _clamp_max(a: Value, upper: Value, out: torch.Tensor | None = None) -> torch.Tensor:
    return _clamp(a, None, upper, out)


def _pow(a: Value, exponent: float, out: torch.Tensor | None = None) -> torch.Tensor:
    return elementwise.power(_tensor(a), exponent, out)


route(aten.clamp.default, aten.clamp.Tensor, aten.clamp.out, aten.clamp_min.default, aten.clamp_min.Tensor)(_clamp)
route(aten.clamp_.default, aten.clamp_.Tensor, aten.clamp_min_.default, aten.clamp_min_.Tensor)(_inplace(_clamp))
route(aten.clamp_max.default, aten.clamp_max.Tensor)(_clamp_max)
route(aten.clamp_max_.default, aten.clamp_max_.Tensor)(_inplace(_clamp_max))
route(aten.pow.Tensor_Scalar, aten.pow.Tensor_Scalar_out)(_pow)
route(aten.pow_.Scalar)(_inplace(_pow))


# ---- three operands


def _lerp(a: torch.Tensor, b: torch.Tensor, weight: Value, out: torch.Tensor | None = None) -> torch.Tensor:
    weight = _float(weight)
    tensor = isinstance(weight, torch.Tensor)
    return elementwise.lerp_tensor(a, b, weight, out=out) if tensor else elementwise.lerp(a, b, weight, out=out)


def _addcmul(a: Value, b: Value, c: Value, *, value: float = 1, out: torch.Tensor | None = None) -> torch.Tensor:
    return elementwise.addcmul(_tensor(a), _tensor(b), _tensor(c), value, out=out)


def _addcdiv(a: Value, b: Value, c: Value, *, value: float = 1, out: torch.Tensor | None = None) -> torch.Tensor:
    return elementwise.addcdiv(_tensor(a), _tensor(b), _tensor(c), value, out=out)


route(aten.lerp.Scalar, aten.lerp.Tensor)(_lerp)
route(aten.lerp_.Scalar, aten.lerp_.Tensor)(_inplace(_lerp))
route(aten.addcmul.default, aten.addcmul.out)(_addcmul)
route(aten.addcmul_.default)(_inplace(_addcmul))
route(aten.addcdiv.default, aten.addcdiv.out)(_addcdiv)
route(aten.addcdiv_.default)(_inplace(_addcdiv))


# ---- lists of tensors, one after another


def _each(function: Callable[..., torch.Tensor], into: bool) -> Callable[..., Any]:
    """`function` of each tensor and the other operand: one for all (a number, a tensor without axes), or a list of as many."""

    def run(tensors: Sequence[torch.Tensor], other: Any, **named: Any) -> list[torch.Tensor] | None:
        others = other if isinstance(other, list | tuple) else [other] * len(tensors)
        found = [function(a, b, **named) for a, b in zip(tensors, others, strict=True)]
        return None if into else found

    return run


for _name, _function in (("add", _add), ("sub", _sub), ("mul", _mul), ("div", _div), ("maximum", _maximum), ("minimum", _minimum)):
    for _kind in ("Scalar", "List", "ScalarList", "Tensor"):
        if hasattr(getattr(aten, f"_foreach_{_name}"), _kind):
            route(getattr(getattr(aten, f"_foreach_{_name}"), _kind))(_each(_function, into=False))
            route(getattr(getattr(aten, f"_foreach_{_name}_"), _kind))(_each(_inplace(_function), into=True))
