"""A canonical operator's kernels held against its definition, word for word."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from swarm.proof.canonical.check import operators
from swarm.proof.canonical.definition.machine import Machine
from swarm.proof.canonical.vectors import definitions


def words(tensor: torch.Tensor) -> np.ndarray:
    """The 32-bit words of a result; integers by their value."""
    return (tensor if tensor.dtype == torch.float32 else tensor.to(torch.int32)).contiguous().numpy().view(np.uint32).reshape(tensor.shape)


def by_kernel(name: str, *tensors: torch.Tensor | None, **attributes: Any) -> list[np.ndarray]:
    found = operators()[name](*tensors, **attributes)
    return [words(each) for each in ([found] if isinstance(found, torch.Tensor) else found)]


def by_definition(name: str, *tensors: torch.Tensor | None, **attributes: Any) -> list[np.ndarray]:
    machine = Machine()
    with np.errstate(all="ignore"):
        views = [None if each is None else machine.take(each.numpy()) for each in tensors]
        found = definitions()[name](machine, *views, **attributes)
    return [each.array().reshape(each.shape) for each in (found if isinstance(found, tuple) else (found,))]


def assert_canonical(name: str, *tensors: torch.Tensor | None, **attributes: Any) -> None:
    """The kernel's words are the definition's."""
    for mine, right in zip(by_kernel(name, *tensors, **attributes), by_definition(name, *tensors, **attributes), strict=True):
        assert mine.shape == right.shape, name
        wrong = np.argwhere(mine != right)
        at = tuple(wrong[0]) if len(wrong) else ()
        assert not len(wrong), f"{name} {attributes} at {at}: {mine[at]:#010x}, not {right[at]:#010x}; {len(wrong)} of {mine.size} differ"
