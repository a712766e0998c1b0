"""`Chain`: everything a node asks of the contracts and tells them, typed, with refusals as sentences.

Reads are answered by the newest block. A transaction is tried as a call first, so what the contracts would refuse costs
no gas; then it is signed here and sent (`sender`). What must be sent even if the chain or this process ends meanwhile
goes through `outbox` instead of `send`. Raises ChainError where the chain cannot be reached, ChainRefused where it says no.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from swarm import keys
from swarm.chain import check, contracts
from swarm.chain.abi import Abi, raw
from swarm.chain.filter import FUND
from swarm.chain.link import NAMES, ChainLink
from swarm.chain.refusal import explain
from swarm.chain.rpc import Rpc, RpcError
from swarm.chain.sender import SEND_S, Receipt, Sender
from swarm.errors import ChainError, ChainRefused

ZERO = "0x" + "00" * 20
LOOKS = 16  # epochs looked at for the newest final one
DEPTH, EMBEDDED_DEPTH = 16, 40  # blocks after which something counts as settled; a killed local chain loses up to 30 s


@dataclass(frozen=True)
class Head:
    """The newest block: height, chain time (seconds since 1970), hash."""

    number: int
    time: int
    hash: bytes


class Chain:
    """The contracts behind a link. `check()` once before trusting it."""

    def __init__(self, link: ChainLink, timeout_s: float = 10.0):
        self.link, self.rpc = link, Rpc(link.url, timeout_s)
        self.depth = EMBEDDED_DEPTH if link.embedded else DEPTH
        self.places = link.contracts.places

    def check(self) -> str:
        """The beacon's kind, chain and contracts being the right ones. Raises ChainRefused."""
        self.__dict__["beacon_kind"] = kind = check.check(self.rpc, self.link)
        return kind

    @cached_property
    def beacon_kind(self) -> str:
        """commit-reveal, block-hash or drand."""
        found = self._call("beacon", contracts.artifact("CommitRevealBeacon").abi, "kind", ())
        if found not in contracts.BEACONS:
            raise ChainRefused(f"a beacon of unknown kind at {self.link.contracts.beacon}", "check --contracts", "OtherCode")
        return found

    def abi(self, role: str) -> Abi:
        """The ABI of registry, ledger, vault, court, credit, beacon, anchor or models."""
        return contracts.artifact(contracts.kind_of(role, self.beacon_kind if role == "beacon" else "")).abi

    def head(self) -> Head:
        block = self._block("latest")
        return Head(int(block["number"], 16), int(block["timestamp"], 16), raw(block["hash"]))

    def block_hash(self, number: int) -> bytes | None:
        """The hash of a block, None where the chain is not that long."""
        block = self.rpc.call("eth_getBlockByNumber", hex(number), False)
        return None if block is None else raw(block["hash"])

    def read(self, role: str, function: str, *args: Any) -> Any:
        """What a view function returns: a value, a namespace for a struct, or a tuple."""
        return self._call(role, self.abi(role), function, args)

    def simulate(self, role: str, function: str, args: tuple[Any, ...] | list[Any], sender: str, value: int = 0) -> Any:
        """What a transaction by `sender` (0x address) would return now. Raises ChainRefused with the contract's reason."""
        return self._call(role, self.abi(role), function, args, sender, value)

    def calldata(self, role: str, function: str, args: tuple[Any, ...] | list[Any]) -> bytes:
        return self.abi(role).call(function, args)

    def address(self, role: str) -> str:
        return getattr(self.link.contracts, role)

    def sender(self, secret: bytes) -> Sender:
        """Signs with a session's or an operator's key on this chain."""
        return Sender(self.rpc, self.link.chain_id, secret, self._ask_for_gas if self.link.embedded else None)

    def send(self, secret: bytes, role: str, function: str, *args: Any, value: int = 0, timeout_s: float = SEND_S) -> Receipt:
        """Try, sign, send, wait for the receipt. Raises ChainRefused where the contract refuses, before or in the block."""
        sender = self.sender(secret)
        self.simulate(role, function, args, sender.address, value)
        try:
            receipt = sender.run(self.address(role), self.calldata(role, function, args), value, timeout_s)
        except RpcError as error:
            raise self.refusal(error, f"{role}.{function}") from None
        if int(receipt["status"], 16) != 1:
            self.simulate(role, function, args, sender.address, value)  # says why, if it is still so
            raise ChainRefused(f"{role}.{function} was refused in block {int(receipt['blockNumber'], 16)}", "try again", "Reverted")
        return receipt

    def refusal(self, error: RpcError, what: str) -> ChainError:
        """What an answer to a call means: a contract's refusal, or a chain that cannot answer."""
        if (data := _reason(error.data)) is not None or error.code == 3 or "revert" in error.message.lower():
            return explain(data or b"", [self.abi(role) for role in NAMES], what)
        return ChainError(f"the chain at {self.rpc.name} does not answer {what}: {error.message}", "try again, or use another --rpc")

    def _call(self, role: str, abi: Abi, function: str, args: tuple[Any, ...] | list[Any], sender: str = ZERO, value: int = 0) -> Any:
        call = {"from": sender, "to": self.address(role), "data": "0x" + abi.call(function, args).hex()}
        try:
            data = raw(self._newest(call | ({"value": hex(value)} if value else {})))
            return abi.result(function, len(args), data)
        except RpcError as error:
            raise self.refusal(error, f"{role}.{function}") from None
        except ValueError as error:
            raise ChainRefused(
                f"what lies at {self.address(role)} is not the {role} of this version ({error})", "check --contracts", "NoCode"
            ) from None

    def _newest(self, call: dict[str, Any]) -> Any:
        """eth_call at the newest block; anvil answers `BlockOutOfRange` where a block is made in the middle of it, and is asked again."""
        try:
            return self.rpc.call("eth_call", call, "latest")
        except RpcError as error:
            if "BlockOutOfRange" not in error.message:
                raise
        return self.rpc.call("eth_call", call, "latest")

    def _block(self, which: str) -> dict[str, Any]:
        block = self.rpc.call("eth_getBlockByNumber", which, False)
        if not isinstance(block, dict) or not {"number", "timestamp", "hash"} <= block.keys():
            raise ChainError(f"the chain at {self.rpc.name} has no newest block", "is it a chain?")
        return block

    def _ask_for_gas(self, address: str) -> bool:
        try:
            return bool(self.rpc.call(FUND, address))
        except RpcError:
            return False


