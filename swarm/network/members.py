"""Who is there: cards and shelves as they come in, who was heard lately, who cannot be relied on, who is banned."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from swarm import keys
from swarm.errors import Refused
from swarm.inbox import Inbox
from swarm.names import name_of
from swarm.network.directory import Checker
from swarm.network.quota import BanList
from swarm.network.settings import Heard
from swarm.records import Card, Record, Revocation, Shelf

MEMBERS = 4096  # remembered at once; the ones unheard longest are forgotten
FIRST_SKIP_S, LONGEST_SKIP_S = 5.0, 60.0
WRONG_DIGEST_SKIP_S = 300.0
SLACK_S = 30.0  # an announcement that ran out this long ago may still be a lagging copy

Result = TypeVar("Result")


@dataclass
class Member:
    """What is known of one operator on one peer. Times are by our own monotonic clock."""

    operator: bytes
    peer: bytes
    heard: float = float("-inf")
    card: Card | None = None
    shelf: Shelf | None = None
    shelf_wire: bytes = b""  # the signed bytes of `shelf`
    delivered: int = 0  # blobs that came whole and right
    failures: int = 0  # in a row
    faults: int = 0  # blobs with a wrong digest, ever
    skipped_until: float = float("-inf")

    @property
    def name(self) -> str:
        return name_of(self.operator, self.peer)


class Members:
    """All members of which anything was heard. Used on the network's loop; `shown` from any thread."""

    def __init__(self, own: Card, inbox: Inbox, checker: Checker, bans: BanList, clock: Callable[[], float] = time.monotonic):
        self._own, self._inbox, self._checker, self._bans, self._clock = own, inbox, checker, bans, clock
        self._members: OrderedDict[tuple[bytes, bytes], Member] = OrderedDict()
        self._cards: OrderedDict[bytes, Card] = OrderedDict()  # by wire, so that a hello costs two signatures once

    def meet(self, wire: bytes, peer: bytes) -> Card:
        """The card with which `peer`, at the other end of a stream, introduces itself. Raises Refused, counted."""
        card = self._cards.get(wire)
        if card is None or card.expires < time.time():
            card = self._inbox.read(wire, Card, time.time())
            self._cards[wire] = card
            if len(self._cards) > MEMBERS:
                self._cards.popitem(last=False)
        if card.peer != peer:
            raise self.refused("foreign card", "the card is of another peer")
        self.require_welcome(card.operator, peer)
        member = self._member(card.operator, peer)
        member.card, member.heard = card, self._clock()
        return card

    def announce(self, wire: bytes) -> Member | None:
        """Take in a shelf from anywhere; the member, or None where it is our own. Raises Refused, counted.

        An older shelf that is still valid is what a lagging copy looks like: ignored. One that has run out is a replay: "stale".
        """
        shelf = self._checker.shelf(wire)
        known = self._members.get((shelf.operator, shelf.peer))
        if known is not None and known.shelf is not None:
            older = shelf.sequence < known.shelf.sequence
            if shelf.sequence == known.shelf.sequence or (older and shelf.expires > time.time() - SLACK_S):
                return known
        shelf = self._inbox.read(wire, Shelf, time.time())
        if shelf.peer == self._own.peer:
            return None
        self.require_welcome(shelf.operator, shelf.peer)
        member = self._member(shelf.operator, shelf.peer)
        member.shelf, member.shelf_wire, member.heard = shelf, wire, self._clock()
        return member

    def revoke(self, wire: bytes) -> None:
        """Obey an operator's revocation: forget what the session said. Raises Refused, counted."""
        revocation = self._inbox.read(wire, Revocation, time.time())
        gone = (revocation.by, revocation.session)
        for key, member in list(self._members.items()):
            if any(_speaker(record) == gone for record in (member.card, member.shelf)):
                del self._members[key]
        self._cards = OrderedDict((wire, card) for wire, card in self._cards.items() if _speaker(card) != gone)

    def require_welcome(self, operator: bytes, peer: bytes) -> None:
        """Raise Refused("banned") where the local ban list names the peer or the operator."""
        if self._bans.bans(keys.base58_of(peer), "0x" + operator.hex()):
            raise self.refused("banned")

    def refused(self, reason: str, what: str = "") -> Refused:
        """A refusal, already counted."""
        self._inbox.dropped[reason] += 1
        return Refused(reason, what)

    async def counted(self, reading: Awaitable[Result]) -> Result:
        """The result of `reading`; where it is refused, that is counted."""
        try:
            return await reading
        except Refused as refused:
            raise self.refused(refused.reason, str(refused)) from None

    def delivered(self, member: Member) -> None:
        member.delivered += 1
        member.failures, member.heard = 0, self._clock()

    def failed(self, member: Member) -> None:
        """A peer that did not answer is left alone for a while that doubles."""
        member.failures += 1
        wait = min(LONGEST_SKIP_S, FIRST_SKIP_S * 2 ** min(member.failures - 1, 10))
        member.skipped_until = self._clock() + wait

    def cheated(self, member: Member) -> None:
        """A blob came whole, twice, and was not what its author had signed for."""
        member.faults += 1
        member.skipped_until = self._clock() + WRONG_DIGEST_SKIP_S * member.faults

    def usable(self, member: Member) -> bool:
        return member.skipped_until <= self._clock()

    def heard_within(self, seconds: float) -> list[Member]:
        """Members heard in the last `seconds`, the latest first."""
        since = self._clock() - seconds
        return sorted((m for m in list(self._members.values()) if m.heard >= since), key=lambda m: -m.heard)

    def shown(self, seconds: float) -> list[Heard]:
        """The same, for people."""
        now, clock = time.time(), self._clock()
        return [Heard(m.peer, m.name, now - (clock - m.heard), m.shelf.round if m.shelf else 0) for m in self.heard_within(seconds)]

    def of_peer(self, peer: bytes) -> Member | None:
        """The member whose card a peer showed, if it did."""
        return next((m for m in self._members.values() if m.peer == peer and m.card is not None), None)

    def _member(self, operator: bytes, peer: bytes) -> Member:
        member = self._members.pop((operator, peer), None) or Member(operator, peer)
        self._members[operator, peer] = member
        if len(self._members) > MEMBERS:
            oldest = min(self._members.values(), key=lambda m: (m.delivered > 0, m.heard))
            del self._members[oldest.operator, oldest.peer]
        return member


def _speaker(record: Record | None) -> tuple[bytes, bytes] | None:
    """Operator and session key behind a record that was read."""
    return (record.origin.operator, record.origin.session) if record is not None and record.origin is not None else None
