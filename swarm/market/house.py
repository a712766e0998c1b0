"""A house hosts this node's markets: it takes orders, gives a signed receipt for each once it is on disk, and turns each phase into a page.

`take` runs on the network's thread: it looks at `stages`, a picture of the hosted markets that the room renews, and never at the state.
A phase gets one page, ever: what lies in the folder after a kill -9 has its page made then, and what has its page is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from judge import events, keys, manifest
from judge.errors import Refused, require
from judge.ledger import State
from judge.manifest import Manifest, Receipt
from judge.market import COMMIT, OPEN, REVEAL, Market
from swarm.market import page
from swarm.market.facts import round_seed
from swarm.market.page import PAGE_BYTES, TAKEN, Phase
from swarm.market.store import Store, Taken

AHEAD_MS = 2000  # an author's clock may be ahead of the host's by this
EACH = 64  # entries of one operator in one phase
ROOM_BYTES = PAGE_BYTES - 256 * 2**10  # for entries, beside the manifest


@dataclass(frozen=True)
class Desk:
    """A hosted market's present phase: what it takes, and until when."""

    market: bytes
    phase: str
    number: int
    since: int
    deadline: int

    @property
    def stage(self) -> page.Stage:
        return self.market, self.phase, self.number


class House:
    """The markets whose Fund this node's `secret` signed. `speaks(operator, address)`: may this address have signed for that operator?"""

    def __init__(self, store: Store, secret: bytes, domain: int, speaks: Callable[[bytes, bytes | None], bool]):
        self.store, self._secret, self._domain, self._speaks = store, secret, domain, speaks
        self.address = keys.address_of(secret)
        self.desks: Mapping[bytes, Desk] = {}

    def look(self, state: State) -> None:
        """Renew the picture of the hosted markets."""
        mine = (one for one in state.markets.values() if one.host_key == self.address)
        self.desks = {one.id: desk for one in mine if (desk := desk_of(one)) is not None}

    def take(self, data: bytes, now: int) -> bytes:
        """The receipt for a foreign entry, which is then on disk. The same entry gets the same receipt. Raises judge.errors.Refused."""
        entry = events.read(data, self._domain)
        event = entry.event
        desk = self.desks.get(getattr(event, "market", b""))
        require(desk is not None, "unknown", "this peer hosts no such market, or it takes nothing at present")
        name = f"market {desk.market.hex()[:8]}"
        if not isinstance(event, TAKEN[desk.phase]):
            raise Refused("phase", f"{name} is in {desk.phase}, where a {type(event).__name__} is not taken")
        if (known := self.store.receipt(desk.stage, entry.id)) is not None:
            return known
        if now >= desk.deadline or event.t >= desk.deadline:
            raise Refused("deadline", f"{desk.phase} of {name} ended at {desk.deadline}, and this came at {now}, signed for {event.t}: too late")
        if event.t < desk.since:
            raise Refused("deadline", f"{name} came to {desk.phase} at {desk.since}, and this was signed for {event.t}: sign it again")
        if event.t > now + AHEAD_MS:
            raise Refused("early", f"this was signed for {event.t}, and it is {now}: set the clock, or wait")
        if not self._speaks(event.actor, entry.signer):
            who = f"{event.actor.hex()[:8]}..."
            raise Refused("signature", f"this {type(event).__name__} is not signed by {who}, or {who} is not in this swarm")
        self._has_room(desk, event.actor, len(data), name)
        receipt = manifest.sign(Receipt(*desk.stage, entry.id, now), self._domain, self._secret)
        if not self.store.take(desk.stage, entry.id, event.actor, data, receipt, desk.deadline):
            raise Refused("deadline", f"{desk.phase} of {name} has its page already: too late")
        return receipt

    def pages(self, now: int, after: Callable[[int], tuple[int, bytes] | None]) -> list[Phase]:
        """The pages that are due: of phases whose deadline is over and, for a round, whose order is drawn. They are on disk."""
        made = []
        for taken in [*self.store.full(now), *self._empty(now)]:
            market, phase, number = taken.stage
            seed = b""
            if phase == OPEN:
                found = after(taken.deadline)
                if found is None:
                    continue
                seed = round_seed(found[1], market, number)
            entries = {entry.id: entry for entry in (events.read(data, self._domain) for data in taken.data)}
            said = Manifest(market, phase, number, manifest.order(entries, phase, seed))
            one = page.phase(said, [entries[id] for id in said.ids], self._domain, self._secret)
            if self.store.close_phase(taken.stage, one, len(taken.data)):
                made.append(one)
        return made

    def _empty(self, now: int) -> list[Taken]:
        """A panel's phases in which nobody said anything: they end with a page too, or the host would look gone."""
        due = [desk for desk in self.desks.values() if desk.phase in (COMMIT, REVEAL) and desk.deadline <= now]
        return [Taken(desk.stage, desk.deadline, ()) for desk in due if not self.store.is_closed(desk.stage) and not self.store.weight(desk.stage)[0]]

    def _has_room(self, desk: Desk, actor: bytes, size: int, name: str) -> None:
        count, total, mine = self.store.weight(desk.stage, actor)
        if mine >= EACH:
            raise Refused("limit", f"{mine} entries of yours are in this phase of {name}, and {EACH} are taken")
        if count >= manifest.MOST or total + size > ROOM_BYTES:
            raise Refused("limit", f"this phase of {name} is full: {count} entries of {total} bytes")


def desk_of(one: Market) -> Desk | None:
    """What a market's host takes at present; None where it takes nothing."""
    drawn = one.phase != COMMIT or one.panel.drawn
    return Desk(one.id, *manifest.stage(one), one.since, one.deadline) if one.phase in TAKEN and drawn else None
