"""Length-prefixed frames on a byte stream, bounded in size and time.

hivemind's own stream handlers read a message of whatever length the other side claims; so we use its raw streams.
A frame is a 4-byte big-endian length and that many bytes. A stream that ends early is an `EarlyEnd`, whatever ended it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

import msgpack

from swarm.errors import Refused

HEADER = 4
CANCEL_S = 2.0
Result = TypeVar("Result")


async def within(seconds: float, work: Awaitable[Result]) -> Result:
    """The result of `work`, or TimeoutError. Unlike `asyncio.wait_for` of Python 3.11 it never swallows a cancellation."""
    async with asyncio.timeout(seconds):
        return await work


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are done; once is not enough, since hivemind's own waits may swallow it."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_S)


class EarlyEnd(Exception):
    """The stream ended, broke or stalled before what was due had come; worth another try."""


class NoStream(EarlyEnd):
    """No stream came about at all: the peer cannot be dialled, or speaks another protocol."""


async def read_exactly(reader: asyncio.StreamReader, size: int, timeout: float) -> bytes:
    """`size` bytes within `timeout` seconds, or EarlyEnd."""
    try:
        return await within(timeout, reader.readexactly(size))
    except (asyncio.IncompleteReadError, OSError) as error:
        raise EarlyEnd(type(error).__name__) from None


async def read_frame(reader: asyncio.StreamReader, limit: int, timeout: float) -> bytes:
    """One frame of at most `limit` bytes. Raises EarlyEnd, or Refused("oversize") before reading what is too long."""
    size = int.from_bytes(await read_exactly(reader, HEADER, timeout), "big")
    if size > limit:
        raise Refused("oversize", f"a frame of {size} bytes was claimed; at most {limit} are read")
    return await read_exactly(reader, size, timeout)


async def read_list(reader: asyncio.StreamReader, limit: int, timeout: float, length: int) -> list[Any]:
    """One frame that holds a msgpack list of `length` flat entries. Raises EarlyEnd or Refused."""
    data = await read_frame(reader, limit, timeout)
    try:
        value = msgpack.unpackb(data, use_list=True, max_array_len=length, max_map_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise Refused("malformed", "a frame does not parse") from None
    if type(value) is not list or len(value) != length or any(type(entry) is list for entry in value):
        raise Refused("malformed", f"a frame is no list of {length}")
    return value


async def write(writer: asyncio.StreamWriter, data: bytes | memoryview, timeout: float) -> None:
    """Write raw bytes and wait until they left. Raises EarlyEnd."""
    try:
        writer.write(data)
        await within(timeout, writer.drain())
    except (OSError, RuntimeError) as error:
        raise EarlyEnd(type(error).__name__) from None


async def write_frame(writer: asyncio.StreamWriter, data: bytes, timeout: float) -> None:
    await write(writer, len(data).to_bytes(HEADER, "big") + data, timeout)


async def write_list(writer: asyncio.StreamWriter, value: list[Any], timeout: float) -> None:
    await write_frame(writer, msgpack.packb(value, use_bin_type=True), timeout)
