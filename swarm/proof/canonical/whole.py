"""One whole training step of a tiny model, as a conformance case: sampling, forward, backward, clipping and AdamW in the dispatch mode.

Weights are integers of Philox, scaled; prompts and rewards are fixed. `ROOT` is the state root that every build gives; unlike an operator's
digest it hangs on the versions of transformers and TRL too (constraints.txt), which decide what operators a step is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from swarm.proof.canonical.adamw import CanonicalAdamW
from swarm.proof.canonical.cases import Draw
from swarm.proof.canonical.mode import canonical

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROOT = "dcfbc5c960abe9c133798dacd8e3724f4988939527b45df7e56275d6beeaafdb"
PAD, TOKENS = 0, 6
PROMPTS = [[1, 2, 3, 4, 5], [6, 7, 8]]


def root(name: str = "llama") -> str:
    """Hex of the state root after the step of a model of `tiny`."""
    from swarm.learn import state, step
    from swarm.learn.root import state_root
    from swarm.policy import sampler
    from swarm.sections import Learn

    model, size = tiny(name), 4
    seeds = [[bytes([16 * n + g]) * 32 for g in range(size)] for n in range(len(PROMPTS))]
    with canonical():
        drawn = sampler.generate(model, PROMPTS, seeds, max_tokens=TOKENS, eos={PAD}, pad=PAD, temperature=0.9, top_p=0.9)
        rows = [[list(sample.ids) for sample in group] for group in drawn]
        groups = [step.TrainGroup(prompt, group, [0.0, 1.0, 0.5, 1.0]) for prompt, group in zip(PROMPTS, rows, strict=True)]
        learn = Learn(group_size=size, lr=1e-3, weight_decay=0.01, microbatch=size)
        done = step.step(model, None, groups, learn, seed=1, pad=PAD, eos={PAD}, steps_done=0, kind=CanonicalAdamW)
    return state_root(state.tensors_of(model, done.optimizer_state), {"round": 1, "steps": 1}).hex()


def tiny(name: str = "llama") -> PreTrainedModel:
    """A model of two layers with weights of `Draw`: llama, qwen2 or gpt2."""
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

    from swarm.policy import start

    around = dict(vocab_size=97, bos_token_id=1, eos_token_id=PAD, pad_token_id=PAD)
    shape = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
    config = {
        "llama": lambda: LlamaConfig(**shape, **around, tie_word_embeddings=True),
        "qwen2": lambda: Qwen2Config(**shape, **around),
        "gpt2": lambda: GPT2Config(n_embd=48, n_layer=2, n_head=4, n_positions=64, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **around),
    }[name]()
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    with torch.no_grad():
        for label, tensor in model.named_parameters():
            middle = 1.0 if "norm" in label or ".ln_" in label else 0.0
            tensor.copy_(torch.from_numpy(Draw(f"{name} {label}").normal(*tensor.shape, scale=2.0**-4)).add_(middle))
    start.settle(model, bytes(32))
    return model
