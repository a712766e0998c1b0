"""Sampled tokens as part of a trace: rollouts that a step was trained on are followed before it, and the state after it hangs on that.

For each rollout one teacher-forced pass gives logits, noise and argmax give tokens (`drawn`), and behind the step one tensor of the state
becomes no number if they are others than were told (`follows`). So a swapped token is a false step like any other: whoever told it has to
claim a false word somewhere, and a dispute finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from swarm.policy.noise import gumbel
from swarm.proof.canonical.mode import canonical
from swarm.proof.canonical.ops import recording
from swarm.proof.canonical.trace import Recorder


@dataclass(frozen=True)
class Told:
    """A rollout as its author told it: token ids, and the seed of its noise (32 bytes)."""

    prompt: list[int]
    ids: list[int]
    seed: bytes


Follower = tuple[torch.Tensor, torch.Tensor]  # drawn and told tokens


@torch.no_grad()
def follow(recorder: Recorder, model: nn.Module, rollouts: list[Told], temperature: float) -> list[Follower]:
    """Draw the rollouts' tokens again, by a model at the state before the step."""
    with canonical(), recording(recorder):
        return [_drawn(recorder, model, each, temperature) for each in rollouts]


@torch.no_grad()
def require(recorder: Recorder, pairs: list[Follower], tensor: torch.Tensor) -> None:
    """Make `tensor` (of the state after the step) no number unless all that was told was drawn."""
    for drawn, told in pairs:
        named = {"x": tensor, "drawn": drawn, "told": told}
        recorder.before("follows", named, {})
        if not torch.equal(drawn, told):
            tensor.fill_(torch.nan)
        recorder.after("follows", named, {}, (tensor,))


def _drawn(recorder: Recorder, model: nn.Module, rollout: Told, temperature: float) -> Follower:
    told = torch.tensor(rollout.ids)
    ids = torch.tensor([rollout.prompt + rollout.ids[:-1]])
    logits = model(ids, use_cache=False).logits[0, len(rollout.prompt) - 1 :]
    if temperature != 1:
        logits = logits / temperature
    with recording(None):  # the whole of what follows is one operator
        tokens = (logits + gumbel([rollout.seed], range(len(told)), logits.shape[-1])[0]).argmax(-1)
    named = {"logits": logits}
    recorder.before("drawn", named, {"seed": rollout.seed, "start": 0})
    recorder.after("drawn", named, {"seed": rollout.seed, "start": 0}, (tokens,))
    return tokens, told
