"""What every canonical operator is: functions of a `Machine`, in primitive operations of fixed order.

`@defined(name)` enters a function under the name that kernels, dispatch, traces and docs use. Its first argument is the machine, then come
tensors as views, then attributes as keywords; it returns a view or a tuple of views.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

DEFINITIONS: dict[str, Callable[..., Any]] = {}


def defined(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a definition; each name once."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in DEFINITIONS:
            raise ValueError(f"{name} is defined twice")
        DEFINITIONS[name] = function
        return function

    return enter


@functools.cache
def definitions() -> dict[str, Callable[..., Any]]:
    """All definitions: imports the families."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return DEFINITIONS
