"""Reductions, softmax and its kin, layer norm, sums into places, losses: lengths about lanes and blocks, layouts, every kind of word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from swarm.proof.canonical.cases import Case, Draw

REDUCTIONS = ("sum", "mean", "nansum", "norm", "logsumexp")
EXTREMES = ("amax", "amin", "argmax", "argmin")
ALONG = ("softmax", "safe_softmax", "log_softmax")
BACKWARD = ("softmax_backward", "log_softmax_backward")
LENGTHS = (1, 15, 16, 17, 100, 4096, 4097, 8200)
ATTRIBUTES: dict[str, dict[str, Any]] = {"var": {"correction": 1.0}, "std": {"correction": 0.0}}


def _of(*shape: int) -> Callable[[Draw], list[np.ndarray]]:
    return lambda draw: [draw.normal(*shape)]


def _rare(*shape: int) -> Callable[[Draw], list[np.ndarray]]:
    """A wild word here and there."""
    return lambda draw: [np.where(draw.integers(0, 40, *shape) == 0, draw.wild(*shape), draw.normal(*shape))]


def _two(*shape: int) -> Callable[[Draw], list[np.ndarray]]:
    return lambda draw: [draw.normal(*shape), draw.normal(*shape)]


def _turned(draw: Draw) -> list[np.ndarray]:
    return [draw.normal(6, 20, 9)[:, ::2].transpose(2, 0, 1)]


def _reductions() -> list[Case]:
    names = (*REDUCTIONS, *EXTREMES, *ATTRIBUTES)
    more = {name: ATTRIBUTES.get(name, {}) for name in names}
    lengths = [Case(f"{name}/{n}", name, _of(2, n), {"dims": [1], **more[name]}) for name in ("sum", "norm", "logsumexp", "std") for n in LENGTHS]
    columns = [Case(f"{name}/columns {n}", name, _of(n, 3), {"dims": [0], **more[name]}) for name in names for n in (17, 300)]
    long = [Case(f"{name}/columns 4100", name, _of(4100, 3), {"dims": [0]}) for name in ("sum", "norm")]
    rare = [Case(f"{name}/rare", name, _rare(60, 19), {"dims": [1], "keepdim": True, **more[name]}) for name in names]
    turned = [Case(f"{name}/turned", name, _turned, {"dims": [0, 2], **more[name]}) for name in names]
    nothing = [Case(f"{name}/nothing", name, _of(3, 0), {"dims": [1]}) for name in REDUCTIONS]
    return [*lengths, *columns, *long, *rare, *turned, *nothing]


def _softmax() -> list[Case]:
    lengths = [Case(f"{name}/{n}", name, _of(2, n), {"dim": 1}) for name in ALONG for n in LENGTHS]
    back = [Case(f"{name}/{n}", name, _two(2, n), {"dim": 1}) for name in BACKWARD for n in LENGTHS]
    rare = [Case(f"{name}/rare {dim}", name, _rare(40, 9), {"dim": dim}) for name in (*ALONG, "cumsum") for dim in (0, 1)]
    return [*lengths, *back, *rare, *(Case(f"{name}/turned", name, _turned, {"dim": 1}) for name in (*ALONG, "cumsum"))]


def _norms() -> list[Case]:
    def given(draw: Draw) -> list[np.ndarray]:
        return [draw.normal(5, 3, 70), draw.normal(70), draw.normal(70)]

    def back(rows: int) -> Callable[[Draw], list[np.ndarray]]:
        return lambda draw: [draw.normal(rows, 70), draw.normal(rows, 70), draw.normal(rows, 1), draw.positive(rows, 1), draw.normal(70)]

    bare = Case("layer_norm/bare", "layer_norm", lambda draw: [*_rare(7, 4, 5)(draw), None, None], {"width": 2, "eps": 1e-5})
    weighed = Case("layer_norm/weighed", "layer_norm", given, {"width": 1, "eps": 1e-12})
    return [bare, weighed, *(Case(f"layer_norm_backward/{n}", "layer_norm_backward", back(n), {"width": 1}) for n in (1, 40, 4097))]


def _indexed() -> list[Case]:
    def ids(draw: Draw) -> list[np.ndarray]:
        return [draw.normal(5, 4, 20), draw.integers(0, 9, 5, 4)]

    def places(draw: Draw) -> list[np.ndarray]:
        return [draw.normal(4, 5, 18), draw.integers(0, 5, 30), draw.normal(4, 30, 18)]

    def each(draw: Draw) -> list[np.ndarray]:
        return [draw.normal(4, 5, 6), draw.integers(0, 5, 4, 9, 5), draw.normal(4, 10, 6)]

    return [
        Case("embedding/wild", "embedding", lambda draw: [draw.wild(9, 5), draw.integers(0, 9, 4, 6)]),
        *(Case(f"embedding_backward/{n}", "embedding_backward", ids, {"entries": 9, "padding": n}) for n in (-1, 3)),
        Case("index_add/middle", "index_add", places, {"dim": 1}),
        Case("scatter_add/smaller", "scatter_add", each, {"dim": 1}),
    ]


def _losses() -> list[Case]:
    def given(weighed: bool) -> Callable[[Draw], list[Any]]:
        return lambda draw: [draw.normal(50, 7), draw.integers(0, 7, 50), draw.positive(7) if weighed else None]

    def back(reduction: int) -> Callable[[Draw], list[Any]]:
        return lambda draw: [
            draw.normal(1).reshape(()) if reduction else draw.normal(50), draw.integers(0, 7, 50), draw.positive(7), draw.positive(1).reshape(()),
        ]  # fmt: skip

    forward = [
        Case(f"nll_loss/{reduction} {weighed}", "nll_loss", given(weighed), {"reduction": reduction, "ignore": 3})
        for reduction in range(3)
        for weighed in (False, True)
    ]
    attributes = {"classes": 7, "ignore": 3}
    return [*forward, *(Case(f"nll_loss_backward/{n}", "nll_loss_backward", back(n), {"reduction": n, **attributes}) for n in range(3))]


CASES = [*_reductions(), *_softmax(), *_norms(), *_indexed(), *_losses()]
