"""How an event travels and is hashed: base classes, canonical bytes, signature, bounded reading. The kinds are in `judge.events`.

On the wire an event is `kind (1 byte) || length of the signature (0 or 65) || signature || body`, and the body is the msgpack list of
the fields in the order of the class. Its id is the keccak256 that the actor signs: of the domain, the chain and `kind || body`.
A Signed event is said by `actor`, an operator's address, and signed by it or by its session key. A Clock event is said by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, get_type_hints

import msgpack

from judge import keys
from judge.errors import Refused
from judge.fields import Address, Bad, Time

_CLASSES: dict[int, type[Event]] = {}
_CODECS: dict[type, tuple[tuple[str, Any], ...]] = {}


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events."""

    KIND: ClassVar[int] = 0
    MAX_BYTES: ClassVar[int] = 1024
    t: Time

    def __init_subclass__(cls) -> None:
        if "KIND" in cls.__dict__:
            _CLASSES[cls.KIND] = cls

    def body(self) -> bytes:
        """`kind || msgpack of the fields`: what is hashed and signed. Raises Refused where a reader would."""
        packed = []
        for name, codec in codecs_of(type(self)):
            try:
                packed.append(codec.pack(getattr(self, name)))
            except Bad as rule:
                raise _malformed(type(self), name, rule) from None
        data = bytes([self.KIND]) + msgpack.packb(packed)
        _bounded(type(self), len(data) - 1)
        return data


@dataclass(frozen=True, kw_only=True)
class Clock(Event):
    """What is due, whoever says it."""


@dataclass(frozen=True, kw_only=True)
class Signed(Event):
    """What an operator says."""

    OPERATOR_KEY: ClassVar[bool] = False  # the session key does not do
    actor: Address


class Entry:
    """An event with its signature, as the log holds it. `signer` is computed when first asked for, and can be set beforehand."""

    def __init__(self, event: Event, body: bytes, signature: bytes, chain_id: int):
        self.event = event
        self.signature = signature
        self.data = body[:1] + bytes([len(signature)]) + signature + body[1:]
        self.id = keys.digest_of(body, chain_id)

    @cached_property
    def signer(self) -> bytes | None:
        """The address that signed it; None for a clock event and where the signature is none."""
        return keys.recover(self.signature, self.id) if self.signature else None


def write(event: Event, chain_id: int, secret: bytes | None = None) -> Entry:
    """An event of one's own: signed by `secret` where it is a Signed one. Raises Refused where a reader would refuse its form."""
    body = event.body()
    if isinstance(event, Signed) == (secret is None):
        raise ValueError(f"{type(event).__name__} is {'signed by its actor' if secret is None else 'a clock event, which nobody signs'}")
    signature = keys.sign(secret, keys.digest_of(body, chain_id)) if secret is not None else b""
    return Entry(event, body, signature, chain_id)


def read(data: bytes, chain_id: int) -> Entry:
    """A foreign event. Size comes first, then form, then each field; the signature is checked by `ledger.apply`. Raises Refused."""
    kind = _CLASSES.get(data[0]) if type(data) is bytes and len(data) > 2 else None
    if kind is None:
        raise Refused("malformed", "these bytes are no event of the judge market: the first one names no kind of event")
    signed = 65 if issubclass(kind, Signed) else 0
    _bounded(kind, len(data) - 2 - signed)
    if data[1] != signed:
        raise Refused("signature", f"{kind.__name__} has {'a signature of 65 bytes' if signed else 'no signature'}, not {data[1]} bytes of one")
    signature, packed = data[2 : 2 + signed], data[2 + signed :]
    event = _parsed(kind, packed)
    return Entry(event, data[:1] + packed, signature, chain_id)


def _parsed(kind: type[Event], packed: bytes) -> Event:
    try:
        values = msgpack.unpackb(packed, max_ext_len=0, max_map_len=0)
        canonical = type(values) is list and msgpack.packb(values) == packed
    except (ValueError, TypeError, RecursionError, OverflowError):
        canonical = False
    codecs = codecs_of(kind)
    if not canonical or len(values) != len(codecs):
        raise Refused("malformed", f"this is no {kind.__name__}: its body is not the canonical list of {len(codecs)} fields")
    read_values = {}
    for (name, codec), value in zip(codecs, values, strict=True):
        try:
            read_values[name] = codec.unpack(value)
        except Bad as rule:
            raise _malformed(kind, name, rule) from None
    return kind(**read_values)


def codecs_of(kind: type[Event]) -> tuple[tuple[str, Any], ...]:
    """(name, codec) of each field of an event class, in the order of its body."""
    if kind not in _CODECS:
        hints = get_type_hints(kind, include_extras=True)
        _CODECS[kind] = tuple((field.name, hints[field.name].__metadata__[0]) for field in fields(kind))
    return _CODECS[kind]


def _bounded(kind: type[Event], size: int) -> None:
    if size > kind.MAX_BYTES:
        raise Refused("oversize", f"this {kind.__name__} has {size} bytes; {kind.MAX_BYTES} are allowed: make it shorter")


def _malformed(kind: type[Event], name: str, rule: Bad) -> Refused:
    return Refused("malformed", f"{kind.__name__}.{name} {rule}")
