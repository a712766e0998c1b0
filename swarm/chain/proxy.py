"""The door through which other peers reach the local chain: a small HTTP server in a thread, in front of anvil.

What may pass is `filter`'s business; here are the limits that hold for everyone: bytes and time of a request, calls in
a batch, calls a second and connections of one address, answers' size, and how much runs at once. A joiner has no gas
on a chain that nobody sells, so `swarm_fund` gives an address that has little of it some, a bounded number of times an
hour; gas of a local chain is worth nothing but the right to send.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from swarm import bounds
from swarm.chain import filter
from swarm.chain.filter import FUND, NotAllowed
from swarm.chain.rpc import Rpc, RpcError
from swarm.errors import ChainError, ResourceError

MAX_BODY = 300_000  # bytes of a request
MAX_HEAD = 8_192
MAX_ANSWER = 4 * 2**20  # of one call, bytes
MAX_BATCH = 20
READ_S, IDLE_S, WRITE_S = 10.0, 30.0, 20.0
CONNECTIONS, PER_ADDRESS = 256, 32
RATE, BURST = 100.0, 300.0  # calls a second of one address, and at once
SENDS, SENDS_AT_ONCE = 1.0, 40.0  # transactions of one address a second, and at once: what is in blocks is kept for ever
THREADS, PER_ADDRESS_BUSY = 16, 4  # calls that the chain works on at once; a call that only reads may take it a second
GRANTS = 256  # gas grants an hour
GRANT_WEI, LOW_WEI = 10 * 10**18, 10**18
_REFUSED, _INVALID = -32601, -32600
_ENDINGS = (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, asyncio.CancelledError)  # of a connection


class Proxy:
    """Serves `chain_url` on (host, port) until `stop`. `fund(address, wei)` gives gas; None: this door gives none."""

    def __init__(self, chain_url: str, host: str | list[str] = "127.0.0.1", port: int = 0, fund: Callable[[bytes, int], None] | None = None):
        self._rpc = Rpc(chain_url, max_bytes=MAX_ANSWER)
        self.host, self.port, self._fund = host, port, fund
        self.refused = 0  # calls that did not pass
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pool = ThreadPoolExecutor(THREADS, "proxy")
        self._open: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._calls_left, self._sends_left = _Allowance(RATE, BURST), _Allowance(SENDS, SENDS_AT_ONCE)
        self._grants: deque[float] = deque()

    @property
    def url(self) -> str:
        """Of one of the hosts; of several, of this machine's own."""
        return f"http://{self.host if isinstance(self.host, str) else '127.0.0.1'}:{self.port}"

    def start(self) -> None:
        """Listen; with port 0 on any free one, which `port` names from then on. Raises ResourceError where it is taken."""
        started: threading.Event = threading.Event()
        failed: list[OSError] = []
        self._thread = threading.Thread(target=self._run, args=(started, failed), name="chain proxy", daemon=True)
        self._thread.start()
        started.wait()
        if failed:
            self._thread.join()
            where = self.host if isinstance(self.host, str) else " and ".join(self.host)
            raise ResourceError(f"the chain's door cannot listen on {where}, port {self.port} ({failed[0].strerror})", "choose another --chain-port")

    def stop(self) -> None:
        """Close the door and every connection; returns when the thread has ended."""
        if self._loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, started: threading.Event, failed: list[OSError]) -> None:
        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            try:
                server = await asyncio.start_server(self._serve, self.host, self.port, limit=MAX_HEAD)
            except OSError as error:
                failed.append(error)
                started.set()
                return
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await self._stop.wait()
            server.close()

        asyncio.run(serve())  # ends what is left of the connections

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = (writer.get_extra_info("peername") or ["?"])[0]
        if self._open.total() >= CONNECTIONS or (self._open[address] >= PER_ADDRESS and not _loopback(address)):
            writer.close()
            return
        self._open[address] += 1
        try:
            with contextlib.suppress(*_ENDINGS):
                while await self._exchange(address, reader, writer):
                    pass
        finally:
            self._open[address] -= 1
            self._open += Counter()  # forgets zeros
            writer.close()

    async def _exchange(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection goes on. Raises ValueError for what is not HTTP."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "-1"))
        if not first.startswith("POST ") or "transfer-encoding" in headers or not 0 <= length <= MAX_BODY:
            return await _answer(writer, 413 if length > MAX_BODY else 400, b"", False)
        body = await asyncio.wait_for(reader.readexactly(length), READ_S)
        going = headers.get("connection", "").lower() != "close"
        return await _answer(writer, 200, await self._calls(address, body), going)

    async def _calls(self, address: str, body: bytes) -> bytes:
        try:
            value = bounds.json_of(body, depth=8)
        except (ValueError, RecursionError):
            return _error(None, -32700, "this is not JSON")
        if type(value) is not list:
            return await self._call(address, value)
        if not 1 <= len(value) <= MAX_BATCH:
            return _error(None, _INVALID, f"a batch of {len(value)}; 1 to {MAX_BATCH} calls are served at once")
        answers, size = [], 0
        for entry in value:
            answer = await self._call(address, entry) if size < MAX_ANSWER else _error(None, _INVALID, "the batch's answer is too large")
            size += len(answer)
            answers.append(answer)
        return b"[" + b",".join(answers) + b"]"

    async def _call(self, address: str, value: Any) -> bytes:
        number = value.get("id") if type(value) is dict else None
        number = number if type(number) is int or (type(number) is str and len(number) <= 64) else None
        if type(value) is not dict or "method" not in value:
            return _error(number, _INVALID, "this is not a JSON-RPC call")
        if not _loopback(address) and (why := self._exceeds(address, value["method"], time.monotonic())):
            return _error(number, -32005, why)
        self._busy[address] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._pass, number, value["method"], value.get("params", []))
        finally:
            self._busy[address] -= 1
            self._busy += Counter()

    def _pass(self, number: Any, method: Any, params: Any) -> bytes:
        """Ask the chain, in a thread."""
        try:
            params = filter.check(method, params, lambda: int(self._rpc.call("eth_blockNumber"), 16))
            result = self._give(params[0]) if method == FUND else self._rpc.call(method, *params)
        except NotAllowed as error:
            self.refused += 1
            return _error(number, _REFUSED, str(error))
        except RpcError as error:
            return _error(number, error.code, error.message, error.data)
        except ChainError as error:
            return _error(number, -32000, str(error))
        return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()

    def _give(self, who: str) -> bool:
        """Whether `who` has gas now."""
        if int(self._rpc.call("eth_getBalance", who, "latest"), 16) >= LOW_WEI:
            return True
        now = time.monotonic()
        while self._grants and now - self._grants[0] > 3600:
            self._grants.popleft()
        if self._fund is None or len(self._grants) >= GRANTS:
            raise NotAllowed("no gas is given here now; the swarm's creator can give some: swarm chain fund ADDRESS")
        self._grants.append(now)
        self._fund(bytes.fromhex(who[2:]), GRANT_WEI)
        return True

    def _exceeds(self, address: str, method: Any, now: float) -> str:
        """Which limit one more call of this address would break; nodes of this machine share an address and have none."""
        if self._busy[address] >= PER_ADDRESS_BUSY:
            return f"more than {PER_ADDRESS_BUSY} calls at once from one address"
        if not self._calls_left.take(address, now):
            return f"more than {RATE:.0f} calls a second from one address"
        if method == "eth_sendRawTransaction" and not self._sends_left.take(address, now):
            return f"more than {SENDS:.0f} transactions a second from one address"
        return ""


class _Allowance:
    """So many a second for each address, and a store of `most` to begin with."""

    def __init__(self, rate: float, most: float):
        self._rate, self._most = rate, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> bool:
        """Take one, if there is one left."""
        left, at = self._left.pop(address, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > 4 * CONNECTIONS:
            self._left.popitem(last=False)
        return left >= 1


def _loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _error(number: Any, code: int, message: str, data: Any = None) -> bytes:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode()


async def _answer(writer: asyncio.StreamWriter, status: int, body: bytes, going: bool) -> bool:
    going_word = "keep-alive" if going else "close"
    head = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: {going_word}\r\n\r\n".encode() + body)
    await asyncio.wait_for(writer.drain(), WRITE_S)
    return going
