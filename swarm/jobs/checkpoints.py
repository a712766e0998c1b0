"""Checkpoints: the packed state at the end of an accepted epoch, named on the chain by its digest and checked against its root.

Whoever has one can go on from it: the solver itself after an epoch that came out badly, or the next one where a part was left. A state
comes from a stranger: its size is bounded before a byte is read, and nothing of it is used before its root is that of the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from swarm.errors import Refused
from swarm.learn import state
from swarm.learn.root import state_root

if TYPE_CHECKING:
    import torch

SCALARS = {"round", "steps"}


class Fetcher(Protocol):
    """What is needed of the network."""

    def fetch(self, digest: bytes, size_limit: int, peers: list[bytes] | None = None, timeout: float = 60.0) -> bytes: ...


def opened(data: bytes, root: bytes) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """Tensors and scalars of a packed state. Raises Refused where its root is another."""
    tensors, scalars = state.unpack(data)
    if scalars.keys() != SCALARS or not all(0 <= value < 2**31 for value in scalars.values()):
        raise Refused("malformed", "a checkpoint without its round and steps")
    if state_root(tensors, scalars) != root:
        raise Refused("root", f"the checkpoint is not the state {root.hex()[:16]} that the chain names")
    return tensors, scalars


def fetched(network: Fetcher, digest: bytes, root: bytes, limit: int, timeout: float) -> bytes:
    """A packed state of this root from whoever serves it. Raises NetworkError, Refused."""
    data = network.fetch(digest, limit, timeout=timeout)
    opened(data, root)
    return data
