"""Who gets credits when an epoch begins. Entering the ledger costs nothing, so it is what a thousand free identities do not have.

    grants = Grants(swarm)
    grants.take(event)              events of the chain, in its order
    grants.operators()              who gets credits now, the earliest comers first

Where stake comes from a faucet: the swarm's creator; whom the creator invited with a voucher; whom another member invited, one for each
epoch's worth of verified work of that member; and who did an epoch's worth of verified work. These are the grounds for weight in the stake
vault, without its stake. Proven fraud ends them: only work after it counts. Elsewhere: whose stakes in the vault and deposit at the
judge's anchor come to the swarm's least stake together; it may fall to a half of that, by slashes, before the credits stop.
Everything comes from events, so the same chain has the same answer for everybody.
"""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from swarm.chain.abi import Event

EVENTS = frozenset({"SwarmCreated", "Invited", "Entered", "Settled", "Staked", "Unbonding", "Slashed", "Deposited", "Claimed"})
FAULT = b"fault".ljust(32, b"\0")
ANCHOR = b"anchor"  # stands for a key where the stake lies at the judge's anchor


class Grants:
    """What one swarm's events amount to so far."""

    def __init__(self, swarm: bytes):
        self.swarm = swarm
        self._terms = SimpleNamespace(faucet=False, minStake=2**256, maxUnits=2**64)
        self._creator = bytes(20)
        self._came: dict[bytes, None] = {}  # operators that entered, in their order
        self._operators: dict[bytes, bytes] = {}  # key -> operator
        self._invites: dict[bytes, tuple[bytes, int]] = {}  # operator -> (inviter, number)
        self._units: Counter[bytes] = Counter()  # operator -> verified work since its last fraud
        self._frauds: set[bytes] = set()
        self._stakes: dict[bytes, dict[bytes, int]] = {}  # operator -> key or ANCHOR -> wei
        self._good: set[bytes] = set()  # operators with the least stake, or with half of it since

    def take(self, event: Event) -> None:
        """The next event of the chain, of any swarm."""
        if (found := getattr(self, f"_{event.name.lower()}", None)) is not None and self._is_ours(event.values):
            found(event.values)

    def operators(self) -> list[bytes]:
        """Who gets credits if an epoch begins now."""
        return [one for one in self._came if (self._is_known(one) if self._terms.faucet else one in self._good)]

    def _is_ours(self, said: dict[str, Any]) -> bool:
        return said["swarm"] == self.swarm if "swarm" in said else said.get("key") in self._operators

    def _is_known(self, operator: bytes) -> bool:
        if self._units[operator] >= self._terms.maxUnits:
            return True
        inviter, number = self._invites.get(operator, (b"", 0))
        invited = inviter == self._creator or number < self._units[inviter] // self._terms.maxUnits
        return operator not in self._frauds and (operator == self._creator or (bool(inviter) and invited))

    def _swarmcreated(self, said: dict[str, Any]) -> None:
        self._creator, self._terms = said["creator"], said["terms"]

    def _invited(self, said: dict[str, Any]) -> None:
        self._invites.setdefault(said["operator"], (said["inviter"], said["number"]))

    def _entered(self, said: dict[str, Any]) -> None:
        self._came.setdefault(said["operator"])
        self._operators[said["key"]] = said["operator"]

    def _settled(self, said: dict[str, Any]) -> None:
        self._units[self._operators[said["key"]]] += said["units"]

    def _staked(self, said: dict[str, Any]) -> None:
        self._lie(self._operators[said["key"]], said["key"], said["active"])

    def _deposited(self, said: dict[str, Any]) -> None:
        self._lie(said["operator"], ANCHOR, said["active"])

    def _unbonding(self, said: dict[str, Any]) -> None:
        self._take_from(said, said["amount"])

    def _claimed(self, said: dict[str, Any]) -> None:
        self._take_from(said, said["slashed"])  # the anchor's event: the vault's of this name is about no swarm

    def _slashed(self, said: dict[str, Any]) -> None:
        self._take_from(said, said["amount"])
        if said["reason"] == FAULT:
            operator = self._operators[said["key"]]
            self._frauds.add(operator)
            self._units[operator] = 0

    def _take_from(self, said: dict[str, Any], amount: int) -> None:
        operator, key = (self._operators[said["key"]], said["key"]) if "key" in said else (said["operator"], ANCHOR)
        self._lie(operator, key, max(0, self._stakes.get(operator, {}).get(key, 0) - amount))

    def _lie(self, operator: bytes, key: bytes, amount: int) -> None:
        self._stakes.setdefault(operator, {})[key] = amount
        whole = sum(self._stakes[operator].values())
        if whole >= self._terms.minStake:
            self._good.add(operator)
        elif whole < self._terms.minStake // 2:
            self._good.discard(operator)
