"""Who takes part in an averaging: a signed claim per peer, exchanged by the averager itself.

The averager runs in a process of its own, under a libp2p key of its own. A claim is the member's word, under its session
key, that this averager is its own and that its state root is `root`: msgpack `[card, averager, round, root, signature]`.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import msgpack

from swarm import keys
from swarm.errors import Refused
from swarm.records import MAX_ROUND, Card, read, signing_digest
from swarm.session import Session

TAG = "openswarm/1/average"  # a string where records have a number: no record's signature fits a claim
MAX_BYTES = 2048


@dataclass(frozen=True)
class Claim:
    """A verified claim: `peer` (32 bytes) averages from `round` on with state root `root` (32 bytes)."""

    peer: bytes
    operator: bytes
    round: int
    root: bytes


def write_claim(session: Session, averager: bytes, round: int, root: bytes) -> bytes:
    """The claim of one's own averager (32-byte peer)."""
    signature = session.sign(_payload(session.swarm, averager, round, root))
    return msgpack.packb([session.card, averager, round, root, signature], use_bin_type=True)


def read_claim(data: bytes, swarm: bytes, averager: bytes, now: float, revoked: Container[tuple[bytes, bytes]] = ()) -> Claim:
    """A claim that came from `averager`, verified. Raises Refused."""
    if not isinstance(data, bytes) or len(data) > MAX_BYTES:
        raise Refused("oversize" if isinstance(data, bytes) else "malformed", "an averaging claim")
    try:
        card, said, round, root, signature = msgpack.unpackb(data, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError, msgpack.UnpackException):
        raise Refused("malformed", "an averaging claim") from None
    fits = type(root) is bytes and len(root) == 32 and type(round) is int and 0 <= round < MAX_ROUND
    if said != averager or not fits or type(signature) is not bytes:
        raise Refused("malformed", "an averaging claim")
    origin = read(card, swarm, now, kind=Card, revoked=revoked).origin
    if keys.recover_digest(signature, signing_digest(_payload(swarm, averager, round, root))) != origin.session:
        raise Refused("bad signature", "an averaging claim")
    return Claim(origin.peer, origin.operator, round, root)


def _payload(swarm: bytes, averager: bytes, round: int, root: bytes) -> bytes:
    return msgpack.packb([TAG, swarm, averager, round, root], use_bin_type=True)
