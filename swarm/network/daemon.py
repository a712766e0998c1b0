"""One life of the libp2p daemon (p2pd, a child process) and of the DHT node that talks through it.

The daemon may be killed at any time: every call here has a timeout, and `died` returns when it is gone. It dies by
itself with the process that started it. hivemind is imported on the first start, never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from swarm import keys
from swarm.errors import NetworkError, ResourceError
from swarm.network.frames import NoStream, within
from swarm.network.settings import NetworkSettings

if TYPE_CHECKING:
    from hivemind.dht.node import DHTNode
    from hivemind.dht.storage import DHTLocalStorage
    from hivemind.dht.validation import RecordValidatorBase
    from hivemind.p2p import P2P

MAX_MESSAGE = 2**20  # bytes of one DHT message, in and out; the largest honest one is a full bucket of about 130 KB
OPEN_S = 25.0  # direct addresses are tried first; only then are new ones looked up, and relays among them
START_S, CALL_S, DHT_CALL_S, CLOSE_S = 30.0, 10.0, 4.0, 5.0
REPLICAS = 5
_MULTIHASH = b"\x12\x20"
_PORT = re.compile(r"/tcp/(\d+)")
_TCP = re.compile(r"/(?:ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/(\d+)/")

StreamHandler = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Result = TypeVar("Result")


class Daemon:
    """A running p2pd with its DHT node. Made by `start`; all methods belong to the loop that made it."""

    def __init__(self, p2p: P2P, node: DHTNode):
        self.p2p, self.node = p2p, node

    @classmethod
    async def start(
        cls, settings: NetworkSettings, key: Path, port: int, relays: list[str], validator: RecordValidatorBase, storage: DHTLocalStorage
    ) -> Daemon:
        """Start the daemon on `port` (0: any) with the identity in `key`; `storage` is what an earlier life held of the DHT.

        `relays`: members that may relay for us where others cannot dial us.

        Raises ResourceError where the port is taken, NetworkError where the daemon will not start.
        """
        from hivemind.dht.node import DHTNode
        from hivemind.dht.routing import DHTID
        from hivemind.p2p import P2PDaemonError

        if not settings.client:
            check_free(settings.listening(port))
        try:
            p2p = await _process_class(bool(relays)).create(**_daemon_arguments(settings, key, port, relays))
        except P2PDaemonError as error:
            raise NetworkError(f"the network process did not start: {error}", "run `swarm doctor`; it checks ports, memory and addresses") from None
        node = await DHTNode.create(
            p2p=p2p,
            node_id=DHTID.generate(p2p.peer_id.to_bytes()),  # the same place in the DHT after a restart
            num_replicas=REPLICAS,
            wait_timeout=DHT_CALL_S,
            cache_locally=False,
            cache_nearest=0,
            cache_on_store=False,
            client_mode=settings.client,
            record_validator=validator,
            ensure_bootstrap_success=False,
            strict=False,  # a clock that is seconds off is a warning, not the end
        )
        node.protocol.storage = node.protocol.cache = storage  # bounded, unlike hivemind's own
        return cls(p2p, node)

    async def died(self) -> int:
        """Wait until the daemon process is gone; its exit status."""
        return await self.p2p._child.wait()

    async def answers(self) -> bool:
        """Whether the daemon still answers (a stopped one does not)."""
        try:
            await within(CALL_S, self.p2p._client.identify())
        except (asyncio.IncompleteReadError, OSError):
            return False
        return True

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.p2p._child.kill()

    @property
    def pid(self) -> int:
        return self.p2p._child.pid

    async def addresses(self) -> list[str]:
        """Multiaddrs of this peer as the daemon sees them now, each with its /p2p/ part."""
        with contextlib.suppress(ValueError, OSError, asyncio.IncompleteReadError):
            return [str(address) for address in await within(CALL_S, self.p2p.get_visible_maddrs(latest=True))]
        return []

    async def connect(self, address: str) -> bytes:
        """Dial a full multiaddr and introduce the DHT nodes to each other; the peer. Raises NetworkError with the cause."""
        from hivemind.p2p import PeerID
        from hivemind.p2p.p2p_daemon_bindings.utils import ControlFailure
        from hivemind.utils.multiaddr import Multiaddr

        place, _, name = address.rpartition("/p2p/")
        try:
            peer = keys.peer_from_base58(name)
            place = Multiaddr(place)
        except (ValueError, LookupError) as error:
            raise NetworkError(f"not an address: {error}") from None
        target = PeerID(_MULTIHASH + peer)
        await _probe(address)
        try:
            await within(CALL_S, self.p2p._client.connect(target, [place]))
        except ControlFailure as error:
            raise NetworkError(_cause(str(error))) from None
        except (asyncio.IncompleteReadError, OSError):
            raise NetworkError(f"no answer within {CALL_S:.0f} s") from None
        with contextlib.suppress(TimeoutError):
            await within(CALL_S, self.node.protocol.call_ping(target))
        return peer

    async def connected(self) -> dict[bytes, str]:
        """Peers with an open connection, and the address at which we see each."""
        try:
            infos = await within(CALL_S, self.p2p.list_peers())
        except (asyncio.IncompleteReadError, OSError):
            return {}
        return {info.peer_id.to_bytes()[2:]: str(info.addrs[0]) if info.addrs else "" for info in infos if len(info.peer_id.to_bytes()) == 34}

    async def listen(self, protocol: str, handler: StreamHandler) -> None:
        """Call `handler(remote peer, reader, writer)` for each incoming stream of `protocol`; it closes the stream itself."""

        async def incoming(info: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await handler(info.peer_id.to_bytes()[2:], reader, writer)

        await within(CALL_S, self.p2p.add_binary_stream_handler(protocol, incoming))

    async def open(self, peer: bytes, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to `peer`, dialled by its id wherever the swarm knows it. Raises NoStream."""
        from hivemind.p2p import PeerID
        from hivemind.p2p.p2p_daemon_bindings.utils import ControlFailure

        try:
            _, reader, writer = await within(OPEN_S, self.p2p.call_binary_stream_handler(PeerID(_MULTIHASH + peer), protocol))
        except (ControlFailure, OSError, asyncio.IncompleteReadError) as error:
            raise NoStream(_cause(str(error)) or f"no answer within {OPEN_S:.0f} s") from None
        return reader, writer

    async def close(self) -> None:
        """Stop the node and the daemon; works on a dead daemon too."""
        self.node.is_alive = False
        if self.node.cache_refresh_task is not None:
            self.node.cache_refresh_task.cancel()
        try:
            await within(CLOSE_S, self.p2p.shutdown())
        except TimeoutError:
            self.kill()
            await self.died()


