"""Every signed record that travels between peers: one class each, typed, versioned, bounded in size.

On the wire a record is msgpack `[payload, signature, delegation]`, where `payload` is the msgpack bytes of
`[type, version, swarm, peer, sequence, expires, body]`. A session key signs keccak256("openswarm/1/record" || payload);
`delegation` = `[operator, issued, expires, signature]` is the operator's statement that this session key acts for this
peer in this swarm, so a record is verified by itself. Only a Card also proves that the *peer's* key agrees: believe who
serves a peer's blobs after its Card, never from a Shelf alone. A Revocation is signed by the operator and carries `[]`.

`read()` is pure: bytes and the time in, a record or `Refused` with one of `REASONS` out. `swarm.inbox` adds memory: the newest
sequence of every author, revoked sessions, and a count of what was dropped and why. Times are Unix seconds (int).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

import msgpack

from swarm import keys
from swarm.errors import Refused
from swarm.names import name_of
from swarm.names import plain as plain  # part of this module's face: what is foreign and shown goes through it
from swarm.seeds import SHELVED

REASONS = ("oversize", "malformed", "version", "foreign swarm", "bad signature", "expired", "future", "stale", "revoked")
SKEW_S = 5400  # a clock an hour off must not cut a peer off; staleness is decided by sequence, not by time
DAY_S = 86_400
MAX_SESSION_S = 400 * DAY_S
MAX_TIME = 2**40
MAX_SEQUENCE = 2**63
MAX_ROUND = 2**31
MAX_BLOB = 2**31
_ARRAY = 32  # longest list anywhere in a record


class Signer(Protocol):
    """What `write` needs of a session: never the operator key."""

    swarm: bytes
    peer: bytes
    delegation: Delegation

    def sign(self, payload: bytes) -> bytes: ...


@dataclass(frozen=True)
class Delegation:
    """The operator's word that a session key acts for its peer in one swarm, from `issued` to `expires`."""

    operator: bytes  # 20-byte address
    issued: int
    expires: int
    signature: bytes = b""  # 65 bytes, EIP-191 over the statement

    def statement(self, swarm: bytes, peer: bytes, session: bytes) -> bytes:
        """The 32 bytes that the operator key and the peer key both sign."""
        times = self.issued.to_bytes(8, "big") + self.expires.to_bytes(8, "big")
        return keys.keccak(b"openswarm/1/delegation", swarm, self.operator, peer, session, times)


@dataclass(frozen=True)
class Origin:
    """Who says a record: verified, and filled in by `read`."""

    swarm: bytes  # 32
    peer: bytes  # 32
    operator: bytes  # 20
    session: bytes  # 20: address of the session key; empty in a Revocation
    issued: int  # when the session was delegated; 0 in a Revocation
    sequence: int
    expires: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of all records. Subclasses hold the body's fields; `origin` is None until the record was read."""

    TYPE: ClassVar[int]
    VERSION: ClassVar[int] = 1
    MAX_BYTES: ClassVar[int] = 1024
    MAX_LIFE_S: ClassVar[int] = MAX_SESSION_S
    origin: Origin | None = None

    def body(self) -> list[Any]:
        """The body as msgpack takes it."""
        raise NotImplementedError

    @classmethod
    def from_body(cls, body: list[Any]) -> Self:
        """The record of a foreign body. Raises Refused("malformed"), or ValueError and TypeError that mean the same."""
        raise NotImplementedError

    def verify(self, statement: bytes) -> None:
        """Check what a kind promises beyond the session's signature. Raises Refused("bad signature")."""

    @property
    def peer(self) -> bytes:
        return self._said.peer

    @property
    def operator(self) -> bytes:
        return self._said.operator

    @property
    def sequence(self) -> int:
        return self._said.sequence

    @property
    def expires(self) -> int:
        return self._said.expires

    @property
    def name(self) -> str:
        """The author's two-word name, derived from its keys."""
        return name_of(self.operator, self.peer)

    @property
    def _said(self) -> Origin:
        if self.origin is None:
            raise ValueError(f"this {type(self).__name__} was built here and not read from the wire: nobody said it yet")
        return self.origin


@dataclass(frozen=True, kw_only=True)
class Card(Record):
    """A member introduces itself: operator, peer and session belong together, by both keys' signatures."""

    TYPE: ClassVar[int] = 1
    specialty: int = -1  # index of the one task it draws, -1 for all
    model: bytes | None = None  # 32-byte digest of its start weights
    public: bytes = b""  # the peer's RSA key, SubjectPublicKeyInfo DER (294 bytes)
    proof: bytes = b""  # 256-byte RSA signature over the delegation's statement

    def body(self) -> list[Any]:
        return [self.specialty, self.model, self.public, self.proof]

    @classmethod
    def from_body(cls, body: list[Any]) -> Card:
        specialty, model, public, proof = body
        return cls(
            specialty=_int(specialty, -1, 64),
            model=None if model is None else _bytes(model, 32),
            public=_bytes(public, 294),
            proof=_bytes(proof, 256),
        )

    def verify(self, statement: bytes) -> None:
        if keys.peer_of(self.public) != self.peer or not keys.peer_signed(self.public, self.proof, statement):
            raise Refused("bad signature", "the peer's key does not vouch for this session")


