"""The dispatch mode: below autograd, every ATen operator on floats goes to its canonical operator, or is refused by name.

    with canonical():
        loss = model(ids).logits...; loss.backward(); optimizer.step()

An operator with a route (`routes`) is served there; one that moves or compares words (`routes/exact.py`), or that sees no float, stays stock;
any other raises `Unsupported`. There is no way back to stock arithmetic. The mode is of one thread, as PyTorch's modes are; autograd's engine
runs a backward pass on the processor in the thread that asked for it, and takes the mode along to any other thread.

What dispatch never sees is looked at at the door: no denormals flushed, rounding to nearest, no autocast, float32 by default. Scalars that Python
computes in float64 are the same everywhere as long as no libm function made them, which is for those who write them to mind.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from swarm.errors import SwarmError
from swarm.proof.canonical import native
from swarm.proof.canonical.ops import Unsupported, moved
from swarm.proof.canonical.routes import routes
from swarm.proof.canonical.routes.exact import EXACT, GUARDS

_active = threading.local()


@contextlib.contextmanager
def canonical() -> Iterator[None]:
    """Compute canonically in this thread. Inside itself it changes nothing.

    Raises Unbuilt where the kernels cannot be built, Unsupported where PyTorch is set to another arithmetic.
    """
    if getattr(_active, "here", False):
        yield
        return
    native.threads(torch.get_num_threads())
    _active.here = True
    try:
        _require_plain_arithmetic()
        with Canonical():
            yield
    finally:
        _active.here = False


class Canonical(TorchDispatchMode):
    """The mode itself; enter it by `canonical()`."""

    def __init__(self) -> None:
        super().__init__()
        self._ways = _ways()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and the wrapper would cost as much as a small operator

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        way = self._ways.get(func)
        if way is None:
            return _unlisted(func, args, kwargs or {})
        return way(*args, **kwargs) if kwargs else way(*args)


_table: dict[Any, Callable[..., Any]] = {}


def _ways() -> dict[Any, Callable[..., Any]]:
    """What is called for each operator that is known, made once."""
    if not _table:
        _table.update({func: _stock(func, GUARDS.get(func)) for func in EXACT | GUARDS.keys()})
        _table.update({func: _routed(func, way) for func, way in routes().items()})
    return _table


def _stock(func: Any, guard: Callable[..., None] | None) -> Callable[..., Any]:
    """The operator as it is, seen by the recorder where one is set."""

    def run(*args: Any, **kwargs: Any) -> Any:
        if guard is not None:
            guard(*args, **kwargs)
        return moved(func, args, kwargs, func(*args, **kwargs))

    return run


def _routed(func: Any, way: Callable[..., Any]) -> Callable[..., Any]:
    """The route, where a float takes part."""

    def run(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if isinstance(value, torch.Tensor):
                if value.is_floating_point():
                    return way(*args, **kwargs)
            elif isinstance(value, list | tuple) and _any_float(value):
                return way(*args, **kwargs)
        if kwargs and _any_float(kwargs.values()):
            return way(*args, **kwargs)
        return _integers(func, way, args, kwargs)

    return run


def _integers(func: Any, way: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operator on integers: as it is, unless floats come of it (a quotient): then on the nearest float32s."""
    out = func(*args, **kwargs)
    if _any_float([out]):
        return way(*[value.to(torch.float32) if isinstance(value, torch.Tensor) else value for value in args], **kwargs)
    return moved(func, args, kwargs, out)


def _unlisted(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operator without a route: fine where no float goes in or comes out."""
    if not _any_float(args) and not _any_float(kwargs.values()):
        out = func(*args, **kwargs)
        if not _any_float([out]):
            return moved(func, args, kwargs, out)
    raise Unsupported(str(func))


def _any_float(values: Any) -> bool:
    for value in values:
        if isinstance(value, torch.Tensor):
            if value.is_floating_point() or value.is_complex():
                return True
        elif isinstance(value, list | tuple) and _any_float(value):
            return True
    return False


def smallest_normal() -> float:
    """Of float64; half of it is subnormal. A function, so that nothing is computed before."""
    return 2.0**-1022


def _require_plain_arithmetic() -> None:
    one, half = float(1), smallest_normal() * 2.0**969  # half an ulp of 1, then a bit
    if not (one + half == one and -one - half == -one and one + 1.5 * half > one):
        raise SwarmError("the processor does not round to nearest", "something in this process changed its rounding mode; start a new one")
    if not smallest_normal() / 2 > 0:
        raise SwarmError("the processor flushes subnormal numbers to zero", "leave torch.set_flush_denormal alone; start a new process")
    if torch.get_default_dtype() != torch.float32:
        raise Unsupported("torch.get_default_dtype()", f"is {torch.get_default_dtype()}", "torch.set_default_dtype(torch.float32)")
    if torch.is_autocast_enabled("cpu"):
        raise Unsupported("torch.autocast", "changes types behind the operators", "leave it off")
