"""Multiaddresses: the short grammar of those we dial, announce and listen on, and who can reach them.

A dialable one ends in a peer id: `/ip4/203.0.113.7/tcp/4001/p2p/Qm...`, possibly through a relay
(`.../p2p/RELAY/p2p-circuit/p2p/PEER`). Anything outside the grammar is refused before a library sees it. A few of one peer
travel as a msgpack list of strings.
"""

from __future__ import annotations

import ipaddress
import re

import msgpack

from swarm.errors import InputError, Refused

LONGEST = 300
FEW = 4  # addresses of one peer that travel together
PACKED = FEW * (LONGEST + 3) + 1  # bytes they have at most

_HOST = r"/(?:ip4/[0-9.]{7,15}|ip6/[0-9a-fA-F:.]{2,45}|dns[46]?/[A-Za-z0-9.-]{1,253})"
_PORT = r"/(?:tcp|udp)/[0-9]{1,5}(?:/quic(?:-v1)?)?"
_PEER = r"/p2p/[1-9A-HJ-NP-Za-km-z]{40,64}"
_DIALABLE = re.compile(f"{_HOST}{_PORT}{_PEER}(?:/p2p-circuit{_PEER})?")
_LISTENING = re.compile(f"{_HOST}{_PORT}")
_SHORT = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]/]+))(?::(?P<port>\d+))?")


def dialable(address: str) -> str:
    """`address` if a peer can be dialled under it. Raises InputError naming it."""
    return _check(address, _DIALABLE, f"{_shown(address)} is not an address of a peer", "it should look like /ip4/203.0.113.7/tcp/4001/p2p/Qm...")


def listening(text: str, flag: str) -> str:
    """The multiaddress of `HOST`, `HOST:PORT`, `[IPv6]:PORT`, or of a multiaddress itself. Raises InputError naming the flag."""
    address = text
    if match := _SHORT.fullmatch(text):
        host = match["six"] or match["host"]
        family = "ip6" if match["six"] else "ip4" if host.replace(".", "").isdigit() else "dns4"
        address = f"/{family}/{host}/tcp/{match['port'] or 0}"
    return _check(address, _LISTENING, f"{flag} {_shown(text)} is no address", "for example 0.0.0.0:4001, [::]:4001 or /ip4/0.0.0.0/tcp/4001")


def pack(found: list[str]) -> bytes:
    """The first few of a peer's addresses as they travel."""
    return msgpack.packb(found[:FEW])


def unpack(data: bytes) -> list[str]:
    """The dialable addresses that somebody sent, at least one, all of one peer. Raises Refused("oversize" | "malformed")."""
    if len(data) > PACKED:
        raise Refused("oversize", f"{len(data)} bytes of addresses")
    try:
        found = msgpack.unpackb(data, max_array_len=FEW, max_map_len=0, max_ext_len=0, max_bin_len=0)
        if type(found) is not list or not all(type(address) is str and dialable(address) for address in found):
            raise ValueError("not a list of addresses")
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException, InputError):
        raise Refused("malformed", "these are no addresses of a peer") from None
    if len({address.rpartition("/p2p/")[2] for address in found}) != 1:
        raise Refused("malformed", "these are not the addresses of one peer")
    return found


def scope(address: str) -> str:
    """`loopback`, `private` or `public`: who can dial it. Names count as public."""
    family, host = address.split("/")[1:3]
    if family not in ("ip4", "ip6"):
        return "loopback" if host == "localhost" else "public"
    ip = ipaddress.ip_address(host)
    return "loopback" if ip.is_loopback else "private" if ip.is_private or ip.is_link_local else "public"


def host_port(address: str) -> tuple[str, int]:
    """Host and port that a multiaddress dials (the relay's where it has one)."""
    return address.split("/")[2], int(address.split("/")[4])


def _check(address: str, grammar: re.Pattern[str], what: str, hint: str) -> str:
    if len(address) > LONGEST or not grammar.fullmatch(address) or host_port(address)[1] > 65_535 or not _host_is_real(address):
        raise InputError(what, hint)
    return address


def _host_is_real(address: str) -> bool:
    family, host = address.split("/")[1:3]
    if family not in ("ip4", "ip6"):
        return True
    try:
        return ipaddress.ip_address(host).version == int(family[2])
    except ValueError:
        return False


def _shown(address: str) -> str:
    return ascii(address[:100])
