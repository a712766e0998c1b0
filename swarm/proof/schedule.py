"""When what is due: an epoch's windows by the chain's clock, and that clock as a node keeps it. Pure but for `Clock.now`.

    epoch e       [start + e L, start + (e+1) L)             L = epoch
    commitments   [end, end + grace]
    market        [anchor_from, end + grace]                 the judge market's root of e is anchored
    randomness    [end + grace, + beacon)                    then R(e+1) is fixed: draws of e, seed of e+1
    verdicts      committed for `audit` s, opened for `reveal` s, disputed for `challenge` s

The contracts decide; this only tells when to look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

OLDEST_SEED = 2  # epochs that a round's seed may be behind its own
RECENT = 4  # epochs whose windows may still be open
SETTLE_S = 2  # until everybody has read randomness that is fixed: a block, and a look at it
LONGEST_LAG_MS = 10_000  # that the market's log stays behind the clock
VOTE_S, LONGEST_VOTE_S = 6, 120  # for the market's root to be anchored, before the window closes
SLACK_S = 3.0  # clocks this close are taken for equal: block times are whole seconds


@dataclass(frozen=True)
class Schedule:
    """The windows of one swarm; all values are unix seconds or seconds."""

    start: int
    epoch: int
    grace: int
    beacon: int
    audit: int
    reveal: int
    challenge: int

    def epoch_at(self, now: float) -> int:
        """The epoch of a moment; 0 before the start."""
        return max(0, int((now - self.start) // self.epoch))

    def end(self, epoch: int) -> int:
        return self.start + (epoch + 1) * self.epoch

    def commit_until(self, epoch: int) -> int:
        return self.end(epoch) + self.grace

    def anchor_from(self, epoch: int) -> int:
        """When the judge market's root of an epoch is anchored: as late as is safe, so that pages have time to travel."""
        return self.commit_until(epoch) - vote_of(self.grace)

    def beacon_until(self, epoch: int) -> int:
        """From here on the draws of `epoch` and the seed of the next one are known."""
        return self.commit_until(epoch) + self.beacon

    def audit_until(self, epoch: int) -> int:
        return self.beacon_until(epoch) + self.audit

    def reveal_until(self, epoch: int) -> int:
        return self.audit_until(epoch) + self.reveal

    def closed_at(self, epoch: int) -> int:
        """When the case of a commitment is closed if nobody disputes."""
        return self.reveal_until(epoch) + self.challenge

    def within(self, now: float, opens: Callable[[int], int], closes: Callable[[int], int]) -> list[int]:
        """Recent epochs whose window [opens, closes) holds `now`."""
        latest = self.epoch_at(now)
        return [epoch for epoch in range(max(0, latest - RECENT), latest + 1) if opens(epoch) <= now < closes(epoch)]

    def seeds_for(self, epoch: int) -> range:
        """Epochs whose seed a step of `epoch` may have used; epoch 0 has the recipe's hash for its seed."""
        return range(max(0, epoch - OLDEST_SEED), epoch + 1)


def vote_of(grace: int) -> int:
    """Seconds, at the end of a commit window of `grace`, in which the judge market's root is anchored."""
    return min(LONGEST_VOTE_S, grace - 1, max(VOTE_S, grace // 3))


class Clock:
    """The chain's time between two looks at the chain."""

    def __init__(self, local: Callable[[], float] = time.time):
        self._local, self._ahead = local, 0.0

    def observe(self, chain_time: float) -> None:
        """The newest block's time, just read."""
        ahead = chain_time - self._local()
        self._ahead = ahead if abs(ahead) > SLACK_S else 0.0

    def now(self) -> float:
        return self._local() + self._ahead
