"""Noise is Philox4x64-10 as published, a function of (seed, position, entry) only, and Gumbel distributed."""

import numpy as np
import pytest
import torch

from swarm.policy import noise
from swarm.seeds import derive

SEED = bytes(range(32))


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 from the paper, written out in plain integers."""
    mask = 2**64 - 1
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & mask, (p0 >> 64) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [c0, c1, c2, c3]


def expected_bits(seed: bytes, position: int, vocabulary: int) -> list[int]:
    k0, k1, s2, s3 = (int.from_bytes(seed[8 * i : 8 * i + 8], "little") for i in range(4))
    blocks = -(-vocabulary // 8)
    halves = []
    for block in range(position * blocks, (position + 1) * blocks):
        for word in philox([block + 1, 0, s2, s3], [k0, k1]):
            halves += [word & 0xFFFFFFFF, word >> 32]
    return [half >> 9 for half in halves[:vocabulary]]


@pytest.mark.parametrize("vocabulary", [1, 8, 58])
def test_bits_are_philox_written_out(vocabulary):
    for seed in (SEED, b"\xff" * 32, derive("sample", 7)):
        for position in (0, 1, 29):
            assert noise.bits(seed, range(position, position + 1), vocabulary)[0].tolist() == expected_bits(seed, position, vocabulary)


def test_bits_stay_what_they_are():
    assert noise.bits(SEED, range(3, 4), 10)[0].tolist() == [6767367, 588995, 2017292, 3923914, 2646812, 232712, 7876874, 121339, 179427, 3043811]


def test_any_position_can_be_drawn_alone():
    together = noise.gumbel([SEED, b"\x01" * 32], range(0, 20), 58)
    assert together.shape == (2, 20, 58) and together.dtype == torch.float32
    for position in (0, 7, 19):
        alone = noise.gumbel([b"\x01" * 32], range(position, position + 1), 58)
        assert torch.equal(alone[0, 0], together[1, position])


def test_every_word_of_the_seed_counts():
    base = noise.bits(bytes(32), range(1), 16)
    for byte in range(0, 32, 8):
        other = bytearray(32)
        other[byte] = 1
        assert not np.array_equal(noise.bits(bytes(other), range(1), 16), base)


def test_noise_is_finite_and_gumbel():
    drawn = noise.gumbel([derive("sample", i) for i in range(64)], range(50), 64).flatten().double()
    assert drawn.isfinite().all()
    assert abs(drawn.mean() - 0.57721566) < 0.01 and abs(drawn.std() - 1.28254983) < 0.01
    for x in (-1.0, 0.0, 1.0, 3.0):
        share = torch.exp(-torch.exp(torch.tensor(-x, dtype=torch.float64)))
        assert abs((drawn <= x).double().mean() - share) < 0.005


def test_noise_extremes_are_those_of_the_docstring():
    least, most = torch.tensor([0.5, 2**23 - 0.5]).mul(2.0**-23)
    assert least > 0 and most < 1
    assert round(-float(torch.log(-torch.log(least))), 2) == -2.81 and round(-float(torch.log(-torch.log(most))), 2) == 16.64


@pytest.mark.parametrize("seed, positions", [(b"short", range(1)), (SEED, range(0, 4, 2)), (SEED, range(-1, 1))])
def test_wrong_arguments_are_refused(seed, positions):
    with pytest.raises(ValueError):
        noise.gumbel([seed], positions, 8)


def lines(vocabulary: int, rows: int, scale: float, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    logits = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * scale
    return logits, noise.many_bits([derive("line", seed, row) for row in range(rows)], range(1), vocabulary)[:, 0]


SHAPES = [(58, 64, 3.0), (1, 3, 1.0), (3, 400, 0.0), (49_152, 6, 4.0), (49_152, 3, 0.01), (64, 90, 3e4), (9, 40, 1e30)]


@pytest.mark.parametrize("vocabulary, rows, scale", SHAPES)
def test_the_winner_is_the_argmax_of_the_sum(vocabulary, rows, scale):
    logits, drawn = lines(vocabulary, rows, scale, 1)
    totals = logits + noise.of_bits(drawn)
    found, best = noise.winners(logits, drawn)
    assert torch.equal(found, totals.argmax(-1)) and torch.equal(best, totals.max(-1).values)


def test_the_first_of_equal_totals_wins():
    drawn = np.full((2, 6), 2**22, dtype=np.int32)
    assert noise.winners(torch.tensor([[1.0, 2, 2, 0, 2, 1], [0, 0, 0, 0, 0, 0]]), drawn)[0].tolist() == [1, 0]


def test_winners_of_odd_lines_are_those_of_argmax():
    logits, drawn = lines(40, 6, 2.0, 2)
    infinity, nan = float("inf"), float("nan")
    logits[0, 7:] = -infinity
    logits[1] = -infinity
    logits[2, 5] = infinity
    logits[3, 9] = nan
    logits[4, 3] = -nan
    totals = logits + noise.of_bits(drawn)
    assert torch.equal(noise.winners(logits, drawn)[0], totals.argmax(-1))


def test_few_entries_are_added_up():
    logits, drawn = lines(49_152, 8, 3.0, 3)
    assert len(noise._sieve(logits.numpy(), drawn)[0]) < 100
