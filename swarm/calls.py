"""Transactions of one wish, in order: what each does, the gas it takes, and their sending one after the other.

Whoever makes them looks first at what they need, so that what would be refused is a sentence about the matter and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from swarm import keys
from swarm.chain.client import Chain
from swarm.chain.rpc import RpcError

# Gas of a transaction that cannot be tried before an earlier one is mined; measured in tests/test_stake_cli.py, which keeps them above it.
ROUGH = {"faucet": 90_000, "approve": 60_000, "stake": 800_000, "deposit": 120_000, "fund": 400_000}


@dataclass(frozen=True)
class Call:
    """One transaction to a contract, and what it does in words."""

    role: str
    function: str
    args: tuple[Any, ...]
    what: str = ""


class Calls:
    """What an operator (20 bytes) is to send, and a note on what follows from it."""

    def __init__(self, chain: Chain, operator: bytes, calls: list[Call], note: str = ""):
        self.chain, self.operator, self.calls, self.note = chain, operator, calls, note

    @cached_property
    def gas(self) -> list[tuple[int, bool]]:
        """What each transaction uses and whether it could be tried; one that waits for an earlier one may not, then it uses less than that.

        Raises ChainRefused where the first would fail.
        """
        return [self._gas(index, call) for index, call in enumerate(self.calls)]

    @cached_property
    def cost(self) -> int:
        """Wei of the chain's coin, at today's price."""
        return sum(gas for gas, _ in self.gas) * int(self.chain.rpc.call("eth_gasPrice"), 16)

    def send(self, secret: bytes) -> list[dict[str, Any]]:
        """Send everything, one after the other; the receipts. A repetition after an interruption goes on where it was."""
        return [self.chain.send(secret, call.role, call.function, *call.args) for call in self.calls]

    def _gas(self, index: int, call: Call) -> tuple[int, bool]:
        where = {"from": keys.checksum(self.operator), "to": self.chain.address(call.role)}
        try:
            data = "0x" + self.chain.calldata(call.role, call.function, call.args).hex()
            return int(self.chain.rpc.call("eth_estimateGas", where | {"data": data}), 16), True
        except RpcError as error:
            if index:
                return ROUGH[call.function], False
            raise self.chain.refusal(error, f"{call.role}.{call.function}") from None
