"""A judging deposit as its owner has it: what an operator holds in `JudgeAnchor` for one swarm, and the transactions that move it.

All peers of an operator share one deposit. It stands good for the operator's faults as a host of markets. Where stake costs something it counts,
with what is in the vault, for who gets the market's credits (`swarm.market.grants`). Used by `swarm stake judge`.
"""

from __future__ import annotations

from swarm import keys
from swarm.calls import Call
from swarm.chain.client import Chain
from swarm.chain.values import amount
from swarm.errors import ChainRefused
from swarm.stake import Account, Holding, Plan, supplying
from swarm.times import date, span


class Deposit(Account):
    """What the operator of a member has deposited. Amounts in wei, times by the chain's clock."""

    def __init__(self, chain: Chain, holding: Holding):
        super().__init__(chain, holding)
        self.held = chain.read("anchor", "accountOf", holding.swarm, holding.operator)
        self.delay: int = chain.read("anchor", "delayOf", holding.swarm)

    @property
    def locked(self) -> int:
        """Unbonding and not to be had yet."""
        return self.held.unbonding if self.now < self.held.releaseAt else 0

    @property
    def withdrawable(self) -> int:
        return self.held.earned + self.held.unbonding - self.locked


def deposit(account: Deposit, wei: int) -> Plan:
    """Deposit `wei` more, from the faucet where the swarm has one."""
    holding = account.holding
    calls = supplying(account.chain, holding.operator, wei, account.terms.faucet, holding.name, "anchor")
    note = f"it can be withdrawn {span(account.delay)} after `swarm stake judge unbond`; until then a proved fault as a host of markets takes of it"
    return Plan(account, [*calls, Call("anchor", "deposit", (holding.key, wei), f"deposit {amount(wei)} credits for {holding.name}")], note)


def unbond(account: Deposit, wei: int | None) -> Plan:
    """Begin to take `wei` out, everything where that is None."""
    active, who = account.held.active, account.holding.name
    wei = active if wei is None else wei
    if not active:
        raise ChainRefused(f"{who} has no judging deposit, so there is nothing to unbond", _then(account), "StakeMissing")
    if wei > active:
        raise ChainRefused(f"{who} has deposited {amount(active)} credits, {amount(wei)} are more", "give a smaller amount, or `all`", "StakeMissing")
    if account.held.unbonding and not account.locked:
        what = f"{amount(account.held.unbonding)} credits of {who} can be withdrawn now, and unbonding more would lock them again"
        raise ChainRefused(what, "`swarm stake judge withdraw` first", "WithdrawFirst")
    ends = date(account.now + account.delay)
    note = f"{amount(wei)} credits can be withdrawn from about {ends} on: the longest market that began until then is over and its tally carried out"
    if account.locked:
        note += f". The {amount(account.locked)} that are unbonding already are then locked until {ends} too"
    return Plan(account, [Call("anchor", "unbond", (account.holding.swarm, wei), f"begin to take {amount(wei)} credits out")], note)


def withdraw(account: Deposit) -> Plan:
    """Pay what has finished unbonding to the operator."""
    holding = account.holding
    if account.locked and not account.withdrawable:
        what = f"{amount(account.locked)} credits of {holding.name} are still locked until {date(account.held.releaseAt)} by the chain's clock"
        raise ChainRefused(what, f"run the same command in {span(account.held.releaseAt - account.now)}", "StillUnbonding")
    if not account.withdrawable:
        raise ChainRefused(f"nothing of {holding.name} is unbonding, so there is nothing to withdraw", _then(account), "NothingToPay")
    what = f"pay {amount(account.withdrawable)} credits to {keys.checksum(holding.operator)}"
    return Plan(account, [Call("anchor", "withdraw", (holding.swarm,), what)])


def _then(account: Deposit) -> str:
    if account.locked:
        return f"{amount(account.locked)} credits are unbonding until {date(account.held.releaseAt)}; `swarm stake judge withdraw` after that"
    if account.held.active:
        return f"{amount(account.held.active)} credits are deposited; `swarm stake judge unbond all` begins to take them out"
    return "`swarm stake judge deposit` makes one"
