"""A real anvil with the real contracts and a swarm on it, whose time and blocks are made by hand: one block for what is sent together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cheats.recorded import SWARM, Recorded
from swarm import enrolment, keys
from swarm.chain import deploy
from swarm.chain.abi import Event
from swarm.chain.anvil import WEI, Anvil
from swarm.chain.client import Chain, Swarm
from swarm.chain.link import NAMES
from swarm.chain.logs import Scanner
from swarm.chain.rpc import RpcError
from swarm.chain.sender import Sender
from swarm.enrolment import Enrolment, Hello
from swarm.errors import ChainRefused
from swarm.proof.onion import Onion
from swarm.proof.schedule import Schedule

GAS = 400_000  # for the transactions of identities that only exist to be many


@dataclass(frozen=True)
class Call:
    """One transaction: who signs it, and what it calls."""

    secret: bytes
    role: str
    function: str
    args: tuple[Any, ...]


def call(secret: bytes, role: str, function: str, *args: Any) -> Call:
    return Call(secret, role, function, args)


class Ground:
    """The chain of all plays. `members[:invited]` are invited by the first, who creates the swarm; the others join without a voucher."""

    def __init__(self, folder: Path, recorded: Recorded, invited: int):
        self.anvil = Anvil(folder / "chain")
        self.anvil.start()
        self.chain = Chain(deploy.deploy(self.anvil.rpc, self.anvil.purse, first=0, embedded=True))
        self.swarm = Swarm(self.chain, SWARM)
        self.folders = [folder / f"member-{number}" for number in range(len(recorded.members))]
        self.rpc("evm_setIntervalMining", 0)
        self.rpc("evm_setAutomine", True)
        self._enrol(recorded, invited)
        self.rpc("evm_setAutomine", False)
        self.schedule: Schedule = enrolment.schedule_of(self.swarm.terms)
        self.onions = [Onion(folder / enrolment.ONION) for folder in self.folders]
        self._senders: dict[bytes, Sender] = {}

    def close(self) -> None:
        self.anvil.stop()

    def rpc(self, method: str, *args: Any) -> Any:
        return self.anvil.rpc.call(method, *args)

    @property
    def now(self) -> int:
        """Chain time of the newest block."""
        return self.chain.head().time

    def jump(self, time: int) -> None:
        """Mine a block at a chain time that lies ahead."""
        self.rpc("evm_setNextBlockTimestamp", hex(max(time, self.now + 1)))
        self.rpc("evm_mine")

    def send(self, calls: Sequence[Call]) -> list[str]:
        """Put all of these into one block a second later. Returns what was refused, as `function: reason`."""
        refused, flights = [], []
        for each in calls:
            sender = self._sender(each.secret)
            try:
                flight = sender.launch(self.chain.address(each.role), self.chain.calldata(each.role, each.function, each.args))
            except RpcError as error:
                refused.append(f"{each.function}: {self.chain.refusal(error, each.function)}")
                continue
            sender.broadcast(flight)
            flights.append((each, sender, flight))
        self.jump(0)
        for each, sender, flight in flights:
            receipt = sender.receipt(flight)
            if receipt is None or int(receipt["status"], 16) != 1:
                refused.append(f"{each.function}: reverted in its block")
        return refused

    def flood(self, calls: Sequence[tuple[bytes, str, str, tuple[Any, ...]]]) -> None:
        """The same for very many accounts (by address), which anvil signs for: one question each."""
        price = hex(2 * int(self.rpc("eth_gasPrice"), 16))
        for number, (who, role, function, args) in enumerate(calls):
            data = "0x" + self.chain.calldata(role, function, args).hex()
            fields = {"from": keys.checksum(who), "to": self.chain.address(role), "data": data, "gas": hex(GAS), "gasPrice": price}
            self.rpc("eth_sendTransaction", fields)
            if number % 60 == 59:
                self.jump(0)
        self.jump(0)

    def mark(self) -> str:
        """A point to come back to."""
        return self.rpc("evm_snapshot")

    def back(self, mark: str) -> str:
        """Go back to a point; returns a new mark of it, since the old one is used up."""
        assert self.rpc("evm_revert", mark)
        return self.mark()

    def events(self, after: int) -> list[Event]:
        """Events of all contracts in blocks above `after`."""
        scanner = Scanner(self.chain, tuple(name for name in NAMES if name != "credit"))
        return [event for event in scanner.scan().new if event.block > after]

    def balance(self, operator: bytes) -> int:
        """Rewards of an operator that wait to be claimed, wei."""
        return self.chain.read("vault", "claimable", self.chain.address("credit"), keys.checksum(operator))

    def _sender(self, secret: bytes) -> Sender:
        if secret not in self._senders:
            self.anvil.fund(keys.address_of(secret), 1000 * WEI)
            self._senders[secret] = self.chain.sender(secret)
        return self._senders[secret]

    def _enrol(self, recorded: Recorded, invited: int) -> None:
        hello = Hello(recorded.machine, recorded.base)
        members = [own.identity for own in recorded.members]
        fund = lambda address: self.anvil.fund(address, 1000 * WEI)  # noqa: E731
        for folder in self.folders:
            folder.mkdir(parents=True)
        around = dict(fund=fund, say=lambda text: None)
        first = Enrolment(self.chain, SWARM, recorded.rules, self.anvil.folder, self.folders[:invited], members[:invited], creates=True, **around)
        for folder, member in zip(self.folders[:invited], members[:invited], strict=True):
            first.enrol(folder, member, hello)
        for folder, member in zip(self.folders[invited:], members[invited:], strict=True):
            Enrolment(self.chain, SWARM, recorded.rules, self.anvil.folder, [folder], [member], creates=False, **around).enrol(folder, member, hello)
        if any(self.swarm.stake(self.swarm.key(m.address, m.peer)).active == 0 for m in members):
            raise ChainRefused("a member could not stake", "look into the chain's log")
