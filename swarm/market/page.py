"""Pages: what members publish of the judge market, as blobs that anybody may pass on. Nothing in one needs a word of who served it.

    opening   [1, "open", Open, Fund, texts]        a market with the full text of every answer; at the time of its Fund
    phase     [1, "phase", manifest, entries]       the entries of one phase in the order of the host's signed manifest
    account   [1, "account", entries]               an operator's own entries, each at its own time

All are canonical msgpack. Reading checks size before form and form before signatures, and says no with `judge.errors.Refused`. Who may speak
for an operator is the reader's question (`facts`), whether a host is this market's host the tape's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from judge import events, manifest
from judge.errors import Refused, require
from judge.events import Entry, Event
from judge.manifest import Manifest
from judge.market import CHALLENGE, COMMIT, OPEN, REVEAL
from swarm.network.store import digest_of

VERSION = 1
PAGE_BYTES = 4 * 2**20  # of a phase
OPENING_BYTES = 512 * 2**10
ACCOUNT_BYTES = 400 * 2**10  # one proof of a fault fits
TEXT_BYTES = 100 * 2**10  # of one answer
ACCOUNT_ENTRIES = 256
TAKEN: dict[str, tuple[type[Event], ...]] = {  # what a host takes in which phase
    OPEN: (events.Trade, events.Evidence, events.Forecast),
    COMMIT: (events.Commit,),
    REVEAL: (events.Reveal,),
    CHALLENGE: (events.Dispute,),
}
OWN = (events.Stake, events.Unstake, events.Claim, events.Fault, events.Session, events.Leave, events.Register)

Stage = tuple[bytes, str, int]  # market, phase, number: as manifests name it


@dataclass(frozen=True)
class Page:
    """A page that was read. `digest` is its name on the network."""

    digest: bytes
    data: bytes


@dataclass(frozen=True)
class Opening(Page):
    open: Entry
    fund: Entry
    texts: tuple[str, ...]

    @property
    def market(self) -> bytes:
        return self.fund.event.market

    @property
    def t(self) -> int:
        return self.fund.event.t


@dataclass(frozen=True)
class Phase(Page):
    manifest: Manifest
    said: bytes  # the signed manifest
    signer: bytes
    entries: tuple[Entry, ...]

    @property
    def stage(self) -> Stage:
        return self.manifest.market, self.manifest.phase, self.manifest.number


@dataclass(frozen=True)
class Account(Page):
    entries: tuple[Entry, ...]

    @property
    def actor(self) -> bytes:
        return self.entries[0].event.actor

    @property
    def t(self) -> int:
        return self.entries[0].event.t


# ---- writing: what a reader would refuse is refused here too


def opening(open: Entry, fund: Entry, texts: Sequence[str], domain: int) -> Opening:
    """The page that opens a market."""
    page = read(msgpack.packb([VERSION, "open", open.data, fund.data, list(texts)]), domain)
    assert isinstance(page, Opening)
    return page


def phase(said: Manifest, entries: Sequence[Entry], domain: int, secret: bytes) -> Phase:
    """A phase's page, its manifest signed with the host's key."""
    page = read(msgpack.packb([VERSION, "phase", manifest.sign(said, domain, secret), [entry.data for entry in entries]]), domain)
    assert isinstance(page, Phase)
    return page


def account(entries: Sequence[Entry], domain: int) -> Account:
    """An operator's page about itself."""
    page = read(msgpack.packb([VERSION, "account", [entry.data for entry in entries]]), domain)
    assert isinstance(page, Account)
    return page


# ---- reading


def read(data: bytes, domain: int) -> Page:
    """A foreign page; `domain` is the terms' chain_id. Raises Refused."""
    kind, *rest = _list(data)
    most, length, reader = _READERS.get(kind, (0, 0, None)) if type(kind) is str else (0, 0, None)
    require(reader is not None, "malformed", "this page is of no kind that this version knows")
    require(len(data) <= most, "oversize", f"a page of this kind has at most {most} bytes")
    require(len(rest) == length, "malformed", "a page has a field too many or too few")
    return reader(data, rest, domain)


