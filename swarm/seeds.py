"""Every random choice of a swarm, derived by hashing so that anyone can derive it again.

`epoch_seed` is 32 bytes known when the epoch starts and its peers are admitted; without a chain the recipe's hash
stands in. `peer` is the 32-byte sha256 inside the libp2p peer id. All results are BLAKE3 digests over tagged,
length-prefixed fields, so that no two uses and no two field splits can meet.
"""

from __future__ import annotations

import random

from blake3 import blake3

STAGES = ("answer", "critique", "resolve")
AVERAGE = "average"  # no stage of rollouts: where a member's averager can be dialled, in recipes that average
SHELVED = (*STAGES, AVERAGE)


def derive(tag: str, *fields: bytes | int | str) -> bytes:
    """32 bytes from `tag` and `fields`; ints are signed 64-bit little-endian, strings UTF-8."""
    hasher = blake3(b"openswarm/1/")
    for field in (tag, *fields):
        if isinstance(field, int):
            field = field.to_bytes(8, "little", signed=True)
        elif isinstance(field, str):
            field = field.encode()
        hasher.update(len(field).to_bytes(4, "little") + field)
    return hasher.digest()


def question_seed(recipe_hash: bytes, epoch_seed: bytes, peer: bytes, round: int, index: int) -> bytes:
    """Seed of the `index`-th question that `peer` draws in `round`."""
    return derive("question", recipe_hash, epoch_seed, peer, round, index)


def author(operator: bytes, peer: bytes) -> bytes:
    """32 bytes: who samples. A peer id under another operator draws other noise, so that its rollouts cannot be handed in twice."""
    return derive("author", operator, peer)


def sample_seed(
    recipe_hash: bytes, epoch_seed: bytes, author: bytes, round: int, stage: str, index: int, sample: int
) -> bytes:
    """Seed of the sampling noise of one rollout of `author` (see there): `sample`-th of group `index` of `stage`."""
    return derive("sample", recipe_hash, epoch_seed, author, round, stage, index, sample)


def rows_seed(recipe_hash: bytes, epoch_seed: bytes, author: bytes, round: int) -> bytes:
    """Seed of the draw of rows that `author` learns from in `round`, where the recipe has rows."""
    return derive("rows", recipe_hash, epoch_seed, author, round)


def choice(epoch_seed: bytes, peer: bytes, round: int, purpose: str) -> random.Random:
    """Generator for choices a peer makes among candidates (design: H(epoch seed, peer, round))."""
    return random.Random(derive("choice", epoch_seed, peer, round, purpose))
