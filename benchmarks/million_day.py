"""What an epoch costs a peer in gas: whole epochs of a few members with the real contracts on a local chain, counted by receipts.

Every member commits, shows its part of the randomness, audits what it is drawn for, opens its salts, and has its case carried out and
settled. Only epochs after the ledger's ring has come round count, which is how a swarm that has run for a day stands.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_chain import Member, Town

from swarm import enrolment, keys
from swarm.chain.client import Swarm
from swarm.chain.values import Kind, Verdict
from swarm.models.model import Model
from swarm.sections import Proof
from swarm.seeds import derive

PROOF = Proof(profile="pinned", epoch=3600, grace=1800, steps=100, drawn=5)
RECIPE, BASE, CLASS = keys.keccak(b"benchmarks/million"), keys.keccak(b"base"), keys.keccak(b"class")
STEPS = 100


@dataclass(frozen=True)
class Spent:
    """Gas of one function: calls of a peer in an epoch, and gas of a call, in the mean."""

    function: str
    calls: float
    gas: float


class Day(Town):
    """The chain, and what was spent on it."""

    def __init__(self, folder: Path, seed: int):
        super().__init__(folder, seed)
        self.gas: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.models: list[tuple[Model, dict[str, Any]]] = []  # trained, with their headers

    def send(self, secret: bytes, role: str, function: str, *args: Any) -> int:
        used = int(self.chain.send(secret, role, function, *args)["gasUsed"], 16)
        self.gas[function] += used
        self.calls[function] += 1
        return used

    def play(self, name: str, size: int, epochs: int) -> list[Spent]:
        """A new swarm of `size` members; the last `epochs` of its epochs count."""
        swarm, members = self._found(name, size)
        first = swarm.terms.ring + 1
        for epoch in range(1, first + epochs):
            if epoch == first:
                self.gas.clear()
                self.calls.clear()
            self._epoch(swarm, members, epoch)
        each = size * epochs
        return [Spent(function, self.calls[function] / each, gas / self.calls[function]) for function, gas in self.gas.most_common()]

    def _found(self, name: str, size: int) -> tuple[Swarm, list[Member]]:
        swarm, places = derive("benchmarks/million swarm", self.seed, name), self.chain.link.contracts
        wanted = enrolment.terms(PROOF, places.credit, places.beacon, faucet=False)
        self.send(self.account(name, "creator"), "registry", "createSwarm", swarm, RECIPE, BASE, wanted, b"")
        found = Swarm(self.chain, swarm)
        members = [self.join(found, self.account(name, index), derive("benchmarks/million peer", name, index)) for index in range(size)]
        return found, [self.stake(found, member, CLASS, random=True) for member in members]

    def _epoch(self, swarm: Swarm, members: list[Member], epoch: int) -> None:
        self.until(swarm.end(epoch) + 1)
        headers = {member.key: self._commit(swarm, member, epoch) for member in members}
        self.reveal(swarm, members, epoch)
        opens, commits, reveals, closes = swarm.times(epoch)
        self.until(opens)
        said, ballots = (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32)), []
        owners = {member.key: member for member in members}
        for key, header in headers.items():
            for seat in swarm.panel(key, epoch):
                hash = self.chain.read("court", "verdictHash", owners[seat].operator, key, epoch, 0, *said)
                self.send(owners[seat].secret, "court", "commitVerdict", seat, key, epoch, 0, hash)
                ballots.append((seat, header))
        self.until(commits)
        for seat, header in ballots:
            self.send(owners[seat].secret, "court", "revealVerdict", seat, header, 0, *said)
        self.until(reveals)
        for key, header in headers.items():
            self.send(owners[key].secret, "court", "openSalt", header, [bytes(32)] * PROOF.drawn)
        self.until(closes)
        for key, header in headers.items():
            self.send(owners[key].secret, "court", "finalize", header)
            self.send(owners[key].secret, "ledger", "settle", header)
            leaf = Model(Kind.EPOCH, header["last"], header["first"], RECIPE, owners[key].operator, key, epoch, header["root"])
            self.models.append((leaf, header))

    def _commit(self, swarm: Swarm, member: Member, epoch: int) -> dict[str, Any]:
        first = swarm.member(member.key).last
        root, last, data = (derive(word, member.key, epoch) for word in ("root", "last", "data"))
        self.send(member.secret, "ledger", "commit", member.key, epoch, STEPS, 1000, root, last, data)
        return dict(key=member.key, epoch=epoch, steps=STEPS, units=1000, root=root, first=first, last=last, data=data)


def table(spent: list[Spent], size: int, epochs: int, peers: int, gwei: float, more: float) -> None:
    """Print what a peer's epoch costs, and a day of many peers under three lengths of an epoch. `more`: gas of one registered model."""
    print(f"\nA peer's epoch in gas: {size} members x {epochs} epochs with the real contracts, by receipts")
    print(f"{'':<16}{'calls':>8}{'gas of one':>12}{'gas':>12}")
    for each in spent:
        print(f"{each.function:<16}{each.calls:>8.2f}{each.gas:>12,.0f}{each.calls * each.gas:>12,.0f}")
    whole = sum(each.calls * each.gas for each in spent)
    print(f"{'model registered':<16}{1:>8.2f}{more:>12,.1f}{more:>12,.1f}")
    print(f"{'in all':<16}{'':>8}{'':>12}{whole + more:>12,.0f}")
    print(f"\n{peers:,} peers x 24 h, by that count, gas at {gwei:g} gwei (an assumption: look at the chain that you mean to use)")
    print(f"{'epoch':<10}{'epochs':>12}{'gas of a peer':>16}{'coin of a peer':>16}{'gas a second':>14}")
    for minutes in (10, 60, 360):
        count = 1440 // minutes
        gas = count * (whole + more)
        print(f"{minutes:>4} min  {count * peers:>12,}{gas:>16,.0f}{gas * gwei * 1e-9:>16.6f}{gas * peers / 86_400:>14,.0f}")
