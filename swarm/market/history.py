"""What is past on a tape: the log's root at every epoch's end, and up to when no page is taken any more.

The root of epoch e is the head of the log's hash chain after everything whose place lies at or before the epoch's end. What waits for
randomness lies at the randomness' time, so the place alone decides, and whoever has the same pages and facts has the same roots.

    held      from `Schedule.anchor_from` on this epoch's root is voted on: pages that lie at or before its end wait for the outcome
    closed    a final root that is this tape's own too: such pages are refused as "late", history cannot be rewritten any more
    dissent   a final root that is another one than this tape's: pages are missing here, or here are some that others had not in time
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from judge.errors import Refused
from swarm.proof.schedule import Schedule

KEPT = 4096  # epochs whose roots are remembered
PATIENCE_S = 30  # after the votes are over, for somebody to make a root final

Place = tuple[int, int, bytes]


@dataclass(frozen=True)
class Root:
    """The log at an epoch's end: head of its hash chain, and the operators whose faults as hosts it proved within the epoch."""

    head: bytes
    faults: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Dissent:
    """This tape's root of an epoch, and the final one."""

    epoch: int
    own: bytes
    final: bytes


class History:
    """Of one tape. Without a schedule there are no epochs, and everything stays open."""

    def __init__(self, schedule: Schedule | None = None):
        self.schedule = schedule
        self.closed = self.held = -1  # ms
        self.dissent: Dissent | None = None
        self._roots: dict[int, Root] = {}
        self._faults: list[tuple[Place, bytes]] = []
        self._next = 0  # the first epoch without a root

    def root(self, epoch: int) -> Root | None:
        """The root of an epoch; None while the tape has not come past its end."""
        return self._roots.get(epoch)

    def end(self, epoch: int) -> int:
        """The last millisecond of an epoch's history."""
        assert self.schedule is not None
        return self.schedule.end(epoch) * 1000

    def check(self, t: int) -> None:
        """Raise Refused where a page that lies at `t` is too late, or has to wait."""
        if t <= self.closed:
            raise Refused("late", "this page lies before a root that is final on the chain: history is closed up to there")
        if t <= self.held:
            raise Refused("early", "the root of this page's epoch is being voted on: it waits for the outcome")

    # ---- told by the tape

    def pass_to(self, t: int, head: bytes) -> None:
        """Everything before `t` was played, and the log has this head."""
        while self.schedule is not None and self.end(self._next) < t:
            self._roots[self._next] = Root(head, self._faulty(self._next))
            self._roots.pop(self._next - KEPT, None)
            self._next += 1

    def come_to(self, place: Place, head: bytes) -> None:
        """Something that lies here is played next. It may have come after an epoch's end was passed, with nothing played since."""
        self._drop_from(place[0])
        self.pass_to(place[0], head)

    def fault(self, place: Place, host: bytes) -> None:
        """The log took a proof against an operator."""
        self._faults.append((place, host))

    def go_back(self, place: Place) -> None:
        """The tape begins again after `place`."""
        self._faults = [row for row in self._faults if row[0] <= place]
        self._drop_from(place[0])

    def _drop_from(self, t: int) -> None:
        while self._next and self.end(self._next - 1) >= t:
            self._next -= 1
            self._roots.pop(self._next, None)

    def _faulty(self, epoch: int) -> tuple[bytes, ...]:
        begins = self.end(epoch - 1) if epoch else -1
        return tuple(sorted(host for place, host in self._faults if begins < place[0] <= self.end(epoch)))

    # ---- told by the room

    def look(self, finals: Mapping[int, bytes], now: float, holds: bool = True) -> None:
        """Compare with the final roots; `now` is the chain's time (s). `holds`: all other pages are here, so what comes during a vote waits."""
        if self.schedule is None:
            return
        same = max((epoch for epoch, head in finals.items() if epoch in self._roots and self._roots[epoch].head == head), default=-1)
        other = max((epoch for epoch in finals if epoch > same and epoch in self._roots), default=-1)
        self.closed = self.end(same) if same >= 0 else -1
        self.dissent = Dissent(other, self._roots[other].head, finals[other]) if other >= 0 else None
        self.held = self._voted_on(finals, now) if holds and not self.dissent else -1

    def _voted_on(self, finals: Mapping[int, bytes], now: float) -> int:
        newest = self.schedule.epoch_at(now) - 1
        while newest >= 0 and now < self.schedule.anchor_from(newest):
            newest -= 1
        over = newest < 0 or newest in finals or now > self.schedule.commit_until(newest) + PATIENCE_S
        return -1 if over else self.end(newest)
