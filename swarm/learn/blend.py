"""The rule by which a group's mean may change one's weights, and the check of a recorded averaging.

Any member of a group can spoil any part of its mean, so the mean is never taken over: it is refused where it is not finite
or far away, and otherwise moves each tensor by at most a share of its own norm. Everything here is pure, so that an
`AverageEvent` can be computed again from the state before it and the blob of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from blake3 import blake3

from swarm.errors import Refused
from swarm.learn.root import Scalar, state_root
from swarm.learn.state import MODEL
from swarm.learn.step import OptimizerState
from swarm.records import AverageEvent

if TYPE_CHECKING:
    import torch

Tensors = dict[str, "torch.Tensor"]
RULE = "norm_clip"
PLAUSIBLE = 4.0  # a mean of like peers is not further away than this many times the own norm


def blend(own: Tensors, averaged: Tensors, max_change: float) -> Tensors:
    """`own` moved towards `averaged`, each tensor by at most `max_change` times its own norm (the rule "norm_clip").

    Pure, and exact on one kind of machine: differences and steps in float32, norms in float64 added up by one thread.
    Raises Refused("malformed" | "not finite" | "implausible").
    """
    import torch

    if own.keys() != averaged.keys() or any(own[name].shape != averaged[name].shape for name in own):
        raise Refused("malformed", "the mean has other tensors than the model")
    deltas = {name: averaged[name].float() - own[name].detach().cpu().float() for name in own}
    if not all(bool(delta.isfinite().all()) for delta in deltas.values()):
        raise Refused("not finite", "the mean has values that are no finite numbers")
    norms = {name: norm([own[name]]) for name in own}
    if norm(deltas.values()) > PLAUSIBLE * math.hypot(*norms.values()):
        raise Refused("implausible", f"the mean is more than {PLAUSIBLE:g} times the weights' norm away")
    moved = {}
    for name, delta in deltas.items():
        size = norm([delta])
        share = min(1.0, max_change * norms[name] / size) if size else 0.0
        moved[name] = (own[name].detach().cpu().float() + delta * torch.tensor(share, dtype=torch.float32)).to(own[name].dtype)
    return moved


def norm(tensors: Iterable[torch.Tensor]) -> float:
    """Euclidean norm over all elements of some tensors, in float64, by one thread in one order."""
    import numpy

    total = 0.0
    for tensor in tensors:
        total += float(numpy.square(tensor.detach().cpu().float().numpy(), dtype=numpy.float64).sum())
    return math.sqrt(total)


def replay(event: AverageEvent, before: Tensors, optimizer: OptimizerState | None, scalars: dict[str, Scalar], blob: bytes) -> bool:
    """Whether `event` is what the state before it and its blob give. Tensors under plain names, as `step.trainable` has them."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if blake3(blob).digest() != event.averaged or event.rule != RULE:
        return False
    if state_root(_state(before, optimizer), scalars) != event.before:
        return False
    try:
        moved = blend(before, load(blob), event.max_change)
    except (Refused, SafetensorError):
        return False
    return state_root(_state(moved, optimizer), scalars) == event.after


def _state(tensors: Tensors, optimizer: OptimizerState | None) -> Tensors:
    return {MODEL + name: tensor for name, tensor in tensors.items()} | (optimizer or {})
