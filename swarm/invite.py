"""An invite: the one string with which another machine joins a swarm.

    os1_ base64url( msgpack [version, swarm, recipe hash, recipe blob, addresses, chain, voucher] || first 4 bytes of its BLAKE3 )

`swarm` names the swarm on the wire, `recipe hash` its rules, `recipe blob` is the BLAKE3 digest under which any member
serves the recipe's bytes, `addresses` are multiaddresses of members; `chain` says where the swarm's contracts lie and `voucher` is a
member's word for whoever joins with it, both nil where the swarm's steps are not proved. An invite comes from anywhere: it is bounded before
it is decoded, every address must fit a short grammar, and whatever is wrong with it is one sentence.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgpack
from blake3 import blake3

from swarm import addresses
from swarm.chain.link import ChainLink
from swarm.chain.voucher import Voucher
from swarm.errors import InputError

PREFIX = "os1_"
VERSION = 2
MAX_CHARS = 8192  # sixteen of the longest addresses, a chain and a voucher fit
MAX_ADDRESSES = 16
_CHECKSUM = 4
_HINT = "ask for a new one: `swarm invite` prints it on a running node"


@dataclass(frozen=True)
class Invite:
    """What a joiner needs: 32-byte ids and one to sixteen addresses."""

    swarm: bytes
    recipe_hash: bytes
    recipe_blob: bytes
    addresses: tuple[str, ...]
    chain: ChainLink | None = None
    voucher: Voucher | None = None

    def __post_init__(self) -> None:
        for name in ("swarm", "recipe_hash", "recipe_blob"):
            value = getattr(self, name)
            if type(value) is not bytes or len(value) != 32:
                raise InputError(f"the invite's {name.replace('_', ' ')} is not 32 bytes", _HINT)
        if not 1 <= len(self.addresses) <= MAX_ADDRESSES:
            raise InputError(f"the invite has {len(self.addresses)} addresses; 1 to {MAX_ADDRESSES} are allowed", _HINT)
        for address in self.addresses:
            addresses.dialable(address)

    def text(self) -> str:
        """The string that people pass on."""
        chain, voucher = self.chain and self.chain.compact(), self.voucher and self.voucher.compact()
        body = msgpack.packb([VERSION, self.swarm, self.recipe_hash, self.recipe_blob, list(self.addresses), chain, voucher])
        return PREFIX + base64.urlsafe_b64encode(body + blake3(body).digest(length=_CHECKSUM)).rstrip(b"=").decode()

    @property
    def local(self) -> bool:
        """Whether every address is this machine's own, so that the swarm cannot reach beyond it."""
        return all(addresses.scope(address) == "loopback" for address in self.addresses)


def parse(text: str) -> Invite:
    """Read an invite from anywhere. Raises InputError with one sentence; never returns a half-checked one."""
    text = text.strip()
    if len(text) > MAX_CHARS:
        raise InputError(f"an invite of {len(text)} characters; at most {MAX_CHARS} are read", _HINT)
    if not text.startswith(PREFIX):
        raise InputError(f"this is not an invite: it does not start with {PREFIX}", _HINT)
    try:
        coded = text[len(PREFIX) :].encode("ascii")
        data = base64.b64decode(coded + b"=" * (-len(coded) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InputError("the invite has characters that no invite has", "copy the whole line, without spaces or quotes") from None
    body, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
    if blake3(body).digest(length=_CHECKSUM) != checksum:
        raise InputError("the invite is incomplete or was changed on the way (its checksum is wrong)", "copy the whole line again")
    return _unpack(body)


def _unpack(body: bytes) -> Invite:
    try:
        value = msgpack.unpackb(body, max_array_len=MAX_ADDRESSES + 8, max_map_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise InputError("the invite does not parse", _HINT) from None
    version = value[0] if isinstance(value, list) and value and type(value[0]) is int else "unknown"
    if version != VERSION:
        raise InputError(f"the invite has version {version}; this program reads version {VERSION}", "update the older of the two programs")
    if len(value) != 7 or not isinstance(value[4], list) or not all(type(entry) is str for entry in value[4]):
        raise InputError("the invite does not have the form of an invite", _HINT)
    chain = None if value[5] is None else ChainLink.from_compact(value[5])
    voucher = None if value[6] is None else Voucher.from_compact(value[6])
    return Invite(value[1], value[2], value[3], tuple(value[4]), chain, voucher)
