"""A challenge by commit and reveal: promised under its bond, opened in a later block.

What a challenge says, that somebody is wrong, is worth money, so it must not be copied from the chain's waiting transactions: first goes
keccak256(abi.encode(court, key, epoch, level, challenger, salt)), a block later the challenge with its salt. The salt is on disk before
the first is sent; a promise that is never opened loses its bond.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

from swarm import keystore
from swarm.chain.client import Chain
from swarm.errors import ChainError, ChainRefused

BLOCK_S = 60.0  # that a block may take
SALTS = "challenges.json"


class Challenger:
    """Sends challenges for one member. `secret` is of its session or operator, `folder` keeps the salts."""

    def __init__(self, chain: Chain, key: bytes, secret: bytes, folder: Path):
        self.chain, self.key, self.secret, self.folder = chain, key, secret, folder

    def challenge(self, header: SimpleNamespace, level: int) -> str:
        """Promise, wait for a block, open; the transaction's hash. Again after an interruption it goes on. Raises ChainRefused, ChainError."""
        salt = self._salt(header.key, header.epoch, level)
        promise = self.chain.read("court", "challengeHash", header.key, header.epoch, level, self.key, salt)
        try:
            self.chain.send(self.secret, "court", "commitChallenge", self.key, promise)
        except ChainRefused as refused:
            if refused.name != "PlantTaken":  # promised before the interruption
                raise
        self._pass(self.chain.head().number)
        return self.chain.send(self.secret, "court", "challenge", vars(header), self.key, salt)["transactionHash"]

    def _salt(self, key: bytes, epoch: int, level: int) -> bytes:
        """The salt of a challenge, the same one after an interruption."""
        path, name = self.folder / SALTS, f"{key.hex()}:{epoch}:{level}"
        known = json.loads(path.read_bytes()) if path.exists() else {}
        if name not in known:
            known[name] = os.urandom(32).hex()
            keystore.write_private(path, json.dumps(known).encode())
        return bytes.fromhex(known[name])

    def _pass(self, block: int) -> None:
        end = time.monotonic() + BLOCK_S
        while self.chain.head().number <= block:
            if time.monotonic() > end:
                raise ChainError(f"no block came after {block}", "the challenge is promised: run the same command again")
            time.sleep(0.2)