@dataclass(frozen=True)
class Entry:
    """One blob on a shelf: what a stage of a round produced."""

    stage: str
    round: int
    digest: bytes  # 32, BLAKE3 of the blob
    size: int  # bytes


@dataclass(frozen=True, kw_only=True)
class Shelf(Record):
    """What a peer offers: its latest blobs by digest, and the round it is in. Under 1 KB, the size of a DHT value."""

    TYPE: ClassVar[int] = 2
    MAX_LIFE_S: ClassVar[int] = 7 * DAY_S
    ENTRIES: ClassVar[int] = 12
    round: int = 0
    entries: tuple[Entry, ...] = ()

    def body(self) -> list[Any]:
        return [self.round, [[SHELVED.index(e.stage), e.round, e.digest, e.size] for e in self.entries]]

    @classmethod
    def from_body(cls, body: list[Any]) -> Shelf:
        round, rows = body
        _require(type(rows) is list and len(rows) <= cls.ENTRIES)
        return cls(round=_int(round, 0, MAX_ROUND), entries=tuple(cls._entry(row) for row in rows))

    @staticmethod
    def _entry(row: Any) -> Entry:
        stage, round, digest, size = row
        return Entry(SHELVED[_int(stage, 0, len(SHELVED))], _int(round, 0, MAX_ROUND), _bytes(digest, 32), _int(size, 0, MAX_BLOB))


@dataclass(frozen=True, kw_only=True)
class Revocation(Record):
    """An operator takes back a session key. Signed by the operator key itself."""

    TYPE: ClassVar[int] = 3
    MAX_BYTES: ClassVar[int] = 512
    by: bytes = b""  # 20: the operator
    session: bytes = b""  # 20: address of the session key that no longer speaks for it

    def body(self) -> list[Any]:
        return [self.by, self.session]

    @classmethod
    def from_body(cls, body: list[Any]) -> Revocation:
        by, session = body
        return cls(by=_bytes(by, 20), session=_bytes(session, 20))


@dataclass(frozen=True, kw_only=True)
class AverageEvent(Record):
    """A change of weights that came from averaging: enough to compute `after` again from `before` and the blobs."""

    TYPE: ClassVar[int] = 4
    MAX_BYTES: ClassVar[int] = 2048
    RULES: ClassVar[tuple[str, ...]] = ("norm_clip", "trimmed_mean")
    INPUTS: ClassVar[int] = 16
    round: int = 0
    before: bytes = b""  # 32: own state root
    averaged: bytes = b""  # 32: digest of the blob of averaged tensors
    rule: str = "norm_clip"
    max_change: float = 0.0  # bound of the rule, as a share of the own weights' norm
    after: bytes = b""  # 32: own state root
    inputs: tuple[tuple[bytes, bytes], ...] = ()  # (peer, its state root), in the order in which they were averaged

    def body(self) -> list[Any]:
        pairs = [[peer, root] for peer, root in self.inputs]
        return [self.round, self.before, self.averaged, self.rule, float(self.max_change), self.after, pairs]

    @classmethod
    def from_body(cls, body: list[Any]) -> AverageEvent:
        round, before, averaged, rule, max_change, after, pairs = body
        _require(rule in cls.RULES)
        _require(type(max_change) is float and 0 < max_change <= 10)  # no NaN is in a range
        _require(type(pairs) is list and len(pairs) <= cls.INPUTS)
        return cls(
            round=_int(round, 0, MAX_ROUND),
            before=_bytes(before, 32),
            averaged=_bytes(averaged, 32),
            rule=rule,
            max_change=max_change,
            after=_bytes(after, 32),
            inputs=tuple((_bytes(peer, 32), _bytes(root, 32)) for peer, root in pairs),
        )


Kind = TypeVar("Kind", bound=Record)


def write(record: Record, signer: Signer, *, sequence: int, expires: int) -> bytes:
    """Sign a record of one's own. `expires` is cut to the session's end. Raises ValueError where nobody would read it."""
    expires = min(int(expires), signer.delegation.expires)
    payload = payload_of(record, signer.swarm, signer.peer, sequence, expires)
    given = signer.delegation
    return seal(record, payload, signer.sign(payload), [given.operator, given.issued, given.expires, given.signature])


def payload_of(record: Record, swarm: bytes, peer: bytes, sequence: int, expires: int) -> bytes:
    """The bytes under a record's signature."""
    return _pack([record.TYPE, record.VERSION, swarm, peer, sequence, expires, record.body()])


