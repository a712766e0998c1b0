"""Submits another peer's proof: the records of a neighbour, with its own name in the place of the neighbour's."""

from __future__ import annotations

from benchmarks.cheats import forgery
from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own


class BorrowedProof(Honest):
    """All steps are another's; both began at the same state, so the roots continue."""

    name = "another peer's proof"

    def work(self, play: Play, own: Own, number: int) -> Work:
        return forgery.relabelled(own, source=self.recorded.members[0].epoch, peer=own.identity.peer)
