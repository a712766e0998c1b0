"""Small models with random weights, for tests of the policy: the kinds the sampler treats alike and apart."""

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, BloomConfig, GPT2Config, LlamaConfig, MistralConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config

VOCABULARY = 40
TOKENS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None, "tie_word_embeddings": False}
SIZE = {**TOKENS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SIZE, "intermediate_size": 64, "max_position_embeddings": 128, "num_key_value_heads": 2}
CONFIGS = {
    "llama": lambda: LlamaConfig(**WIDE),
    "qwen2": lambda: Qwen2Config(**WIDE),
    "qwen3": lambda: Qwen3Config(**WIDE, head_dim=8),
    "gpt2": lambda: GPT2Config(**TOKENS, n_positions=128, n_embd=32, n_layer=2, n_head=4),
    "mistral": lambda: MistralConfig(**WIDE, sliding_window=6),  # attends to a window: the general store
    "bloom": lambda: BloomConfig(**SIZE),  # no position ids: reads distances from the mask
}


def random_model(kind: str = "llama", seed: int = 0, scale: float = 0.2, attention: str = "sdpa"):
    """A model of `kind` in eval mode whose weights are large enough for sharp, varied distributions."""
    torch.manual_seed(seed)
    config = CONFIGS[kind]()
    attention = "eager" if kind == "bloom" else attention
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(0, scale)
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 1
    return model


def character_tokenizer(**words) -> PreTrainedTokenizerFast:
    """One token per character, with special tokens for two chat roles, as the shipped base model has."""
    special = ["<pad>", "<eos>", "<user>", "<bot>", "<sys>", "<unk>"]
    characters = "0123456789+-*/=%<>?:,.()' abcdefghijklmnopqrstuvwxyz\n"
    vocabulary = {word: i for i, word in enumerate([*special, *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    roles = ["<user>", "<bot>", "<sys>"]
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>", "additional_special_tokens": roles}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **words)
