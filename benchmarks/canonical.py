"""What canonical numerics cost: a whole GRPO step and generation beside stock PyTorch's, in paired CPU-seconds, and every operator's share.

    python benchmarks/canonical.py                   # shapes of SmolLM2-135M, random weights; some six minutes and 4 GB on one core
    python benchmarks/canonical.py --model base      # the shipped base model's shapes as recipes/local.toml trains them

Stock is PyTorch's own attention and matrix products, and AdamW's fused variant. The two take turns on the same weights and rows, so that what
else the machine does falls on both; each turn gives one ratio, of which the table shows the median, the least and the greatest. A step is
forward, backward, clipping and AdamW as `swarm.learn.step` takes it (its trainer's set-up, which both pay, is in it). CPU time is of this
process, user and system, all threads.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, LlamaConfig

from swarm.learn import step
from swarm.learn.step import TrainGroup
from swarm.policy import sampler
from swarm.proof.canonical import canonical, native
from swarm.proof.canonical.adamw import CanonicalAdamW
from swarm.proof.canonical.mode import Heard
from swarm.sections import Learn
from swarm.seeds import derive

GROUP = 8
ADAMW = "AdamW"
SMOLLM2 = dict(vocab_size=49_152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3)
BASE = dict(vocab_size=59, hidden_size=128, intermediate_size=384, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4)


class Fused(torch.optim.AdamW):
    """AdamW as PyTorch has it at its fastest."""

    def __init__(self, parameters: Any, **settings: Any):
        super().__init__(parameters, **settings | {"foreach": None, "fused": True})


@dataclass(frozen=True)
class Setting:
    """A model's shape, the groups of a step with their lengths, and the rows and new tokens of a generation."""

    name: str
    shape: dict[str, int]
    groups: int
    prompt: int
    completion: int
    microbatch: int
    prompts: int
    tokens: int

    def model(self) -> torch.nn.Module:
        torch.manual_seed(0)
        around = dict(max_position_embeddings=512, tie_word_embeddings=True, pad_token_id=0, eos_token_id=1, bos_token_id=None)
        return AutoModelForCausalLM.from_config(LlamaConfig(**self.shape, **around), attn_implementation="sdpa").eval()

    def ids(self, tag: str, number: int, length: int) -> list[int]:
        draw = torch.Generator().manual_seed(int.from_bytes(derive(tag, number)[:6], "little"))
        return torch.randint(2, self.shape["vocab_size"], (length,), generator=draw).tolist()


SETTINGS = {
    "smollm2": Setting("SmolLM2-135M's shapes", SMOLLM2, groups=1, prompt=32, completion=64, microbatch=8, prompts=4, tokens=16),
    "base": Setting("the base model's shapes", BASE, groups=18, prompt=16, completion=28, microbatch=64, prompts=10, tokens=28),
}


class Contender:
    """One side: what it computes in, its optimizer, and the state that its steps carry on."""

    def __init__(self, setting: Setting, model: torch.nn.Module, around: Callable[[], AbstractContextManager], kind: type[torch.optim.AdamW]):
        self.setting, self.model, self.around, self.kind = setting, model, around, kind
        self.state: step.OptimizerState | None = None

    def step(self) -> None:
        this = self.setting
        completions = [[this.ids("completion", GROUP * n + g, this.completion) for g in range(GROUP)] for n in range(this.groups)]
        groups = [TrainGroup(this.ids("prompt", n, this.prompt), rows, [float(g % 2) for g in range(GROUP)]) for n, rows in enumerate(completions)]
        learn = Learn(group_size=GROUP, lr=1e-6, microbatch=this.microbatch)
        with self.around():
            done = step.step(self.model, self.state, groups, learn, seed=1, pad=0, eos={1}, steps_done=0, kind=self.kind)
        self.state = done.optimizer_state

    def generate(self) -> None:
        this = self.setting
        prompts = [this.ids("prompt", n, this.prompt) for n in range(this.prompts)]
        seeds = [[derive("bench", n, g) for g in range(GROUP)] for n in range(this.prompts)]
        with self.around():
            sampler.generate(self.model, prompts, seeds, max_tokens=this.tokens, eos=set(), pad=0, rows=GROUP * this.prompts)


