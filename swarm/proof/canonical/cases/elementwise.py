"""Element-by-element operators: every kind of word, layouts that no fast path takes, broadcasting, nothing, one number."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from swarm.proof.canonical.cases import SIGN, SPECIAL, Case, Draw

Inputs = Callable[[Draw], list[np.ndarray]]

ONE = ("neg", "abs", "sign", "sqrt", "reciprocal", "rsqrt", "exp", "log", "sin", "cos", "tanh", "erf", "sigmoid", "silu", "gelu", "gelu_tanh")
TWO = ("sub", "mul", "div", "maximum", "minimum", "tanh_backward", "sigmoid_backward", "silu_backward", "gelu_backward", "gelu_tanh_backward")
NUMBERS = (0.0, -1.5, 0.1, 3e38, 1e-40, float("inf"))
EDGES = {  # where an operator changes its way, and a few words around
    "exp": (-104.0, -103.97208, -87.33655, 0.0, 88.72284, 89.0),
    "log": (2.0**-126, 2 / 3, 1.0, 4 / 3),
    "sin": (2.0**20, 2.0**21, 2.0**127, 0.7853982, 3.1415927),
    "cos": (2.0**20, 2.0**21, 2.0**127, 0.7853982, 1.5707964),
    "tanh": (0.625, 9.0, 10.0),
    "erf": (0.9375, 3.9, 4.0),
    "sigmoid": (-88.72284, -16.6, 17.3),
}


def _wild(count: int) -> Inputs:
    return lambda draw: [draw.wild(5, 211) for _ in range(count)]


def _usual(count: int) -> Inputs:
    return lambda draw: [draw.normal(7, 33, scale=2.0**i) for i in range(count)]


def _around(values: tuple[float, ...]) -> Inputs:
    """32 words to each side of some numbers, of either sign."""
    near = np.arange(-32, 33).astype(np.int32) + np.array(values, np.float32).view(np.int32)[:, None]
    return lambda draw: [np.stack([near, near ^ np.int32(-(2**31))]).view(np.float32)]


def _pairs(draw: Draw) -> list[np.ndarray]:
    """Every special word beside every other."""
    signed = np.concatenate([SPECIAL, SPECIAL | np.uint32(SIGN)]).view(np.float32)
    return [signed[:, None], signed]


def _shown(array: np.ndarray, strides: tuple[int, int]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(array, (4, 37), strides)


# a transposed and a cut operand, one that repeats, short rows, nothing, one number
LAYOUTS: dict[str, Callable[[Draw, int], list[np.ndarray]]] = {
    "strided": lambda draw, n: [draw.normal(3, 17, 6, 4)[:, :, ::2].transpose(0, 2, 1, 3), draw.normal(3, 17, 4)[:, None], draw.normal(17, 1)][:n],
    "broadcast": lambda draw, n: [draw.normal(2, 9, 50), draw.normal(9, 1), draw.normal(50)][:n],
    "repeated": lambda draw, n: [_shown(draw.normal(1), (0, 0)), draw.normal(4, 37), _shown(draw.normal(37), (0, 4))][:n],
    "empty": lambda draw, n: [draw.normal(3, 0), draw.normal(1, 0), draw.normal(3, 1)][:n],
    "scalar": lambda draw, n: [draw.normal(1).reshape(()) for _ in range(n)],
}


def _layouts(operator: str, count: int, **attributes: float) -> list[Case]:
    return [Case(f"{operator}/{kind}", operator, lambda draw, make=make: make(draw, count), attributes) for kind, make in LAYOUTS.items()]


def _both(operator: str, count: int, name: str = "", **attributes: float | None) -> list[Case]:
    title = f"{operator}/{name}" if name else operator
    return [Case(f"{title}/wild", operator, _wild(count), attributes), Case(f"{title}/usual", operator, _usual(count), attributes)]


CASES = [
    *itertools.chain.from_iterable(_both(operator, 1) for operator in ONE),
    *itertools.chain.from_iterable(_both(operator, 2) for operator in TWO),
    *(Case(f"{operator}/pairs", operator, _pairs) for operator in (*TWO, "add")),
    *(Case(f"{operator}/edges", operator, _around(values)) for operator, values in EDGES.items()),
    *(Case(f"{operator}/far", operator, lambda draw: [draw.normal(64, 17, scale=2.0**40)]) for operator in ("sin", "cos")),
    *itertools.chain.from_iterable(
        _both(operator, 1, f"{value}", value=value) for operator in ("add_scalar", "rsub", "mul_scalar", "div_scalar") for value in NUMBERS
    ),
    *itertools.chain.from_iterable(_both("pow", 1, f"{exponent}", exponent=exponent) for exponent in (-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4)),
    *itertools.chain.from_iterable(_both("add", 2, f"{alpha}", alpha=alpha) for alpha in (1.0, -1.0, 0.3)),
    *_both("affine", 1, scale=-0.7, value=1.1),
    *_both("clamp", 1, lower=-0.5, upper=0.5),
    *_both("clamp", 1, "lower", lower=0.0, upper=None),
    *_both("clamp", 1, "upper", lower=None, upper=-0.0),
    *_both("lerp", 2, value=0.1),
    *_both("threshold_backward", 2, value=0.0),
    *_both("lerp_tensor", 3),
    *_both("addcmul", 3, value=-0.001),
    *_both("addcdiv", 3, value=-0.001),
    *_layouts("exp", 1),
    *_layouts("mul", 2),
    *_layouts("add", 2, alpha=0.3),
    *_layouts("addcmul", 3, value=0.3),
]
