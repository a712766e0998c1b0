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
two logarithms may differ in their last bit, which moves a token only where two entries were tied to that bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

HALVES = 8  # 32-bit halves in one Philox4x64 block
WORDS = 4


def bits(seed: bytes, positions: range, vocabulary: int) -> np.ndarray:
    """Integers in [0, 2^23), int32 of shape (len(positions), vocabulary), for consecutive `positions` of one seed."""
    return _bits(np.random.Philox(key=0), seed, positions, vocabulary)


def gumbel(seeds: list[bytes], positions: range, vocabulary: int) -> torch.Tensor:
    """Gumbel noise, float32 of shape (len(seeds), len(positions), vocabulary).

    `seeds` are 32 bytes each; `positions` is a range of step 1 that counts a completion's tokens from 0.
    """
    import torch

    philox = np.random.Philox(key=0)  # one generator, set anew for every seed: six times faster than a new one
    uniform = torch.empty(len(seeds), len(positions), vocabulary)
    for line, seed in zip(uniform.numpy(), seeds, strict=True):
        line[:] = _bits(philox, seed, positions, vocabulary)
    return uniform.add_(0.5).mul_(2.0**-23).log_().neg_().log_().neg_()


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
