"""Conformance cases: an operator, inputs that follow from integers alone, and attributes. One module here for each family of operators.

    CASES = [Case("silu/wild", "silu", lambda draw: [draw.wild(3, 41)]), ...]

`check.py` runs each on the kernels and holds the words of what comes out against the digests of `vectors`, which the definition made.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

EXPONENT, FRACTION, SIGN = 0x7F800000, 0x007FFFFF, 0x80000000
# of every kind of word: zeros, subnormals, the least and greatest normals, ones and near them, infinities, quiet and signalling NaNs
SPECIAL = np.array(
    [0, 1, 2, 0x007FFFFF, 0x00800000, 0x00800001, 0x33800000, 0x34000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x4B000000, 0x4F000000]
    + [0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF],
    np.uint32,
)


class Draw:
    """Inputs of one case: Philox4x64-10 words under a key that is the hash of the case's name, so the same on every machine."""

    def __init__(self, name: str):
        key = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], "<u8").astype(np.uint64)
        self._philox = np.random.Philox(key=key)

    def words(self, *shape: int) -> np.ndarray:
        """Any 32 bits: half of them are large or tiny beyond use."""
        count = math.prod(shape)
        raw = self._philox.random_raw(-(-count // 2)).astype("<u8").view("<u4")[:count]
        return raw.astype(np.uint32).reshape(shape)

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """int64 in [low, high)."""
        return low + (self.words(*shape).astype(np.int64) * (high - low) >> 32)

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """float32 like a bell of deviation near `scale` (a power of two keeps them exact): a sum of four integers."""
        total = sum(self.integers(-(2**20), 2**20, *shape) for _ in range(4))
        return (total.astype(np.float32) * np.float32(2.0**-20)) * np.float32(scale)

    def positive(self, *shape: int) -> np.ndarray:
        """float32 in (0, 1)."""
        return (self.integers(0, 2**23, *shape) * 2 + 1).astype(np.float32) * np.float32(2.0**-24)

    def wild(self, *shape: int) -> np.ndarray:
        """float32 of every kind of word: a quarter special ones of either sign, a quarter any bits, the rest within a few powers of 1."""
        any_bits, kind = self.words(*shape), self.integers(0, 4, *shape)
        special = SPECIAL[self.integers(0, len(SPECIAL), *shape)] | (any_bits & np.uint32(SIGN))
        near = (any_bits & np.uint32(SIGN | FRACTION)) | (self.integers(117, 138, *shape).astype(np.uint32) << np.uint32(23))
        return np.where(kind == 0, special, np.where(kind == 1, any_bits, near)).astype(np.uint32).view(np.float32)


@dataclass(frozen=True)
class Case:
    """One check. `name` starts with the operator's; `inputs` makes the arrays (float32, int32, int64 or bool; None for a tensor that is left
    out) from a `Draw` of that name; `attributes` are the operator's and the definition's keywords."""

    name: str
    operator: str
    inputs: Callable[[Draw], list[np.ndarray | None]]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def arrays(self) -> list[np.ndarray | None]:
        """The inputs, the same each time. Strides may be any that numpy has and torch has too: an operator takes them as they are."""
        with np.errstate(all="ignore"):  # of wild words nothing surprises
            return self.inputs(Draw(self.name))


@functools.cache
def families() -> dict[str, list[Case]]:
    """All cases by family, in order: imports the families."""
    found = {name: importlib.import_module(f"{__name__}.{name}").CASES for name in sorted(each.name for each in pkgutil.iter_modules(__path__))}
    names = [case.name for cases in found.values() for case in cases]
    if len(names) != len(set(names)):
        raise ValueError(f"two cases are named {next(name for name in names if names.count(name) > 1)}")
    return found