def _list(data: bytes) -> list[Any]:
    require(len(data) <= PAGE_BYTES, "oversize", f"a page has at most {PAGE_BYTES} bytes")
    try:
        value = msgpack.unpackb(data, max_ext_len=0, max_map_len=0, max_array_len=manifest.MOST)
        good = type(value) is list and len(value) >= 2 and msgpack.packb(value) == data
    except (ValueError, TypeError, RecursionError, OverflowError):
        good = False
    require(good, "malformed", "this is no page: it is no canonical list")
    require(type(value[0]) is int and value[0] == VERSION, "malformed", f"a page of another version: this one is {VERSION}")
    return value[1:]


def _opening(data: bytes, rest: list[Any], domain: int) -> Opening:
    open, fund = _entry(rest[0], domain, (events.Open,)), _entry(rest[1], domain, (events.Fund,))
    texts = rest[2]
    good = type(texts) is list and all(type(text) is str for text in texts)
    require(good and len(texts) == len(open.event.outcomes), "malformed", "an opening has one text for each outcome")
    require(fund.event.market == open.event.market(domain), "mismatch", "this page funds another market than it opens")
    require(fund.event.actor == open.event.actor, "mismatch", "one operator opens this market and another one funds it")
    require(open.event.t <= fund.event.t, "mismatch", "this market was funded before it was opened")
    for text, (label, digest, _) in zip(texts, open.event.outcomes, strict=True):
        if len(encoded := _utf8(text)) > TEXT_BYTES:
            raise Refused("oversize", f"the text of {label!r} has {len(encoded)} bytes; {TEXT_BYTES} are allowed")
        if digest != (hashlib.sha256(encoded).digest() if text else b""):
            raise Refused("mismatch", f"the text of {label!r} is not the one that the market names")
    require(open.signer is not None and fund.signer is not None, "signature", "nobody signed this opening")
    return Opening(digest_of(data), data, open, fund, tuple(texts))


def _phase(data: bytes, rest: list[Any], domain: int) -> Phase:
    said, rows = rest
    require(type(said) is bytes and type(rows) is list, "malformed", "a phase is a signed manifest and a list of entries")
    about = manifest.read_manifest(said)
    require(about.phase in TAKEN, "malformed", f"a host orders nothing in {about.phase}")
    require(len(set(about.ids)) == len(about.ids), "duplicate", "a manifest names one event twice")
    require(len(rows) == len(about.ids), "mismatch", "a page has the entries that its manifest names, and no others")
    signer = manifest.signer(said, domain, Manifest)
    if signer is None:
        raise Refused("signature", "nobody signed this manifest")
    entries = tuple(_entry(row, domain, TAKEN[about.phase]) for row in rows)
    for entry, id in zip(entries, about.ids, strict=True):
        require(entry.event.market == about.market, "mismatch", "a page has an entry of another market")
        require(entry.id == id, "mismatch", "a page's entries are not those of its manifest, in its order")
    return Phase(digest_of(data), data, about, said, signer, entries)


def _account(data: bytes, rest: list[Any], domain: int) -> Account:
    rows = rest[0]
    require(type(rows) is list and 0 < len(rows) <= ACCOUNT_ENTRIES, "malformed", f"an account page has 1 to {ACCOUNT_ENTRIES} entries")
    entries = tuple(_entry(row, domain, OWN) for row in rows)
    require(len({entry.event.actor for entry in entries}) == 1, "mismatch", "an account page is of one operator")
    require(len({entry.id for entry in entries}) == len(entries), "duplicate", "an account page has one entry twice")
    require(all(entry.signer is not None for entry in entries), "signature", "nobody signed an entry of this account page")
    return Account(digest_of(data), data, entries)


def _entry(row: Any, domain: int, kinds: tuple[type[Event], ...]) -> Entry:
    require(type(row) is bytes, "malformed", "an entry is bytes")
    entry = events.read(row, domain)
    if not isinstance(entry.event, kinds):
        raise Refused("malformed", f"a {type(entry.event).__name__} does not belong on this page")
    return entry


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Refused("malformed", "a text that is no valid Unicode") from None


_READERS = {"open": (OPENING_BYTES, 3, _opening), "phase": (PAGE_BYTES, 2, _phase), "account": (ACCOUNT_BYTES, 1, _account)}
