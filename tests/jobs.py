"""What a solver delivers, for tests of those who get it."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from swarm.jobs.fetch import Finish
from swarm.recipe import Recipe

SCALARS = {"round": 3, "steps": 3}


def delivered(rules: Recipe, place: Path) -> Finish:
    """A model file and a checkpoint below `place`: a state that is not the start state, and its export."""
    import torch

    from swarm.learn import export, state
    from swarm.learn.root import state_root
    from swarm.policy import model

    policy = model.load(rules, place / "cache", "cpu")
    with torch.no_grad():
        next(policy.model.parameters()).add_(0.5)
    tensors = state.tensors_of(policy.model, None)
    (place / "recipe.json").write_bytes(rules.canonical)
    (place / "checkpoint").write_bytes(state.pack(tensors, SCALARS))
    file = export.export(policy, place / "export", "") / "model.safetensors"
    digest, root = blake3(file.read_bytes()).digest(), state_root(tensors, SCALARS)
    return Finish(place / "recipe.json", file, digest, place / "checkpoint", root, place, ["of job `12`"])
