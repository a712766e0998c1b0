"""Foreign records as a node takes them in: `records.read` with a memory, and a count of what was dropped and why.

Bounded whatever arrives: the newest sequence is kept for the last 16,384 authors heard, 4,096 revocations are held.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Container

from blake3 import blake3

from swarm.errors import Refused
from swarm.records import Card, Kind, Origin, Record, Revocation, read

AUTHORS = 16_384
REVOCATIONS = 4_096
REVOCATIONS_BY_ONE = 32  # so that one operator cannot push out those of others


class Inbox:
    """All foreign records of one swarm pass through here.

    `dropped` counts refusals by reason. `twin` is set once somebody else runs under our own identity since a later
    moment than we do; its records count as "duplicate".
    """

    def __init__(self, swarm: bytes, own: Card | None = None):
        self.swarm = swarm
        self.dropped: Counter[str] = Counter()
        self.twin: Origin | None = None
        self._own = own.origin if own else None
        self._newest: OrderedDict[tuple[int, bytes, bytes], tuple[int, bytes]] = OrderedDict()
        self._revoked: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()

    def read(self, data: bytes, kind: type[Kind], now: float) -> Kind:
        """A verified record. Raises Refused, counted. The same bytes again are fine: the DHT repeats itself."""
        try:
            record = read(data, self.swarm, now, kind=kind, revoked=self._revoked)
            if isinstance(record, Revocation):
                self._revoke(record)  # each counts for itself, in whatever order they come
            else:
                self._refuse_stale(record, data)
                self._refuse_twin(record)
        except Refused as error:
            self.dropped[error.reason] += 1
            raise
        return record

    @property
    def revoked(self) -> Container[tuple[bytes, bytes]]:
        """(operator, session address) of sessions that no longer speak for anyone; safe to ask from any thread."""
        return self._revoked

    def take(self, data: bytes, kind: type[Kind], now: float) -> Kind | None:
        """Like `read`, but None where the record was refused."""
        try:
            return self.read(data, kind, now)
        except Refused:
            return None

    def _refuse_stale(self, record: Record, data: bytes) -> None:
        author = (record.TYPE, record.operator, record.peer)
        digest = blake3(data).digest()
        known, same = self._newest.get(author, (-1, b""))
        if record.sequence < known or (record.sequence == known and digest != same):
            raise Refused("stale", f"sequence {record.sequence}, {known} is known")
        self._newest[author] = (record.sequence, digest)
        self._newest.move_to_end(author)
        if len(self._newest) > AUTHORS:
            self._newest.popitem(last=False)

    def _refuse_twin(self, record: Record) -> None:
        own, said = self._own, record.origin
        if own is None or said is None or (said.operator, said.peer) != (own.operator, own.peer):
            return
        if (said.issued, said.session) > (own.issued, own.session):
            self.twin = said
            raise Refused("duplicate", "this identity was started a second time, elsewhere")

    def _revoke(self, record: Revocation) -> None:
        self._revoked.pop((record.by, record.session), None)
        by_one = [pair for pair in self._revoked if pair[0] == record.by]
        if len(by_one) >= REVOCATIONS_BY_ONE:
            del self._revoked[by_one[0]]
        self._revoked[record.by, record.session] = record.expires
        if len(self._revoked) > REVOCATIONS:
            self._revoked.popitem(last=False)
