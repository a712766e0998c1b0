"""The line of a solver's work: which of its commitments still count, as the market will see it. Pure.

The market pays a part's epochs one after the other, each beginning at the state where the last paid one ended. So commitments count as long
as they form one chain from there, every one of them clean or not decided yet. Whatever was built on an epoch that came out otherwise is
lost, and the solver goes back to the last paid state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace

from swarm.chain.values import Outcome


@dataclass(frozen=True)
class Made:
    """A commitment on the chain. `outcome` is OPEN until its case is closed; a late one has none and never counts."""

    header: SimpleNamespace
    late: bool = False
    outcome: Outcome = Outcome.OPEN

    @property
    def epoch(self) -> int:
        return self.header.epoch

    @property
    def counts(self) -> bool:
        return not self.late and self.outcome in (Outcome.OPEN, Outcome.CLEAN)


@dataclass(frozen=True)
class Line:
    """What follows the last paid state: the commitments that can still be paid, in order, and the state where they end."""

    made: tuple[Made, ...]
    tail: bytes

    @property
    def steps(self) -> int:
        return sum(each.header.steps for each in self.made)

    @property
    def payable(self) -> Made | None:
        """The one that can be paid now."""
        return self.made[0] if self.made and self.made[0].outcome == Outcome.CLEAN else None


def line(root: bytes, after: int, made: Iterable[Made]) -> Line:
    """The line from `root`, the part's last paid state, through commitments of epochs later than `after`."""
    found: list[Made] = []
    for each in sorted(made, key=lambda each: each.epoch):
        if each.epoch > after and each.counts and each.header.first == root:
            found.append(each)
            root = each.header.last
    return Line(tuple(found), root)
