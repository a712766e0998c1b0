"""The conformance suite: every case on one build's kernels, then one whole training step, against the committed digests.

    swarm canonical check --all-builds

A case that differs is computed by the definition too, which tells the first word that is wrong.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from swarm.errors import InputError
from swarm.proof.canonical import native, ops
from swarm.proof.canonical.build import BUILDS, CONTRACTED, Build
from swarm.proof.canonical.cases import Case, families
from swarm.proof.canonical.vectors import defined, digest, vectors

STEP = "a whole training step"


@dataclass(frozen=True)
class Difference:
    """A case whose words are not the canonical ones. `where` says which one, for people."""

    case: str
    operator: str
    where: str


def checked(build: Build, wanted: str = "", step: bool = True, progress: Callable[[str], None] | None = None) -> Iterator[Difference]:
    """Differences of a build's kernels, of the cases of operators named `wanted` (empty: all, and the step). Raises Unbuilt."""
    known = vectors()
    with native.using(build):
        for case in chosen(wanted):
            if progress:
                progress(case.name)
            outputs = computed(case)
            if digest(outputs) != known.get(case.name):
                yield Difference(case.name, case.operator, _first_difference(outputs, defined(case)))
        if step and not wanted:
            from swarm.proof.canonical import whole

            if progress:
                progress(STEP)
            if (found := whole.root()) != whole.ROOT:
                yield Difference(STEP, STEP, f"its state root is {found[:16]}, not {whole.ROOT[:16]}")


def chosen(wanted: str) -> list[Case]:
    """The cases of an operator, or all. Raises InputError where there is none of that name."""
    found = [case for cases in families().values() for case in cases if wanted in ("", case.operator)]
    if not found:
        raise InputError(f"no canonical operator is named {wanted!r}", "swarm canonical check --list names them")
    return found


def builds() -> list[Build]:
    """Those that this machine can compile and run, without the negative control."""
    return [build for build in BUILDS.values() if build is not CONTRACTED and build.runs]


def computed(case: Case) -> list[np.ndarray]:
    """The words of a case's outputs, by the kernels in use."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # what is shown many times over cannot be written, nor will it be
        inputs = [array if array is None else torch.from_numpy(array) for array in case.arrays()]
    found = operators()[case.operator](*inputs, **case.attributes)
    return [_words(tensor) for tensor in ([found] if isinstance(found, torch.Tensor) else found) if tensor is not None]


def operators() -> dict[str, Callable]:
    """All operators: imports them."""
    for module in pkgutil.iter_modules(ops.__path__):
        importlib.import_module(f"{ops.__name__}.{module.name}")
    return ops.OPERATORS


def _words(tensor: torch.Tensor) -> np.ndarray:
    whole = tensor if tensor.dtype in (torch.float32, torch.int32) else tensor.to(torch.int32)
    return whole.contiguous().numpy().view(np.uint32).reshape(tensor.shape)


def _first_difference(found: list[np.ndarray], right: list[np.ndarray]) -> str:
    if [each.shape for each in found] != [each.shape for each in right]:
        return f"outputs of shapes {[each.shape for each in found]}, not {[each.shape for each in right]}"
    for number, (mine, wanted) in enumerate(zip(found, right, strict=True)):
        for place in np.argwhere(mine != wanted):
            at = tuple(map(int, place))
            return f"output {number} at {at} is {mine[at]:#010x}, not {wanted[at]:#010x}; {int((mine != wanted).sum())} of {mine.size} differ"
    return "the committed digest is not the definition's: make the vectors again"
