"""Products of matrices: sizes around the tiles of every width, every way to lie, nothing to add up, more terms than a block holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from swarm.proof.canonical.cases import Case, Draw

Inputs = Callable[[Draw], list[np.ndarray]]

SIZES = ((1, 1, 1), (1, 7, 33), (3, 4, 16), (14, 33, 32), (15, 70, 65), (29, 40, 47), (65, 9, 1), (2, 0, 3), (0, 4, 5), (3, 5, 0), (2, 3000, 5))

LAYOUTS: dict[str, Inputs] = {
    "linear": lambda draw: [draw.normal(20, 48), draw.normal(50, 48).T],
    "backward": lambda draw: [draw.normal(48, 20).T, draw.normal(48, 50)],
    "turned": lambda draw: [draw.normal(48, 20).T, draw.normal(50, 48).T],
    "cut": lambda draw: [draw.normal(40, 60)[::2, ::3], draw.normal(60, 70).T[3:63:3, 7::5]],
    "repeated": lambda draw: [np.broadcast_to(draw.normal(1, 8), (30, 8)), np.broadcast_to(draw.normal(8, 1), (8, 70))],
    "page": lambda draw: [draw.normal(16, 1024), draw.normal(33, 1024).T],
    "batch": lambda draw: [draw.normal(3, 9, 30), draw.normal(3, 30, 20)],
    "heads": lambda draw: [draw.normal(9, 3, 30).transpose(1, 0, 2), draw.normal(3, 20, 30).transpose(0, 2, 1)],
    "broadcast": lambda draw: [draw.normal(1, 9, 30), draw.normal(4, 30, 20)],
    "tall": lambda draw: [draw.normal(4, 9, 30), draw.normal(1, 30, 20)],
}


def _sized(m: int, k: int, n: int) -> Inputs:
    return lambda draw: [draw.normal(m, k), draw.normal(k, n)]


def _biased(bias: tuple[int, ...], wild: bool = False) -> Inputs:
    return lambda draw: [(draw.wild if wild else draw.normal)(*bias), draw.normal(20, 40), draw.normal(37, 40).T]


CASES = [
    *(Case(f"matmul/{m}x{k}x{n}", "matmul", _sized(m, k, n)) for m, k, n in SIZES),
    *(Case(f"matmul/{name}", "matmul", make) for name, make in LAYOUTS.items()),
    Case("matmul/wild", "matmul", lambda draw: [draw.wild(23, 5), draw.wild(5, 41)]),
    Case("matmul/zeros", "matmul", lambda draw: [draw.wild(7, 3) * np.float32(-0.0), draw.positive(3, 9)]),
    *(Case(f"addmm/{beta}/{alpha}", "addmm", _biased((37,)), {"beta": beta, "alpha": alpha}) for beta in (1.0, -0.3) for alpha in (1.0, 0.7)),
    Case("addmm/column", "addmm", _biased((20, 1))),
    Case("addmm/wild", "addmm", _biased((20, 37), wild=True), {"beta": 0.5}),
    Case("addmm/unread", "addmm", _biased((20, 37), wild=True), {"beta": 0.0, "alpha": -2.0}),
    Case("addmm/batch", "addmm", lambda draw: [draw.normal(3, 1, 20), draw.normal(3, 5, 40), draw.normal(3, 40, 20)], {"beta": 0.1}),
]
