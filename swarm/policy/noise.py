"""Counter-based Gumbel noise: the only randomness that sampling uses, so any token can be drawn again.

Adding Gumbel noise to log-probabilities and taking the largest is an exact draw from their softmax (the Gumbel-max
trick; Maddison et al. 2014, arXiv 1411.0030). The noise comes from Philox4x64-10 (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3"), used only for its integers: a function of (seed, position, entry) and of nothing else, so
that one token can be drawn again without the tokens, rows or batches before it.

A sample's 32-byte seed, read as four little-endian words, fills the key (words 0, 1) and the upper half of the counter
(words 2, 3). A block gives four 64-bit words, eight 32-bit halves (low half first). Position `t` of a vocabulary of
`V` entries owns the ceil(V / 8) blocks from `t * ceil(V / 8)` on; as numpy counts before it draws, the first
block of a seed has counter 1. Entry `v` takes the upper 23 bits k of its half: u = (k + 0.5) * 2^-23 is exact in
float32 and never 0 or 1, and the noise -log(-log(u)) lies in [-2.82, 16.64]. The integers are equal on every machine; the
two logarithms may differ in their last bit, which moves a token only where two entries were tied to that bit; under canonical
numerics they are fixed too.

`winners` finds the argmax of logits + noise without taking two logarithms of every entry: since -log(u) >= 1 - u, no entry can win whose
exp(logit) / (1 - u) is below that of a total which was reached, and on average one or two are not below it. Only for those is the noise
computed, so the result is the argmax itself, whatever the rounding of the sieve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

HALVES = 8  # 32-bit halves in one Philox4x64 block
WORDS = 4
STEPS = 2**23  # values of an entry's integer
SIEVED = 2**18  # entries sieved at a time: what stays in a processor's cache
SLACK = 1e-2  # by which the sieve's float32 may be wrong: a thousand times more than it is, where logits are below 10^3


def bits(seed: bytes, positions: range, vocabulary: int) -> np.ndarray:
    """Integers in [0, 2^23), int32 of shape (len(positions), vocabulary), for consecutive `positions` of one seed."""
    return _bits(np.random.Philox(key=0), seed, positions, vocabulary)


def gumbel(seeds: list[bytes], positions: range, vocabulary: int) -> torch.Tensor:
    """Gumbel noise, float32 of shape (len(seeds), len(positions), vocabulary).

    `seeds` are 32 bytes each; `positions` is a range of step 1 that counts a completion's tokens from 0.
    """
    return of_bits(many_bits(seeds, positions, vocabulary))


def many_bits(seeds: list[bytes], positions: range, vocabulary: int) -> np.ndarray:
    """`bits` of several seeds, int32 of shape (len(seeds), len(positions), vocabulary)."""
    philox = np.random.Philox(key=0)  # one generator, set anew for every seed: six times faster than a new one
    drawn = np.empty((len(seeds), len(positions), vocabulary), dtype=np.int32)
    for lines, seed in zip(drawn, seeds, strict=True):
        lines[:] = _bits(philox, seed, positions, vocabulary)
    return drawn


def of_bits(drawn: np.ndarray) -> torch.Tensor:
    """The noise of integers in [0, 2^23), float32 of the same shape."""
    import torch

    return torch.from_numpy(drawn.astype(np.float32)).add_(0.5).mul_(1 / STEPS).log_().neg_().log_().neg_()


def winners(logits: torch.Tensor, drawn: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The first largest entry (R,) of `logits` (R, V) + noise of the integers `drawn` (R, V), and its total; on the CPU.

    `logits` is float32 on the CPU, already divided by the temperature. Entries may be -inf; a line without a finite largest one, or with
    something that is not a number, is added up in full.
    """
    import torch

    lines = logits.numpy()
    found = [_sieve(lines[start:end], drawn[start:end]) for start, end in _parts(*lines.shape)]
    row = np.concatenate([part[0] + start for part, (start, _) in zip(found, _parts(*lines.shape), strict=True)])
    entry = np.concatenate([part[1] for part in found])
    totals = torch.from_numpy(lines[row, entry]).add_(of_bits(drawn[row, entry]))
    place, best = _first_largest(row, totals.numpy(), len(lines))
    return torch.from_numpy(entry[place]), torch.from_numpy(best)


def _parts(count: int, vocabulary: int) -> list[tuple[int, int]]:
    step = max(1, SIEVED // max(1, vocabulary))
    return [(start, min(start + step, count)) for start in range(0, count, step)]


def _sieve(lines: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and entry, ascending, of all that could be a line's first largest. What cannot be compared could."""
    with np.errstate(invalid="ignore", under="ignore"):
        most = lines.max(-1, keepdims=True)
        race = np.exp(lines - most)
        race /= np.subtract(np.float32(STEPS - 0.5), drawn, dtype=np.float32)  # (1 - u) * STEPS, exact
        place, leader = np.arange(len(lines)), race.argmax(-1)
        wait = -np.log((drawn[place, leader] + 0.5) / STEPS)
        reached = np.exp(lines[place, leader] - most[:, 0]) / (wait * STEPS)  # exp(the leader's total), on the same scale
        bound = reached * (1 - SLACK - 1e-6 * np.abs(most[:, 0]))
        return np.nonzero(~(race < bound[:, None].astype(np.float32)))


def _first_largest(row: np.ndarray, totals: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of entries in order of rows: the place of each row's first largest total, and that total. Not a number is largest."""
    starts = np.searchsorted(row, np.arange(count))
    best = np.maximum.reduceat(totals, starts)
    hit = (totals == best[row]) | np.isnan(totals)
    place = np.flatnonzero(hit)
    return place[np.searchsorted(row[place], np.arange(count))], best


def _bits(philox: np.random.Philox, seed: bytes, positions: range, vocabulary: int) -> np.ndarray:
    if len(seed) != 32 or positions.step != 1 or positions.start < 0:
        raise ValueError("noise wants a seed of 32 bytes and consecutive positions from 0 on")
    blocks = -(-vocabulary // HALVES)
    words = np.frombuffer(seed, dtype="<u8").astype(np.uint64)
    counter = np.array([positions.start * blocks, 0, words[2], words[3]], dtype=np.uint64)
    philox.state = {
        "bit_generator": "Philox",
        "state": {"counter": counter, "key": words[:2]},
        "buffer": np.zeros(WORDS, dtype=np.uint64),
        "buffer_pos": WORDS,
        "has_uint32": 0,
        "uinteger": 0,
    }
    raw = philox.random_raw(len(positions) * blocks * WORDS)
    halves = raw.astype("<u8", copy=False).view("<u4").reshape(len(positions), blocks * HALVES).astype(np.uint32, copy=False)
    halves >>= 9
    return halves[:, :vocabulary].view(np.int32)
