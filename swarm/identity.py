"""Who a node is: an operator key, a peer key and a two-word name in one folder; and the sessions minted from them.

The folder holds `identity.json` (the operator key, locked; what it says in public; keys it followed by rotation) and
`peer-*.key` (the libp2p daemon reads it, so it is never encrypted; mode 0600). A node process never sees the operator
key: it gets a `Session`. A stolen session is taken back with `Identity.revoke`.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swarm import keys, keystore
from swarm.errors import IdentityError
from swarm.names import name_of
from swarm.records import Card, Delegation, Revocation, payload_of, seal, signing_digest, write
from swarm.session import Session

FORMAT = "openswarm identity 1"
FILE = "identity.json"
MAX_ROTATIONS = 32  # what the file holds
_LOST = "restore it with `swarm identity restore BACKUP`; without a backup the next start of a swarm makes a new identity"
_LOST_PEER = "restore the folder from a backup, or `swarm identity rotate --peer` makes a new peer key (others see a new peer)"


@dataclass(frozen=True)
class Rotation:
    """An operator key hands over to another; both sign, so that neither can be claimed against its will."""

    old: bytes  # 20
    new: bytes  # 20
    peer: bytes  # 32, the peer that moves over
    at: int  # Unix seconds
    by_old: bytes = b""  # 65, EIP-191 over the statement
    by_new: bytes = b""

    @property
    def statement(self) -> bytes:
        """32 bytes that both keys sign."""
        return keys.keccak(b"openswarm/1/rotation", self.old, self.new, self.peer, self.at.to_bytes(8, "big"))

    @property
    def valid(self) -> bool:
        digest = keys.wallet_digest(self.statement)
        return keys.recover_digest(self.by_old, digest) == self.old and keys.recover_digest(self.by_new, digest) == self.new


@dataclass(frozen=True)
class Public:
    """What `swarm identity show` prints: nothing secret, no passphrase needed."""

    folder: Path
    address: bytes  # 20
    peer: bytes  # 32
    encrypted: bool
    rotations: tuple[Rotation, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.address, self.peer)

    @property
    def peer_key_path(self) -> Path:
        """The file that the libp2p daemon reads (hivemind's `identity_path`)."""
        return self.folder / f"peer-{self.peer.hex()[:16]}.key"


@dataclass(frozen=True)
class Identity(Public):
    """An opened identity: may sign as operator. Lives in the supervisor and in short commands only."""

    secret: bytes = field(default=b"", repr=False)

    @classmethod
    def create(cls, folder: Path, passphrase: str | None, *, unencrypted: bool = False, work_factor: int = keystore.WORK_FACTOR) -> Identity:
        """Make new keys in `folder`. Without a passphrase only where `unencrypted` says that this is meant."""
        _need_passphrase(passphrase, unencrypted)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with keystore.claim(folder):
            _refuse_occupied(folder)
            secret, peer_key = keys.new_secret(), keys.new_peer_key()
            made = cls(folder, keys.address_of(secret), keys.peer_of(keys.peer_public(peer_key)), passphrase is not None, secret=secret)
            keystore.write_private(made.peer_key_path, peer_key)
            _store(made, keystore.lock(secret, passphrase, work_factor), [])
        return made

    @classmethod
    def open(cls, folder: Path, passphrase: str | None = None) -> Identity:
        """Unlock the identity in `folder`. Raises IdentityError: lost, locked, wrong passphrase, corrupt."""
        public, value = _read(folder)
        secret = keystore.unlock(value["operator"], passphrase, str(folder / FILE))
        if keys.address_of(secret) != public.address:
            raise keystore.corrupt(folder / FILE, f"its key is not that of {keys.checksum(public.address)}")
        _peer_key(public)
        return cls(public.folder, public.address, public.peer, public.encrypted, public.rotations, secret)

    @classmethod
    def open_or_create_local(cls, folder: Path) -> Identity:
        """The unencrypted identity of a peer in a local swarm; made at the first start."""
        if (folder / FILE).exists():
            return cls.open(folder)
        return cls.create(folder, None, unencrypted=True)

    def session(self, swarm: bytes, lifetime_s: float, specialty: int = -1, *, model: bytes | None = None, now: float | None = None) -> Session:
        """A fresh session key for one swarm, vouched for by both keys for `lifetime_s` seconds from `now` (Unix)."""
        now = time.time() if now is None else now
        secret, peer_key = keys.new_secret(), _peer_key(self)
        given = Delegation(self.address, int(now), int(now + lifetime_s))
        statement = given.statement(swarm, self.peer, keys.address_of(secret))
        given = replace(given, signature=self.sign_statement(statement))
        session = Session(secret, swarm, self.peer, given, b"", self.peer_key_path)
        card = Card(specialty=specialty, model=model, public=keys.peer_public(peer_key), proof=keys.peer_sign(peer_key, statement))
        return replace(session, card=write(card, session, sequence=int(now * 1000), expires=given.expires))

    def revoke(self, swarm: bytes, session: bytes, *, now: float | None = None, lifetime_s: float = 400 * 86_400) -> bytes:
        """A signed Revocation (wire bytes) of the session key with this 20-byte address, to be published and kept."""
        now = time.time() if now is None else now
        record = Revocation(by=self.address, session=session)
        payload = payload_of(record, swarm, self.peer, int(now * 1000), int(now + lifetime_s))
        return seal(record, payload, self.sign_statement(signing_digest(payload)), [])

    def sign_statement(self, statement: bytes) -> bytes:
        """65-byte operator signature over 32 bytes, as a wallet's `personal_sign` makes it."""
        return keys.sign_digest(self.secret, keys.wallet_digest(statement))


def show(folder: Path) -> Public:
    """The public side of an identity; needs no passphrase. Raises IdentityError: lost, corrupt."""
    return _read(folder)[0]


def backup(folder: Path, file: Path, passphrase: str | None, *, unencrypted: bool = False, work_factor: int = keystore.WORK_FACTOR) -> Public:
    """Write the whole identity to one file: both keys, and retired ones. The peer key is sealed under the operator key.

    A locked identity stays under its passphrase, which must be given; an unencrypted one is locked by `passphrase`, or
    stays open where `unencrypted` says so. An existing file is never overwritten.
    """
    identity = Identity.open(folder, passphrase)
    _need_passphrase(passphrase, unencrypted)
    if file.exists():
        raise IdentityError(f"{file} exists already", "name a new file: an old backup may be the only one")
    _, value = _read(folder)
    _relock(value, passphrase, folder / FILE, work_factor)
    value["peer_key"] = _seal_peer_key(_peer_key(identity), None if passphrase is None else identity.secret)
    keystore.write_private(file, json.dumps(value, indent=1).encode())
    return replace(show(folder), encrypted=passphrase is not None)


def restore(file: Path, folder: Path, passphrase: str | None, *, work_factor: int = keystore.WORK_FACTOR) -> Identity:
    """Bring an identity back from a backup into a new folder. An unencrypted backup is locked where a passphrase is given.

    Run it on one machine at a time: two nodes with one identity push each other out of the swarm.
    """
    value = keystore.read_json(file, FORMAT, "name the file that `swarm identity backup` wrote")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with keystore.claim(folder):
        _refuse_occupied(folder)
        public = _public(folder, value, file)
        secret = keystore.unlock(value["operator"], passphrase, str(file))
        peer_key = _open_peer_key(value.pop("peer_key", None), secret, file)
        if keys.address_of(secret) != public.address or keys.peer_of(keys.peer_public(peer_key)) != public.peer:
            raise keystore.corrupt(file, "its keys are not those it names")
        _relock(value, passphrase, file, work_factor)
        keystore.write_private(public.peer_key_path, peer_key)
        keystore.write_private(folder / FILE, json.dumps(value, indent=1).encode())
    return Identity.open(folder, passphrase)


def rotate(
    folder: Path, passphrase: str | None, *, peer: bool = False, now: float | None = None, work_factor: int = keystore.WORK_FACTOR
) -> Identity:
    """A new operator key that the old one signs over to (and with `peer` a new peer key, too); the name changes with it.

    The old key stays in the file: what is staked or owed under it can still be claimed. An unencrypted identity that is
    rotated with a passphrase is locked from then on. Sessions of the old key go on until they expire or are revoked.
    Raises IdentityError while a node runs under the identity.
    """
    with keystore.claim(_existing(folder)):
        old, value = _read(folder)
        if len(old.rotations) >= MAX_ROTATIONS:
            raise IdentityError(f"this identity was rotated {MAX_ROTATIONS} times already", "make a new one in another folder")
        old_secret, secret = keystore.unlock(value["operator"], passphrase, str(folder / FILE)), keys.new_secret()
        peer_key = keys.new_peer_key() if peer else _peer_key(old)
        said = Rotation(old.address, keys.address_of(secret), keys.peer_of(keys.peer_public(peer_key)), int(time.time() if now is None else now))
        digest = keys.wallet_digest(said.statement)
        said = replace(said, by_old=keys.sign_digest(old_secret, digest), by_new=keys.sign_digest(secret, digest))
        made = Identity(folder, said.new, said.peer, passphrase is not None, (*old.rotations, said), secret)
        keystore.write_private(made.peer_key_path, peer_key)
        _relock(value, passphrase, folder / FILE, work_factor)
        retired = [*value["retired"], {"operator": value["operator"], "rotation": _rotation_out(said)}]
        _store(made, keystore.lock(secret, passphrase, work_factor), retired)
    return made


def _relock(value: dict[str, Any], passphrase: str | None, where: Path, work_factor: int) -> None:
    """Lock what is unencrypted in an identity's file, where there is a passphrase."""
    for entry in (value, *value["retired"]):
        entry["operator"] = keystore.relock(entry["operator"], passphrase, str(where), work_factor)


def _need_passphrase(passphrase: str | None, unencrypted: bool) -> None:
    if passphrase is None and not unencrypted:
        raise IdentityError(
            "no passphrase was given for the operator key",
            f"name a file with --passphrase-file, set {keystore.ENVIRONMENT}, add --ask-passphrase, or accept an open key with --unencrypted",
        )


def _existing(folder: Path) -> Path:
    if not (folder / FILE).exists():
        raise IdentityError(f"there is no {folder / FILE}", _LOST)
    return folder


def _refuse_occupied(folder: Path) -> None:
    if (folder / FILE).exists():
        raise IdentityError(f"{folder} holds the identity {show(folder).name} already", "choose another folder, or move that one away")


def _peer_key(public: Public) -> bytes:
    """The peer key file's bytes. Raises IdentityError where it is lost, damaged or another one."""
    data = keystore.read_private(public.peer_key_path, _LOST_PEER)
    try:
        found = keys.peer_of(keys.peer_public(data))
    except ValueError:
        raise IdentityError(f"{public.peer_key_path} is damaged", _LOST_PEER) from None
    if found != public.peer:
        raise IdentityError(f"{public.peer_key_path} is the key of another peer, {keys.base58_of(found)}", _LOST_PEER)
    return data


def _store(public: Public, operator: dict[str, Any], retired: list[dict[str, Any]]) -> None:
    value = {
        "format": FORMAT,
        "name": public.name,
        "address": keys.checksum(public.address),
        "peer": public.peer.hex(),
        "peer_id": keys.base58_of(public.peer),
        "operator": operator,
        "retired": retired,
    }
    keystore.write_private(public.folder / FILE, json.dumps(value, indent=1).encode())


def _read(folder: Path) -> tuple[Public, dict[str, Any]]:
    value = keystore.read_json(folder / FILE, FORMAT, _LOST)
    return _public(folder, value, folder / FILE), value


def _public(folder: Path, value: dict[str, Any], where: Path) -> Public:
    try:
        address, peer = bytes.fromhex(value["address"].removeprefix("0x")), bytes.fromhex(value["peer"])
        rotations = tuple(_rotation_in(entry["rotation"]) for entry in value["retired"])
        encrypted = all("plain" not in entry["operator"] for entry in (value, *value["retired"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise keystore.corrupt(where, f"a field is missing or of the wrong type ({type(error).__name__})") from None
    chain = [rotation.old for rotation in rotations[1:]] + [address]
    if len(address) != 20 or len(peer) != 32 or [r.new for r in rotations] != chain[: len(rotations)] or not all(r.valid for r in rotations):
        raise keystore.corrupt(where, "its addresses or rotations do not fit together")
    return Public(folder, address, peer, encrypted, rotations)


def _seal_peer_key(peer_key: bytes, secret: bytes | None) -> dict[str, str]:
    """The peer key in a backup: AES-256-GCM under a key derived from the operator key, so one passphrase guards both."""
    if secret is None:
        return {"plain": peer_key.hex()}
    return {"sealed": keys.seal(keys.keccak(b"openswarm/1/backup", secret), peer_key).hex()}


def _open_peer_key(stored: Any, secret: bytes, where: Path) -> bytes:
    try:
        if "plain" in stored:
            peer_key = bytes.fromhex(stored["plain"])
        else:
            peer_key = keys.unseal(keys.keccak(b"openswarm/1/backup", secret), bytes.fromhex(stored["sealed"]))
        keys.peer_public(peer_key)
    except (KeyError, TypeError, ValueError):
        raise keystore.corrupt(where, "its peer key does not open") from None
    return peer_key


def _rotation_out(r: Rotation) -> list[Any]:
    return [r.old.hex(), r.new.hex(), r.peer.hex(), r.at, r.by_old.hex(), r.by_new.hex()]


def _rotation_in(row: Any) -> Rotation:
    old, new, peer, at, by_old, by_new = row
    return Rotation(bytes.fromhex(old), bytes.fromhex(new), bytes.fromhex(peer), int(at), bytes.fromhex(by_old), bytes.fromhex(by_new))
