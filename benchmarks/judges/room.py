"""Where the judging happens: a real `judge.ledger.State`, a clock moved by hand, and people with keys.

Without `signed`, an entry says who signed it, which `judge.wire.Entry` allows ("can be set beforehand") and which saves most of a run's
time; all else of `apply` is the same. With it, every event is signed and every signature recovered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from judge import events, keys, ledger
from judge.events import Entry, Event
from judge.market import Market
from judge.panel import commitment
from judge.terms import CREDIT, Terms

START = 1_800_000_000_000
MINTED = 10**6  # free credits of everybody at the start: nobody is kept from anything by being poor


@dataclass(frozen=True)
class Person:
    """An operator and its key."""

    secret: bytes
    address: bytes


class Room:
    """A market's world under some terms. `seed` makes the keys."""

    def __init__(self, terms: Terms, seed: int, signed: bool):
        self.state, self.terms, self.seed, self.signed = ledger.State(terms), terms, seed, signed
        self.t = START
        self.nonce = 0

    def person(self, name: str) -> Person:
        """A registered operator."""
        secret = hashlib.sha256(f"judges/{self.seed}/{name}".encode()).digest()
        person = Person(secret, keys.address_of(secret))
        self.say(events.Register, person)
        return person

    def mint(self, people: list[Person]) -> None:
        """MINTED credits for each, in a new epoch."""
        self.due(events.Epoch, number=self.state.epoch + 1, mints=tuple((one.address, MINTED * CREDIT) for one in people))

    def say(self, kind: type, person: Person, **fields: object) -> None:
        """A signed event of a person, now."""
        self.take(kind(actor=person.address, t=self.t, **fields), person)

    def due(self, kind: type, **fields: object) -> None:
        """A clock event, now."""
        self.take(kind(t=self.t, **fields))

    def take(self, event: Event, person: Person | None = None) -> None:
        """Apply an event, by a person or due."""
        if person is None or self.signed:
            entry = events.write(event, self.terms.chain_id, person.secret if person else None)
        else:
            entry = Entry(event, event.body(), bytes(65), self.terms.chain_id)
            entry.signer = person.address
        ledger.apply(self.state, entry)

    def wait(self, market: Market) -> None:
        """Until the deadline of the market's phase."""
        self.t = max(self.t, market.deadline)

    def vote(self, market: Market, votes: dict[Person, int]) -> None:
        """Commit, close, reveal and tally."""
        place = {"market": market.id, "level": market.level, "roll": market.roll}
        salts = {person: hashlib.sha256(person.secret + market.id + bytes([market.level])).digest() for person in votes}
        for person, choice in votes.items():
            said = commitment(self.terms.chain_id, *place.values(), person.address, choice, 8000, 6000, salts[person])
            self.say(events.Commit, person, commit=said, **place)
        self.due(events.Close, market=market.id)
        for person, choice in votes.items():
            vote = {"judge": person.address, "choice": choice, "sure": 8000, "agree": 6000, "salt": salts[person]}
            self.say(events.Reveal, person, **place, **vote)
        self.due(events.Tally, market=market.id)