class Swarm:
    """One swarm's view of the chain: the questions that a node asks, by name."""

    def __init__(self, chain: Chain, swarm: bytes):
        self.chain, self.id = chain, swarm

    @cached_property
    def terms(self) -> SimpleNamespace:
        """The terms, fields as in ISwarmRegistry.Terms."""
        return self.chain.read("registry", "termsOf", self.id)

    def record(self) -> SimpleNamespace:
        """creator, number, recipe, base."""
        return self.chain.read("registry", "swarmOf", self.id)

    @cached_property
    def base(self) -> bytes:
        """The swarm's first state root, 32 bytes."""
        return self.record().base

    def key(self, operator: bytes, peer: bytes) -> bytes:
        """keccak256(abi.encode(swarm, operator, peer)): the member key, computed here."""
        return keys.keccak(self.id, operator.rjust(32, b"\0"), peer)

    def end(self, epoch: int) -> int:
        """Chain time at which an epoch ends."""
        return self.terms.start + (epoch + 1) * self.terms.epoch

    def epoch_at(self, time: int) -> int:
        """The epoch that runs at a chain time (0 before the start)."""
        return max(0, time - self.terms.start) // self.terms.epoch

    def member(self, key: bytes) -> SimpleNamespace:
        """The ledger's member: swarm, operator, session, next, capacity, last, accepted, units."""
        return self.chain.read("ledger", "memberOf", key)

    def has_entered(self, key: bytes, session: bytes) -> bool:
        """Whether the ledger has this member, with this session."""
        try:
            return self.member(key).session == session
        except ChainRefused:
            return False

    def stake(self, key: bytes) -> SimpleNamespace:
        """The vault's stake: active, unbonding, releaseAt, paused, lapsed, resumedAt, class."""
        return self.chain.read("vault", "stakeOf", key)

    def members(self) -> list[bytes]:
        """Keys of everyone who ever staked, in order."""
        return [self.chain.read("vault", "memberAt", self.id, index) for index in range(self.chain.read("vault", "memberCount", self.id))]

    def case(self, key: bytes, epoch: int) -> SimpleNamespace:
        """Where the case about a commitment stands: fields of IAuditCourt.Case."""
        return self.chain.read("court", "caseOf", key, epoch)

    def drawn_steps(self, key: bytes, epoch: int, steps: int) -> list[int]:
        return self.chain.read("court", "drawnSteps", key, epoch, steps)

    def panel(self, key: bytes, epoch: int, level: int = 0, roll: int = 0) -> list[bytes]:
        """Keys of the drawn auditors (level 0) or jurors."""
        return self.chain.read("court", "panelOf", key, epoch, level, roll)

    def times(self, epoch: int, level: int = 0, roll: int = 0) -> tuple[int, int, int, int]:
        """Chain times (opens, commits, reveals, closes) of a level's audit."""
        return self.chain.read("court", "timesOf", self.id, epoch, level, roll)

    def disputed_steps(self, key: bytes, epoch: int) -> list[int]:
        """Steps that a match was opened about: juries look at them too."""
        return self.chain.read("disputes", "disputedSteps", key, epoch)

    def market_final(self, now: int) -> int | None:
        """The newest epoch whose judge market's root is final, of those that were to be in the last while."""
        newest = self.epoch_at(now) - 1
        epochs = range(newest, max(0, newest - LOOKS), -1)
        return next((epoch for epoch in epochs if self.chain.read("anchor", "roundOf", self.id, epoch).expires), None)

    def epoch_seed(self, epoch: int) -> bytes | None:
        """The seed of an epoch, None while it is not known."""
        value, ready = self.chain.read("court", "epochSeed", self.id, epoch)
        return value if ready else None

    def audit_beacon(self, epoch: int) -> bytes | None:
        """What the draws about an epoch follow from, None while it is not known."""
        value, ready = self.chain.read("court", "auditBeacon", self.id, epoch)
        return value if ready else None


def _reason(data: Any) -> bytes | None:
    """The revert data in an error's `data`, however the chain wraps it."""
    if isinstance(data, dict):
        return next((found for each in data.values() if (found := _reason(each)) is not None), None)
    try:
        return raw(data)
    except ValueError:
        return None
