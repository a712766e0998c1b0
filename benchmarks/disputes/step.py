"""One canonical GRPO step that both sides of a dispute can do: a model with moments, groups sampled by it, and the record of the step.

Whoever makes it from the same name gets the same bits. With `swapped` one token of the first rollout is another, and what follows it follows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from swarm.keys import keccak
from swarm.learn.root import state_root
from swarm.learn.state import tensors_of
from swarm.learn.step import TrainGroup, step, trainable
from swarm.policy import start
from swarm.policy.model import BASE
from swarm.policy.noise import gumbel
from swarm.proof.canonical.adamw import CanonicalAdamW
from swarm.proof.canonical.follows import Told, follow, require
from swarm.proof.canonical.mode import canonical
from swarm.proof.canonical.ops import recording
from swarm.proof.canonical.trace import Done, Lie, Recorder, Trace
from swarm.proof.leaf import Leaf
from swarm.proof.side import Side, Words
from swarm.proof.state_tree import StateTree
from swarm.sections import Learn

PAD, EOS, VOCABULARY = 0, 1, 60
SIZE, TOKENS = 4, 6  # rollouts of a group, tokens of a rollout
SCALARS = {"round": 1, "steps": 1}
State = dict[str, torch.Tensor]


def model_of(name: str) -> LlamaForCausalLM:
    """`tiny`: two small layers of random weights; `base`: the shipped model."""
    if name == "base":
        model = LlamaForCausalLM.from_pretrained(BASE)
    else:
        torch.manual_seed(0)
        sizes = dict(hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2)
        config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=None, **sizes)
        config.pad_token_id, config.eos_token_id = PAD, EOS
        model = LlamaForCausalLM(config)
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = PAD, EOS
    start.settle(model, bytes(32))
    return model.eval()


class Step:
    """The second step of a training run on two groups."""

    def __init__(self, name: str, swapped: bool = False):
        self.model, self.learn = model_of(name), Learn(group_size=SIZE, lr=1e-3, max_grad_norm=1.0, microbatch=SIZE)
        self._start = {key: tensor.detach().clone() for key, tensor in trainable(self.model).items()}
        first = [TrainGroup([2, 3, 4], [[5, 6, 1], [7, 8, 1], [9, 4, 1], [3, 1]], [1.0, 0.0, 0.5, 0.25])] * 2
        self._moments: State | None = None
        self._moments = self._learn(first, 0)
        self._start = {key: tensor.detach().clone() for key, tensor in trainable(self.model).items()}
        self.told = [self._sampled([2 + k, 9, 4], keccak(b"seed", bytes([k])), swapped and k == 0) for k in range(SIZE)]
        groups = [TrainGroup(told.prompt, [told.ids] * SIZE, [1.0, 0.0, 0.5, 0.25]) for told in self.told[:1]]
        shared = TrainGroup([5, 6], [[7, 8, 1], [9, 9, 9, 1], [2, 1], [3, 4, 1]], [0.0, 1.0, 0.25, 0.5])
        self.groups = [*groups, shared]
        self.before = state_root(self._adopted(), SCALARS)

    def trace(self, lie: Lie | None = None) -> tuple[Trace, bytes]:
        """The step's trace and the state root after it."""
        recorder = Recorder(self._adopted(), lie)
        after = self._take(recorder)
        return recorder.trace(after), state_root(after, SCALARS)

    def side(self, lie: Lie | None = None) -> tuple[Side, bytes]:
        """The step's account, and the state root after it."""
        trace, after = self.trace(lie)
        before = StateTree({key: tensor.clone() for key, tensor in self._adopted().items()}, SCALARS)
        return Side(trace, lambda wanted, until: self._words(lie, wanted, until), lambda: before), after

    def leaf(self, swarm: bytes, peer: bytes, after: bytes) -> Leaf:
        """The record of the step; what no dispute reads is left empty."""
        empty = bytes(32)
        return Leaf(swarm, peer, 0, empty, 0, 0, 2, 0, self.before, empty, empty, empty, empty, 0, 0, 0, 1, empty, after)

    def _words(self, lie: Lie | None, wanted: Collection[int], until: int) -> Words:
        recorder = Recorder(self._adopted(), lie, wanted, until)
        with contextlib.suppress(Done):
            recorder.trace(self._take(recorder))
        return recorder.words

    def _take(self, recorder: Recorder) -> State:
        pairs = follow(recorder, self.model, self.told[:1], 1.0)
        with recording(recorder):
            self._own = self._learn(self.groups, 1, self._own)
        after = tensors_of(self.model, self._own)
        require(recorder, pairs, after[min(after)])
        return after

    def _learn(self, groups: list[TrainGroup], steps_done: int, moments: State | None = None) -> State:
        with canonical():
            around = dict(seed=1, pad=PAD, eos={EOS}, steps_done=steps_done, kind=CanonicalAdamW)
            return step(self.model, moments, groups, self.learn, **around).optimizer_state

    def _adopted(self) -> State:
        """The state before the step, taken up anew."""
        with torch.no_grad():
            for key, tensor in trainable(self.model).items():
                tensor.copy_(self._start[key])
        self._own = {key: tensor.clone() for key, tensor in self._moments.items()}
        return tensors_of(self.model, self._own)

    @torch.no_grad()
    def _sampled(self, prompt: list[int], seed: bytes, swapped: bool) -> Told:
        ids: list[int] = []
        with canonical():
            for place in range(TOKENS):
                logits = self.model(torch.tensor([prompt + ids]), use_cache=False).logits[0, -1]
                token = int((logits + gumbel([seed], range(place, place + 1), len(logits))[0, 0]).argmax())
                ids.append(token ^ 1 if swapped and place == 2 else token)
        return Told(prompt, ids, seed)
