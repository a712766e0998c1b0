"""The chain the deviations are played on: an anvil of its own with the real contracts, its clock moved by hand, and everyone's purse.

Who plays is scripted: an actor knows which steps are forged and what a replay would find, because it is told. All money moves through the
contracts. What an actor trains, replays and spends on gas is counted beside it and taken off at the end, at the prices of `Prices` (the gas
of the swarm's randomness aside, which every verifier pays, honest or not).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.audit_chain import Member, Town
from swarm import enrolment, keys, keystore
from swarm.chain.client import Swarm
from swarm.chain.values import WEI
from swarm.jobs.offer import Offer
from swarm.proof.onion import Onion
from swarm.recipe import Recipe
from swarm.seeds import derive

CLASS = keys.keccak(b"benchmarks/deviations class")
BASE = keys.keccak(b"benchmarks/deviations base")
POCKET = 10_000 * WEI  # what everyone brings: the faucet's limit for an address
CALL = 1_000 * WEI
LINKS = 256  # of a member's chain of hashes


@dataclass(frozen=True)
class Prices:
    """What work costs those who do it, in credits: a trained step, a replayed one, and a unit of gas."""

    step: float
    replay: float
    gas: float


@dataclass
class Actor:
    """An operator with one peer, which is its own session. `cost` counts what it spent outside the contracts, in credits."""

    name: str
    secret: bytes
    peer: bytes
    trained: int = 0
    replayed: int = 0
    gas: int = 0
    members: dict[bytes, Member] = field(default_factory=dict)  # by key, in every swarm

    @property
    def address(self) -> bytes:
        return keys.address_of(self.secret)

    def cost(self, prices: Prices) -> float:
        return self.trained * prices.step + self.replayed * prices.replay + self.gas * prices.gas


class Stage(Town):
    """Chain, clock and actors."""

    def __init__(self, folder: Path, seed: int):
        super().__init__(folder, seed)
        self.actors: dict[str, Actor] = {}
        self._swarms = 0

    def actor(self, name: str) -> Actor:
        """An actor by name, with gas and a full pocket at its first entrance."""
        if name not in self.actors:
            made = Actor(name, derive("benchmarks/deviations account", self.seed, name), derive("benchmarks/deviations peer", self.seed, name))
            self.anvil.fund(made.address, 1000 * WEI)
            for _ in range(POCKET // CALL):
                self.chain.send(made.secret, "credit", "faucet", CALL)
            for spender in ("vault", "market"):
                self.chain.send(made.secret, "credit", "approve", self.chain.address(spender), 2**255)
            self.actors[name] = made
        return self.actors[name]

    def pay(self, actor: Actor, role: str, function: str, *args: Any) -> None:
        """A transaction; its gas is the actor's."""
        receipt = self.chain.send(actor.secret, role, function, *args)
        actor.gas += int(receipt["gasUsed"], 16)

    def purse(self, actor: Actor) -> float:
        """All credits of an actor: in hand, staked or unbonding, and due to it in vault and market."""
        token, read = self.chain.link.contracts.credit, self.chain.read
        stakes = [read("vault", "stakeOf", key) for key in actor.members]
        wei = read("credit", "balanceOf", keys.checksum(actor.address)) + sum(one.active + one.unbonding for one in stakes)
        return (wei + read("vault", "claimable", token, actor.address) + read("market", "due", token, actor.address)) / WEI

    def hire(self, submitter: Actor, rules: Recipe) -> Swarm:
        """A job's swarm under the recipe's terms."""
        self._swarms += 1
        places, swarm = self.chain.link.contracts, derive("benchmarks/deviations swarm", self.seed, self._swarms)
        wanted = enrolment.terms(rules.proof, places.credit, places.beacon, faucet=False)
        self.pay(submitter, "registry", "createSwarm", swarm, rules.hash, BASE, wanted, b"")
        return Swarm(self.chain, swarm)

    def enter(self, swarm: Swarm, actor: Actor, stake: int, random: bool = False) -> bytes:
        """Register, enter and stake; returns the member's key. `random`: it takes part in the swarm's randomness."""
        key = swarm.key(actor.address, actor.peer)
        self.pay(actor, "registry", "register", swarm.id, actor.peer, actor.address)
        self.pay(actor, "ledger", "enter", swarm.id, actor.address, actor.peer)
        onion = None
        if random:
            file = self.folder / f"{key.hex()}.key"
            keystore.write_private(file, derive("benchmarks/deviations onion", self.seed, key))
            onion = Onion(file, length=LINKS)
            self.pay(actor, "beacon", "setTip", key, onion.tip)
        self.pay(actor, "vault", "stake", key, stake, CLASS)
        actor.members[key] = Member(actor.secret, actor.peer, key, onion)
        return key

    def post(self, submitter: Actor, swarm: Swarm, offer: Offer) -> None:
        self.pay(submitter, "market", "post", swarm.id, offer.at(self.now), b"")


@contextmanager
def stage(folder: Path, seed: int) -> Iterator[Stage]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    made = Stage(folder, seed)
    try:
        yield made
    finally:
        made.close()
