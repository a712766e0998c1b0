"""Shared by the tests of learning: a tiny random Llama and groups of random rollouts, both functions of a seed."""

from __future__ import annotations

import random

from swarm.learn.step import TrainGroup

VOCABULARY = 60
PAD, EOS = 0, 1


def tiny_model(hidden: int = 32, layers: int = 2, seed: int = 0):
    """A randomly initialised Llama in eval mode; ids 0 and 1 are padding and end."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        eos_token_id=EOS,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = PAD, EOS
    return model.eval()


def lora(model, seed: int = 0):
    """`model` with rank-4 adapters whose B is not zero, so that every adapter tensor gets a gradient."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, tensor in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.02)
    return adapted.eval()


def some_groups(count: int, size: int = 4, seed: int = 0, longest: int = 12) -> list[TrainGroup]:
    """Random groups in which rewards differ."""
    draw = random.Random(seed)
    groups = []
    for index in range(count):
        prompt = [draw.randrange(2, VOCABULARY) for _ in range(draw.randint(3, 9))]
        completions = [[draw.randrange(2, VOCABULARY) for _ in range(draw.randint(1, longest))] + [EOS] for _ in range(size)]
        groups.append(TrainGroup(prompt, completions, [1.0, 0.0] + [draw.random() for _ in range(size - 2)], key=index))
    return groups


def weights(model) -> dict[str, bytes]:
    """The raw bytes of every tensor that training changes, by name."""
    from swarm.learn.step import trainable

    return {name: tensor.detach().numpy().tobytes() for name, tensor in trainable(model).items()}
