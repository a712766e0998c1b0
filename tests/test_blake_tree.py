"""BLAKE3 trees: the digest is the library's, and each chunk opens to it, at its place only."""

import pytest
from blake3 import blake3

from swarm.proof.blake_tree import BlakeTree, opened


@pytest.mark.parametrize("length", [0, 1, 64, 65, 1024, 1025, 3 * 1024, 5 * 1024 + 7])
def test_every_chunk_opens_to_the_digest(length: int):
    message = bytes(i * 7 % 251 for i in range(length))
    tree = BlakeTree(message)
    assert tree.digest == blake3(message).digest()
    count = len(tree.chunks)
    for number, chunk in enumerate(tree.chunks):
        assert opened(chunk, number, count, tree.path(number)) == tree.digest
        assert opened(chunk + b"\0" if len(chunk) < 1024 else b"\1" + chunk[1:], number, count, tree.path(number)) != tree.digest
        if count > 1:
            assert opened(chunk, (number + 1) % count, count, tree.path(number)) != tree.digest
        assert opened(chunk, number, count, [*tree.path(number), bytes(32)]) is None
