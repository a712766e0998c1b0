"""Real local chains for tests: an anvil with the contracts, a swarm on it, members with stake."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from swarm import keys
from swarm.chain import deploy
from swarm.chain.anvil import Anvil
from swarm.chain.client import Chain, Swarm
from swarm.chain.link import ChainLink
from swarm.chain.values import WEI

CLASS = keys.keccak(b"class")
BASE = keys.keccak(b"base")
TIMES = dict(start=0, epoch=60, grace=40, beacon=10, audit=30, reveal=10, challenge=10, unbonding=3600, ring=16)
MONEY = dict(segments=2, maxSteps=40, maxUnits=10**15, absenceBps=100, concedeBps=100, gain=0, minStake=100 * WEI, fee=0)


@dataclass
class Member:
    """An operator with one peer and its session key."""

    secret: bytes
    session: bytes
    peer: bytes
    key: bytes = b""
    tips: list[bytes] = field(default_factory=list)

    @property
    def address(self) -> bytes:
        return keys.address_of(self.secret)

    @property
    def agent(self) -> str:
        """The session's 0x address."""
        return keys.checksum(keys.address_of(self.session))


def _whole(data: bytes) -> bool:
    """Whether a dump was written to its end: anvil writes it in place."""
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


class World:
    """A running local chain. `kill` is a kill -9; `skip` moves chain time."""

    def __init__(self, folder: Path):
        self.anvil = Anvil(folder)
        self.anvil.start()
        try:
            self.link = deploy.deploy(self.anvil.rpc, self.anvil.purse, first=0, embedded=True)
        except BaseException:
            self.anvil.stop()
            raise
        self.chain = Chain(self.link, timeout_s=5.0)
        self._later = time.monotonic()

    def kill(self) -> None:
        os.kill(self.anvil.pid, 9)
        self.anvil._process.wait()

    def restart(self) -> str:
        self._later += 1000  # past every wait, and it has not kept failing
        self.anvil._failures = 0
        said = self.anvil.watch(self._later)
        assert said and "was started again" in said, said
        return said

    def skip(self, seconds: int) -> None:
        self.anvil.rpc.call("evm_increaseTime", hex(seconds))
        self.mine()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Blocks come with transactions meanwhile, not by the second."""
        before = self.anvil.rpc.call("anvil_getAutomine")
        self.anvil.rpc.call("evm_setAutomine", True)
        yield
        if not before:
            self.anvil.rpc.call("evm_setIntervalMining", 1)

    def mine(self, blocks: int = 1) -> None:
        self.anvil.rpc.call("anvil_mine", hex(blocks))

    def dumped(self) -> bytes:
        """Wait until everything up to now is on disk; the dump."""
        height = self.chain.head().number
        end = time.monotonic() + 10
        while time.monotonic() < end:
            data = (self.anvil.folder / "state.json").read_bytes()
            head = data[:200].split(b'"number":"')  # empty when its writing begins
            if len(head) > 1 and int(head[1].split(b'"')[0], 16) >= height and _whole(data):
                return data
            time.sleep(0.05)
        raise AssertionError("no dump")

    def account(self, ether: int = 10) -> bytes:
        """A fresh key with gas."""
        secret = keys.new_secret()
        self.anvil.fund(keys.address_of(secret), ether * WEI)
        return secret

    def swarm(self, creator: bytes | None = None, recipe: bytes = keys.keccak(b"recipe"), **terms) -> Swarm:
        """A new swarm of TIMES and MONEY; `terms` differ from those. `creator`: the secret key of its first operator. `recipe`: its hash."""
        places = self.link.contracts
        swarm = os.urandom(32)
        wanted = TIMES | MONEY | dict(token=places.credit, faucet=True, randomness=places.beacon) | terms
        with self.at_once():
            self.chain.send(creator or self.account(), "registry", "createSwarm", swarm, recipe, BASE, wanted, b"")
        return Swarm(self.chain, swarm)

    def member(self, swarm: Swarm, stake: int = 200 * WEI) -> Member:
        """A registered member; with `stake` in the vault unless that is 0."""
        made = Member(self.account(), self.account(), os.urandom(32))
        made.key = swarm.key(made.address, made.peer)
        chain, sends = self.chain, []
        sends.append(("registry", "register", swarm.id, made.peer, made.agent))
        sends.append(("ledger", "enter", swarm.id, made.address, made.peer))
        if stake:
            sends.append(("credit", "faucet", stake))
            sends.append(("credit", "approve", chain.address("vault"), stake))
            sends.append(("vault", "stake", made.key, stake, CLASS))
        with self.at_once():
            for role, function, *args in sends:
                chain.send(made.secret, role, function, *args)
        return made

    def audited(
        self, swarm: Swarm, prover: Member, members: list[Member], said: tuple, made: tuple | None = None
    ) -> tuple[SimpleNamespace, list[Member]]:
        """Epoch 0 of `prover`, committed (`made`: as from `commitment`) and audited: every drawn one of `members` says `said` (verdict, step,
        value, salt). Its header, and who was drawn; the challenge window is open."""
        with self.at_once():
            self.to_window(swarm, 0)
            made = made or commitment(prover, 0)
            first = self.chain.read("ledger", "memberOf", prover.key).last
            self.chain.send(prover.session, "ledger", "commit", *made)
            header = SimpleNamespace(**dict(zip(("key", "epoch", "steps", "units", "root", "last", "data"), made, strict=True)), first=first)
            self.skip(swarm.times(0)[0] + 1 - self.chain.head().time)
            seats = [member for member in members if member.key in swarm.panel(header.key, 0)]
            for seat in seats:
                hashed = self.chain.read("court", "verdictHash", seat.address, header.key, 0, 0, *said)
                self.chain.send(seat.session, "court", "commitVerdict", seat.key, header.key, 0, 0, hashed)
            self.skip(swarm.times(0)[1] + 1 - self.chain.head().time)
            for seat in seats:
                self.chain.send(seat.session, "court", "revealVerdict", seat.key, vars(header), 0, *said)
            self.skip(swarm.times(0)[2] + 1 - self.chain.head().time)
        return header, seats

    def to_window(self, swarm: Swarm, epoch: int) -> None:
        """Into the commit window of an epoch."""
        if (wait := swarm.end(epoch) + 1 - self.chain.head().time) > 0:
            self.skip(wait)


def commitment(member: Member, epoch: int, steps: int = 10) -> tuple:
    """Arguments of `ledger.commit`."""
    return (member.key, epoch, steps, 1000, keys.keccak(b"root%d" % epoch), keys.keccak(b"last%d" % epoch), keys.keccak(b"data%d" % epoch))


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """A world that is ended by its own process id."""
    world = World(folder)
    try:
        yield world
    finally:
        world.anvil.stop()


def elsewhere(link: ChainLink, **places: str) -> ChainLink:
    """The link with other addresses."""
    return ChainLink.model_validate(link.model_dump() | {"contracts": link.contracts.model_dump() | places})
