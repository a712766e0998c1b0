"""The model in training: weights, optimizer state and round counter, saved whole and taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.learn import sft, state, step
from swarm.learn.root import state_root
from swarm.proof.canonical import numerics, optimizer
from swarm.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from swarm.learn.sft import TrainRow
    from swarm.learn.step import StepResult, TrainGroup
    from swarm.policy.model import Policy


class Trainee:
    """What one peer trains. `round` counts finished rounds, `notes` is the node's own JSON in the checkpoint."""

    def __init__(self, policy: Policy, recipe: Recipe, folder: Path):
        self.policy, self.recipe = policy, recipe
        self.checkpoints = state.Checkpoints(folder)
        self.optimizer: step.OptimizerState | None = None
        self.round = self.steps = 0
        self.notes: dict[str, Any] = {}
        self._start: Any = None

    def resume(self) -> list[str]:
        """Take up the newest whole checkpoint; returns a sentence for each damaged one that was passed over."""
        found, warnings = self.checkpoints.load()
        if found is not None:
            state.restore(self.policy.model, found.tensors)
            self.optimizer, self.round = found.optimizer, found.round
            self.steps, self.notes = found.meta["steps"], found.meta["notes"]
        return warnings

    def step(self, groups: list[TrainGroup], seed: bytes) -> StepResult:
        """One optimizer step; a function of (state, groups, seed) alone."""
        more = dict(temperature=self.recipe.sampling.temperature, max_tokens=self.recipe.answer.max_tokens, reference=self._reference())
        with numerics(self.recipe):
            result = step.step(self.policy.model, self.optimizer, groups, self.recipe.learn, **self._around(seed), **more)
        return self._taken(result)

    def step_on_rows(self, rows: list[TrainRow], seed: bytes) -> StepResult:
        """The same for a recipe with rows."""
        with numerics(self.recipe):
            result = sft.step(self.policy.model, self.optimizer, rows, self.recipe.learn, **self._around(seed))
        return self._taken(result)

    def _around(self, seed: bytes) -> dict[str, Any]:
        """What both kinds of step are told besides weights and data."""
        known = dict(pad=self.policy.pad, eos=self.policy.eos, steps_done=self.steps)
        return dict(seed=int.from_bytes(seed[:8], "little"), kind=optimizer(self.recipe), **known)

    def _taken(self, result: StepResult) -> StepResult:
        self.optimizer = result.optimizer_state
        self.steps += result.applied
        return result

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The whole state as named tensors."""
        return state.tensors_of(self.policy.model, self.optimizer)

    @property
    def scalars(self) -> dict[str, int]:
        """What of the state is no tensor: round and steps fix seeds and the learning rate; no other generator has a state between rounds."""
        return {"round": self.round, "steps": self.steps}

    @property
    def root(self) -> bytes:
        """32-byte state root."""
        return state_root(self.tensors, self.scalars)

    def adopt(self, tensors: dict[str, torch.Tensor], scalars: dict[str, int]) -> None:
        """Take up a state of another origin. Raises StateError where it is of another model or form."""
        moments = {name: tensor for name, tensor in tensors.items() if not name.startswith(state.MODEL)}
        own = {name.removeprefix(state.MODEL): tensor for name, tensor in tensors.items() if name.startswith(state.MODEL)}
        state.require_moments(self.policy.model, moments)
        state.restore(self.policy.model, own)
        self.optimizer = moments or None
        self.round, self.steps = scalars["round"], scalars["steps"]

    def replace(self, tensors: dict[str, torch.Tensor], scalars: dict[str, int]) -> None:
        """Take up another state for good: it is on disk when this returns, and no later one is."""
        self.adopt(tensors, scalars)
        self.save(self.notes)
        self.checkpoints.forget_after(self.round)

    def save(self, notes: dict[str, Any]) -> None:
        """Write the state after `round` whole, with `notes`."""
        self.notes = notes
        self.checkpoints.save(self.round, step.trainable(self.policy.model), self.optimizer, {"steps": self.steps, "notes": notes})

    def remember_start(self) -> None:
        """Keep the start model for the KL term, where the recipe has one and no adapters stand beside the weights."""
        if self.recipe.learn.beta > 0 and self.recipe.model.lora is None:
            import copy

            self._start = copy.deepcopy(self.policy.model).requires_grad_(False)

    def _reference(self) -> Any:
        return self._start
