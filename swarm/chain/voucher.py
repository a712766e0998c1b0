"""Vouchers: a member's signed word that whoever holds a one-time key may join with an allowance of weight (faucet swarms).

The inviter signs EIP-712 `Invite(bytes32 swarm,address ticket,uint64 expires)` with its operator key; the joiner shows the ticket's
key by signing `Join(bytes32 swarm,address joiner)`, so a voucher that is seen on its way to the chain is of no use to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarm import keys
from swarm.chain import typed
from swarm.chain.link import ChainLink
from swarm.errors import InputError

_TYPES = {
    "Invite": [("swarm", "bytes32"), ("ticket", "address"), ("expires", "uint64")],
    "Join": [("swarm", "bytes32"), ("joiner", "address")],
}


@dataclass(frozen=True)
class Voucher:
    """What an invite carries: the inviter (20 bytes), its peer (32), the ticket's secret key (32), the end (unix seconds), a signature (65)."""

    inviter: bytes
    inviter_peer: bytes
    ticket: bytes
    expires: int
    signature: bytes

    def compact(self) -> list[object]:
        return [self.inviter, self.inviter_peer, self.ticket, self.expires, self.signature]

    @classmethod
    def from_compact(cls, value: object) -> Voucher:
        """From an invite of anyone. Raises InputError where it has another form."""
        sizes = (20, 32, 32, None, 65)
        good = isinstance(value, list) and len(value) == len(sizes)
        for entry, size in zip(value if good else [], sizes, strict=False):
            good = good and (type(entry) is int and 0 <= entry < 2**40 if size is None else type(entry) is bytes and len(entry) == size)
        if not good or not 0 < int.from_bytes(value[2], "big") < keys.ORDER:
            raise InputError("the invite's voucher has a form that no voucher has", "ask for a new one: `swarm invite`")
        return cls(*value)

    def shown_by(self, link: ChainLink, swarm: bytes, joiner: bytes) -> tuple[Any, ...]:
        """The struct `ISwarmRegistry.Invite` for `joiner`."""
        shown = sign(link, "Join", {"swarm": swarm, "joiner": keys.checksum(joiner)}, self.ticket)
        return (self.inviter, self.inviter_peer, keys.address_of(self.ticket), self.expires, self.signature, shown)


def issue(link: ChainLink, swarm: bytes, operator: bytes, peer: bytes, expires: int) -> Voucher:
    """A new voucher by the operator with this secret key, who has registered `peer`."""
    ticket = keys.new_secret()
    message = {"swarm": swarm, "ticket": keys.checksum(keys.address_of(ticket)), "expires": expires}
    return Voucher(keys.address_of(operator), peer, ticket, expires, sign(link, "Invite", message, operator))


def sign(link: ChainLink, kind: str, message: dict[str, Any], secret: bytes) -> bytes:
    """65-byte EIP-712 signature for the registry of a link."""
    return typed.sign("OpenSwarm SwarmRegistry", link.chain_id, link.contracts.registry, kind, _TYPES[kind], message, secret)
