"""The canonical operators on torch tensors: float32 in main memory, any strides, outside autograd.

    @operator("neg(Tensor a, *, Tensor(a!)? out=None) -> Tensor")
    def neg(a, out=None): ...

enters a function under its definition's name, as `torch.ops.canonical.neg` too. Routes call the function itself. While a recorder is set, it
hears of every call; an operator calls kernels, never another operator, so each is heard of once.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from swarm.errors import InputError

OPERATORS: dict[str, Callable[..., Any]] = {}
_torch = torch.library.Library("canonical", "DEF")
_recorder: Recorder | None = None


class Unsupported(InputError):
    """No canonical form. `name` is the operator, `what` the reason."""

    def __init__(self, name: str, what: str = "has no canonical form", hint: str = ""):
        super().__init__(f"{name} {what}", hint or "train with profile = \"pinned\", or say which model needs it")
        self.name = name


class Recorder(Protocol):
    """Hears of operator calls. `tensors` are the arguments that are tensors, by name, without `out`; `attributes` all others."""

    def before(self, name: str, tensors: dict[str, torch.Tensor | None], attributes: dict[str, Any]) -> None: ...

    def after(self, name: str, tensors: dict[str, torch.Tensor | None], attributes: dict[str, Any], outputs: tuple[torch.Tensor, ...]) -> None: ...

    def moved(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """An ATen operator (`func`) that does no arithmetic on floats has run as it is, in the dispatch mode."""


def operator(schema: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter an operator by its torch schema."""
    name = schema.partition("(")[0]

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in OPERATORS:
            raise ValueError(f"{name} is an operator already")
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            return function(*values, **named) if _recorder is None else _recorded(_recorder, name, signature, function, values, named)

        _torch.define(schema)
        _torch.impl(name, call, "CPU")
        OPERATORS[name] = call
        return call

    return enter


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """`recorder` hears of every operator call of this process meanwhile, and in the dispatch mode of those that stay stock."""
    from swarm.proof.canonical.mode import heard

    global _recorder
    before, _recorder = _recorder, recorder
    try:
        with heard():
            yield
    finally:
        _recorder = before


def _recorded(recorder: Recorder, name: str, signature: inspect.Signature, function: Callable[..., Any], values: Any, named: Any) -> Any:
    bound = signature.bind(*values, **named)
    bound.apply_defaults()
    # an `out` that has no default is an input of this name
    given = {key: value for key, value in bound.arguments.items() if key != "out" or signature.parameters[key].default is inspect.Parameter.empty}
    # None is a tensor that was left out where the signature says so
    optional = {key for key, parameter in signature.parameters.items() if "Tensor" in str(parameter.annotation)}
    tensors = {key: value for key, value in given.items() if isinstance(value, torch.Tensor) or key in optional}
    attributes = {key: value for key, value in given.items() if key not in tensors}
    recorder.before(name, tensors, attributes)
    outputs = function(*values, **named)
    recorder.after(name, tensors, attributes, outputs if isinstance(outputs, tuple) else (outputs,))
    return outputs


def recorder() -> Recorder | None:
    """Who is told of operator calls now."""
    return _recorder


def moved(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
    """Tell the recorder of an ATen operator that stayed stock; gives `out`."""
    if _recorder is not None:
        _recorder.moved(func, args, kwargs, out)
    return out


def require_shape(name: str, tensor: torch.Tensor | None, *shape: int) -> None:
    """Raises RuntimeError, as torch does, for a tensor of another shape: a kernel would read beyond its end."""
    if tensor is not None and tensor.shape != shape:
        raise RuntimeError(f"{name}: a tensor of shape {tuple(tensor.shape)} where {shape} fits")


def check(name: str, *tensors: torch.Tensor) -> None:
    """Raises Unsupported where one is not float32 in main memory."""
    for tensor in tensors:
        if tensor.dtype is not torch.float32 or not tensor.is_cpu:
            raise Unsupported(name, f"of {tensor.dtype} on {tensor.device}", "canonical numerics are float32 on the processor: load the model so")
