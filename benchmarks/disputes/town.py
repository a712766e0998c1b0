"""A local chain whose clock is moved by hand; for each game a swarm of four members of the canonical class, one commitment, one audit of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swarm import keys
from swarm.chain import deploy
from swarm.chain.anvil import Anvil
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import WEI, Verdict
from swarm.proof.machine import CANONICAL

TIMES = dict(start=0, epoch=6000, grace=4000, beacon=1000, audit=3000, reveal=1000, challenge=1000, unbonding=360_000, ring=16)
MONEY = dict(segments=1, maxSteps=40, maxUnits=10**15, absenceBps=100, concedeBps=100, gain=0, minStake=100 * WEI, fee=0)
CLASS = CANONICAL + bytes(24)
SALT = keys.keccak(b"verdict")


@dataclass(frozen=True)
class Member:
    """An operator, its own session."""

    secret: bytes
    key: bytes

    @property
    def address(self) -> bytes:
        return keys.address_of(self.secret)


class Town:
    """The chain. Blocks come with transactions."""

    def __init__(self, folder: Path):
        self.anvil = Anvil(folder)
        self.anvil.start()
        self.chain = Chain(deploy.deploy(self.anvil.rpc, self.anvil.purse, first=0, embedded=True))
        self.anvil.rpc.call("evm_setAutomine", True)

    def close(self) -> None:
        self.anvil.stop()

    def game(self, root: bytes, last: bytes) -> tuple[SimpleNamespace, Member, Member]:
        """A commitment to one step and the auditor's word that it is false: its header, the prover, the challenger. Matches may be opened."""
        swarm = self._swarm()
        prover, challenger, *others = (self._member(swarm) for _ in range(4))
        self.others = others
        self._until(swarm.end(0) + 1)
        said = dict(key=prover.key, epoch=0, steps=1, units=1, root=root, last=last, data=keys.keccak(b"data"))
        first = self.chain.read("ledger", "memberOf", prover.key).last
        self.chain.send(prover.secret, "ledger", "commit", *said.values())
        header = SimpleNamespace(**said, first=first)
        self._audit(swarm, header, [challenger, *others])
        return header, prover, challenger

    def _audit(self, swarm: Swarm, header: SimpleNamespace, members: list[Member]) -> None:
        opens, commits, reveals, _ = swarm.times(0)
        verdict = (Verdict.FAULT, 0, bytes(32), SALT)
        self._until(opens + 1)
        seats = [member for member in members if member.key in swarm.panel(header.key, 0)]
        for seat in seats:
            hashed = self.chain.read("court", "verdictHash", seat.address, header.key, 0, 0, *verdict)
            self.chain.send(seat.secret, "court", "commitVerdict", seat.key, header.key, 0, 0, hashed)
        self._until(commits + 1)
        for seat in seats:
            self.chain.send(seat.secret, "court", "revealVerdict", seat.key, vars(header), 0, *verdict)
        self._until(reveals + 1)

    def _swarm(self) -> Swarm:
        places, swarm = self.chain.link.contracts, os.urandom(32)
        terms = TIMES | MONEY | dict(token=places.credit, faucet=False, randomness=places.beacon)
        self.chain.send(self._account(), "registry", "createSwarm", swarm, keys.keccak(b"recipe"), keys.keccak(b"base"), terms, b"")
        return Swarm(self.chain, swarm)

    def _member(self, swarm: Swarm) -> Member:
        secret, peer, stake = self._account(), os.urandom(32), 200 * WEI
        made = Member(secret, swarm.key(keys.address_of(secret), peer))
        sends: list[tuple[Any, ...]] = [("registry", "register", swarm.id, peer, made.address), ("ledger", "enter", swarm.id, made.address, peer)]
        sends += [("credit", "faucet", stake), ("credit", "approve", self.chain.address("vault"), stake), ("vault", "stake", made.key, stake, CLASS)]
        for role, function, *args in sends:
            self.chain.send(secret, role, function, *args)
        return made

    def _account(self) -> bytes:
        secret = keys.new_secret()
        self.anvil.fund(keys.address_of(secret), 100 * WEI)
        return secret

    def _until(self, time: int) -> None:
        if (wait := time - self.chain.head().time) > 0:
            self.anvil.rpc.call("evm_increaseTime", hex(wait))
        self.anvil.rpc.call("anvil_mine", hex(1))