def seal(record: Record, payload: bytes, signature: bytes, delegation: list[Any]) -> bytes:
    """The wire form of a signed payload. Raises ValueError where a reader would refuse its body."""
    try:
        type(record).from_body(_unpack(payload, record.MAX_BYTES)[6])
    except (Refused, TypeError) as error:
        raise ValueError(f"this {type(record).__name__} cannot be sent: {error}") from None
    return _pack([payload, signature, delegation])


def signing_digest(payload: bytes) -> bytes:
    """The 32 bytes that a session key signs for a payload."""
    return keys.keccak(b"openswarm/1/record", payload)


def read(
    data: bytes,
    swarm: bytes,
    now: float,
    *,
    kind: type[Kind],
    after: int | None = None,
    revoked: Container[tuple[bytes, bytes]] = (),
) -> Kind:
    """A foreign record of the expected kind, verified. Raises Refused with a reason of `REASONS`.

    `after`: the newest sequence known of this author; anything not newer is "stale". `revoked`: (operator, session) pairs.
    The cheap checks come first: size, form, type, version, swarm, times, sequence, body; then the signatures.
    """
    if not isinstance(data, bytes) or len(data) > kind.MAX_BYTES:
        raise Refused("oversize" if isinstance(data, bytes) else "malformed", f"more than {kind.MAX_BYTES} bytes")
    try:
        payload, signature, delegation = _unpack(data, kind.MAX_BYTES)
        number, version, said_swarm, peer, sequence, expires, body = _unpack(payload, kind.MAX_BYTES)
        _require(_int(number, 0, 256) == kind.TYPE)
        _require(_int(version, 0, 256) == kind.VERSION, "version")
        _require(_bytes(said_swarm, 32) == swarm, "foreign swarm")
        _check_times(_int(expires, 0, MAX_TIME), kind, now)
        _require(_int(sequence, 0, MAX_SEQUENCE) > (-1 if after is None else after), "stale")
        record = kind.from_body(body)
        said = Origin(swarm, _bytes(peer, 32), b"", b"", 0, sequence, expires)
        origin, statement = _verified(record, said, payload, _bytes(signature, 65), delegation, now)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused("malformed", f"{kind.__name__} does not parse: {type(error).__name__}") from None
    if (origin.operator, origin.session) in revoked:
        raise Refused("revoked")
    record = replace(record, origin=origin)
    record.verify(statement)
    return record


def delegation_of(data: bytes) -> Delegation:
    """The delegation inside the wire form of a record of one's own (foreign ones are for `read`)."""
    return Delegation(*_unpack(data, len(data))[2])


def _verified(record: Record, said: Origin, payload: bytes, signature: bytes, delegation: list[Any], now: float) -> tuple[Origin, bytes]:
    """`said` completed by what the signatures prove, and the statement behind them. Raises Refused, ValueError or TypeError."""
    digest = signing_digest(payload)
    if isinstance(record, Revocation):
        _require(delegation == [])
        _require(keys.recover_digest(signature, keys.wallet_digest(digest)) == record.by, "bad signature")
        return replace(said, operator=record.by), b""
    operator, issued, expires, signed = delegation
    given = Delegation(_bytes(operator, 20), _int(issued, 0, MAX_TIME), _int(expires, 0, MAX_TIME), _bytes(signed, 65))
    _require(given.issued <= now + SKEW_S and given.expires <= given.issued + MAX_SESSION_S, "future")
    _require(said.expires <= given.expires, "expired")
    session = keys.recover_digest(signature, digest)
    _require(session is not None, "bad signature")
    statement = given.statement(said.swarm, said.peer, session)
    _require(keys.recover_digest(given.signature, keys.wallet_digest(statement)) == given.operator, "bad signature")
    return replace(said, operator=given.operator, session=session, issued=given.issued), statement


def _check_times(expires: int, kind: type[Record], now: float) -> None:
    _require(expires + SKEW_S >= now, "expired")
    _require(expires <= now + kind.MAX_LIFE_S + SKEW_S, "future")


def _pack(value: Any) -> bytes:
    return msgpack.packb(value, use_bin_type=True)


def _unpack(data: bytes, most: int) -> Any:
    """A msgpack list without maps or extensions, in the one canonical encoding."""
    value = msgpack.unpackb(data, max_bin_len=most, max_str_len=64, max_array_len=_ARRAY, max_map_len=0, max_ext_len=0)
    _require(type(value) is list and _pack(value) == data)
    return value


def _int(value: Any, low: int, end: int) -> int:
    _require(type(value) is int and low <= value < end)
    return value


def _bytes(value: Any, length: int) -> bytes:
    _require(type(value) is bytes and len(value) == length)
    return value


def _require(condition: bool, reason: str = "malformed") -> None:
    if not condition:
        raise Refused(reason)
