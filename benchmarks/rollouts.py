"""How many tokens a CPU-second buys: our sampler beside transformers' `generate` and TRL's own generation.

    python benchmarks/rollouts.py                 # both models; some five minutes on one core
    python benchmarks/rollouts.py --model tiny    # only a model of the shipped base model's size, with random weights

Every contender draws the same number of tokens at temperature 1 from the same prompts, in groups of eight per prompt, on one thread; none
may stop early. Contenders take turns, so that what else the machine does falls on all of them; the table shows the median
of the repeats, and CPU time of this process only (user and system), not wall time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from swarm.policy import sampler
from swarm.seeds import derive

GROUP = 8


@dataclass(frozen=True)
class Contest:
    """A model, token ids of its prompts (each continued `GROUP` times) and the number of new tokens."""

    name: str
    model: torch.nn.Module
    tokenizer: object
    prompts: list[list[int]]
    tokens: int

    @property
    def rows(self) -> int:
        return GROUP * len(self.prompts)


def smollm2(cache: Path, rows: int) -> Contest:
    """The packaged SmolLM2-135M-Instruct with arithmetic questions, 16 new tokens."""
    from swarm import recipe
    from swarm.policy import model

    task = {"name": "addition", "kind": "builtin", "source": "addition"}
    policy = model.load(recipe.parse({"name": "bench", "tasks": [task], "model": {"source": "smollm2"}}), cache)
    draw = random.Random(0)
    prompts = [policy.chat.prompt(f"What is {draw.randint(10, 99)} + {draw.randint(10, 99)}?", 200) for _ in range(rows // GROUP)]
    return Contest("SmolLM2-135M-Instruct", policy.model, policy.tokenizer, prompts, 16)


def tiny(rows: int) -> Contest:
    """A Llama of the base model's size (hidden 128, 3 layers, 58 tokens) with random weights, 30 new tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4}
    sizes |= {"vocab_size": 58, "max_position_embeddings": 128, "tie_word_embeddings": True}
    config = LlamaConfig(pad_token_id=0, eos_token_id=1, bos_token_id=None, **sizes)
    draw = random.Random(0)
    prompts = [[draw.randint(6, 57) for _ in range(draw.choice([7, 17, 21]))] for _ in range(rows // GROUP)]
    return Contest("0.65 M parameters", LlamaForCausalLM(config).eval(), None, prompts, 30)


def ours(contest: Contest) -> Callable[[], object]:
    """Our sampler, all rows in one batch."""
    seeds = [[derive("bench", n, g) for g in range(GROUP)] for n in range(len(contest.prompts))]
    how = {"max_tokens": contest.tokens, "eos": set(), "pad": 0, "rows": contest.rows}
    return lambda: sampler.generate(contest.model, contest.prompts, seeds, **how)


def transformers_generate(contest: Contest) -> Callable[[], object]:
    """`model.generate` on the same rows: every prompt repeated, padded on the left."""
    prompts = [prompt for prompt in contest.prompts for _ in range(GROUP)]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    how = {"do_sample": True, "temperature": 1.0, "top_k": 0, "max_new_tokens": contest.tokens, "min_new_tokens": contest.tokens, "pad_token_id": 0}
    return lambda: contest.model.generate(ids, attention_mask=mask, **how)


def trl_generation(contest: Contest, folder: str) -> Callable[[], object]:
    """The generation inside TRL's GRPOTrainer (no vLLM), without the log-probabilities that it computes afterwards."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    how = {"bf16": False, "gradient_checkpointing": False, "use_cpu": True, "report_to": "none", "output_dir": folder}
    how |= {"num_generations": GROUP, "per_device_train_batch_size": contest.rows, "max_completion_length": contest.tokens}
    config = GRPOConfig(temperature=1.0, generation_kwargs={"min_new_tokens": contest.tokens}, **how)
    data = Dataset.from_dict({"prompt": ["1+1"] * contest.rows})
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = GRPOTrainer(contest.model, lambda completions, **_: [0.0] * len(completions), config, data, processing_class=contest.tokenizer)
    prompts = [prompt for prompt in contest.prompts for _ in range(GROUP)]
    return lambda: trainer._generate_single_turn(prompts, None, {}, GROUP)


def measure(contenders: dict[str, tuple[int, Callable[[], object]]], repeats: int) -> dict[str, float]:
    """Tokens per CPU-second of each contender: median over `repeats` turns after one turn to warm up."""
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, (tokens, run) in contenders.items():
            start = time.process_time()
            run()
            if turn:
                speeds[name].append(tokens / (time.process_time() - start))
    return {name: statistics.median(values) for name, values in speeds.items()}


def compare(contest: Contest, twice: Contest, repeats: int) -> None:
    """Measure and print one table; `twice` is the same with twice the rows, for our sampler only."""
    with tempfile.TemporaryDirectory() as folder:
        contenders = {f"transformers generate, {contest.rows} rows": transformers_generate(contest)}
        if contest.tokenizer is not None:
            contenders[f"TRL GRPOTrainer, {contest.rows} rows"] = trl_generation(contest, folder)
        contenders[f"ours, {contest.rows} rows"] = ours(contest)
        contenders[f"ours, {twice.rows} rows"] = ours(twice)
        sizes = {name: (twice if name.endswith(f" {twice.rows} rows") else contest) for name in contenders}
        speeds = measure({name: (sizes[name].rows * contest.tokens, run) for name, run in contenders.items()}, repeats)
    base = next(iter(speeds.values()))
    length = statistics.mean(map(len, contest.prompts))
    print(f"\n{contest.name}: {contest.tokens} new tokens, prompts of {length:.0f} tokens, groups of {GROUP}, median of {repeats}")
    print(f"{'':36}{'tokens per CPU-second':>22}{'ratio':>8}")
    for name, speed in speeds.items():
        print(f"{name:36}{speed:22.0f}{speed / base:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["smollm2", "tiny", "both"], default="both")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path(".swarm/cache"), help="where the converted SmolLM2 is kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.model != "smollm2":
        compare(tiny(128), tiny(256), options.repeats)
    if options.model != "tiny":
        compare(smollm2(options.cache, 32), smollm2(options.cache, 64), options.repeats)


if __name__ == "__main__":
    main()
