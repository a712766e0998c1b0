"""The arena: everything that plays need, opened once; every play begins at the same point of the same chain, with randomness of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.cheats import ledger, recorded
from benchmarks.cheats.conduct import PROVER, Honest
from benchmarks.cheats.ground import Ground
from benchmarks.cheats.inspection import Inspection, Shelves
from benchmarks.cheats.leaked_value import LeakedValue, Planter
from benchmarks.cheats.ledger import Result
from benchmarks.cheats.play import Play, enter
from benchmarks.cheats.sybils import Sybils

INVITED = 6  # members with weight; the one after them was invited by nobody


class Arena:
    """Recorded epochs, a chain, a desk. A cheating prover is the stranger, a cheating auditor the last of the invited."""

    def __init__(self, folder: Path, steps: int, name: str):
        torch.set_num_threads(1)
        self.folder, self.steps = folder, steps
        self.recorded = recorded.record(folder / "recorded", INVITED + 1, steps, name)
        self.shelves = Shelves()
        self.inspection = Inspection(folder / "inspection", self.recorded, self.shelves)
        self.ground = Ground(folder / "ground", self.recorded, INVITED)
        self._mark = self.ground.mark()

    def close(self) -> None:
        self.ground.close()
        self.inspection.close()

    def plays(self, kind: type[Honest], count: int, forged: int, plant_every: int = 1, **around: int) -> Iterator[Result]:
        """Play a cheat `count` times; one of `plant_every` plays of leaked values has a planted fault."""
        self._mark = self.ground.back(self._mark)
        cheat = kind(self.recorded, forged, **around)
        if isinstance(cheat, Sybils):
            cheat.crowd(self.ground)
        mark = self.ground.mark()
        for number in range(count):
            yield self._play(cheat, planted=isinstance(cheat, LeakedValue) and number % plant_every == 0)
            mark = self.ground.back(mark)

    def _play(self, cheat: Honest, planted: bool) -> Result:
        place = INVITED if cheat.role == PROVER else INVITED - 1
        owns = self.recorded.members[: INVITED + (cheat.role == PROVER)]
        conducts = [cheat if number == place else Honest(self.recorded, 0) for number in range(len(owns))]
        if planted:
            conducts[0] = Planter(self.recorded, self.steps)
        members = enter(self.ground, owns, conducts)
        before = self.ground.chain.head().number
        play = Play(self.ground, self.inspection, members, self.folder, cheat.epochs)
        play.run()
        me = members[place]
        self.last = play
        honest = [member for member in members if member is not me]
        spared = sum(len(case.drawn) for case in play.closed for seat in case.seats.values() if seat.member is me and not seat.opinion.replayed)
        return ledger.result(play, me, self.ground.events(before), honest, spared)


@contextlib.contextmanager
def opened(folder: Path, steps: int, name: str = "local") -> Iterator[Arena]:
    """An arena of the recipe `name`."""
    arena = Arena(folder, steps, name)
    try:
        yield arena
    finally:
        arena.close()
