"""A member's shares of the swarm's randomness: shown while their window is open, and reported where others kept theirs back."""

from __future__ import annotations

from collections.abc import Callable

from swarm.chain.client import Chain, Swarm
from swarm.chain.outbox import Goal
from swarm.keys import keccak
from swarm.proof.onion import Onion
from swarm.proof.schedule import Schedule

REPORT_S = 3  # between two members that may report the same absence
REPORTED = 64  # members looked at for absences in an epoch


class Shares:
    """The shares of member `key`. `send` puts a transaction into the node's outbox."""

    def __init__(
        self, chain: Chain, swarm: Swarm, key: bytes, schedule: Schedule, onion: Onion, send: Callable[..., bool], say: Callable[[str], None]
    ):
        self.chain, self.swarm, self.key, self.schedule, self.onion, self.send, self.say = chain, swarm, key, schedule, onion, send, say
        self._sent: set[str] = set()

    def show(self, now: int) -> None:
        """Show this member's link for R(e) while its window is open."""
        if self.chain.beacon_kind != "commit-reveal":
            return
        for epoch in self.schedule.within(now, self.schedule.commit_until, self.schedule.beacon_until):
            if f"reveal {epoch + 1}" in self._sent:
                continue
            if self.chain.read("vault", "weightAt", self.key, epoch) and not self.chain.read("beacon", "hasRevealed", self.key, epoch + 1):
                held = self.chain.read("beacon", "chainOf", self.key)
                link = self.onion.below(held.next if held.next != bytes(32) and held.__dict__["from"] <= epoch else held.current)
                if link is None:
                    self.say("this peer's chain of hashes is not the one it committed to: its share of the randomness is lost")
                else:
                    goal = Goal(contract="beacon", function="hasRevealed", args=[self.key, epoch + 1])
                    until = self.schedule.beacon_until(epoch)
                    self.send(f"reveal {epoch + 1}", "reveal", "beacon", [self.key, epoch + 1, link], until, goal)
            self._sent.add(f"reveal {epoch + 1}")

    def report(self, now: int, members: list[bytes]) -> None:
        """Charge members that kept back their share of the randomness. One at a time reports, in an order drawn per epoch; the others step in."""
        if self.chain.beacon_kind != "commit-reveal":
            return
        for epoch in self.schedule.within(now, self.schedule.beacon_until, self.schedule.audit_until):
            order = sorted(members, key=lambda key: keccak(key, epoch.to_bytes(4, "big")))
            turn = order.index(self.key) if self.key in members else len(order)
            if f"report {epoch}" in self._sent or now < self.schedule.beacon_until(epoch) + REPORT_S * turn:
                continue
            self._sent.add(f"report {epoch}")
            for key in order[:REPORTED]:
                if key != self.key and self.chain.read("beacon", "missed", key, epoch + 1) and not self.swarm.stake(key).lapsed:
                    goal = Goal(contract="vault", function="stakeOf", args=[key], field="lapsed")
                    self.send(f"forfeit {epoch + 1} {key.hex()[:16]}", "forfeit", "vault", [key, epoch + 1], self.schedule.end(epoch + 1), goal)
