"""Attention: sizes about blocks and vectors, masks, queries without a key, one query alone, layouts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from swarm.proof.canonical.cases import Case, Draw

Inputs = Callable[[Draw], list[np.ndarray | None]]
SIZES = ((1, 1, 4), (1, 77, 16), (3, 5, 7), (9, 66, 12), (65, 70, 20), (130, 130, 8))  # queries, keys, words


def _mask(draw: Draw, *shape: int) -> np.ndarray:
    """A bias, -inf here and there and in all of the first row."""
    mask = np.where(draw.integers(0, 3, *shape) == 0, np.float32(-np.inf), draw.normal(*shape))
    mask[..., 0, :] = -np.inf
    return mask


def _forward(queries: int, keys: int, size: int, masked: bool) -> Inputs:
    return lambda draw: [
        draw.normal(2, queries, 2, size).transpose(0, 2, 1, 3), draw.normal(2, 2, keys, size), draw.normal(2, 2, keys, size),
        _mask(draw, 2, 1, queries, keys) if masked else None,
    ]  # fmt: skip


def _backward(queries: int, keys: int, size: int, masked: bool) -> Inputs:
    return lambda draw: [
        draw.normal(2, 2, queries, size), *_forward(queries, keys, size, masked)(draw)[:3], draw.normal(2, 2, queries, size),
        draw.normal(2, 2, queries) + np.float32(3), _mask(draw, queries, keys) if masked else None,
    ]  # fmt: skip


def _strange(draw: Draw) -> list[np.ndarray | None]:
    """Values that are no numbers where no query may look, scores that overflow."""
    query, key, value, _ = _forward(70, 70, 4, False)(draw)
    value[:, 0, 60:], key[:, 1, 3] = np.inf, 3e38
    return [query, key, value, None]


def _grouped(draw: Draw) -> list[np.ndarray | None]:
    query, key, value, mask = _forward(20, 30, 8, True)(draw)
    return [query, key[:, :1], value[:, :1], mask]


CASES = [
    *(Case(f"attention/{q} {k} {n}", "attention", _forward(q, k, n, False), {"causal": q > 1, "scale": 0.35}) for q, k, n in SIZES),
    *(Case(f"attention/masked {q} {k} {n}", "attention", _forward(q, k, n, True), {"causal": False, "scale": 0.35}) for q, k, n in SIZES),
    *(
        Case(f"attention_backward/{q} {k} {n}", "attention_backward", _backward(q, k, n, False), {"causal": q > 1, "scale": 0.35})
        for q, k, n in SIZES
    ),
    *(
        Case(f"attention_backward/masked {q} {k} {n}", "attention_backward", _backward(q, k, n, True), {"causal": True, "scale": 0.35})
        for q, k, n in SIZES
    ),
    Case("attention/strange", "attention", _strange, {"causal": True, "scale": 1.0}),
    Case("attention/grouped", "attention", _grouped, {"causal": False, "scale": 0.35}),
    Case("attention/no keys", "attention", _forward(5, 0, 4, False), {"causal": False, "scale": 1.0}),
]
