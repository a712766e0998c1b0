"""How far the canonical functions are from the truth, in units of the last place (ulp).

    python benchmarks/canonical_accuracy.py              every 257th float32, ten seconds
    python benchmarks/canonical_accuracy.py --every 1    all of them, 40 minutes

Float64 functions of PyTorch find the worst places (their own error is below 10^-7 ulp of a float32); there and at as many evenly spaced
places mpmath measures against 50 digits. The unit is that of the true result's binade, 2^-149 where it is subnormal. Where the truth is
beyond the largest float32, infinity is right; where it is not a number, only that is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mpmath
import numpy as np
import torch

from swarm.proof.canonical.ops import elementwise

CHUNK = 1 << 22
WORST = 16  # places per chunk that mpmath looks at, and as many evenly spaced ones
mpmath.mp.dps = 50


@dataclass(frozen=True)
class Function:
    """`low`: left of it the bound is not claimed. `bound` in ulp."""

    name: str
    kernel: Callable[[torch.Tensor], torch.Tensor]
    rough: Callable[[torch.Tensor], torch.Tensor]
    exact: Callable[[mpmath.mpf], mpmath.mpf]
    bound: float
    low: float = -np.inf


def _sigmoid(x: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-x))


FUNCTIONS = [
    Function("exp", elementwise.exp, torch.exp, mpmath.exp, 0.92),
    Function("log", elementwise.log, torch.log, mpmath.log, 0.94),
    Function("sin", elementwise.sin, torch.sin, mpmath.sin, 1.9),
    Function("cos", elementwise.cos, torch.cos, mpmath.cos, 1.9),
    Function("tanh", elementwise.tanh, torch.tanh, mpmath.tanh, 1.4),
    Function("erf", elementwise.erf, torch.erf, mpmath.erf, 1.15),
    Function("rsqrt", elementwise.rsqrt, torch.rsqrt, lambda x: 1 / mpmath.sqrt(x), 1.5),
    Function("sigmoid", elementwise.sigmoid, torch.sigmoid, _sigmoid, 2.5, -87.0),
    Function("silu", elementwise.silu, lambda x: x * torch.sigmoid(x), lambda x: x * _sigmoid(x), 2.4, -87.0),
]


@dataclass
class Worst:
    ulp: float = 0.0
    at: float = 0.0
    points: int = 0
    wrong: int = 0  # not a number where there is one, or the reverse; infinite or finite where it should not be


def chunks(every: int, offset: int = 0) -> Iterator[torch.Tensor]:
    """float32 of every kind: every nth word."""
    for start in range(offset, 2**32, every * CHUNK):
        words = np.arange(start, min(2**32, start + every * CHUNK), every, dtype=np.int64).astype(np.uint32)
        yield torch.from_numpy(words.view(np.float32))


def measure(function: Function, sample: torch.Tensor, worst: Worst) -> None:
    """Take a sample's largest error into `worst`."""
    sample = sample[~(sample < function.low)]
    if not len(sample):
        return
    found, rough = function.kernel(sample), function.rough(sample.double())
    nearest = rough.float()
    worst.points += len(sample)
    worst.wrong += int(((found.isnan() != nearest.isnan()) | (found.isinf() != nearest.isinf())).sum())
    finite = found.isfinite() & nearest.isfinite()
    unit = torch.ldexp(torch.ones_like(rough), torch.frexp(rough)[1].clamp_min(-125) - 24)
    error = torch.where(finite, (found.double() - rough).abs() / unit, 0.0)
    places = torch.cat([error.topk(min(WORST, len(error))).indices, torch.linspace(0, len(error) - 1, WORST).long()])
    for x, y in zip(sample[places].tolist(), found[places].tolist(), strict=True):
        if np.isfinite(y) and np.isfinite(x) and (ulp := float(error_of(function, x, y))) > worst.ulp:
            worst.ulp, worst.at = ulp, x


def error_of(function: Function, x: float, y: float) -> mpmath.mpf:
    """Of one result, in ulp, by 50 digits."""
    truth = function.exact(mpmath.mpf(x))
    exponent = max(mpmath.frexp(truth)[1], -125)
    return abs(mpmath.mpf(y) - truth) / mpmath.ldexp(1, exponent - 24)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=257, help="take every nth float32")
    parser.add_argument("--only", default="", help="one function")
    options = parser.parse_args()
    print(f"{'function':9} {'claimed':>8} {'largest error':>14}  {'at':>16} {'values':>11} {'wrong class':>12}")
    for function in FUNCTIONS:
        if options.only in ("", function.name):
            worst = Worst()
            for sample in chunks(options.every):
                measure(function, sample, worst)
            print(f"{function.name:9} {function.bound:8.2f} {worst.ulp:10.4f} ulp  {worst.at:16.9g} {worst.points:11,} {worst.wrong:12}", flush=True)


if __name__ == "__main__":
    main()
