"""AdamW: ordinary and wild tensors, a row of odd length, a transposed gradient, nothing."""

from __future__ import annotations

import numpy as np

from swarm.proof.canonical.cases import Case, Draw
from swarm.proof.canonical.ops.optimizer import rates

FIRST = rates(1e-3, (0.9, 0.999), 1e-8, 0.01, 1)._asdict()
LATER = rates(3e-4, (0.9, 0.95), 1e-8, 0.0, 700)._asdict()


def _usual(draw: Draw) -> list[np.ndarray]:
    return [draw.normal(13, 67), draw.normal(67, 13, scale=2.0**-10).T, draw.normal(13, 67, scale=2.0**-10), draw.positive(13, 67)]


CASES = [
    Case("adamw/usual", "adamw", _usual, LATER),
    Case("adamw/first", "adamw", lambda draw: [draw.normal(999), draw.normal(999), np.zeros(999, np.float32), np.zeros(999, np.float32)], FIRST),
    Case("adamw/wild", "adamw", lambda draw: [draw.wild(700) for _ in range(4)], LATER),
    Case("adamw/empty", "adamw", lambda draw: [draw.normal(0, 3) for _ in range(4)], LATER),
]
