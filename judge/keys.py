"""Hashes and signatures of the judge market: keccak256, and recoverable secp256k1 signatures as the contracts know them.

A signature is 65 bytes r || s || v with v in {27, 28} and a low s (EIP-2), over a 32-byte digest. `recover` gives the address that
made it. An address is the last 20 bytes of the keccak256 of the public key.
"""

from __future__ import annotations

import coincurve
from Crypto.Hash import keccak as _keccak

DOMAIN = b"openswarm/1/judge"
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def keccak(*parts: bytes) -> bytes:
    """32 bytes: keccak256 of the parts put together."""
    return _keccak.new(digest_bits=256, data=b"".join(parts)).digest()


def digest_of(payload: bytes, chain_id: int, about: bytes = b"") -> bytes:
    """What is signed for `payload` on a chain: a signature for one chain, or about another thing, is worth nothing here."""
    return keccak(DOMAIN, about, chain_id.to_bytes(32, "big"), payload)


def address_of(secret: bytes) -> bytes:
    """The 20-byte address of a 32-byte private key."""
    return _address(coincurve.PrivateKey(secret).public_key)


def sign(secret: bytes, digest: bytes) -> bytes:
    """65-byte signature of a 32-byte digest, deterministic (RFC 6979)."""
    signature = coincurve.PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def recover(signature: bytes, digest: bytes) -> bytes | None:
    """The address that signed `digest`, or None where this is no signature, or one with a high s."""
    if len(signature) != 65 or signature[64] not in (27, 28) or int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        return None
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature[:64] + bytes([signature[64] - 27]), digest, hasher=None)
    except ValueError:
        return None
    return _address(key)


def _address(key: coincurve.PublicKey) -> bytes:
    return keccak(key.format(compressed=False)[1:])[12:]
