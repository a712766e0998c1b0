"""The messages of the judge market between two members, over `Network.tell`. msgpack, bounded, every type checked.

    ["post", entry]                        -> ["receipt", bytes] | ["no", reason, sentence]
    ["part", offset, whole, bytes]         -> ["more"], and the last one as "post": an entry longer than a message
    ["feed", cursor]                       -> ["feed", next cursor, [digests]]: pages that this peer has, in the order in which they came

A feed names pages of everybody, not only the peer's own: a page that reached one honest member reaches all, whatever becomes of its host.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgpack

from judge import errors
from judge.errors import require
from swarm.errors import Refused
from swarm.market.store import FEED
from swarm.network.line import ANSWER_BYTES, MESSAGE_BYTES

PART = MESSAGE_BYTES - 256
WHOLE = 20_480  # the longest entry that a host takes
SENDERS = 64  # with a part under way
SENTENCE = 300


# ---- the asking end


def post(tell: Callable[[bytes], bytes], entry: bytes) -> bytes:
    """The host's receipt for an entry. Raises judge.errors.Refused where it says no, Refused where it makes no sense, NetworkError from `tell`."""
    if len(entry) <= PART:
        return _receipt(tell(msgpack.packb(["post", entry])))
    for offset in range(0, len(entry), PART):
        answer = tell(msgpack.packb(["part", offset, len(entry), entry[offset : offset + PART]]))
        if offset + PART < len(entry) and _list(answer, ANSWER_BYTES) != ["more"]:
            return _receipt(answer)
    return _receipt(answer)


def feed(tell: Callable[[bytes], bytes], cursor: int) -> tuple[int, list[bytes]]:
    """(next cursor, digests) of a peer. Raises Refused, NetworkError from `tell`."""
    answer = _list(tell(msgpack.packb(["feed", cursor])), ANSWER_BYTES)
    good = len(answer) == 3 and answer[0] == "feed" and _number(answer[1]) and type(answer[2]) is list and len(answer[2]) <= FEED
    if not good or not all(type(digest) is bytes and len(digest) == 32 for digest in answer[2]):
        raise Refused("malformed", "a feed is a cursor and digests of pages")
    return answer[1], answer[2]


def _receipt(data: bytes) -> bytes:
    answer = _list(data, ANSWER_BYTES)
    if len(answer) == 2 and answer[0] == "receipt" and type(answer[1]) is bytes:
        return answer[1]
    if len(answer) == 3 and answer[0] == "no" and answer[1] in errors.REASONS and type(answer[2]) is str:
        raise errors.Refused(answer[1], "".join(letter if letter.isprintable() else "?" for letter in answer[2][:SENTENCE]))
    raise Refused("malformed", "the answer to an order is a receipt or a no")


# ---- the answering end


class Desk:
    """Answers messages. `take(entry) -> receipt` is the house's, `show(cursor)` the store's. Runs on the network's thread."""

    def __init__(self, take: Callable[[bytes], bytes], show: Callable[[int], tuple[int, list[bytes]]]):
        self._take, self._show = take, show
        self._parts: OrderedDict[bytes, bytearray] = OrderedDict()

    def answer(self, peer: bytes, message: bytes) -> bytes:
        """The answer to a member's message. Raises Refused where it is none of these."""
        verb, *rest = _list(message, MESSAGE_BYTES)
        if verb == "feed" and len(rest) == 1 and _number(rest[0]):
            next, digests = self._show(rest[0])
            return msgpack.packb(["feed", next, digests])
        if verb == "post" and len(rest) == 1 and type(rest[0]) is bytes:
            return self._answer(rest[0])
        if verb == "part" and len(rest) == 3 and _number(rest[0]) and _number(rest[1]) and type(rest[2]) is bytes:
            return self._part(peer, *rest)
        raise Refused("malformed", "a message that the judge market does not know")

    def _answer(self, entry: bytes) -> bytes:
        try:
            return msgpack.packb(["receipt", self._take(entry)])
        except errors.Refused as why:
            return msgpack.packb(["no", why.reason, why.sentence])

    def _part(self, peer: bytes, offset: int, whole: int, data: bytes) -> bytes:
        parts = bytearray() if offset == 0 else self._parts.pop(peer, bytearray())
        try:
            require(whole <= WHOLE and len(parts) + len(data) <= whole, "oversize", f"an entry has at most {WHOLE} bytes")
            require(offset == len(parts), "malformed", "a part of an entry is missing: send it again from the beginning")
        except errors.Refused as why:
            return msgpack.packb(["no", why.reason, why.sentence])
        parts += data
        if len(parts) == whole:
            return self._answer(bytes(parts))
        self._parts[peer] = parts
        self._parts.move_to_end(peer)
        if len(self._parts) > SENDERS:
            self._parts.popitem(last=False)
        return msgpack.packb(["more"])


def _number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _list(data: bytes, most: int) -> list[Any]:
    try:
        value = msgpack.unpackb(data, max_ext_len=0, max_map_len=0) if len(data) <= most else None
    except (ValueError, TypeError, RecursionError):
        value = None
    if type(value) is not list or not value or type(value[0]) is not str:
        raise Refused("malformed", "a message is a list that begins with a word")
    return value
