"""JSON-RPC over HTTP to a chain that may be slow, broken or hostile: every call is bounded in time, bytes and depth.

The address of a chain may carry an access key in its path, so messages name only host and port.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from swarm import bounds
from swarm.errors import ChainError, InputError
from swarm.names import plain

TIMEOUT_S = 10.0
AGAIN_S = 0.2
MAX_BYTES = 8 * 2**20  # of an answer
_HINT = "is it running? `swarm chain status` tries again; the node goes on and sends later what waits"


class RpcError(ChainError):
    """What the chain answered instead of a result; `data` holds a contract's reason where there is one."""

    def __init__(self, code: int, message: str, data: Any = None):
        super().__init__(message or f"the chain answers with error {code}", _HINT)
        self.code, self.message, self.data = code, message, data


class AnswerTooLarge(ChainError):
    """More bytes than are read."""


class Rpc:
    """One chain's JSON-RPC address. Safe to use from several threads; each keeps a connection of its own."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES):
        """Raises InputError where `url` is not http(s)://host[:port][/path]."""
        self._parts = check_url(url)
        self.url, self.timeout_s, self.max_bytes = url, timeout_s, max_bytes
        self.patience_s = 0.0  # how long a chain that cannot be reached is asked again before that is an error
        self._ids = itertools.count(1)
        self._local = threading.local()

    @property
    def name(self) -> str:
        """Host and port, for messages."""
        return f"{self._parts.hostname}:{self._port}"

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call. Raises ChainError where there is no (sensible) answer, RpcError where the answer is an error."""
        number = next(self._ids)
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
        answer = self._parse(self._ask(body), method)
        if answer.get("id") != number:
            raise ChainError(f"the chain at {self.name} answered {method} with another call's answer", _HINT)
        return _result(answer)

    def close(self) -> None:
        """Close this thread's connection."""
        if (connection := getattr(self._local, "connection", None)) is not None:
            connection.close()
            self._local.connection = None

    @property
    def _port(self) -> int:
        return self._parts.port or (443 if self._parts.scheme == "https" else 80)

    def _parse(self, data: bytes, method: str) -> dict[str, Any]:
        try:
            answer = bounds.json_of(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise ChainError(f"what answers at {self.name} does not speak JSON-RPC ({method})", "check the address given with --rpc")
        return answer

    def _ask(self, body: bytes) -> bytes:
        end = time.monotonic() + self.patience_s
        while True:
            try:
                return self._post(body)
            except AnswerTooLarge:
                raise
            except ChainError:  # asking again is safe, a transaction counts once
                if time.monotonic() >= end:
                    raise
            time.sleep(AGAIN_S)

    def _post(self, body: bytes) -> bytes:
        kept = getattr(self._local, "connection", None) is not None
        try:
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept or isinstance(error, TimeoutError):
                raise self._unreachable(error) from None
        try:  # a kept connection may have been closed meanwhile: repeating is safe, a transaction counts once
            return self._exchange(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> ChainError:
        words = str(getattr(error, "strerror", None) or error)
        why = "no answer in time" if isinstance(error, TimeoutError) else plain(words, 200) or type(error).__name__
        return ChainError(f"the chain at {self.name} cannot be reached ({why})", _HINT)

    def _exchange(self, body: bytes) -> bytes:
        connection = self._connect()
        cut = _Cut(connection.sock)  # a socket's own time limit counts each read, so one byte at a time would pass it
        timer = threading.Timer(self.timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = self._read(response)
        except (OSError, http.client.HTTPException):
            if cut.done:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if cut.done:
            raise TimeoutError
        if response.status != 200 and not data.startswith(b"{"):
            raise http.client.HTTPException(f"HTTP status {response.status}")
        return data

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        data = bytearray()
        while part := response.read1(65_536):
            data += part
            if len(data) > self.max_bytes:
                self.close()
                raise AnswerTooLarge(f"the chain at {self.name} answers with more than {self.max_bytes} bytes", "use another --rpc")
        response.close()  # read1 leaves that out, and the connection would not be kept
        return bytes(data)

    @property
    def _path(self) -> str:
        return (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")

    def _connect(self) -> http.client.HTTPConnection:
        if (connection := getattr(self._local, "connection", None)) is not None and connection.sock is not None:
            return connection
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname, self._port, timeout=self.timeout_s)
        connection.connect()
        self._local.connection = connection
        return connection


class _Cut:
    """Ends a connection from another thread."""

    def __init__(self, sock: socket.socket):
        self._socket, self.done = sock, False

    def __call__(self) -> None:
        self.done = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def check_url(url: str):
    """The parts of a chain's address. Raises InputError for anything but a plain http(s) one."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0) and len(url) <= 512
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError("that is not the address of a chain", "it looks like http://127.0.0.1:8545 or https://host/path")
    return parts


def _result(answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    if not isinstance(error, dict):
        raise RpcError(0, plain(str(error), 300))
    code = error.get("code")
    raise RpcError(code if type(code) is int else 0, plain(str(error.get("message", "")), 300), error.get("data"))
