"""Digests of a training state: what a step record names as *before* and *after* (design.md section 6).

    tensor digest  BLAKE3-256 over msgpack [name, dtype, shape] followed by the elements, little-endian, row-major
    scalar digest  BLAKE3-256 over msgpack of the sorted [key, value] pairs of everything that is not a tensor
    leaf           keccak256(0x00 || digest)
    node           keccak256(0x01 || left || right); an odd last node moves up unchanged

Tensor leaves are sorted by name (UTF-8 bytes); the scalar leaf comes last. Vectors: tests/vectors/state_root.json.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgpack
from blake3 import blake3

from swarm.errors import InputError
from swarm.keys import keccak

if TYPE_CHECKING:
    import torch

Scalar = int | float | str | bytes | bool


def tensor_digest(name: str, tensor: torch.Tensor) -> bytes:
    """32 bytes that change with the tensor's name, type, shape or any bit of an element."""
    import torch

    if sys.byteorder != "little":
        raise InputError("state digests are defined over little-endian bytes; this machine is big-endian")
    head = msgpack.packb([name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)])
    elements = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return blake3(head).update(elements).digest()


def scalar_digest(scalars: dict[str, Scalar]) -> bytes:
    """32 bytes over named values that are no tensors (counters, seeds)."""
    return blake3(msgpack.packb(sorted(scalars.items()), use_bin_type=True)).digest()


def merkle_root(digests: list[bytes]) -> bytes:
    """32-byte root of an ordered tree over at least one 32-byte digest."""
    if not digests:
        raise InputError("a tree needs at least one leaf")
    level = [keccak(b"\x00", digest) for digest in digests]
    while len(level) > 1:
        pairs = [keccak(b"\x01", left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def state_root(tensors: dict[str, torch.Tensor], scalars: dict[str, Scalar]) -> bytes:
    """32-byte root over a whole training state: see `state.tensors_of` for the names."""
    ordered = sorted(tensors, key=str.encode)
    return merkle_root([tensor_digest(name, tensors[name]) for name in ordered] + [scalar_digest(scalars)])
