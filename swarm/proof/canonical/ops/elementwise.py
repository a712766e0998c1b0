"""Element-by-element operators (kernels/elementwise.c, functions.c): tensors of any strides, which broadcast. `out` may be one of the inputs.

Most differ only in how many tensors and numbers they take, so they are made by kind; what each does is in definition/elementwise.py and
definition/math.py, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from swarm.proof.canonical.native import Kernel
from swarm.proof.canonical.ops import Unsupported, operator
from swarm.proof.canonical.ops.operand import ready1, ready2, ready3

Operator = Callable[..., torch.Tensor]
EXPONENTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
OUT = "*, Tensor(a!)? out=None) -> Tensor"


def _unary(name: str) -> Operator:
    kernel = Kernel(f"canonical_{name}", "wpp")

    def run(a: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        walk, out, a = ready1(name, a, out)
        kernel.call(walk.at, out.data_ptr(), a.data_ptr())
        return out

    return operator(f"{name}(Tensor a, {OUT}")(run)


def _unary_with_number(name: str) -> Operator:
    kernel = Kernel(f"canonical_{name}", "wppf")

    def run(a: torch.Tensor, value: float, out: torch.Tensor | None = None) -> torch.Tensor:
        walk, out, a = ready1(name, a, out)
        kernel.call(walk.at, out.data_ptr(), a.data_ptr(), value)
        return out

    return operator(f"{name}(Tensor a, float value, {OUT}")(run)


def _binary(name: str) -> Operator:
    kernel = Kernel(f"canonical_{name}", "wppp")

    def run(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        walk, out, a, b = ready2(name, a, b, out)
        kernel.call(walk.at, out.data_ptr(), a.data_ptr(), b.data_ptr())
        return out

    return operator(f"{name}(Tensor a, Tensor b, {OUT}")(run)


def _binary_with_number(name: str) -> Operator:
    kernel = Kernel(f"canonical_{name}", "wpppf")

    def run(a: torch.Tensor, b: torch.Tensor, value: float, out: torch.Tensor | None = None) -> torch.Tensor:
        walk, out, a, b = ready2(name, a, b, out)
        kernel.call(walk.at, out.data_ptr(), a.data_ptr(), b.data_ptr(), value)
        return out

    return operator(f"{name}(Tensor a, Tensor b, float value, {OUT}")(run)


def _ternary_with_number(name: str) -> Operator:
    kernel = Kernel(f"canonical_{name}", "wppppf")

    def run(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, value: float = 1.0, out: torch.Tensor | None = None) -> torch.Tensor:
        walk, out, a, b, c = ready3(name, a, b, c, out)
        kernel.call(walk.at, out.data_ptr(), a.data_ptr(), b.data_ptr(), c.data_ptr(), value)
        return out

    return operator(f"{name}(Tensor a, Tensor b, Tensor c, float value=1.0, {OUT}")(run)


neg, absolute, sign, sqrt, reciprocal, rsqrt = map(_unary, ("neg", "abs", "sign", "sqrt", "reciprocal", "rsqrt"))
exp, log, sin, cos, tanh, erf = map(_unary, ("exp", "log", "sin", "cos", "tanh", "erf"))
sigmoid, silu, gelu, gelu_tanh = map(_unary, ("sigmoid", "silu", "gelu", "gelu_tanh"))
add_scalar, rsub, mul_scalar, div_scalar = map(_unary_with_number, ("add_scalar", "rsub", "mul_scalar", "div_scalar"))
sub, mul, div, maximum, minimum = map(_binary, ("sub", "mul", "div", "maximum", "minimum"))
tanh_backward, sigmoid_backward, silu_backward = map(_binary, ("tanh_backward", "sigmoid_backward", "silu_backward"))  # gradient first
gelu_backward, gelu_tanh_backward = map(_binary, ("gelu_backward", "gelu_tanh_backward"))
lerp, threshold_backward = map(_binary_with_number, ("lerp", "threshold_backward"))
addcmul, addcdiv = map(_ternary_with_number, ("addcmul", "addcdiv"))

_add = Kernel("canonical_add", "wpppf")
_lerp_tensor = Kernel("canonical_lerp_tensor", "wpppp")
_affine = Kernel("canonical_affine", "wppff")
_clamp = Kernel("canonical_clamp", "wppffi")
_pow = Kernel("canonical_pow", "wppi")


@operator(f"add(Tensor a, Tensor b, float alpha=1.0, {OUT}")
def add(a: torch.Tensor, b: torch.Tensor, alpha: float = 1.0, out: torch.Tensor | None = None) -> torch.Tensor:
    """a + alpha * b"""
    walk, out, a, b = ready2("add", a, b, out)
    _add.call(walk.at, out.data_ptr(), a.data_ptr(), b.data_ptr(), alpha)
    return out


@operator(f"lerp_tensor(Tensor a, Tensor b, Tensor c, {OUT}")
def lerp_tensor(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """a + c * (b - a)"""
    walk, out, a, b, c = ready3("lerp_tensor", a, b, c, out)
    _lerp_tensor.call(walk.at, out.data_ptr(), a.data_ptr(), b.data_ptr(), c.data_ptr())
    return out


@operator(f"affine(Tensor a, float scale, float value, {OUT}")
def affine(a: torch.Tensor, scale: float, value: float, out: torch.Tensor | None = None) -> torch.Tensor:
    """scale * a + value"""
    walk, out, a = ready1("affine", a, out)
    _affine.call(walk.at, out.data_ptr(), a.data_ptr(), scale, value)
    return out


@operator(f"clamp(Tensor a, float? lower=None, float? upper=None, {OUT}")
def clamp(a: torch.Tensor, lower: float | None = None, upper: float | None = None, out: torch.Tensor | None = None) -> torch.Tensor:
    """At least one bound is given."""
    given = (lower is not None) + 2 * (upper is not None)
    if not given:
        raise Unsupported("clamp", "without a bound")
    walk, out, a = ready1("clamp", a, out)
    _clamp.call(walk.at, out.data_ptr(), a.data_ptr(), 0.0 if lower is None else lower, 0.0 if upper is None else upper, given)
    return out


@operator(f"pow(Tensor a, float exponent, {OUT}")
def power(a: torch.Tensor, exponent: float, out: torch.Tensor | None = None) -> torch.Tensor:
    """a to one of EXPONENTS."""
    if exponent not in EXPONENTS:
        raise Unsupported("pow", f"has no canonical form for the exponent {exponent}; it has for {', '.join(map(str, EXPONENTS))}")
    walk, out, a = ready1("pow", a, out)
    _pow.call(walk.at, out.data_ptr(), a.data_ptr(), int(2 * exponent))
    return out
