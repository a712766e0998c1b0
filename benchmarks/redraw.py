"""What it costs to verify sampled rollouts beside generating them: 64 tokens each, none may end early.

    python benchmarks/redraw.py                                   # both models, some four minutes on one core
    python benchmarks/redraw.py --model base --profile canonical  # the shipped base model, in canonical numerics

A step has eight questions of eight rollouts. An auditor derives all of them, or those that a beacon draws, from one teacher-forced pass with
their noise and log-probabilities (`swarm.policy.redraw`); the alternative is to decode the same rollouts again. Both take turns in one process, on
one thread; a row shows the least CPU time (user and system) of the repeats. "of the step" compares with what generating the whole step took its
author. The last line measures how far logits of another batch shape are apart, which the margin of `swarm audit` rests on.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from swarm.policy import sampler
from swarm.policy.redraw import Ends, Told, redraw
from swarm.seeds import derive

QUESTIONS, GROUP, TOKENS = 8, 8, 64
SAMPLES = {
    "one drawn rollout": [(3, 5)],
    "four of one question": [(3, g) for g in range(4)],
    "one question": [(3, g) for g in range(GROUP)],
    "one of each question": [(n, n) for n in range(QUESTIONS)],
    "a drawn quarter": [(n, g) for n in range(QUESTIONS) for g in (1, 6)],
    "the whole step": [(n, g) for n in range(QUESTIONS) for g in range(GROUP)],
}
BOUND = 0.2


@dataclass(frozen=True)
class Step:
    """A model, the prompts of a step, and what its author sampled."""

    name: str
    model: torch.nn.Module
    prompts: list[list[int]]
    seeds: list[list[bytes]]

    def generate(self, places: list[tuple[int, int]]) -> list[list[sampler.Sample]]:
        """Decode the rollouts at `places`, by question."""
        questions = sorted({n for n, _ in places})
        noise = [[self.seeds[n][g] for at, g in places if at == n] for n in questions]
        return sampler.generate(self.model, [self.prompts[n] for n in questions], noise, max_tokens=TOKENS, eos=set(), pad=0)


def smollm2(cache: Path) -> Step:
    """The packaged SmolLM2-135M-Instruct with arithmetic questions."""
    from swarm import recipe
    from swarm.policy import model

    task = {"name": "addition", "kind": "builtin", "source": "addition"}
    policy = model.load(recipe.parse({"name": "bench", "tasks": [task], "model": {"source": "smollm2"}}), cache)
    draw = random.Random(0)
    prompts = [policy.chat.prompt(f"What is {draw.randint(10, 99)} + {draw.randint(10, 99)}?", 200) for _ in range(QUESTIONS)]
    return _step("SmolLM2-135M-Instruct", policy.model, prompts)


def base(cache: Path) -> Step:
    """The shipped base model."""
    from swarm import recipe
    from swarm.policy import model

    policy = model.load(recipe.load("local"), cache)
    draw = random.Random(0)
    prompts = [policy.chat.prompt(f"{draw.randint(10, 99)}+{draw.randint(10, 99)}", 50) for _ in range(QUESTIONS)]
    return _step("base model", policy.model, prompts)


def _step(name: str, model: torch.nn.Module, prompts: list[list[int]]) -> Step:
    return Step(name, model, prompts, [[derive("bench", n, g) for g in range(GROUP)] for n in range(QUESTIONS)])


def cost(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compare(step: Step, repeats: int) -> bool:
    """Measure and print one table; whether the rollouts that an auditor draws cost it no more than the bound."""
    samples = step.generate(SAMPLES["the whole step"])
    told = {(n, g): Told(step.prompts[n], list(samples[n][g].ids), step.seeds[n][g]) for n, g in SAMPLES["the whole step"]}
    times: dict[str, list[float]] = {}
    apart = 0.0
    for name, places in SAMPLES.items():
        rows = [told[place] for place in places]
        found = redraw(step.model, rows, Ends(TOKENS, frozenset()), pad=0)
        wrong = [place for place, one in zip(places, found, strict=True) if one.place is not None]
        if wrong:
            print(f"{name}: {len(wrong)} of {len(places)} rollouts do not follow in this batch shape (stock PyTorch: near ties)")
        scored = zip(places, found, strict=True)
        apart = max(apart, *(abs(a - b) for (n, g), one in scored for a, b in zip(one.scores, samples[n][g].logprobs, strict=True)))
        work = [lambda p=places: step.generate(p), lambda r=rows: redraw(step.model, r, Ends(TOKENS, frozenset()), pad=0)]
        turns = [[cost(each) for each in work] for _ in range(repeats)]
        times[name] = [min(column) for column in zip(*turns, strict=True)]
    whole = times["the whole step"][0]
    print(f"\n{step.name}: prompts of {len(step.prompts[0])} tokens, {TOKENS} new ones, CPU-seconds, best of {repeats}")
    print(f"{'':24}{'rollouts':>9}{'decoded':>10}{'derived':>10}{'ratio':>8}{'of the step':>13}")
    for name, (decoded, derived) in times.items():
        print(f"{name:24}{len(SAMPLES[name]):9}{decoded:10.2f}{derived:10.2f}{derived / decoded:8.2f}{derived / whole:13.2f}")
    print(f"log-probabilities of the pass and of decoding differ by at most {apart:.1e}")
    return times["one drawn rollout"][1] <= BOUND * times["one drawn rollout"][0] and times["a drawn quarter"][1] <= BOUND * whole


def numerics(profile: str) -> contextlib.AbstractContextManager[None]:
    if profile == "stock":
        return contextlib.nullcontext()
    from swarm.proof.canonical import canonical

    return canonical()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["smollm2", "base", "both"], default="both")
    parser.add_argument("--profile", choices=["stock", "canonical"], default="stock")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(".swarm/cache"), help="where the converted SmolLM2 is kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps = [make(options.cache) for name, make in (("base", base), ("smollm2", smollm2)) if options.model in (name, "both")]
    with numerics(options.profile):
        good = [compare(step, options.repeats) for step in steps]
    raise SystemExit(not all(good))


if __name__ == "__main__":
    main()
