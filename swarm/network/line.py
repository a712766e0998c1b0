"""The asking end of a conversation between two members.

A conversation is one stream. The caller says its card; the other answers `[status, card, unix time, address]`. Then, any number of times:

    [GET, digest, offset]   → [status, size], and the blob's bytes from `offset` on
    [SHELF, wire or nil, 0] → [status, wire or nil]        both show their latest shelf
    [REVOKE, wire, 0]       → [status, nil]                an operator takes back a session key
    [DIAL, nil, port]       → [status, YES | NO | UNSURE]  can you reach this port at the address you see me at?
    [TELL, message, 0]      → [status, answer]             a message for what stands on this network (`Network.listen`), at once answered

Streams end early about once in a hundred under load, without an exception (design.md section 4): `Collector.fetch`
carries on where the last one stopped.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from swarm.errors import NetworkError
from swarm.network import frames
from swarm.network.frames import EarlyEnd, NoStream
from swarm.network.members import Members
from swarm.network.store import digest_of
from swarm.records import Card, Revocation, Shelf

OK, UNKNOWN, UNWELCOME, BUSY, QUOTA, MALFORMED = range(6)
GET, SHELF, REVOKE, DIAL, TELL = range(5)
NO, YES, UNSURE = range(3)
WORDS = {UNKNOWN: "no such blob", UNWELCOME: "not welcome", BUSY: "busy", QUOTA: "over quota", MALFORMED: "malformed"}

CHUNK = 2**16
STALL_S = 15.0  # a stream on which nothing comes for this long is dead
MESSAGE_BYTES, ANSWER_BYTES = 2**13, 2**16  # of TELL, at most
REQUEST_BYTES = max(Shelf.MAX_BYTES, Revocation.MAX_BYTES, MESSAGE_BYTES) + 64
ADDRESS_CHARS = 300
GREETING_BYTES = Card.MAX_BYTES + ADDRESS_CHARS + 64
ATTEMPTS = 8
DIALS = 3  # of which this many may fail before a stream came about
PAUSE_S = 0.1  # before the second attempt; doubled before each further one

Opener = Callable[[bytes], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def protocol_name(swarm: bytes) -> str:
    return f"/openswarm/1/{swarm.hex()[:32]}"


class Line:
    """An open conversation with a peer that has shown its card."""

    def __init__(self, card: Card, ahead: float, address: str, members: Members, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.card = card
        self.ahead = ahead  # seconds our clock is ahead of theirs
        self.address = address  # where they say they can be dialled; a claim
        self._members, self._reader, self._writer = members, reader, writer

    @classmethod
    async def open(cls, opener: Opener, peer: bytes, own_card: bytes, members: Members) -> Line:
        """Dial `peer` and exchange cards. Raises EarlyEnd, Refused, or Declined where the other side says no."""
        reader, writer = await opener(peer)
        try:
            await frames.write_frame(writer, own_card, STALL_S)
            status, wire, at, address = await members.counted(frames.read_list(reader, GREETING_BYTES, STALL_S, 4))
            _accept(status)
            if type(wire) is not bytes or type(at) is not float or type(address) is not str:
                raise members.refused("malformed", "the greeting has wrong types")
            return cls(members.meet(wire, peer), time.time() - at, address[:ADDRESS_CHARS], members, reader, writer)
        except BaseException:
            writer.close()
            raise

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, verb: int, content: bytes | None = None, number: int = 0, limit: int = REQUEST_BYTES) -> Any:
        """One short question; the answer of at most `limit` bytes after its status. Raises EarlyEnd, Refused, Declined."""
        await frames.write_list(self._writer, [verb, content, number], STALL_S)
        status, answer = await self._members.counted(frames.read_list(self._reader, limit, STALL_S, 2))
        _accept(status)
        return answer

    async def receive(self, digest: bytes, into: bytearray, size: int | None, limit: int) -> None:
        """Append the rest of a blob to `into`, as far as it comes. `size` is what its author signed for, None if unknown.

        Raises EarlyEnd (what came is kept), Refused("wrong size" | "oversize") or Declined.
        """
        total = await self.ask(GET, digest, len(into))
        if type(total) is not int or (size is not None and total != size):
            raise self._members.refused("wrong size", f"{total} bytes are offered, {size} were announced")
        if not len(into) <= total <= limit:
            raise self._members.refused("oversize", f"{total} bytes are offered; at most {limit} are taken")
        while len(into) < total:
            try:
                part = await frames.within(STALL_S, self._reader.read(min(CHUNK, total - len(into))))
            except OSError as error:
                raise EarlyEnd(type(error).__name__) from None
            if not part:
                raise EarlyEnd(f"{len(into)} of {total} bytes")
            into += part


class Declined(Exception):
    """The other side said no: `status` is one of the words above."""

    def __init__(self, status: int):
        super().__init__(WORDS.get(status, "unknown status"))
        self.status = status


class Collector:
    """Gets blobs from peers: resumes what broke off, checks the hash, counts and remembers who cheats."""

    def __init__(self, opener: Opener, own_card: bytes, members: Members):
        self._opener, self._card, self._members = opener, own_card, members
        self.bytes_in = 0
        self.early_ends = 0
        self.skews: dict[bytes, float] = {}  # peer → seconds our clock is ahead of its

    @property
    def skew(self) -> float | None:
        """Seconds by which our clock is ahead of the median of peers met, None where none was."""
        skews = list(self.skews.values())
        return statistics.median(skews) if skews else None

    async def open(self, peer: bytes) -> Line:
        """A conversation with `peer`. Raises EarlyEnd, Refused, Declined."""
        line = await Line.open(self._opener, peer, self._card, self._members)
        self.skews[peer] = line.ahead
        while len(self.skews) > 64:
            self.skews.pop(next(iter(self.skews)))
        return line

    async def tell(self, peer: bytes, message: bytes) -> bytes:
        """The answer of `peer` to a message. Raises EarlyEnd, Refused, Declined; not tried again, since it may have been heard."""
        async with await self.open(peer) as line:
            answer = await line.ask(TELL, message, limit=ANSWER_BYTES + 64)
        if type(answer) is not bytes or len(answer) > ANSWER_BYTES:
            raise self._members.refused("malformed", "an answer has a wrong type")
        return answer

    async def fetch(self, peer: bytes, digest: bytes, *, size: int | None, limit: int, operator: bytes | None = None) -> tuple[Card, bytes]:
        """The whole verified blob and the card of who served it.

        `operator`: who must be behind the peer. Raises Refused("wrong digest" | "wrong size" | "oversize" | "foreign card" | ...), NetworkError
        after ATTEMPTS early ends or DIALS vain dials, Declined.
        """
        data, wrong, undialled, last = bytearray(), 0, 0, EarlyEnd("nothing")
        for attempt in range(ATTEMPTS):
            if undialled == DIALS:
                break
            if attempt:
                await asyncio.sleep(PAUSE_S * 2 ** (attempt - 1))
            try:
                async with await self.open(peer) as line:
                    if operator is not None and line.card.operator != operator:
                        raise self._members.refused("foreign card", "another operator runs this peer")
                    before = len(data)
                    try:
                        await line.receive(digest, data, size, limit)
                    finally:
                        self.bytes_in += len(data) - before
            except EarlyEnd as error:
                self.early_ends += 1
                undialled += isinstance(error, NoStream)
                last = error
                continue
            except Declined as no:
                if no.status not in (BUSY, QUOTA):
                    raise
                last = EarlyEnd(str(no))
                continue
            if digest_of(data) == digest:
                return line.card, bytes(data)
            wrong += 1
            if wrong == 2:
                raise self._members.refused("wrong digest", "a blob came whole, twice, and is not what was announced")
            data.clear()
        raise NetworkError(f"the blob did not come within {attempt + 1} attempts: {last}", "the peer is unreachable or overloaded: try later")


def _accept(status: Any) -> None:
    if status != OK:
        raise Declined(status if type(status) is int else MALFORMED)
