"""A seeder's word on the score of a delivered model: committed under a salt, then revealed, so that nobody copies another's.

The score itself is found by the node's main thread (`swarm.jobs.exam`). The salt follows from the session's key, so that a process that was
killed between the two reveals what it committed.
"""

from __future__ import annotations

from collections.abc import Callable

from swarm import keys
from swarm.chain.client import Chain
from swarm.chain.outbox import Goal
from swarm.chain.values import JobPhase

NO_FILE = 2**32 - 1  # the evaluation could not be had
BALLOT = 0  # number of the ballot on a part's score
LATE_S = 30 * 86_400
NONE = bytes(32)


class Scoring:
    """The scores of job `job` by member `key` of `operator` (20 bytes); `secret` is its session's key, `scores` are those found, by part."""

    def __init__(self, chain: Chain, job: bytes, key: bytes, operator: bytes, secret: bytes, send: Callable[..., bool]):
        self.chain, self.job, self.key, self.operator, self.send = chain, job, key, operator, send
        self._secret = secret
        self.scores: dict[int, int] = {}

    def salt(self, part: int) -> bytes:
        """32 bytes that only this session can tell before it does."""
        return keys.keccak(b"score", self._secret, self.job, bytes([part]))

    def hash(self, part: int, score: int) -> bytes:
        """keccak256(abi.encode(operator, contract, job, part, score, salt))."""
        words = (self.operator, self.chain.places["delivery"], self.job, bytes([part]), score.to_bytes(32, "big"), self.salt(part))
        return keys.keccak(*(word.rjust(32, b"\0") for word in words))

    def bring_on(self, phase: JobPhase, now: int) -> None:
        """Send what is due of the scores that were found."""
        for part, score in list(self.scores.items()):
            where = [self.job, part, BALLOT, self.operator]
            if phase == JobPhase.SCORING:
                goal = Goal(contract="delivery", function="voteOf", args=where, field="0", op="ne", value=NONE)
                self.send(f"score {part}", "commitScore", "delivery", [self.job, part, self.key, self.hash(part, score)], now + LATE_S, goal)
            elif phase == JobPhase.REVEALING:
                goal = Goal(contract="delivery", function="voteOf", args=where, field="2")
                self.send(f"reveal {part}", "revealScore", "delivery", [self.job, part, self.key, score, self.salt(part)], now + LATE_S, goal)
