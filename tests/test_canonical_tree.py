"""Trees over words are those of `swarm.merkle`, in every build and of any length."""

import numpy as np
import pytest

from swarm import merkle
from swarm.errors import InputError
from swarm.proof.canonical import native, tree
from swarm.proof.canonical.build import BUILDS
from swarm.proof.dispute_format import chunks

LENGTHS = [1, 7, 8, 9, 16, 17, 24, 64, 65, 100, 129, 1000, 8193, 20_001]


def drawn(length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(0, 2**32, length, dtype=np.uint32)


@pytest.mark.parametrize("name", ["native", "sse2", pytest.param("avx2", marks=pytest.mark.slow)])
def test_a_root_is_that_of_the_chunks(name):
    """All builds: pytest -m 'slow or not slow' tests/test_canonical_tree.py"""
    if not BUILDS[name].loads:
        pytest.skip(f"{name} does not run on this machine")
    with native.using(BUILDS[name]):
        for length in LENGTHS if name == "native" else LENGTHS[:-2]:
            words = drawn(length)
            assert tree.root(words) == merkle.root(chunks(words)), length
            assert tree.root(words.view(np.float32)[::-1][::-1]) == tree.root(words)
    assert tree.root(np.zeros(0, np.float32)) == bytes(32)


def test_levels_end_in_the_root():
    for length in (1, 9, 100, 8193, 50_000):
        rows = tree.levels(drawn(length))
        assert rows[-1].tobytes() == tree.root(drawn(length))
        assert [row.tobytes() for row in rows] == [b"".join(row) for row in merkle.Tree(chunks(drawn(length))).levels]
    assert tree.levels(drawn(0)) == []


def test_a_tree_of_words_is_the_tree_of_its_chunks():
    for length in (0, 3, 8, 150, 1001):
        words = drawn(length)
        mine, right = tree.WordTree(words.view(np.float32)), merkle.Tree(chunks(words))
        assert mine.root == right.root
        assert list(mine.digests) == right.digests and [list(row) for row in mine.levels] == right.levels
        assert mine.digests[:5] == right.digests[:5]
        assert all(mine.path(index) == right.path(index) for index in range(len(right.digests)))


def test_words_are_32_bits():
    with pytest.raises(InputError, match="float64"):
        tree.root(np.zeros(3))


def test_threads_make_no_other_tree():
    words = drawn(300_000)
    alone = tree.root(words)
    try:
        native.threads(3)
        assert tree.root(words) == alone == tree.levels(words)[-1].tobytes()
    finally:
        native.threads(1)
