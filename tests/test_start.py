"""Start values of a model that are the same bits on every machine: rotary frequencies and adapters."""

import mpmath
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from swarm import recipe
from swarm.errors import InputError
from swarm.policy import model as models
from swarm.policy import start
from swarm.sections import Lora

SIZES = dict(vocab_size=20, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=64)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)


def made(**rope) -> torch.nn.Module:
    return AutoModelForCausalLM.from_config(LlamaConfig(**SIZES, rope_parameters={"rope_theta": 10_000.0, "rope_type": "default"} | rope))


@pytest.mark.parametrize("rope", [{}, {"rope_theta": 500_000.0}, {"rope_type": "linear", "factor": 3.0}, {"rope_type": "llama3", **LLAMA3}])
def test_rotary_frequencies_are_those_of_transformers_but_for_rounding(rope):
    model = made(**rope)
    module = model.model.rotary_emb
    stock = module.inv_freq.clone()
    start.settle(model, bytes(32))
    assert torch.allclose(module.inv_freq, stock, rtol=1e-6, atol=0) and torch.equal(module.inv_freq, module.original_inv_freq)


def test_rotary_frequencies_are_the_nearest_floats():
    model = made(rope_theta=500_000.0)
    start.settle(model, bytes(32))
    with mpmath.workdps(50):
        exact = [mpmath.mpf(500_000) ** (mpmath.mpf(-2 * i) / 16) for i in range(8)]
        for found, wanted in zip(model.model.rotary_emb.inv_freq.numpy(), exact, strict=True):
            neighbours = [np.nextafter(found, np.float32(way)) for way in (0, 2)]
            assert all(abs(mpmath.mpf(float(found)) - wanted) < abs(mpmath.mpf(float(other)) - wanted) for other in neighbours)


def test_frequencies_without_a_canonical_form_are_refused():
    model = made(rope_type="yarn", factor=2.0, original_max_position_embeddings=32)
    with pytest.raises(InputError, match="yarn") as told:
        start.settle(model, bytes(32))
    assert "pinned" in told.value.hint


def test_adapters_start_from_the_seed_by_one_product():
    found = []
    for seed in (1, 1, 2):
        model = models.adapt(made(), Lora(rank=4, targets=["q_proj"]), bytes(32))
        start.settle(model, bytes([seed]) * 32)
        found.append({name: tensor for name, tensor in model.named_parameters() if "lora_" in name})
    ((name, down), (_, up)) = found[0].items()
    bound = np.float32(1 / 32**0.5)
    multiples = down.detach().numpy() / bound * 2**23  # of odd integers, but for the product's rounding
    assert "lora_A" in name and not up.any() and 0.5 * bound < down.abs().max() < bound
    assert np.abs(multiples - np.round(multiples)).max() < 1.0 and down.std() > 0.4 * bound
    assert torch.equal(down, found[1][name]) and not torch.equal(down, found[2][name])


def test_only_a_canonical_recipe_takes_them(monkeypatch, tmp_path):
    settled = []
    monkeypatch.setattr(start, "settle", lambda model, seed: settled.append(seed))
    task = {"name": "addition", "kind": "builtin", "source": "addition"}
    for profile in ("none", "pinned", "canonical"):
        models.load(recipe.parse({"name": "small", "tasks": [task], "proof": {"profile": profile}}), tmp_path)
    assert len(settled) == 1
