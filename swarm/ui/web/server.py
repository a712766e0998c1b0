"""The web page's door: a small HTTP server that only reads, for this machine unless told otherwise.

    serve("127.0.0.1", 8040, Site(), print)       until Ctrl-C

A page of somebody else's that is open in the same browser can send requests here. It gets nothing: no answer may be read or framed by
another origin, a name that somebody pointed at this machine (DNS rebinding) is refused by its Host header, and no request changes anything.
Pages hold no script, and the browser is told to run none.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import re
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from swarm.errors import InputError
from swarm.ui.web.site import STYLE, Site

METHODS = ("GET", "HEAD")
MAX_PATH = 200  # characters, what stands behind it included
CONNECTIONS, AT_ONCE = 64, 16
IDLE_S = 15.0  # of a connection, and for a request's head to come
THREADS = 4
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "openswarm",
}
LOGGER = logging.getLogger(__name__)
LOGGER.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))  # nonsense gets its 400, no traceback
_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::[0-9]{1,5})?")


class Door:
    """Guards and answers requests for one site. `host` is where it listens: names of this machine only, unless that is another one."""

    def __init__(self, site: Site, host: str):
        self.site, self.host = site, host
        self.application = web.Application()
        self.application.router.add_route("*", "/{path:.*}", self.answer)
        self.runner = web.AppRunner(self.application, access_log=None, logger=LOGGER, keepalive_timeout=IDLE_S, handle_signals=False)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="web page")
        self._busy = 0

    async def open(self, port: int) -> int:
        """Listen; the port, which is any free one for 0. Raises OSError where it is taken, InputError where nobody can listen there."""
        await self.runner.setup()
        try:
            await web.TCPSite(self.runner, self.host, port, shutdown_timeout=2.0).start()
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EACCES):
                what = f"cannot listen on {self.host}, port {port} ({error.strerror})"
                raise InputError(what, "give an address that this machine has as --host, and a --port from 1024 on") from None
            raise
        return self.runner.addresses[0][1]

    async def close(self) -> None:
        await self.runner.cleanup()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        if (refused := self._refusal(request)) is not None:
            return refused
        if request.path == "/style.css":
            return _response(200, STYLE, "text/css")
        self._busy += 1
        try:
            page = await asyncio.get_running_loop().run_in_executor(self._pool, self.site.page, request.path, dict(request.query))
        finally:
            self._busy -= 1
        return _response(page.status, page.html.encode("utf-8", "replace"), "text/html")

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why a request is not answered, or None."""
        if request.method not in METHODS:
            return _refused(405, "this page can only be read", Allow=", ".join(METHODS))
        if not self.is_own(request.headers.getall("Host", [])):
            return _refused(421, f"this page answers to {self.host} and to names of this machine only, not to the name in this request")
        if len(request.raw_path) > MAX_PATH:
            return _refused(414, f"an address here has at most {MAX_PATH} characters")
        if request.body_exists:
            return _refused(413, "a request here has no body", Connection="close")
        if self._busy >= AT_ONCE or len(self.runner.server.connections) > CONNECTIONS:
            return _refused(503, "too many requests at once; try again in a moment", Connection="close")
        return None

    def is_own(self, hosts: list[str]) -> bool:
        """Whether the Host header names this machine. Elsewhere than on loopback an address always does: nobody can rebind one."""
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return False
        name = found[1].strip("[]").lower().removesuffix(".")
        if name in LOCAL or is_loopback(self.host):
            return name in LOCAL or name == self.host
        return _is_address(name) or name in (self.host.lower(), socket.gethostname().lower())


def serve(host: str, port: int, site: Site, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it. Raises OSError where the port is taken, InputError where nobody can listen there."""
    asyncio.run(_serve(host, port, site, say))


async def _serve(host: str, port: int, site: Site, say: Callable[[str], None]) -> None:
    ended, door = asyncio.Event(), Door(site, host)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        say(f"http://{f'[{host}]' if ':' in host else host}:{await door.open(port)}/")
        await ended.wait()
    finally:
        await door.close()
        site.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refused(status: int, sentence: str, **headers: str) -> web.Response:
    return _response(status, f"{sentence}\n".encode(), "text/plain", **headers)


def _response(status: int, body: bytes, kind: str, **headers: str) -> web.Response:
    return web.Response(status=status, body=body, content_type=kind, charset="utf-8", headers=HEADERS | headers)
