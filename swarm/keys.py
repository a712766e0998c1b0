"""Keys and signatures: secp256k1 accounts that the chain knows, and the RSA key behind a libp2p peer id.

Three kinds of key. The *operator* key signs statements as an Ethereum wallet does (EIP-191, `personal_sign` over 32
bytes), so a hardware wallet can make them and a contract can check them. A *session* key signs wire records over their
own keccak256. Both give 65 bytes r || s || v, v in {27, 28}, low s (EIP-2). The *peer* key is libp2p's RSA-2048: its
file is the protobuf `PrivateKey {1: key type, 2: PKCS#1 DER}`, and a peer is the sha256 of the protobuf
`PublicKey {1: key type, 2: SubjectPublicKeyInfo DER}` (libp2p peer-ids specification), kept here as those 32 bytes.
"""

from __future__ import annotations

import hashlib
import secrets

import base58
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from judge import keys as market

# Hashes and signatures are those of judge/, which imports nothing from here.
address_of, keccak, recover_digest, sign_digest = market.address_of, market.keccak, market.recover, market.sign

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1
RSA_BITS = 2048
RSA_EXPONENT = 65537
_MULTIHASH_SHA256 = b"\x12\x20"
_RSA_TYPE_AND_DATA = b"\x08\x00\x12"  # field 1 (varint) = RSA, field 2 (bytes) follows


def new_secret() -> bytes:
    """A fresh 32-byte secp256k1 private key."""
    while True:
        secret = secrets.token_bytes(32)
        if 0 < int.from_bytes(secret, "big") < ORDER:
            return secret


def checksum(address: bytes) -> str:
    """An address as people see it: 0x and 40 hex digits with the capitals of EIP-55."""
    digits = address.hex()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(m, 16) >= 8 else d for d, m in zip(digits, marks, strict=False))


def wallet_digest(statement: bytes) -> bytes:
    """EIP-191 digest of a 32-byte statement: what a wallet's `personal_sign` signs."""
    if len(statement) != 32:
        raise ValueError(f"a statement has 32 bytes, not {len(statement)}")
    return keccak(b"\x19Ethereum Signed Message:\n32", statement)


def new_peer_key() -> bytes:
    """A fresh peer key, as the bytes of the file that the libp2p daemon reads."""
    key = rsa.generate_private_key(public_exponent=RSA_EXPONENT, key_size=RSA_BITS)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return _protobuf(der)


def peer_public(key_file: bytes) -> bytes:
    """The public key (SubjectPublicKeyInfo DER) of a peer key file. Raises ValueError where the file is damaged."""
    return _load_private(key_file).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def peer_of(public: bytes) -> bytes:
    """The peer (32 bytes) of a public key in DER: the sha256 inside its libp2p peer id."""
    return hashlib.sha256(_protobuf(public)).digest()


def peer_sign(key_file: bytes, message: bytes) -> bytes:
    """256-byte RSA signature (PKCS#1 v1.5, SHA-256) by a peer key. Deterministic."""
    return _load_private(key_file).sign(message, padding.PKCS1v15(), hashes.SHA256())


def peer_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` is by the RSA key `public` (DER, 2048 bits, exponent 65537)."""
    try:
        key = serialization.load_der_public_key(public)
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size != RSA_BITS or key.public_numbers().e != RSA_EXPONENT:
            return False  # a huge key or exponent would make every check slow
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def base58_of(peer: bytes) -> str:
    """A peer as libp2p prints and dials it: Qm..."""
    return base58.b58encode(_MULTIHASH_SHA256 + peer).decode()


def peer_from_base58(text: str) -> bytes:
    """The 32-byte peer of a printed peer id. Raises ValueError where it is not the sha256 kind."""
    if len(text) > 64:
        raise ValueError("a peer id has at most 64 characters")
    raw = base58.b58decode(text)
    if len(raw) != 34 or not raw.startswith(_MULTIHASH_SHA256):
        raise ValueError("not a sha256 peer id")
    return raw[2:]


def seal(key: bytes, data: bytes) -> bytes:
    """`data` under a 32-byte key: AES-256-GCM, a random 12-byte nonce in front."""
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def unseal(key: bytes, sealed: bytes) -> bytes:
    """What was sealed. Raises ValueError where it was changed or the key is another."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], None)
    except InvalidTag:
        raise ValueError("does not open under this key") from None


def _protobuf(data: bytes) -> bytes:
    """libp2p's `{1: RSA, 2: data}`: one type byte, then the length as a varint, then the data."""
    length, varint = len(data), b""
    while length > 0x7F:
        varint += bytes([length & 0x7F | 0x80])
        length >>= 7
    return _RSA_TYPE_AND_DATA + varint + bytes([length]) + data


def _load_private(key_file: bytes) -> rsa.RSAPrivateKey:
    for varint in (1, 2, 3):  # bytes of the length field; compare with what we would have written
        data = key_file[len(_RSA_TYPE_AND_DATA) + varint :]
        if _protobuf(data) == key_file:
            key = serialization.load_der_private_key(data, password=None)
            if isinstance(key, rsa.RSAPrivateKey):
                return key
    raise ValueError("not a libp2p RSA key")
