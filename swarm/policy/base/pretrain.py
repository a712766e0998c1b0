"""Pre-train the shipped base model: `python -m swarm.policy.base.pretrain --out FOLDER` (about 4 minutes on 2 cores).

A Llama of about 0.65 million parameters over single characters, trained on correct texts only, made by the script itself.
The *same* questions are answered in two manners, mostly directly (`47+38` → `>85`) and sometimes step by step
(`7+8=15 4+3+1=8>85`); other texts judge an answer (`47+38 >75?` → `>wrong`) or answer again after critiques. The working is easier to learn
than the direct answer, so training begins with texts that all show it and goes on with texts that mostly do not: the result answers
directly when greedy and is often wrong, and reinforcement learning finds the other manner, which is nearly always right.
Held-out questions are never among the texts.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path
from typing import Any

CHARACTERS = "0123456789+-*/=%<>?:,.()' abcdefghijklmnopqrstuvwxyz\n"
SPECIAL = ["<pad>", "<eos>", "<user>", "<bot>", "<sys>", "<unk>"]
CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}<user>{{ m['content'] }}"
    "{% elif m['role'] == 'assistant' %}<bot>{{ m['content'] }}<eos>"
    "{% else %}<sys>{{ m['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)
STEP_BY_STEP = 0.3  # share of answers that show their working, in the second part of the training
FIRST, SECOND = 700, 400  # updates of the two parts; in the first all answers show their working
LENGTH = 256  # positions


def tokenizer() -> Any:
    """Character tokenizer (lower case) with a chat template, as transformers' PreTrainedTokenizerFast."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *CHARACTERS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    special = dict(pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", additional_special_tokens=["<user>", "<bot>", "<sys>"])
    made = PreTrainedTokenizerFast(tokenizer_object=core, padding_side="left", model_max_length=LENGTH, **special)
    made.chat_template = CHAT_TEMPLATE
    return made


def model(vocabulary: int, seed: int) -> Any:
    """A fresh LlamaForCausalLM: hidden 128, 3 layers, 4 heads, intermediate 384, float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = dict(hidden_size=128, intermediate_size=384, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4)
    rope = dict(rope_type="default", rope_theta=10_000.0)
    ids = dict(pad_token_id=0, eos_token_id=1, bos_token_id=None)
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=vocabulary, max_position_embeddings=LENGTH, tie_word_embeddings=True, rope_parameters=rope, **shape, **ids)
    )


class Corpus:
    """Endless correct texts `(prompt, completion)`, drawn by one seeded generator."""

    def __init__(self, seed: int):
        self.step_by_step = 1.0
        from swarm.tasks.builtin import SOURCES, Builtin

        self.random = random.Random(seed)
        self.tasks = [Builtin(source, source) for source in SOURCES]

    def text(self) -> tuple[str, str]:
        kind = self.random.random()
        question = self.question()
        if kind < 0.7:
            return question.prompt, self.manner(question) + ">" + question.reference
        answer, right = self.proposal(question)
        verdict = "right" if right else "wrong"
        if kind < 0.85:
            return f"{question.prompt} {answer}?", self.manner(question) + ">" + verdict
        critics = range(self.random.randint(1, 3))
        said = "".join(f" {verdict if self.random.random() < 0.8 else self.random.choice(['right', 'wrong'])}" for _ in critics)
        return f"{question.prompt} {answer}{said}", self.manner(question) + ">" + question.reference

    def question(self) -> Any:
        from swarm.tasks.task import held_out

        while True:
            question = self.random.choice(self.tasks).draw(self.random.randbytes(32))
            if not held_out(question):
                return question

    def manner(self, question: Any) -> str:
        return question.entry if self.random.random() < self.step_by_step else ""

    def proposal(self, question: Any) -> tuple[str, bool]:
        """An answer that somebody may have given: right or wrong with equal odds, in either manner."""
        right = self.random.random() < 0.5
        reference = question.reference if right else self.wrong(question.reference)
        worked = question.entry if self.random.random() < self.step_by_step else ""
        return f"{worked}>{reference}", right

    def wrong(self, reference: str) -> str:
        """A number near the reference, never equal to it."""
        step = self.random.choice([1, 1, 1, 2, 3, 10, 10, 20])
        value = int(reference) + self.random.choice([-step, step])
        return str(value if value >= 0 else int(reference) + step)


def train(made: Any, tokens: Any, corpus: Corpus, share: float, batch: int = 64, lr: float = 3e-3) -> None:
    """AdamW with a short warm-up and a cosine decay over both parts; the loss counts completions only."""
    import torch

    optimizer = torch.optim.AdamW(made.parameters(), lr=lr, weight_decay=0.01, betas=(0.9, 0.98))
    made.train()
    started = time.monotonic()
    for step in range(FIRST + SECOND):
        corpus.step_by_step = 1.0 if step < FIRST else share
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 50) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / (FIRST + SECOND))))
        ids, labels, mask = collate(tokens, [corpus.text() for _ in range(batch)])
        loss = made(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 99:
            print(f"update {step + 1} of {FIRST + SECOND}, loss {loss.item():.3f}, {time.monotonic() - started:.0f} s", flush=True)
    made.eval()


def collate(tokens: Any, texts: list[tuple[str, str]]) -> tuple[Any, Any, Any]:
    """Right-padded `(ids, labels, mask)`, int64 [batch, longest]; prompts are masked out of the labels."""
    import torch

    rows = []
    for prompt, completion in texts:
        start = tokens.encode("<user>" + prompt + "<bot>", add_special_tokens=False)
        rows.append((start, tokens.encode(completion, add_special_tokens=False) + [tokens.eos_token_id]))
    width = max(len(start) + len(end) for start, end in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    mask = torch.zeros_like(ids)
    for row, (start, end) in enumerate(rows):
        full = len(start) + len(end)
        ids[row, :full] = torch.tensor(start + end)
        labels[row, len(start) : full] = torch.tensor(end)
        mask[row, :full] = 1
    return ids, labels, mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for model, config and tokenizer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=STEP_BY_STEP, help="share of step-by-step answers in the second part")
    arguments = parser.parse_args()
    tokens = tokenizer()
    made = model(len(tokens), arguments.seed)
    train(made, tokens, Corpus(arguments.seed), arguments.share)
    made.save_pretrained(arguments.out)
    tokens.save_pretrained(arguments.out)
    print(f"saved {sum(p.numel() for p in made.parameters()):,} parameters to {arguments.out}")


if __name__ == "__main__":
    main()
