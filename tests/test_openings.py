"""Chunks of a BLAKE3 digest and noise as the contracts check them: contracts/test/Chunks.t.sol reads the vectors that are checked here.

    python tests/test_openings.py    # writes them
"""

from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from swarm.errors import InputError
from swarm.policy import noise
from swarm.proof.blake3_tree import CHUNK, IV, Blake3Tree, compress
from swarm.seeds import derive

VECTORS = Path(__file__).parents[1] / "contracts/test/vectors"
LENGTHS = (0, 1, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 5000, 7169, 8192, 31 * 1024)


def hashed(length: int) -> bytes:
    """What the vectors hash."""
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def record(length: int, index: int, digest: bytes, siblings: list[bytes]) -> bytes:
    return length.to_bytes(8) + index.to_bytes(8) + digest + bytes([len(siblings)]) + b"".join(siblings)


def chunk_vectors() -> bytes:
    records = []
    for length in LENGTHS:
        tree = Blake3Tree(hashed(length))
        for index in sorted({0, 1, tree.width // 2, tree.width - 2, tree.width - 1} & set(range(tree.width))):
            records.append(record(length, index, tree.root, tree.siblings(index)))
    return b"".join(records) + deep(17)


def deep(depth: int) -> bytes:
    """A path through 2^depth chunks, of which only this one is known: the siblings are drawn."""
    index = 2**depth - 1 - 0b1010
    data = hashed((index + 1) * CHUNK)[index * CHUNK :]
    siblings = [derive("sibling", i) for i in range(depth)]
    return record(CHUNK << depth, index, climbed(data, index, siblings), siblings)


def climbed(data: bytes, index: int, siblings: list[bytes]) -> bytes:
    """The digest over a whole chunk below these siblings, all levels being full: written out in single compressions."""
    value = start = IV[:, None]
    for i in range(16):
        block = np.frombuffer(data[64 * i : 64 * i + 64], "<u4")[:, None]
        value = compress(value, block, np.array([index], np.uint64), 64, (i == 0) | 2 * (i == 15))
    for i, sibling in enumerate(siblings):
        other = np.frombuffer(sibling, "<u4")[:, None]
        pair = [other, value] if index >> i & 1 else [value, other]
        value = compress(start, np.concatenate(pair), np.zeros(1, np.uint64), 64, 4 | 8 * (i == len(siblings) - 1))
    return value.astype("<u4").tobytes()


def noise_vectors() -> bytes:
    records = b""
    for seed in (bytes(range(32)), b"\xff" * 32, derive("sample", 7)):
        for position in (0, 1, 1023):
            for vocabulary in (1, 8, 58, 49_152):
                drawn = noise.bits(seed, range(position, position + 1), vocabulary)[0]
                for entry in sorted({0, vocabulary // 3, vocabulary - 1}):
                    places = b"".join(number.to_bytes(8) for number in (position, vocabulary, entry))
                    records += seed + places + int(drawn[entry]).to_bytes(4)
    return records


def test_vectors_of_the_contract():
    assert (VECTORS / "blake3.bin").read_bytes() == chunk_vectors(), "python tests/test_openings.py"
    assert (VECTORS / "noise.bin").read_bytes() == noise_vectors(), "python tests/test_openings.py"


@pytest.mark.parametrize("length", [*LENGTHS, 2048 * 1024, 2048 * 1024 + 1025, 5 * 2**20 + 77])
def test_the_tree_has_the_digest_as_root(length):
    data = hashed(length)
    tree = Blake3Tree(data)
    assert tree.root == blake3(data).digest()
    assert b"".join(map(tree.chunk, range(tree.width))) == data


def test_siblings_lead_to_the_root():
    data = hashed(16 * CHUNK)
    tree = Blake3Tree(data)
    for index in range(16):
        assert climbed(tree.chunk(index), index, tree.siblings(index)) == tree.root == blake3(data).digest()


@pytest.mark.parametrize(("length", "index"), [(0, 1), (1024, 1), (1025, 2), (5000, -1)])
def test_a_chunk_that_is_not_there(length, index):
    with pytest.raises(InputError, match="chunk"):
        Blake3Tree(hashed(length)).siblings(index)


def test_arrays_are_hashed_as_their_bytes():
    array = np.arange(1000, dtype=np.float32)
    assert Blake3Tree(array.view(np.uint8)).root == blake3(array.tobytes()).digest()


if __name__ == "__main__":
    (VECTORS / "blake3.bin").write_bytes(chunk_vectors())
    (VECTORS / "noise.bin").write_bytes(noise_vectors())
