"""Canonical numerics: float32 results that are the same bits on every machine (docs/canonical.md).

    with numerics(recipe): ...      compute as the recipe's profile wants: canonically, or as PyTorch does
    with canonical(): ...           the dispatch mode itself (mode.py)

`ops` hold the operators, `routes` lead ATen's operators there, `definition` says what each is, `kernels` are the C that `build` compiles.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from swarm.recipe import Recipe

VERSION = 1  # of the definition: another one gives other bits


def numerics(recipe: Recipe) -> contextlib.AbstractContextManager[None]:
    """What every computation that others replay happens in."""
    if recipe.proof.profile != "canonical":
        return contextlib.nullcontext()
    from swarm.proof.canonical.mode import canonical

    return canonical()


def optimizer(recipe: Recipe) -> type[torch.optim.AdamW] | None:
    """The AdamW of a recipe's profile; None for PyTorch's own."""
    if recipe.proof.profile != "canonical":
        return None
    from swarm.proof.canonical.adamw import CanonicalAdamW

    return CanonicalAdamW


def __getattr__(name: str) -> Any:
    if name != "canonical":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from swarm.proof.canonical.mode import canonical

    return canonical
