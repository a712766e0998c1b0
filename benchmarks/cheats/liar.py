"""A cheating node process: `swarm node` with one thing replaced. Started by `live.py` as `python -m benchmarks.cheats.liar CHEAT --folder PEER`."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path


def rewards() -> None:
    """A prover that forges rewards: whatever it scores, its own answers and those of others, earns the opposite."""
    from swarm.stages import Stages

    honest = Stages.rewards
    Stages.rewards = lambda self, group, question: [1.0 - reward for reward in honest(self, group, question)]
    _unrehearsed()


def rows() -> None:
    """A prover that learns from the first eight rows of the file again and again, and records those that were drawn. It keeps every state: its
    own replayer is honest, and would not come to those between."""
    from swarm.lessons import Lessons
    from swarm.proof.recorder import Recorder

    honest = Lessons.tokens
    Lessons.tokens = lambda self, row: honest(self, self.rows.train[row.line % 8])
    Recorder.stored = lambda self, round, every: True
    _unrehearsed()


def _unrehearsed() -> None:
    """A cheat does not look whether its own replayer, which is honest, agrees with it."""
    from swarm.commitments import Commitments

    Commitments._rehearsed = lambda self, number, now: True


def lazy() -> None:
    """An auditor that always says ok, with a value of its own making."""
    from swarm.proof.audit import Audit
    from swarm.proof.desk import Desk

    def audit(self: Desk, audit: Audit) -> None:
        audit.value, audit.verdict = secrets.token_bytes(32), "ok"

    Desk.audit = audit


def slander() -> None:
    """An auditor that calls everything faulty."""
    from swarm.proof.audit import Audit
    from swarm.proof.desk import Desk

    def audit(self: Desk, audit: Audit) -> None:
        audit.step, audit.verdict = audit.drawn[0], "fault"

    Desk.audit = audit


def ulp() -> None:
    """A prover with one false bit in every step, and a replayer that says so too."""
    from benchmarks.cheats.forged_weight import forge
    from swarm.proof.replayer import ReplayerProcess

    ReplayerProcess.__init__.__defaults__ = ((sys.executable, "-m", "benchmarks.cheats.forged_weight"),)
    forge().lies = True
    _unrehearsed()


WAYS: dict[str, Callable[[], None]] = {"rewards": rewards, "rows": rows, "lazy": lazy, "slander": slander, "ulp": ulp}

if __name__ == "__main__":
    from swarm.cli.node import node

    cheat, _, folder = sys.argv[1:]
    WAYS[cheat]()
    node(Path(folder))
