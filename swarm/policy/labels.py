"""A choice among fixed labels (verdict, forecast) by their log-probabilities: never parsed from free text.

The probability of a label is that of its tokens after the prefix, times those of the other labels set to sum to 1. With a
seed the label is drawn by Gumbel-max over that distribution, without one it is the likeliest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from swarm.policy.noise import gumbel
from swarm.policy.sampler import ROWS, forced
from swarm.seeds import derive


@dataclass(frozen=True)
class Choice:
    """What was chosen: `labels[index]`, its `ids` and their log-probs as the model writes them, and all labels' normalised log-probs."""

    index: int
    logprobs: tuple[float, ...]  # one per label; their exponentials sum to 1
    ids: tuple[int, ...]
    token_logprobs: tuple[float, ...]  # one per id, over the whole vocabulary: what a trainer compares
    ahead: float = math.inf  # of the next label, noise included

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of each label among the labels."""
        return tuple(torch.tensor(self.logprobs).exp().tolist())


def choose(
    model: nn.Module,
    prefixes: list[list[int]],
    labels: list[list[int]],
    seeds: list[bytes] | None = None,
    *,
    shared: list[int] | None = None,
    temperature: float = 1.0,
    pad: int = 0,
    rows: int = ROWS,
) -> list[Choice]:
    """Choose one of `labels` (token ids, at least one each) after each prefix.

    `seeds` are 32 bytes per prefix; the label's noise is apart from the noise of tokens drawn with the same seed. `shared[i]` says how
    many leading tokens of prefix i are the prompt of its group: equal prompts are then read once. Labels of one length are compared
    fairly; a longer label has more ways to be unlikely.
    """
    if any(not label for label in labels) or len(labels) < 2:
        raise ValueError("a choice wants two labels or more, of at least one token each")
    scores = _scores(model, prefixes, labels, shared or [len(prefix) for prefix in prefixes], temperature, pad, rows)
    chosen = []
    for n, tokens in enumerate(scores):
        normal = torch.stack([line.sum() for line in tokens]).log_softmax(-1)
        noise = gumbel([derive("label", seeds[n])], range(1), len(labels))[0, 0] if seeds else 0.0
        totals = normal + noise
        index = int(totals.argmax())
        first, second = sorted(totals.tolist(), reverse=True)[:2]
        chosen.append(Choice(index, tuple(normal.tolist()), tuple(labels[index]), tuple(tokens[index].tolist()), first - second))
    return chosen


def _scores(
    model: nn.Module, prefixes: list[list[int]], labels: list[list[int]], shared: list[int], temperature: float, pad: int, rows: int
) -> list[list[torch.Tensor]]:
    """Log-probs (float32, on the CPU) of each label's tokens after each prefix.

    Labels that differ only in their last token are scored from one pass.
    """
    stems = list(dict.fromkeys(tuple(label[:-1]) for label in labels))
    prompts = [prefix[:cut] for prefix, cut in zip(prefixes, shared, strict=True) for _ in stems]
    tails = [[*prefix[cut:], *stem, labels[0][-1]] for prefix, cut in zip(prefixes, shared, strict=True) for stem in stems]
    scores: list[list[torch.Tensor]] = [[torch.empty(0)] * len(labels) for _ in prefixes]
    for i, logits in forced(model, prompts, tails, pad=pad, rows=rows, last=max(map(len, labels))):
        n, stem = divmod(i, len(stems))
        lines = (logits / temperature).log_softmax(-1).cpu()
        for k, label in enumerate(labels):
            if tuple(label[:-1]) == stems[stem]:
                scores[n][k] = lines[-len(label) :].gather(1, torch.tensor(label)[:, None])[:, 0]
    return scores
