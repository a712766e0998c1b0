"""PyTorch's AdamW with a canonical step: the same groups and state (exp_avg, exp_avg_sq, step), another arithmetic (`ops.optimizer`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from swarm.proof.canonical.ops import Unsupported
from swarm.proof.canonical.ops.optimizer import adamw, rates

REFUSED = ("amsgrad", "maximize", "capturable", "differentiable")


class CanonicalAdamW(torch.optim.AdamW):
    """`foreach` and `fused` choose among PyTorch's variants and are taken without meaning here; its other extras raise Unsupported."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        foreach: bool | None = None,
        fused: bool | None = None,
        **extras: Any,
    ):
        asked = [name for name in REFUSED if extras.pop(name, False)]
        if asked or extras:
            raise Unsupported("AdamW", f"with {', '.join([*asked, *extras])}")
        super().__init__(params, lr, betas, eps, weight_decay, foreach=False, fused=False)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all groups; gives the closure's loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        parameters: list[torch.Tensor] = []
        gradients: list[torch.Tensor] = []
        first: list[torch.Tensor] = []
        second: list[torch.Tensor] = []
        steps: list[torch.Tensor] = []
        self._init_group(group, parameters, gradients, first, second, [], steps)
        lr = float(group["lr"])  # a tensor of the scheduler's, or a number
        for p, g, m, v, step in zip(parameters, gradients, first, second, steps, strict=True):
            step += 1
            numbers = rates(lr, group["betas"], group["eps"], group["weight_decay"], int(step.item()))
            adamw(p, g, m, v, **numbers._asdict())
        torch.autograd.graph.increment_version(parameters)