def _process_class(known_relays: bool) -> type[P2P]:
    """hivemind's P2P, told to use the relays it is given instead of waiting three minutes for more to choose from."""
    from hivemind.p2p import P2P

    class Process(P2P):
        @staticmethod
        def _make_process_args(*arguments: Any, **flags: Any) -> list[str]:
            return P2P._make_process_args(*arguments, relayDiscovery=not known_relays, **flags)

    return Process


def _daemon_arguments(settings: NetworkSettings, key: Path, port: int, relays: list[str]) -> dict[str, Any]:
    """What p2pd is started with. It is given no boot peers: we dial them ourselves, so as to name the dead ones."""
    relay = settings.relay and (not settings.loopback or bool(settings.trusted_relays))
    private = settings.client or settings.reachability == "private"
    seek = relay and settings.reachability != "public"
    return {
        "host_maddrs": None if settings.client else settings.listening(port),
        "no_listen": settings.client,
        "announce_maddrs": settings.announce or None,
        "identity_path": str(key),
        "check_if_identity_free": False,
        "dht_mode": "client" if settings.client else "server",
        "nat_port_map": not settings.loopback and not settings.client,
        "auto_nat": not settings.loopback,
        "use_relay": relay,
        "use_auto_relay": seek,
        "trusted_relays": relays if seek and relays else None,
        "force_reachability": "private" if private else {"public": "public"}.get(settings.reachability),
        "persistent_conn_max_msg_size": MAX_MESSAGE,
        "startup_timeout": START_S,
    }


def port_of(addresses: list[str]) -> int:
    """The TCP port among a peer's own addresses, 0 where there is none."""
    ports = [match.group(1) for match in map(_PORT.search, addresses) if match]
    return int(ports[0]) if ports else 0


def check_free(addresses: tuple[str, ...]) -> None:
    """Raise ResourceError where another program listens on one of these; the daemon itself would silently share the port."""
    for address in addresses:
        match = re.match(r"/(ip[46])/([^/]+)/tcp/(\d+)", address)
        if not match or match.group(3) == "0":
            continue
        family = socket.AF_INET if match.group(1) == "ip4" else socket.AF_INET6
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for the daemon
            try:
                probe.bind((match.group(2), int(match.group(3))))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise ResourceError(f"port {match.group(3)} is taken by another program", "pass another one with --port, or 0 for any") from None
                raise ResourceError(f"cannot listen on {address}: {error.strerror}", "listen on an address of this machine, or on 0.0.0.0") from None


async def _probe(address: str) -> None:
    """Raise NetworkError where nobody listens at a TCP address. libp2p would stop dialling it for five seconds and more after one failure."""
    match = _TCP.match(address)
    if match is None or "/p2p-circuit" in address:
        return
    try:
        _, writer = await within(CALL_S, asyncio.open_connection(match.group(1), int(match.group(2))))
    except TimeoutError:
        raise NetworkError(f"no answer within {CALL_S:.0f} s") from None
    except OSError as error:
        raise NetworkError(os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)) from None
    except OverflowError:
        raise NetworkError("no such port") from None
    writer.close()


def _cause(text: str) -> str:
    """The last, most specific part of the daemon's dial error."""
    for known in ("connection refused", "no route to host", "network is unreachable", "i/o timeout", "peer id mismatch", "no such host"):
        if known in text:
            return known
    return text.rsplit("msg=", 1)[-1].replace("\n", " ")[:200]