class Clock(TorchDispatchMode):
    """Adds up CPU time by ATen operator, of stock PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: dict[str, float] = defaultdict(float)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        begun = time.process_time_ns()
        out = self.run(func, types, args, kwargs or {})
        name = str(func).removeprefix("aten.").rpartition(".")[0]
        self.spent[ADAMW if name == "_fused_adamw_" else name] += (time.process_time_ns() - begun) / 1e9
        return out

    def run(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return func(*args, **kwargs)


class CanonicalClock(Clock):
    """The same of the canonical mode."""

    def run(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return Heard.__torch_dispatch__(self, func, types, args, kwargs)


def timed(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compare(name: str, stock: Callable[[], None], ours: Callable[[], None], repeats: int) -> None:
    """One line of the table of ratios."""
    timed(stock), timed(ours)
    pairs = [(timed(stock), timed(ours)) for _ in range(repeats)]
    ratios = [mine / theirs for theirs, mine in pairs]
    theirs, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{name:28}{theirs:12.3f}{mine:14.3f}{statistics.median(ratios):9.2f}   {spread}", flush=True)


def table(title: str, stock: Contender, ours: Contender, work: str, least: float) -> None:
    """CPU time by operator, of one pass each; what the optimizer does beside ATen's operators counts as its own."""
    spent = []
    for contender, clock in ((stock, Clock()), (ours, CanonicalClock())):
        around, kind = contender.around, contender.kind
        contender.around, contender.kind = (lambda clock=clock: clock), _clocked(kind, clock)
        native.threads(torch.get_num_threads())
        getattr(contender, work)()
        contender.around, contender.kind = around, kind
        spent.append(clock.spent)
    whole = [sum(each.values()) for each in spent]
    print(f"\n{title}, by operator (those over {least:.1%} of either)\n{'':40}{'stock ms':>10}{'canonical ms':>14}{'ratio':>8}{'share':>8}")
    for name in sorted(spent[0].keys() | spent[1].keys(), key=lambda name: -spent[1].get(name, 0.0)):
        theirs, mine = spent[0].get(name, 0.0), spent[1].get(name, 0.0)
        if theirs > least * whole[0] or mine > least * whole[1]:
            ratio = f"{mine / theirs:8.2f}" if theirs and mine else f"{'':8}"
            print(f"{name:40}{1e3 * theirs:10.1f}{1e3 * mine:14.1f}{ratio}{mine / whole[1]:8.1%}")
    print(f"{'all operators':40}{1e3 * whole[0]:10.1f}{1e3 * whole[1]:14.1f}{whole[1] / whole[0]:8.2f}")


def _clocked(kind: type[torch.optim.AdamW], clock: Clock) -> type[torch.optim.AdamW]:
    """The optimizer, whose steps count as one operator."""

    class Clocked(kind):
        def step(self, closure: Any = None) -> Any:
            before = sum(clock.spent.values())
            begun = time.process_time_ns()
            out = super().step(closure)
            clock.spent[ADAMW] += (time.process_time_ns() - begun) / 1e9 - (sum(clock.spent.values()) - before)
            return out

    return Clocked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=list(SETTINGS), default="smollm2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", choices=["step", "generate"], action="append")
    parser.add_argument("--no-table", action="store_true", help="only the ratios")
    parser.add_argument("--least", type=float, default=0.005, help="smallest share of a row in the tables by operator")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    setting = SETTINGS[options.model]
    model = setting.model()
    stock, ours = Contender(setting, model, nullcontext, Fused), Contender(setting, model, canonical, CanonicalAdamW)
    rows, length = setting.groups * GROUP, setting.prompt + setting.completion
    size = sum(tensor.numel() for tensor in model.parameters())
    print(f"{setting.name}: {size:,} parameters, {options.threads} thread(s), {options.repeats} pairs")
    print(f"a step of {rows} rows of {length} tokens; generation of {GROUP * setting.prompts} rows of {setting.tokens} new tokens\n")
    print(f"{'CPU-seconds':28}{'stock':>12}{'canonical':>14}{'ratio':>9}   spread")
    for work in options.work or ["step", "generate"]:
        compare(work, getattr(stock, work), getattr(ours, work), options.repeats)
    for work in [] if options.no_table else options.work or ["step", "generate"]:
        table(f"one {work}", stock, ours, work, options.least)


if __name__ == "__main__":
    main()
