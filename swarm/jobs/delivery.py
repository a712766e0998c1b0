"""Whether a delivered model file is the export of an accepted state: the same names, types, shapes and bits.

The file comes from a stranger as one blob of bounded size. It is read as safetensors, which holds tensors and nothing that runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from swarm.policy.model import Policy

MODEL = "model.safetensors"


def fits(model: bytes, policy: Policy) -> str:
    """Empty where `model` is what exporting this policy gives; else what is wrong, in words."""
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    from swarm.learn import export

    try:
        found = load(model)
    except (SafetensorError, ValueError, MemoryError) as error:
        return f"is no safetensors file ({type(error).__name__})"
    with tempfile.TemporaryDirectory() as place:
        wanted = load_file(export.export(policy, Path(place) / "model", "") / MODEL)
    if odd := sorted(found.keys() ^ wanted.keys()):
        return f"has other tensors than the accepted state: {len(odd)}, first {odd[0][:80]!r}"
    return next((f"has another {name} than the accepted state" for name in sorted(wanted) if not _same(found[name], wanted[name])), "")


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    from swarm.learn.root import elements

    return a.dtype == b.dtype and a.shape == b.shape and bytes(elements(a)) == bytes(elements(b))
