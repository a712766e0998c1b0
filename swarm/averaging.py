"""Averaging as a node does it: others hear where its averager is, and every few rounds it takes part.

The averager (`swarm.learn.average`) is a process with a libp2p identity of its own. Its addresses stand on the signed shelf, renewed
every round; those of others arrive like any blob and are only ever dialled. Who is behind an averager is proven later, by its claim.
Whatever goes wrong costs this averaging and nothing else: the weights stay as they were, and a warning says so.

An averager is dialled directly: relays and forwarded ports do not lead to it, so peers behind a router average only with peers
that they can dial themselves.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm import addresses
from swarm.errors import NetworkError, Refused
from swarm.learn.average import Averaged, Averager, take_part
from swarm.names import name_of
from swarm.records import write
from swarm.seeds import AVERAGE

if TYPE_CHECKING:
    from swarm.journal import Journal
    from swarm.network import Arrival, Network
    from swarm.presence import Presence
    from swarm.sections import Average
    from swarm.session import Session
    from swarm.trainee import Trainee

MEMBERS = 16  # whose averagers are dialled: those heard last
STARTS = 3  # vain ones in a row, after which averaging is given up
_FARTHEST_FIRST = ("public", "private", "loopback")


def open_averager(swarm: bytes, folder: Path, setting: Average, listen: list[str]) -> Averager:
    """A node's averager, not yet started, that listens on any port of the hosts where the node listens."""
    hosts = dict.fromkeys("/".join(part.split("/")[:3]) for part in listen)
    return Averager(swarm, folder, setting, initial_peers=[], host_maddrs=[f"{host}/tcp/0" for host in hosts])


class Averaging:
    """One node's part in the averagings of its swarm."""

    def __init__(self, averager: Averager, session: Session, network: Network, presence: Presence):
        self.averager, self.session, self.network, self.presence = averager, session, network, presence
        self._heard: OrderedDict[bytes, list[str]] = OrderedDict()
        self._vain = 0  # starts of the averager in a row that led to nothing
        self._warned = ""

    def hear(self, arrival: Arrival, refused: Counter[str]) -> None:
        """A member says where its averager is; anything else is counted in `refused`."""
        try:
            found = addresses.unpack(arrival.data)
        except Refused as refusal:
            refused[refusal.reason] += 1
            return
        self._heard[arrival.card.peer] = found
        self._heard.move_to_end(arrival.card.peer)
        if len(self._heard) > MEMBERS:
            self._heard.popitem(last=False)

    def start(self, round: int) -> None:
        """Start the averager for a node that has done `round` rounds; a failure is a warning."""
        try:
            self._tell(round)
        except NetworkError as error:
            self._failed(str(error))

    def after_step(self, round: int, trainee: Trainee, journal: Journal) -> dict[str, Any]:
        """What to do once round `round` has taken its step; `{"average": ...}` for its row where an averaging was due.

        `with`: names of the others in the group, `change`: share of the weights' norm by which they moved, `event`: hex digest of the
        signed AverageEvent, which members can fetch like the blob of the mean that it names; or `failed`: why the weights stayed as they were.
        """
        journal.keep_average(round, None)
        due = round % self.averager.setting.every == 0
        failed = f"averaging was given up after {STARTS} vain starts"
        if self._vain < STARTS:
            try:
                self._tell(round)
                return {"average": self._averaged(round, trainee, journal)} if due else {}
            except (NetworkError, Refused) as error:
                failed = str(error)
                self._failed(failed)
        return {"average": {"with": [], "change": 0.0, "failed": failed}} if due else {}

    def _tell(self, round: int) -> None:
        """Have the averager running (again) and its addresses on the shelf. Raises NetworkError."""
        if self.averager.peer and not self.averager.running:
            self.presence.warn("the averaging process ended", "it is started again")
        self.averager.ready()
        found = sorted(self.averager.addresses, key=lambda address: _FARTHEST_FIRST.index(addresses.scope(address)))
        self.network.publish(AVERAGE, round, addresses.pack(found))

    def _averaged(self, round: int, trainee: Trainee, journal: Journal) -> dict[str, Any]:
        """Average with whoever does so now. Raises NetworkError (nobody) or Refused; the weights are unchanged then."""
        known = [address for found in self._heard.values() for address in found]
        if not known:
            raise NetworkError("no averaging: nobody else's averager was heard of")
        if not self.averager.join(known):
            raise NetworkError("no averaging: no other averager answers")
        scalars = {"round": round, "steps": trainee.steps}
        done = take_part(self.averager, trainee.policy.model, trainee.optimizer, scalars, self.session, round, self.network.revoked)
        self._vain, self._warned = 0, ""
        others = sorted(name_of(member.operator, member.peer) for member in done.members if member.peer != self.session.peer)
        return {"with": others, "change": float(f"{done.change:.6g}"), "event": self._record(round, done, journal).hex()}

    def _record(self, round: int, done: Averaged, journal: Journal) -> bytes:
        """Sign the event, keep it beside the round's other blobs, and serve it with the mean; its digest."""
        event = write(done.event, self.session, sequence=int(time.time() * 1000), expires=self.session.delegation.expires)
        self.network.put(done.blob, keep=False)
        journal.keep_average(round, event)
        return self.network.put(event, keep=False)

    def _failed(self, why: str) -> None:
        """Warn, once for each new reason, and count starts that led to nothing."""
        self._vain = 0 if self.averager.running else self._vain + 1
        given_up = self._vain == STARTS
        if given_up or why != self._warned:
            self._warned = why
            self.presence.warn(why, "averaging is given up until this peer starts again" if given_up else "the weights stay this peer's own")
