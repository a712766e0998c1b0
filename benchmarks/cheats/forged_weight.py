"""A prover whose every step leaves one weight one bit off, and that stands by it: its replayer computes the same falsehood where it pleads.

    python -m benchmarks.cheats.forged_weight --folder PEER    its replayer; the node itself is `liar.py ulp`

As an auditor it is honest. So a court that only hears what two sides say of a step has to compute the word in which they differ.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any


class FalseKernel:
    """AdamW, of which the first tensor of a step gets another last bit in its first word while `lies`."""

    lies = False

    def __init__(self, honest: Any):
        self.honest, self.first = honest, False

    def call(self, walk: Any, weights: int, *rest: Any) -> None:
        self.honest.call(walk, weights, *rest)
        if self.lies and self.first:
            ctypes.c_uint32.from_address(weights).value ^= 1
        self.first = False


def forge() -> FalseKernel:
    """From now on steps of this process go through the false kernel."""
    from swarm.proof.canonical.adamw import CanonicalAdamW
    from swarm.proof.canonical.ops import optimizer

    kernel, honest = FalseKernel(optimizer._adamw), CanonicalAdamW._step_group

    def step_group(self: CanonicalAdamW, group: dict[str, Any]) -> None:
        kernel.first = True
        honest(self, group)

    optimizer._adamw, CanonicalAdamW._step_group = kernel, step_group
    return kernel


def standing_by(kernel: FalseKernel) -> None:
    """Own states and own matches are as the node made them; audits of others are honest."""
    from swarm.proof import worker

    def falsely(job: Any) -> Any:
        def done(replayer: Any, folder: Path) -> Any:
            kernel.lies = not json.loads((folder / worker.JOB).read_bytes()).get("challenger", False)
            try:
                return job(replayer, folder)
            finally:
                kernel.lies = False

        return done

    worker.JOBS |= {name: falsely(worker.JOBS[name]) for name in ("open", "plead")}


if __name__ == "__main__":
    from swarm.cli.node import replayer

    standing_by(forge())
    replayer(Path(sys.argv[2]))
