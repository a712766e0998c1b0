"""Redraw: what seeds draw along completions that somebody told, from one teacher-forced pass instead of decoding again.

A completion follows where every token is the one that its seed draws after the tokens before it, and where it ends as it had to: with an EOS
token, with the stop tail, or at the limit, neither sooner nor later. Under canonical numerics the pass gives the very logits that decoding
gave, so a token either follows or does not (`margin = 0`).

In stock PyTorch logits of another batch shape differ by rounding. With a `margin` (natural logarithm units, of logit / temperature + noise) a
token that is behind the drawn one by less counts as *near*: nobody can tell, and it is no sign of guilt. With top_p < 1 the same share
of the nucleus' probability is left open at its edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from swarm.policy.noise import bits, of_bits, winners
from swarm.policy.sampler import ROWS, Sample, forced, nucleus

ENTRIES = 2**19  # logits looked at together, where completions are short or the vocabulary small


@dataclass(frozen=True)
class Told:
    """A completion as it was told. From `put` on its tokens may have been put there after the sample had ended (a critique's cue)."""

    prompt: list[int]
    ids: list[int]
    seed: bytes
    put: int | None = None


@dataclass(frozen=True)
class Near:
    """A token that is not the drawn one, but too near to it to tell."""

    place: int
    behind: float


@dataclass(frozen=True)
class Redrawn:
    """The sample that follows: as told up to `place`, the first token that does not follow (None: all do), and what is drawn there."""

    sample: Sample
    place: int | None
    scores: tuple[float, ...]  # log-probabilities of all the tokens told
    near: tuple[Near, ...] = ()


@dataclass(frozen=True)
class Ends:
    """How samples end."""

    max_tokens: int
    eos: frozenset[int]
    stop: tuple[int, ...] = ()

    def ended(self, ids: list[int]) -> bool:
        """Whether a sample ends with the last of `ids`, other than by the limit."""
        return bool(ids) and (ids[-1] in self.eos or (bool(self.stop) and tuple(ids[-len(self.stop) :]) == self.stop))


def redraw(
    model: nn.Module,
    told: list[Told],
    ends: Ends,
    *,
    pad: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    rows: int = ROWS,
    margin: float = 0.0,
) -> list[Redrawn]:
    """Draw along every completion. `ends`, `temperature`, `top_p` are those it was sampled with; equal prompts are read once."""
    vocabulary = model.config.get_text_config().vocab_size
    whole = [len(one.ids) for one in told]
    told = [replace(one, ids=one.ids[: _readable(one, ends, vocabulary)]) for one in told]
    fed = [[*one.ids, *_asked(one, ends)] for one in told]
    drawn: dict[int, Redrawn] = {}
    for block in _blocks(forced(model, [one.prompt for one in told], fed, pad=pad, rows=rows)):
        logits = torch.cat([lines for _, lines in block]) if len(block) > 1 else block[0][1]
        lines = _lines(logits / temperature if temperature != 1 else logits, [(told[i].seed, fed[i]) for i, _ in block], ends, top_p, margin)
        for i, _ in block:
            drawn[i] = _walk(told[i], ends, [next(lines) for _ in fed[i]], margin)
            if drawn[i].place is None and len(told[i].ids) < whole[i]:
                drawn[i] = replace(drawn[i], place=len(told[i].ids))
    return [drawn.get(i) or Redrawn(Sample((), (), False), 0 if whole[i] else None, ()) for i in range(len(told))]


def _readable(one: Told, ends: Ends, vocabulary: int) -> int:
    """How many of the tokens told a model can be given: up to the limit, and as long as it has them."""
    most = len(one.ids) if one.put is not None and one.put <= ends.max_tokens else ends.max_tokens
    return next((place for place, token in enumerate(one.ids[:most]) if not 0 <= token < vocabulary), min(most, len(one.ids)))


def _asked(one: Told, ends: Ends) -> list[int]:
    """Any token, where it must be drawn what comes after the last one told."""
    return [] if len(one.ids) >= ends.max_tokens or ends.ended(one.ids) else [0]


def _blocks(passes: Iterator[tuple[int, Tensor]]) -> Iterator[list[tuple[int, Tensor]]]:
    """Completions together, as long as their logits are few."""
    block: list[tuple[int, Tensor]] = []
    entries = 0
    for i, logits in passes:
        if block and entries + logits.numel() > ENTRIES:
            yield block
            block, entries = [], 0
        block.append((i, logits))
        entries += logits.numel()
    if block:
        yield block


class _Line(NamedTuple):
    """One place: what is drawn, its log-probability and the told token's, and how far the told token and EOS are behind."""

    drawn: int
    logprob: float
    score: float
    behind: float
    eos_behind: float


def _lines(logits: Tensor, fed: list[tuple[bytes, list[int]]], ends: Ends, top_p: float, margin: float) -> Iterator[_Line]:
    """The lines of some completions, one after the other."""
    noise = np.concatenate([bits(seed, range(len(ids)), logits.shape[-1]) for seed, ids in fed])
    wide = (nucleus(logits, top_p) if top_p < 1 else logits).cpu()
    drawn, best = winners(wide, noise)
    if top_p < 1 and margin:
        best = winners(nucleus(logits, top_p * (1 - margin)).cpu(), noise)[1]
        wide = nucleus(logits, min(1.0, top_p * (1 + margin))).cpu()
    told = torch.tensor([token for _, ids in fed for token in ids])
    columns = torch.cat([told[:, None], torch.tensor(sorted(ends.eos), dtype=torch.long).expand(len(told), -1)], 1)
    place = torch.arange(len(told))[:, None]
    behind = best[:, None] - (wide[place, columns] + of_bits(noise[place, columns]))
    nearest_eos = behind[:, 1:].min(-1).values.tolist() if ends.eos else [math.inf] * len(told)
    both = torch.stack([drawn, told], 1).to(logits.device)
    scores = (logits.gather(1, both) - logits.logsumexp(-1)[:, None]).tolist()
    return iter([_Line(*each) for each in zip(drawn.tolist(), *zip(*scores, strict=True), behind[:, 0].tolist(), nearest_eos, strict=True)])


def _walk(one: Told, ends: Ends, lines: list[_Line], margin: float) -> Redrawn:
    """Go along the tokens told until the first that does not follow."""
    near: list[Near] = []
    scores = tuple(line.score for line in lines[: len(one.ids)])

    def found(place: int | None, taken: int, finished: bool, more: tuple[int, ...] = ()) -> Redrawn:
        ids = (*one.ids[:taken], *more)
        logprobs = (*scores[:taken], *(lines[taken].logprob for _ in more))
        return Redrawn(Sample(ids, logprobs, finished), place, scores, tuple(near))

    count = len(one.ids)
    for place in range(count + 1):
        if ends.ended(one.ids[:place]):
            return found(None if place == count else place, place, True)
        if place == ends.max_tokens:
            return found(None if place in (count, one.put) else place, place, False)
        line = lines[place]
        if place == one.put and line.drawn in ends.eos:
            return found(None, place, True, (line.drawn,))
        if place == one.put and line.eos_behind < margin:
            near.append(Near(place, line.eos_behind))
            return found(None, place, True)
        if place == count:
            break
        if line.drawn != one.ids[place]:
            if not line.behind < margin:
                break
            near.append(Near(place, line.behind))
    return found(place, place, line.drawn in ends.eos, (line.drawn,))
