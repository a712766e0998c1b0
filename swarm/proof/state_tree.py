"""A state under its root, and one word of it opened: the tensor's digest among the leaves, and the chunks of its bytes that hold the word.

What is opened is a `StateOpening` of contracts/src/interfaces/IArbiter.sol. The bytes under a tensor's digest are its head and its elements
(`swarm.learn.root`), so a word may lie in two chunks.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgpack
import torch

from swarm.learn.root import Scalar, elements, scalar_digest, tensor_digest
from swarm.merkle import Tree
from swarm.proof.blake3_tree import CHUNK, Blake3Tree

Opening = dict[str, Any]
NOTHING: Opening = {"chunk": b"", "siblings": []}


class StateTree:
    """Of named tensors and scalars, as they are now: nothing is copied."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], scalars: dict[str, Scalar]):
        self.tensors, self.scalars = tensors, scalars
        self.names = sorted(tensors, key=str.encode)

    @functools.cached_property
    def tree(self) -> Tree:
        return Tree([tensor_digest(name, self.tensors[name]) for name in self.names] + [scalar_digest(self.scalars)])

    def opening(self, place: int, element: int) -> Opening:
        """Word `element` of the tensor that is leaf `place`."""
        name = self.names[place]
        head = msgpack.packb([name, str(self.tensors[name].dtype).removeprefix("torch."), list(self.tensors[name].shape)])
        message = Blake3Tree(head + elements(self.tensors[name]).tobytes())
        chunk, start = divmod(len(head) + 4 * element, CHUNK)
        second = self._chunk(message, chunk + 1) if start > CHUNK - 4 else NOTHING
        return {"digest": self.tree.digests[place], "proof": self.tree.path(place), "first": self._chunk(message, chunk), "second": second}

    def _chunk(self, message: Blake3Tree, index: int) -> Opening:
        return {"chunk": message.chunk(index), "siblings": message.siblings(index)}
