"""Which rows a step was trained on, as a blob: what a step record of a recipe with `learn.method = "sft"` names as its batch.

Canonical msgpack `[version, round, epoch seed, data, rows]`: `data` is the BLAKE3 of the file, a row is `[line, digest]` in the order in which
it was drawn. Everybody who has the recipe can derive the same rows; the record says what the author claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from swarm import merkle
from swarm.errors import Refused

if TYPE_CHECKING:
    from swarm.tasks.rows import Row

VERSION = 1


@dataclass(frozen=True)
class RowsRecord:
    """A whole record. It names no blobs of others and none of its own: the rows are the recipe's."""

    round: int
    epoch_seed: bytes
    data: bytes
    rows: tuple[tuple[int, bytes], ...]  # line, digest

    own = sources = trained = left = digests = ()  # as of a `BatchRecord`

    def pack(self) -> bytes:
        return msgpack.packb([VERSION, self.round, self.epoch_seed, self.data, [list(row) for row in self.rows]], use_bin_type=True)

    @property
    def rollout_root(self) -> bytes:
        """32-byte root over the rows' digests, in the order of drawing."""
        return merkle.root([digest for _, digest in self.rows])

    @property
    def reward_root(self) -> bytes:
        """Rows have no rewards."""
        return bytes(32)


def of_rows(round: int, epoch_seed: bytes, data: bytes, rows: Sequence[Row]) -> RowsRecord:
    """The record of a step on drawn rows."""
    return RowsRecord(round, epoch_seed, data, tuple((row.line, row.digest) for row in rows))


def max_bytes(batch: int) -> int:
    """Largest record of a step of `batch` rows."""
    return 256 + 48 * batch


def unpack(data: bytes, batch: int) -> RowsRecord:
    """A foreign record. Raises Refused("oversize" | "malformed")."""
    if len(data) > max_bytes(batch):
        raise Refused("oversize", f"a record of rows of {len(data)} bytes; at most {max_bytes(batch)} are read")
    try:
        version, round, seed, digest, rows = msgpack.unpackb(data, max_map_len=0, max_ext_len=0)
        _require(version == VERSION and _is_int(round) and _is_digest(seed) and _is_digest(digest))
        _require(type(rows) is list and 1 <= len(rows) <= batch and all(_is_int(line) and _is_digest(one) for line, one in rows))
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise Refused("malformed", f"a record of rows does not parse ({type(error).__name__})") from None
    record = RowsRecord(round, seed, digest, tuple((line, one) for line, one in rows))
    _require(record.pack() == data)
    return record


def _is_int(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_digest(value: Any) -> bool:
    return type(value) is bytes and len(value) == 32


def _require(condition: bool) -> None:
    if not condition:
        raise Refused("malformed", "a record of rows breaks its form")
