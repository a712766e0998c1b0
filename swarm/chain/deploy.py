"""Putting the contracts on a chain: a few transactions of one account, each idempotent by its number.

A deployment that broke off is carried on by giving the same `first`; on the local chain `first` is 0 and `deploy` is
called at every start, which does nothing where all is there and puts back what a kill took away, at the same addresses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from swarm import keys
from swarm.chain import check, contracts
from swarm.chain.abi import raw
from swarm.chain.link import ChainLink, Contracts, check_unaudited
from swarm.chain.rpc import Rpc, RpcError
from swarm.chain.sender import Flight, Sender
from swarm.errors import ChainError, ChainRefused

DEPLOY_S = 300.0
POLL_S = 0.1
CONSTRUCTOR_GAS = 400_000


@dataclass(frozen=True)
class Plan:
    """What `deploy` would send: by whom, from which number on, with how much gas, and where the contracts will lie."""

    chain_id: int
    deployer: str
    first: int
    gas: dict[str, int]
    price: int  # wei per gas
    places: dict[str, bytes]

    @property
    def cost(self) -> int:
        """Wei, at most."""
        return sum(self.gas.values()) * self.price


def plan(rpc: Rpc, deployer: bytes, beacon: str = "commit-reveal", first: int | None = None) -> Plan:
    """What a deployment would do; sends nothing and needs no key."""
    who = keys.checksum(deployer)
    chain_id = int(rpc.call("eth_chainId"), 16)
    first = int(rpc.call("eth_getTransactionCount", who, "latest"), 16) if first is None else first
    places = contracts.addresses(deployer, first)
    gas = {role: _gas(rpc, who, contracts.creation(role, places, beacon), contracts.kind_of(role, beacon)) for role in contracts.ORDER}
    return Plan(chain_id, who, first, gas, int(rpc.call("eth_gasPrice"), 16), places)


def deploy(
    rpc: Rpc,
    secret: bytes,
    beacon: str = "commit-reveal",
    first: int | None = None,
    embedded: bool = False,
    accept_unaudited: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> ChainLink:
    """Deploy what is not there yet, check all of it, and return the link. Raises ChainRefused or ChainError saying what to do."""
    chain_id = int(rpc.call("eth_chainId"), 16)
    check_unaudited(chain_id, accept_unaudited)
    sender = Sender(rpc, chain_id, secret)
    first = sender.count("latest") if first is None else first
    places = contracts.addresses(keys.address_of(secret), first)
    flights: dict[str, Flight] = {}
    since = int(rpc.call("eth_blockNumber"), 16)
    for nonce, role in enumerate(contracts.ORDER, first):
        if sender.count("latest") > nonce:
            _require_code(rpc, places[role], role, first)
            continue
        code = contracts.creation(role, places, beacon)
        flights[role] = sender.launch("", code, gas=_gas(rpc, sender.address, code, contracts.kind_of(role, beacon)), nonce=nonce)
        sender.broadcast(flights[role])
        say(f"{role} goes to {keys.checksum(places[role])}")
    _wait(sender, flights, places, first)
    found = Contracts(**{role: keys.checksum(places[role]) for role in contracts.ORDER})
    link = ChainLink(url=rpc.url, chain_id=chain_id, contracts=found, since=0 if embedded else since, embedded=embedded)
    check.check(rpc, link)
    return link


def _wait(sender: Sender, flights: dict[str, Flight], places: dict[str, bytes], first: int) -> None:
    end = time.monotonic() + DEPLOY_S
    waiting = dict(flights)
    while waiting:
        for role, flight in list(waiting.items()):
            if (found := sender.look(flight)) is True:
                continue
            if found is False:  # an earlier attempt, cut off after it had sent, had the same place
                _require_code(sender.rpc, places[role], role, first)
            elif int(found["status"], 16) != 1:
                raise ChainRefused(
                    f"{role} could not be deployed: transaction {flight.hashes[-1]} failed", "does the chain allow contracts of this size?"
                )
            del waiting[role]
        if waiting and time.monotonic() > end:
            raise ChainError(f"{', '.join(waiting)} not mined after {DEPLOY_S:.0f} s", f"carry on later with --first {first}")
        time.sleep(POLL_S if waiting else 0)


def _gas(rpc: Rpc, who: str, code: bytes, kind: str) -> int:
    """What creating a contract may cost. The court's constructor asks the ledger, so before that one is mined nothing but arithmetic can tell."""
    least = 53_000 + CONSTRUCTOR_GAS + 18 * len(code) + 200 * len(contracts.artifact(kind).runtime)
    try:
        return max(least, int(int(rpc.call("eth_estimateGas", {"from": who, "data": "0x" + code.hex()}), 16) * 1.1))
    except RpcError:
        return least


def _require_code(rpc: Rpc, place: bytes, role: str, first: int) -> None:
    if not raw(rpc.call("eth_getCode", keys.checksum(place), "latest")):
        what = f"transaction {first + contracts.ORDER.index(role)} of the account was something else than {role}"
        raise ChainRefused(what, "leave --first out to deploy everything anew")
