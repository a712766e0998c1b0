"""The dispatch mode: below autograd, every ATen operator on floats goes to its canonical operator, or is refused by name.

    with canonical():
        loss = model(ids).logits...; loss.backward(); optimizer.step()

An operator with a route (`routes`) is served there; one that moves or compares words (`routes/exact.py`), or that sees no float, stays stock;
any other raises `Unsupported`. There is no way back to stock arithmetic. The mode is of one thread, as PyTorch's own modes are; autograd's engine
runs a backward pass on the processor in the thread that asked for it, and takes the mode along to any other thread.

It stands in PyTorch's dispatcher under the key `Fake`, which lies below autograd and which nothing in PyTorch uses: a fallback in Python for all
operators, but none for views, which pass at no cost. While a recorder is set, a `TorchDispatchMode` stands in its place, which sees those too.

What dispatch never sees is looked at at the door: no denormals flushed, rounding to nearest, no autocast, float32 by default. Scalars that Python
computes in float64 are the same everywhere as long as no libm function made them, which is for those who write them to mind.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from swarm.errors import SwarmError
from swarm.proof.canonical import native, ops
from swarm.proof.canonical.ops import Unsupported
from swarm.proof.canonical.routes import routes
from swarm.proof.canonical.routes.direct import DIRECT, FREE
from swarm.proof.canonical.routes.exact import EXACT, GUARDS

NAME = "Fake"
KEY = torch._C._dispatch_key_parse(NAME)
STOCK = EXACT | GUARDS.keys()
_include, _exclude = torch._C._dispatch_tls_set_dispatch_key_included, torch._C._dispatch_tls_set_dispatch_key_excluded
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
    _require_plain_arithmetic()
    _dispatcher()
    _active.here = True
    _include(KEY, True)
    try:
        with heard() if ops.recorder() is not None else contextlib.nullcontext():
            yield
    finally:
        _include(KEY, False)
        _active.here = False


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Where the mode is active, let the recorder hear of views too."""
    if not getattr(_active, "here", False) or torch._C._dispatch_tls_is_dispatch_key_excluded(KEY):
        yield
        return
    _exclude(KEY, True)
    try:
        with Heard():
            yield
    finally:
        _exclude(KEY, False)


class Heard(TorchDispatchMode):
    """The same by PyTorch's own means, which see every operator."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and the wrapper would cost ten times a small operator

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        way = ways().get(func)
        if way is None:
            return _unlisted(func, args, kwargs, self)
        out = way(*args, **kwargs)
        return ops.moved(func, args, kwargs, out) if func in STOCK else out


_served: dict[int, Callable[..., Any]] = {}  # `ways` by the operator's identity: operators hash in Python, numbers do not


@functools.cache
def _dispatcher() -> list[torch.library.Library]:
    """Enter the fallback, once: it lasts as long as what is given."""
    anything, aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    _served.update({id(func): way for func, way in ways().items()})

    def serve(func: Any, *args: Any, **kwargs: Any) -> Any:
        _exclude(KEY, True)
        try:
            way = _served.get(id(func))
            if way is None:
                return _unlisted(func, args, kwargs, _Again())
            return way(*args, **kwargs) if kwargs else way(*args)
        finally:
            _exclude(KEY, False)

    anything.fallback(serve, NAME)
    for func in FREE:
        aten.impl(func, torch.library.fallthrough_kernel, NAME)
    return [anything, aten]


class _Again:
    """Inside what serves an operator: the mode, for those that it is made of."""

    def __enter__(self) -> None:
        _exclude(KEY, False)

    def __exit__(self, *_: object) -> None:
        _exclude(KEY, True)


@functools.cache
def ways() -> dict[Any, Callable[..., Any]]:
    """What is called for each operator that is known."""
    stock = {func: DIRECT.get(func, func) for func in STOCK}
    guarded = {func: _guarded(stock[func], guard) for func, guard in GUARDS.items()}
    return stock | guarded | {func: _routed(func, way) for func, way in routes().items()}


def _guarded(stock: Callable[..., Any], guard: Callable[..., None]) -> Callable[..., Any]:
    """The operator as it is, once its guard has looked."""

    def run(*args: Any, **kwargs: Any) -> Any:
        guard(*args, **kwargs)
        return stock(*args, **kwargs)

    return run


def _routed(func: Any, way: Callable[..., Any]) -> Callable[..., Any]:
    """The route, where a float takes part."""

    def run(*args: Any, **kwargs: Any) -> Any:
        first = args[0]
        if isinstance(first, torch.Tensor) and first.dtype is torch.float32 or _any_float(args) or _any_float(kwargs.values()):
            return way(*args, **kwargs)
        return _integers(func, way, args, kwargs)

    return run


def _integers(func: Any, way: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operator on integers: as it is, unless floats come of it (a quotient)."""
    out = func(*args, **kwargs)
    if _any_float([out]):
        return way(*args, **kwargs)
    return ops.moved(func, args, kwargs, out)


def _unlisted(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], again: contextlib.AbstractContextManager[Any]) -> Any:
    """An operator without a route: fine where no float goes in or comes out, or where it is made of others (as without autograd they arrive)."""
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with again:
            return func.decompose(*args, **kwargs)
    if not _any_float(args) and not _any_float(kwargs.values()):
        out = func(*args, **kwargs)
        if not _any_float([out]):
            return ops.moved(func, args, kwargs, out)
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
