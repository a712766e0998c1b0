"""Digests of a training state: what a step record names as *before* and *after* (design.md section 6).

    tensor digest  BLAKE3-256 over msgpack [name, dtype, shape] followed by the elements, little-endian, row-major
    scalar digest  BLAKE3-256 over msgpack of the sorted [key, value] pairs of everything that is not a tensor

Both are leaves of a tree of `swarm.merkle`. Tensor leaves are sorted by name (UTF-8 bytes); the scalar leaf comes
last. Vectors: tests/vectors/state_root.json.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgpack
from blake3 import blake3

from swarm import merkle
from swarm.errors import InputError

if TYPE_CHECKING:
    import numpy
    import torch

Scalar = int | float | str | bytes | bool


def tensor_digest(name: str, tensor: torch.Tensor) -> bytes:
    """32 bytes that change with the tensor's name, type, shape or any bit of an element."""
    head = msgpack.packb([name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)])
    return blake3(head).update(elements(tensor)).digest()


def elements(tensor: torch.Tensor) -> numpy.ndarray:
    """The elements' bytes, little-endian, row-major; a view where the tensor lies so in this machine's memory."""
    import torch

    if sys.byteorder != "little":
        raise InputError("state digests are defined over little-endian bytes; this machine is big-endian")
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def scalar_digest(scalars: dict[str, Scalar]) -> bytes:
    """32 bytes over named values that are no tensors (counters, seeds)."""
    return blake3(msgpack.packb(sorted(scalars.items()), use_bin_type=True)).digest()


def gradient_root(gradients: dict[str, torch.Tensor]) -> bytes:
    """32-byte root over named gradients: what only a replay of the step yields."""
    return merkle.root([tensor_digest(name, gradients[name]) for name in sorted(gradients, key=str.encode)])


def state_root(tensors: dict[str, torch.Tensor], scalars: dict[str, Scalar]) -> bytes:
    """32-byte root over a whole training state: see `state.tensors_of` for the names."""
    ordered = sorted(tensors, key=str.encode)
    return merkle.root([tensor_digest(name, tensors[name]) for name in ordered] + [scalar_digest(scalars)])
