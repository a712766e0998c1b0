"""Rollouts: batched sampling whose every token follows from (weights, prompt, seed), and can be drawn again alone.

`generate` draws groups of samples, `greedy` takes the likeliest tokens, `logprobs` scores given tokens by teacher forcing; what seeds draw
along given completions, from one such pass, is in `redraw.py`.

Token t of a sample is the argmax of logits / temperature + Gumbel noise of (seed, t), over the nucleus where top_p < 1. Which
rows share a batch does not enter, but floating-point sums do, in stock PyTorch: in another batch shape logits differ by about 1e-6 of
their size, so a token can differ where its two best entries were that close (about once in 10^5 tokens).

Log-probabilities are float32, natural, of the whole vocabulary at `temperature` and before top_p: the numbers a trainer compares.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from swarm.policy.context import Context, Rows, batches
from swarm.policy.noise import many_bits, winners

ROWS = 64  # rows in a batch unless told otherwise
COMPACT = 0.75  # rows that have ended are dropped once no more than this share is still going
NOISE = 2**21  # noise entries drawn ahead

Progress = Callable[[float], None]
Pick = Callable[[Tensor, int, Tensor], Tensor]  # logits (R, V), position, rows still there → tokens (R,)


@dataclass(frozen=True)
class Sample:
    """One completion. `ids` include the token or tail that ended it; `finished` is False where the length limit did."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool


def generate(
    model: nn.Module,
    prompts: list[list[int]],
    seeds: list[list[bytes]],
    *,
    max_tokens: int,
    eos: set[int],
    pad: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: list[int] | None = None,
    rows: int = ROWS,
    progress: Progress | None = None,
) -> list[list[Sample]]:
    """Draw one sample per seed: `seeds[n]` are the 32-byte seeds of the group that continues `prompts[n]`.

    A sample ends with a token of `eos`, with the tail `stop` (a sequence of tokens), or after `max_tokens`. Equal prompts are read once.
    `rows` bounds a batch; it changes speed and memory, not results. `progress` is called with the share done, 0 to 1.
    """
    owners = [n for n, group in enumerate(seeds) for _ in group]
    flat = [seed for group in seeds for seed in group]

    def picker(batch: Rows) -> Pick:
        return _Drawn([flat[i] for i in batch.indices], max_tokens, top_p)

    goal = _Goal(max_tokens, eos, stop or [], pad, temperature)
    samples = iter(_complete(model, [prompts[n] for n in owners], goal, picker, rows, progress))
    return [[next(samples) for _ in group] for group in seeds]


def greedy(
    model: nn.Module, prompts: list[list[int]], *, max_tokens: int, eos: set[int], pad: int, rows: int = ROWS, progress: Progress | None = None
) -> list[list[int]]:
    """The likeliest completion of every prompt, one token at a time; includes the EOS token where there is one."""

    def likeliest(logits: Tensor, position: int, rows: Tensor) -> Tensor:
        return logits.argmax(-1)

    goal = _Goal(max_tokens, eos, [], pad, 1.0)
    return [list(sample.ids) for sample in _complete(model, prompts, goal, lambda batch: likeliest, rows, progress)]


def logprobs(
    model: nn.Module, prompts: list[list[int]], completions: list[list[int]], *, temperature: float = 1.0, pad: int = 0, rows: int = ROWS
) -> list[list[float]]:
    """Log-probability of every token of `completions[i]` after `prompts[i]`, by teacher forcing. Equal prompts are read once."""
    scores: list[list[float]] = [[] for _ in completions]
    for i, logits in forced(model, prompts, completions, pad=pad, rows=rows):
        tokens = torch.tensor(completions[i], device=logits.device)
        scores[i] = logprob(logits / temperature, tokens).tolist()
    return scores


