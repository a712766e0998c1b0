"""A peer's chain of hashes for the swarm's randomness: its end is committed once, then one preimage is shown per epoch.

x_0 is a secret of 32 bytes, x_{i+1} = keccak256(x_i); `tip` is x_n. Whoever sees x_{i} can check it against x_{i+1}, and nobody can
compute it from there (Lamport 1981, "Password authentication with insecure communication").
"""

from __future__ import annotations

import secrets
from pathlib import Path

from swarm import keystore
from swarm.errors import StateError
from swarm.keys import keccak

LENGTH = 16_384  # epochs that one chain lasts
EVERY = 128  # links between two that are remembered


class Onion:
    """The chain of one peer, from the secret in `file` (made at the first use, readable by its owner only)."""

    def __init__(self, file: Path, length: int = LENGTH):
        if not file.exists():
            keystore.write_private(file, secrets.token_bytes(32))
        secret = file.read_bytes()
        if len(secret) != 32:
            raise StateError(f"{file} is damaged: it has {len(secret)} bytes, not 32", "delete it; the node commits to a new chain")
        self._length, self._marks, link = length, [], secret
        for place in range(length + 1):
            if place % EVERY == 0:
                self._marks.append(link)
            self.tip = link
            link = keccak(link)

    def below(self, shown: bytes) -> bytes | None:
        """The link whose hash is `shown` (what the chain holds now), or None where `shown` is no link of this chain, or the first."""
        for mark in reversed(self._marks):
            link = mark
            for _ in range(EVERY):
                above = keccak(link)
                if above == shown:
                    return link
                link = above
        return None
