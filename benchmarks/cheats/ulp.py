"""Perturbs one weight by one unit in the last place, after the last step."""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.cheats.conduct import Honest, Work
from benchmarks.cheats.play import Play
from benchmarks.cheats.recorded import Own
from swarm.learn.root import state_root
from swarm.proof.replay import Fault


class Ulp(Honest):
    """One step is forged whatever is asked for: what one forged step costs in expectation is what the stake is for."""

    name, often = "one weight, one ulp", 4

    def work(self, play: Play, own: Own, number: int) -> Work:
        self._found = getattr(self, "_found", None) or self._perturbed(own)
        return self._found

    def _perturbed(self, own: Own) -> Work:
        replayer, last, state = self.recorded.replayer, own.epoch.leaves[-1], own.epoch.states[-1]
        replayer.load(own.blobs[state], last)
        try:
            replayer.advance(last, own.blobs.__getitem__)
        except Fault as fault:  # an honest record
            raise AssertionError(fault) from None
        tensors = {name: tensor.clone() for name, tensor in replayer.trainee.tensors.items()}
        flat = tensors[next(name for name in sorted(tensors) if name.startswith("model/") and "layers.0" in name)].view(-1)
        flat[0] = torch.nextafter(flat[0], torch.tensor(float("inf")))
        forged = replace(last, after=state_root(tensors, replayer.trainee.scalars))
        return Work(replace(own.epoch, leaves=(*own.epoch.leaves[:-1], forged)), {}, frozenset([len(own.epoch.leaves) - 1]))