@torch.no_grad()
def forced(
    model: nn.Module, prompts: list[list[int]], completions: list[list[int]], *, pad: int = 0, rows: int = ROWS, last: int | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield `(i, logits)` for each completion in some order: float32 (n, V), one line per token of its last `last` (or all) tokens.

    Completions without tokens are left out.
    """
    chosen = [i for i, completion in enumerate(completions) if completion]
    most = max((len(completions[i]) for i in chosen), default=1)
    fed = [len(completions[i]) - 1 for i in chosen]
    with evaluating(model):
        for batch in batches(model, [prompts[i] for i in chosen], fed, rows, wanted=min(most, last or most)):
            members = [chosen[i] for i in batch.indices]
            yield from zip(members, _forced(model, batch, [completions[i] for i in members], pad, last), strict=True)


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """A copy of `logits` (R, V) with -inf outside the smallest set of likeliest entries that holds `top_p` of the probability."""
    if top_p >= 1:
        return logits.clone()
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    before = ordered.softmax(-1).cumsum(-1).roll(1, -1)
    before[:, 0] = 0
    outside = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, order, before >= top_p)
    return logits.masked_fill(outside, float("-inf"))


def logprob(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability (R,) of `tokens` (R,) under `logits` (R, V)."""
    return logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(-1)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model without dropout, and back to how it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@dataclass(frozen=True)
class _Goal:
    max_tokens: int
    eos: set[int]
    stop: list[int]
    pad: int
    temperature: float


class _Drawn:
    """Picks tokens by Gumbel-max; holds the noise's integers of some positions ahead for the rows of one batch."""

    def __init__(self, seeds: list[bytes], positions: int, top_p: float):
        self.seeds, self.positions, self.top_p = seeds, positions, top_p
        self.held = range(0)

    def __call__(self, logits: Tensor, position: int, rows: Tensor) -> Tensor:
        if position not in self.held:
            self._draw(position, rows, logits.shape[-1])
        drawn = self.bits[self.place[rows.cpu().numpy()], position - self.held.start]
        return winners((nucleus(logits, self.top_p) if self.top_p < 1 else logits).cpu(), drawn)[0].to(logits.device)

    def _draw(self, position: int, rows: Tensor, vocabulary: int) -> None:
        ahead = max(1, NOISE // (len(rows) * vocabulary))
        self.held = range(position, min(position + ahead, self.positions))
        self.bits = many_bits([self.seeds[row] for row in rows.tolist()], self.held, vocabulary)
        self.place = np.zeros(len(self.seeds), dtype=np.int64)
        self.place[rows.cpu().numpy()] = np.arange(len(rows))


class _Written:
    """What the rows of one batch have written so far."""

    def __init__(self, rows: int, goal: _Goal, device: torch.device):
        self.goal = goal
        self.ids = torch.full((rows, goal.max_tokens), goal.pad, device=device)
        self.logprobs = torch.zeros(rows, goal.max_tokens, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.going = torch.ones(rows, dtype=torch.bool, device=device)
        self.eos = torch.tensor(sorted(goal.eos), dtype=torch.long, device=device)
        self.stop = torch.tensor(goal.stop, dtype=torch.long, device=device)

    def add(self, position: int, live: Tensor, tokens: Tensor, scores: Tensor) -> Tensor:
        """Write `tokens` of the rows `live` at `position`; which of them go on (bool). What an ended row writes is cut off later."""
        self.ids[live, position] = tokens
        self.logprobs[live, position] = scores
        ended = torch.isin(tokens, self.eos)
        start = position + 1 - len(self.stop)
        if len(self.stop) and start >= 0:
            ended |= (self.ids[live, start : position + 1] == self.stop).all(1)
        going = self.going[live]
        self.lengths[live[going]] = position + 1
        self.going[live] = going = going & ~ended
        return going

    def samples(self) -> list[Sample]:
        """The rows as samples, in order."""
        columns = (self.ids.tolist(), self.logprobs.tolist(), self.lengths.tolist(), self.going.tolist())
        return [Sample(tuple(ids[:n]), tuple(scores[:n]), not going) for ids, scores, n, going in zip(*columns, strict=True)]


@torch.no_grad()
def _complete(
    model: nn.Module, prompts: list[list[int]], goal: _Goal, picker: Callable[[Rows], Pick], rows: int, progress: Progress | None
) -> list[Sample]:
    """Complete every prompt, batch by batch; results in the order of `prompts`."""
    samples: dict[int, Sample] = {}
    with evaluating(model):
        for batch in batches(model, prompts, [goal.max_tokens] * len(prompts), rows):
            done, share = len(samples) / len(prompts), len(batch.owners) / len(prompts)
            report = (lambda part, done=done, share=share: progress(done + part * share)) if progress else None
            written = _write(model, batch, goal, picker(batch), report)
            samples.update(zip(batch.indices, written.samples(), strict=True))
    return [samples[i] for i in range(len(prompts))]


def _write(model: nn.Module, batch: Rows, goal: _Goal, pick: Pick, report: Progress | None) -> _Written:
    """Write the rows of one batch, token by token."""
    context = Context(model, batch.prompts, goal.pad)
    logits = context.spread(batch.owners, goal.max_tokens)
    written = _Written(len(batch.owners), goal, logits.device)
    live = torch.arange(len(batch.owners), device=logits.device)
    for position in range(goal.max_tokens):
        if goal.temperature != 1:
            logits = logits / goal.temperature
        tokens = pick(logits, position, live)
        going = written.add(position, live, tokens, logprob(logits, tokens))
        count = int(going.sum())
        if report:
            report((position + 1) / goal.max_tokens if count else 1.0)
        if not count or position + 1 == goal.max_tokens:
            break
        if count <= COMPACT * len(live):
            kept = going.nonzero()[:, 0]
            context.keep(kept)
            live, tokens = live[kept], tokens[kept]
        logits = context.step(tokens)
    return written


def _forced(model: nn.Module, batch: Rows, completions: list[list[int]], pad: int, last: int | None) -> list[Tensor]:
    """Logits of the last tokens of each completion of one batch, (n, V) each."""
    context = Context(model, batch.prompts, pad)
    longest = max(map(len, completions)) - 1
    first = context.spread(batch.owners, longest)
    columns = min(longest, last or longest)
    rest = context.extend([completion[:-1] for completion in completions], pad, columns) if longest else first[:, None][:, :0]
    lines = []
    for row, completion in enumerate(completions):
        wanted = min(len(completion), last or len(completion))
        tail = rest[row, columns - min(wanted, len(completion) - 1) :]
        lines.append(torch.cat([first[row : row + 1], tail]) if wanted == len(completion) else tail)
    return lines
