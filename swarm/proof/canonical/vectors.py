"""The committed answers to the conformance cases: BLAKE3 over the words of each case's outputs, made by the definition.

    vectors/<family>.json       {case: 32 hex digits}, of cases/<family>.py

    python -m swarm.proof.canonical.vectors [FAMILY ...]      makes them again, on the definition alone: no kernel has a say
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from swarm import disk
from swarm.proof.canonical import definition
from swarm.proof.canonical.cases import Case, families
from swarm.proof.canonical.definition.machine import Machine, View

FOLDER = Path(__file__).parent / "vectors"
SIZE = 16  # bytes of a digest


def vectors() -> dict[str, str]:
    """Digest by case, of all families."""
    return {case: digest for path in sorted(FOLDER.glob("*.json")) for case, digest in json.loads(path.read_bytes()).items()}


def conformance() -> str:
    """A digest over all of them: what a build has to give to be canonical."""
    return blake3(json.dumps(vectors(), sort_keys=True).encode()).hexdigest()[: 2 * SIZE]


def digest(outputs: Sequence[np.ndarray]) -> str:
    """Of outputs as uint32 words, with their shapes."""
    told = blake3()
    for words in outputs:
        told.update(struct.pack(f"<{words.ndim + 1}q", words.ndim, *words.shape) + np.ascontiguousarray(words, "<u4").tobytes())
    return told.hexdigest(SIZE)


def defined(case: Case) -> list[np.ndarray]:
    """The words of a case's outputs, by the definition."""
    machine = Machine()
    inputs = [array if array is None else machine.take(array) for array in case.arrays()]
    with np.errstate(all="ignore"):  # infinities are no surprise
        found = definitions()[case.operator](machine, *inputs, **case.attributes)
    return [view.array() for view in ([found] if isinstance(found, View) else found) if view is not None]


def definitions() -> dict[str, Callable[..., Any]]:
    """All definitions: imports them."""
    for module in pkgutil.iter_modules(definition.__path__):
        importlib.import_module(f"{definition.__name__}.{module.name}")
    return definition.DEFINITIONS


def main(wanted: Sequence[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for family, cases in families().items():
        if not wanted or family in wanted:
            made = {case.name: digest(defined(case)) for case in cases}
            disk.replace(FOLDER / f"{family}.json", (json.dumps(made, indent=0) + "\n").encode())
            print(f"{family}: {len(made)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
