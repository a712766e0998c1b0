"""A local chain for `benchmarks/audit.py`: an anvil of its own with the real contracts, whose clock is moved by hand, swarms and members on it.

Everything that a draw follows from (swarm, operators, peers, chains of hashes) is derived from a seed, so the same command draws the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm import enrolment, keys, keystore
from swarm.chain import deploy, voucher
from swarm.chain.anvil import Anvil
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import WEI
from swarm.enrolment import CREDIT
from swarm.proof.onion import Onion
from swarm.sections import Proof
from swarm.seeds import derive

SLOWER = 100  # windows are this many times as long as the recipe's: nobody waits for them, and no busy machine misses one
RECIPE = keys.keccak(b"benchmarks/audit")


@dataclass(frozen=True)
class Member:
    """An operator with one peer; it is its own session. `onion` is None where it takes no part in the swarm's randomness."""

    secret: bytes
    peer: bytes
    key: bytes
    onion: Onion | None = None

    @property
    def operator(self) -> bytes:
        return keys.address_of(self.secret)


class Town:
    """The chain and its clock."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.seed = folder, seed
        self.anvil = Anvil(folder / "chain")
        self.anvil.start()
        self.rpc = self.anvil.rpc
        self.rpc.call("evm_setAutomine", True)
        self.chain = Chain(deploy.deploy(self.rpc, self.anvil.purse, first=0, embedded=True))

    def close(self) -> None:
        self.anvil.stop()

    @property
    def now(self) -> int:
        return self.chain.head().time

    def until(self, time: int) -> None:
        """Let the chain's time pass."""
        if (wait := time - self.now) > 0:
            self.rpc.call("evm_increaseTime", hex(wait))
        self.rpc.call("anvil_mine", hex(1))

    def send(self, secret: bytes, role: str, function: str, *args: Any) -> None:
        self.chain.send(secret, role, function, *args)

    def account(self, *name: str | int) -> bytes:
        """The secret key of a name, with gas."""
        secret = derive("benchmarks/audit account", self.seed, *name)
        self.anvil.fund(keys.address_of(secret), 100 * WEI)
        return secret

    def swarm(self, name: str, creator: bytes, proof: Proof, base: bytes) -> Swarm:
        """A new swarm under a recipe's terms with long windows. Its creator is the first who weighs anything."""
        swarm, places = derive("benchmarks/audit swarm", self.seed, name), self.chain.link.contracts
        windows = {window: SLOWER * getattr(proof, window) for window in ("epoch", "grace", "beacon", "audit", "reveal", "challenge")}
        wanted = enrolment.terms(proof.model_copy(update=windows), places.credit, places.beacon, faucet=True)
        self.send(creator, "registry", "createSwarm", swarm, RECIPE, base, wanted, b"")
        return Swarm(self.chain, swarm)

    def join(self, swarm: Swarm, secret: bytes, peer: bytes, inviter: Member | None = None) -> Member:
        """Register a peer and enter it."""
        operator = keys.address_of(secret)
        if inviter is None:
            self.send(secret, "registry", "register", swarm.id, peer, operator)
        else:
            shown = voucher.issue(self.chain.link, swarm.id, inviter.secret, inviter.peer, self.now + 3600)
            self.send(secret, "registry", "registerInvited", swarm.id, peer, operator, shown.shown_by(self.chain.link, swarm.id, operator))
        self.send(secret, "ledger", "enter", swarm.id, operator, peer)
        return Member(secret, peer, swarm.key(operator, peer))

    def stake(self, swarm: Swarm, member: Member, kind: bytes, random: bool = False) -> Member:
        """Put the least stake behind a member of class `kind`. `random`: with a chain of hashes for the swarm's randomness."""
        onion, amount = None, swarm.terms.minStake
        if random:
            file = self.folder / f"{member.key.hex()}.key"
            keystore.write_private(file, derive("benchmarks/audit onion", self.seed, member.key))
            onion = Onion(file, length=1024)
            self.send(member.secret, "beacon", "setTip", member.key, onion.tip)
        self.send(member.secret, "credit", "faucet", amount)
        self.send(member.secret, "credit", "approve", self.chain.address("vault"), amount)
        self.send(member.secret, "vault", "stake", member.key, amount, kind)
        return Member(member.secret, member.peer, member.key, onion)

    def reveal(self, swarm: Swarm, members: list[Member], epoch: int) -> None:
        """The randomness after the commitments of `epoch`: everyone shows a link, and time goes on until it is fixed."""
        close = swarm.end(epoch) + swarm.terms.grace
        self.until(close + 1)
        for member in members:
            held = self.chain.read("beacon", "chainOf", member.key)
            shown = held.next if held.next != bytes(32) and vars(held)["from"] <= epoch else held.current
            self.send(member.secret, "beacon", "reveal", member.key, epoch + 1, member.onion.below(shown))
        self.until(close + swarm.terms.beacon)


@contextlib.contextmanager
def town(folder: Path, seed: int) -> Iterator[Town]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    made = Town(folder, seed)
    try:
        yield made
    finally:
        made.close()


def stake_of(town: Town, key: bytes) -> float:
    """Credits that stand behind a member now."""
    return town.chain.read("vault", "stakeOf", key).active / CREDIT
