"""A node's own blobs of its latest rounds, on disk: what a round that was cut off takes up again, and what critiques refer to."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.disk import replace
from swarm.errors import Refused
from swarm.groups import Group, Limits, unpack
from swarm.seeds import STAGES

if TYPE_CHECKING:
    from swarm.learn.batch import Scored


class Journal:
    """Blobs of peer `me` (32 bytes) as `ROUND-STAGE.blob`, kept for `rounds` rounds."""

    def __init__(self, folder: Path, me: bytes, limits: Limits, rounds: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.me, self.limits, self.rounds = folder, me, limits, rounds
        self._read: dict[tuple[int, str], list[Group]] = {}
        self._rewards: dict[tuple[int, int], float] = {}

    def keep(self, round: int, stage: str, blob: bytes) -> None:
        """Write a stage's blob whole."""
        replace(self._path(round, stage), blob)

    def blob(self, round: int, stage: str) -> bytes:
        """The blob of a stage that was kept."""
        return self._path(round, stage).read_bytes()

    def groups(self, round: int, stage: str) -> list[Group] | None:
        """The groups of a stage, or None where that stage was not finished (or its file is damaged: it is written anew)."""
        if (round, stage) not in self._read:
            try:
                self._read[round, stage] = unpack(self.blob(round, stage), self.limits, self.me)[3]
            except (FileNotFoundError, Refused):
                return None
        return self._read[round, stage]

    def answer(self, round: int, index: int) -> Group | None:
        """The own answers to question `index` of `round`, while they are kept."""
        return next((group for group in self.groups(round, "answer") or () if group.index == index), None)

    def epoch_seed(self, round: int) -> bytes | None:
        """The epoch seed under which a round was begun, or None where nothing of it was finished."""
        for stage in STAGES:
            with contextlib.suppress(FileNotFoundError, Refused):
                return unpack(self.blob(round, stage), self.limits, self.me)[2]
        return None

    def keep_average(self, round: int, event: bytes | None) -> None:
        """Write the signed event of a round's averaging; None takes away what a round that was cut off left."""
        path = self.folder / f"{round:08d}-average.blob"
        if event is None:
            path.unlink(missing_ok=True)
        else:
            replace(path, event)

    def keep_rewards(self, round: int, scored: list[Scored]) -> None:
        """Remember the mean reward of own answers, to compare with their resolutions."""
        for each in scored:
            self._rewards[round, each.group.index] = sum(r or 0.0 for r in each.rewards) / len(each.rewards)

    def reward(self, round: int, index: int) -> float | None:
        """Mean reward of the own answers to a question, while remembered (not over a restart)."""
        return self._rewards.get((round, index))

    def forget_before(self, round: int) -> None:
        """Drop what is older than `rounds` rounds."""
        oldest = round - self.rounds
        self._read = {key: groups for key, groups in self._read.items() if key[0] > oldest}
        self._rewards = {key: reward for key, reward in self._rewards.items() if key[0] > oldest}
        for path in self.folder.glob("*.blob"):
            if int(path.name.split("-")[0]) <= oldest:
                path.unlink(missing_ok=True)

    def forget_after(self, round: int) -> None:
        """Drop what was written in later rounds: they are played anew, from another state."""
        self._read = {key: groups for key, groups in self._read.items() if key[0] <= round}
        self._rewards = {key: reward for key, reward in self._rewards.items() if key[0] <= round}
        for path in self.folder.glob("*.blob"):
            if int(path.name.split("-")[0]) > round:
                path.unlink(missing_ok=True)

    def _path(self, round: int, stage: str) -> Path:
        assert stage in STAGES
        return self.folder / f"{round:08d}-{stage}.blob"
