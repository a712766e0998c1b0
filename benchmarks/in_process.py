"""A replayer for benchmarks that play very many audits: one process instead of one for each auditor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from swarm.proof import worker
from swarm.proof.replay import Replayer


class InProcess:
    """A replayer process without the process: the same jobs, the same answers."""

    def __init__(self, replayer: Replayer):
        self.ready, self._replayer, self._answer = True, replayer, None

    def start(self) -> None: ...

    def close(self) -> None: ...

    def give(self, do: str, folder: Path) -> None:
        torch.set_num_threads(1)  # of this thread: sums depend on it
        self._answer = worker.replay(self._replayer, folder)

    def answer(self) -> dict[str, Any] | None:
        return self._answer
