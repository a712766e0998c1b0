"""The answering end of a conversation: cards first, then blobs, shelves and small questions, all within bounds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from swarm.errors import Refused
from swarm.network import frames
from swarm.network.frames import EarlyEnd
from swarm.network.line import (
    BUSY,
    CHUNK,
    DIAL,
    GET,
    GREETING_BYTES,
    MALFORMED,
    MESSAGE_BYTES,
    OK,
    QUOTA,
    REQUEST_BYTES,
    REVOKE,
    SHELF,
    STALL_S,
    TELL,
    UNKNOWN,
    UNWELCOME,
)
from swarm.network.members import Members
from swarm.network.quota import Upload
from swarm.network.store import BlobStore

STREAMS, STREAMS_OF_ONE = 64, 6  # open at once, in all and by one peer
IDLE_S = 5.0  # a caller knows what it wants


class Service:
    """Serves members. `on_shelf(wire) -> own wire`, `on_revocation(wire)` and `on_dial(peer, port) -> 0 | 1` are the node's.

    `on_tell(peer, message) -> answer` is whoever listens, if anybody does; it runs on the network's thread and must be quick.
    """

    def __init__(
        self,
        own_card: bytes,
        members: Members,
        store: BlobStore,
        upload: Upload,
        on_shelf: Callable[[bytes | None], bytes | None],
        on_revocation: Callable[[bytes], None],
        on_dial: Callable[[bytes, int], Awaitable[int]],
    ):
        self.address = ""  # at which others may dial us later; told to members
        self._card, self._members, self._store, self._upload = own_card, members, store, upload
        self._on_shelf, self._on_revocation, self._on_dial = on_shelf, on_revocation, on_dial
        self.on_tell: Callable[[bytes, bytes], bytes] | None = None
        self._open: Counter[bytes] = Counter()
        self.bytes_out = 0

    async def handle(self, peer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One stream from greeting to end. Never raises for what the other side does; closes the stream."""
        self._open[peer] += 1
        try:
            if self._open[peer] > STREAMS_OF_ONE or self._open.total() > STREAMS:
                await frames.write_list(writer, [BUSY, None, 0.0, ""], STALL_S)
            elif await self._greet(peer, reader, writer):
                await self._converse(peer, reader, writer)
        except (EarlyEnd, Refused):
            pass  # the stream is over; refusals are counted where they are raised
        finally:
            self._open[peer] -= 1
            self._open += Counter()  # forget the zeros
            writer.close()

    async def _greet(self, peer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            self._members.meet(await self._members.counted(frames.read_frame(reader, GREETING_BYTES, IDLE_S)), peer)
        except Refused:
            await frames.write_list(writer, [UNWELCOME, None, time.time(), ""], STALL_S)
            return False
        await frames.write_list(writer, [OK, self._card, time.time(), self.address], STALL_S)
        return True

    async def _converse(self, peer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                verb, content, number = await self._members.counted(frames.read_list(reader, REQUEST_BYTES, IDLE_S, 3))
            except Refused:
                await frames.write_list(writer, [MALFORMED, None], STALL_S)
                return
            if verb == GET:
                await self._give(peer, content, number, writer)
            else:
                await frames.write_list(writer, await self._answer(peer, verb, content, number), STALL_S)

    async def _answer(self, peer: bytes, verb: Any, content: Any, number: Any) -> list[Any]:
        """`[status, answer]` to a short question."""
        try:
            if verb == SHELF and (content is None or type(content) is bytes):
                return [OK, self._on_shelf(content)]
            if verb == REVOKE and type(content) is bytes:
                self._on_revocation(content)
                return [OK, None]
            if verb == DIAL and type(number) is int and 0 < number < 65_536:
                return [OK, await self._on_dial(peer, number)]
            if verb == TELL and type(content) is bytes and len(content) <= MESSAGE_BYTES:
                return [OK, self.on_tell(peer, content)] if self.on_tell is not None else [UNWELCOME, None]
        except Refused:
            return [UNWELCOME, None]
        self._members.refused("malformed")
        return [MALFORMED, None]

    async def _give(self, peer: bytes, digest: Any, offset: Any, writer: asyncio.StreamWriter) -> None:
        if type(digest) is not bytes or len(digest) != 32 or type(offset) is not int or offset < 0:
            self._members.refused("malformed")
            return await frames.write_list(writer, [MALFORMED, None], STALL_S)
        data = self._store.get(digest)
        if data is None:
            return await frames.write_list(writer, [UNKNOWN, None], STALL_S)
        if not self._upload.grants(peer, max(len(data) - offset, 0)):
            return await frames.write_list(writer, [QUOTA, None], STALL_S)
        await frames.write_list(writer, [OK, len(data)], STALL_S)
        view = memoryview(data)
        for start in range(offset, len(data), CHUNK):
            part = view[start : start + CHUNK]
            await self._upload.pace(len(part))
            await frames.write(writer, part, STALL_S)
            self.bytes_out += len(part)
