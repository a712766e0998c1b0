"""A batch's leaves as one blob: MAGIC, then a row of fixed length for each; named on chain by its BLAKE3, bounded by its count before it is read.

The tree over it is ordered by index (swarm.merkle). A reader keeps of each tree its crown, the nodes over SPAN leaves and all above them, so
that a path costs some twenty hashes instead of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from blake3 import blake3

from judge import tree
from swarm import merkle
from swarm.chain.values import Kind
from swarm.errors import InputError, Refused
from swarm.keys import keccak
from swarm.models.model import ROW, Model, digest_of_row, of_row

MAGIC = b"openswarm models"  # 16 bytes
MOST = 8_192  # leaves of a batch, as the contract has it
SPAN_BITS = 3
SPAN = 1 << SPAN_BITS


class Listing:
    """The leaves of one batch. `data` is the blob."""

    def __init__(self, data: bytes):
        """A blob of our own or one that `parse` has looked at."""
        self.data = data
        self.count = (len(data) - len(MAGIC)) // ROW

    @classmethod
    def of(cls, models: Iterable[Model]) -> Listing:
        """A list of 1 to MOST models, in this order. Raises InputError."""
        return cls.of_rows([model.row() for model in models])

    @classmethod
    def of_rows(cls, rows: list[bytes]) -> Listing:
        """The same out of rows of ours."""
        if not 1 <= len(rows) <= MOST:
            raise InputError(f"a batch of {len(rows)} models", f"1 to {MOST} go under one root")
        return cls(MAGIC + b"".join(rows))

    @property
    def digest(self) -> bytes:
        """BLAKE3 of the blob."""
        return blake3(self.data).digest()

    @property
    def root(self) -> bytes:
        return self.crown[-32:]

    @property
    def batch(self) -> tuple[bytes, int, bytes]:
        """Root, count and digest: what is posted."""
        return self.root, self.count, self.digest

    @cached_property
    def crown(self) -> bytes:
        """The nodes over SPAN leaves each from left to right, then the level above, and so on to the root; 32 bytes each."""
        level = [keccak(b"\0", digest) for digest in self.digests()]
        for _ in range(SPAN_BITS):
            level = tree.above(level)
        levels = [level]
        while len(levels[-1]) > 1:
            levels.append(tree.above(levels[-1]))
        return b"".join(node for each in levels for node in each)

    def row(self, place: int) -> bytes:
        start = size_of(place)
        return self.data[start : start + ROW]

    def model(self, place: int) -> Model:
        return of_row(self.row(place))

    def digests(self) -> Iterator[bytes]:
        return (digest_of_row(self.row(place)) for place in range(self.count))

    def path(self, place: int) -> list[bytes]:
        """Siblings of a leaf, from the bottom up."""
        first = place - place % SPAN
        span = [self.row(each) for each in range(first, min(first + SPAN, self.count))]
        return path_through(span, self.crown, place, self.count)


def parse(data: bytes, count: int) -> Listing:
    """The list of a batch of `count` models, of anyone; its digest was checked before. Raises Refused("oversize" | "malformed")."""
    if len(data) > size_of(count):
        raise Refused("oversize", f"a list of {count} models has {size_of(count)} bytes, not {len(data)}")
    if not 1 <= count <= MOST or len(data) != size_of(count) or not data.startswith(MAGIC):
        raise Refused("malformed", f"this is no list of {count} models")
    if max(data[len(MAGIC) :: ROW]) > max(Kind):
        raise Refused("malformed", "a list of models has a kind that there is not")
    return Listing(data)


def size_of(count: int) -> int:
    """Bytes of the list of a batch."""
    return len(MAGIC) + ROW * count


def path_through(span: list[bytes], crown: bytes, place: int, count: int) -> list[bytes]:
    """Siblings of leaf `place` of `count`, from the bottom up, out of the rows of its span and the crown."""
    level, at, path = [keccak(b"\0", digest_of_row(row)) for row in span], place % SPAN, []
    for _ in range(SPAN_BITS):
        if at ^ 1 < len(level):
            path.append(level[at ^ 1])
        level, at = tree.above(level), at // 2
    start, width, at = 0, -(-count // SPAN), place // SPAN
    while width > 1:
        if at ^ 1 < width:
            path.append(crown[start + 32 * (at ^ 1) : start + 32 * (at ^ 1) + 32])
        start, width, at = start + 32 * width, (width + 1) // 2, at // 2
    return path


def is_listed(root: bytes, count: int, place: int, model: Model, path: list[bytes]) -> bool:
    """Whether a model is leaf `place` of the batch with this root."""
    return merkle.verify(root, count, place, model.digest, path)

