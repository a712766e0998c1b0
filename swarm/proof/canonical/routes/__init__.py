"""Which canonical operator serves which ATen operator: one module here for each family of `ops`.

    @route(torch.ops.aten.silu.default)
    def silu(x): ...

A route is called with the ATen operator's own arguments, of which at least one tensor is a float, and gives what that operator gives. Operators
in `exact.py` do no arithmetic on floats and stay stock; every other one on floats is refused by the mode, by name.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

Route = Callable[..., Any]
ROUTES: dict[Any, Route] = {}  # OpOverload -> route


def route(*overloads: Any) -> Callable[[Route], Route]:
    """Enter a function as the way of some ATen operators; each of them once."""

    def enter(function: Route) -> Route:
        for overload in overloads:
            if overload in ROUTES:
                raise ValueError(f"{overload} has two routes")
            ROUTES[overload] = function
        return function

    return enter


@functools.cache
def routes() -> dict[Any, Route]:
    """All routes: imports the families."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return ROUTES
