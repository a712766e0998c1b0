"""Stake as its owner has it: what an operator's members hold in the vault, and the transactions that put money in and take it out.

Everything is read from the chain; the operator's key is needed only to send. A `Plan` looks first at what its transactions need, so
what would be refused is a sentence about the money and costs nothing. Used by `swarm stake`, and by enrolment to stake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from swarm import identity, keys, keystore
from swarm.calls import Call, Calls
from swarm.chain.client import Chain, Swarm
from swarm.chain.link import ChainLink
from swarm.chain.logs import Scanner
from swarm.chain.values import WEI, amount
from swarm.errors import ChainRefused, IdentityError, InputError
from swarm.names import name_of
from swarm.times import date, span


@dataclass(frozen=True)
class Holding:
    """A member of a swarm: 32-byte swarm, peer and key, 20-byte operator. `unsettled` are the audited epochs that it still answers for."""

    swarm: bytes
    operator: bytes
    peer: bytes
    key: bytes
    unsettled: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.operator, self.peer)


class Account:
    """What one member has in the vault. All amounts in wei, all times by the chain's clock; read once, when it is made."""

    def __init__(self, chain: Chain, holding: Holding):
        self.holding, self.swarm = holding, Swarm(chain, holding.swarm)
        self.terms: SimpleNamespace = self.swarm.terms
        self.chain = paying(chain, self.terms.token)
        self.now = chain.head().time
        self.stake = self.swarm.stake(holding.key)
        self.capacity: int = chain.read("vault", "capacityOf", holding.key)
        self.claimable: int = chain.read("vault", "claimable", self.terms.token, holding.operator)

    @cached_property
    def wallet(self) -> int:
        """What the operator has outside the vault."""
        return self.chain.read("credit", "balanceOf", self.holding.operator)

    @cached_property
    def coin(self) -> int:
        """What the operator has to pay gas with."""
        return int(self.chain.rpc.call("eth_getBalance", keys.checksum(self.holding.operator), "latest"), 16)

    @property
    def locked(self) -> int:
        """Unbonding and not to be had yet."""
        return self.stake.unbonding if self.now < self.stake.releaseAt else 0

    @property
    def withdrawable(self) -> int:
        return self.stake.unbonding - self.locked

    @property
    def exposed(self) -> int:
        """What a lost dispute would take: all that is not withdrawn, unbonding or not."""
        return self.stake.active + self.stake.unbonding

    @property
    def draws(self) -> str:
        """Where the member stands in the draws, in words."""
        if self.stake.lapsed:
            return "lapsed: it missed a duty and paid for it; it commits nothing and is in no draw until `swarm resume`"
        if self.stake.paused:
            return "paused: it is in no draw until `swarm resume`, which a start of its node does too"
        if self.stake.active < self.terms.minStake // 2 or not self.stake.active:
            return f"in no draw: that takes half the least stake, {amount(self.terms.minStake // 2)} credits"
        return "in the draws" + (", as far as its verified work goes (faucet swarm)" if self.terms.faucet else "")


class Plan(Calls):
    """The transactions of one wish about an account, in order. Raises ChainRefused or InputError where the wish cannot be had."""

    def __init__(self, account: Account, calls: list[Call], note: str = ""):
        super().__init__(account.chain, account.holding.operator, calls, note)
        self.account = account

    @classmethod
    def add(cls, account: Account, wei: int, machine: bytes | None) -> Plan:
        """Stake `wei` more, in the class it has; the first time in `machine` (32 bytes, None where it is not known)."""
        holding, stake, least = account.holding, account.stake, account.terms.minStake
        of_class = getattr(stake, "class")
        if stake.active + wei < least:
            what = f"{amount(wei)} credits on top of {amount(stake.active)} are less than the least stake of this swarm, {amount(least)}"
            raise ChainRefused(what, f"add {amount(least - stake.active)} or more", "StakeTooSmall")
        if of_class == bytes(32) and machine is None:
            what = f"{holding.name} has never staked, and the class of its machine is not known here"
            raise ChainRefused(what, "start it once on its machine: `swarm up` and `swarm join` take --stake", "ClassMissing")
        into = machine if of_class == bytes(32) else of_class
        return cls(account, adding(account.chain, holding.operator, holding.key, wei, into, account.terms.faucet, holding.name))

    @classmethod
    def unbond(cls, account: Account, wei: int | None) -> Plan:
        """Begin to take `wei` out, everything where that is None."""
        holding, active = account.holding, account.stake.active
        wei = active if wei is None else wei
        if not active:
            raise ChainRefused(f"{holding.name} has nothing staked, so there is nothing to unbond", _then(account), "StakeMissing")
        if wei > active:
            what = f"{holding.name} has {amount(active)} credits staked, {amount(wei)} are more than that"
            raise ChainRefused(what, "give a smaller amount, or `all`", "StakeMissing")
        if account.withdrawable:
            what = f"{amount(account.withdrawable)} credits of {holding.name} can be withdrawn now, and unbonding more would lock them again"
            raise ChainRefused(what, "`swarm stake withdraw` first", "WithdrawFirst")
        ends = f"about {date(account.now + account.terms.unbonding)}"
        note = f"{amount(wei)} credits can be withdrawn from {ends} on; until then they can still be lost in a dispute"
        if account.locked:
            note += f". The {amount(account.locked)} that are unbonding already are then locked until {ends} too, not {date(account.stake.releaseAt)}"
        if 0 < active - wei < account.terms.minStake // 2:
            note += f". The {amount(active - wei)} left are too few to commit or be drawn"
        return cls(account, [Call("vault", "unbond", (holding.key, wei), f"begin to take {amount(wei)} credits out")], note)

    @classmethod
    def withdraw(cls, account: Account) -> Plan:
        """Pay what has finished unbonding to the operator."""
        holding = account.holding
        if not account.stake.unbonding:
            what = f"nothing of {holding.name} is unbonding, so there is nothing to withdraw"
            raise ChainRefused(what, _then(account), "NothingToPay")
        if account.locked:
            what = f"{amount(account.locked)} credits of {holding.name} are still locked until {date(account.stake.releaseAt)} by the chain's clock"
            raise ChainRefused(what, f"run the same command in {span(account.stake.releaseAt - account.now)}", "StillUnbonding")
        what = f"pay {amount(account.withdrawable)} credits to {keys.checksum(holding.operator)}"
        return cls(account, [Call("vault", "withdraw", (holding.key,), what)])

    @classmethod
    def claim(cls, account: Account) -> Plan:
        """Pay the operator's rewards, those of all its members and swarms with this token."""
        holding = account.holding
        if not account.claimable:
            what = f"operator {keys.checksum(holding.operator)} ({holding.name}) has no rewards to claim"
            raise ChainRefused(what, "audits, won challenges and found faults bring some; `swarm stake show` lists them", "NothingToPay")
        what = f"pay {amount(account.claimable)} credits of rewards to {keys.checksum(holding.operator)}"
        return cls(account, [Call("vault", "claim", (account.terms.token,), what)])


def adding(chain: Chain, operator: bytes, key: bytes, wei: int, machine: bytes, faucet: bool, who: str) -> list[Call]:
    """What stakes `wei` more for a member: from the faucet where the swarm has one. Raises ChainRefused where the operator has too little."""
    stake = Call("vault", "stake", (key, wei, machine), f"stake {amount(wei)} credits for {who}")
    return [*supplying(chain, operator, wei, faucet, who), stake]


def supplying(chain: Chain, operator: bytes, wei: int, faucet: bool, who: str, role: str = "vault") -> list[Call]:
    """What lets the vault, or the contract of another role, take `wei` of the operator's credits."""
    has, calls = chain.read("credit", "balanceOf", operator), []
    while has < wei and faucet:
        asked = min(wei - has, chain.read("credit", "CALL_LIMIT"))
        calls.append(Call("credit", "faucet", (asked,), f"take {amount(asked)} credits from the faucet"))
        has += asked
    if has < wei:
        what = f"{who} has {amount(has)} credits and is to stake {amount(wei)}"
        raise ChainRefused(what, f"send some to {keys.checksum(operator)}, or stake less", "BalanceTooLow")
    taker = chain.address(role)
    if chain.read("credit", "allowance", operator, taker) < wei:
        calls.append(Call("credit", "approve", (taker, wei), f"let the {role} take {amount(wei)} credits"))
    return calls


def holdings(chain: Chain, operators: Iterable[bytes], swarm: bytes | None = None) -> list[Holding]:
    """Every member of these operators on the chain's contracts, in the order in which they came; only those of `swarm` where it is given."""
    wanted, found, unsettled = set(operators), {}, {}
    scanner = Scanner(chain, ("ledger",))
    while new := scanner.scan().new:
        for event in new:
            said = event.values
            if event.name == "Entered" and said["operator"] in wanted and swarm in (None, said["swarm"]):
                found[said["key"]] = Holding(said["swarm"], said["operator"], said["peer"], said["key"])
            elif event.name == "Committed" and said["key"] in found and not said["late"]:
                unsettled.setdefault(said["key"], set()).add(said["epoch"])
            elif event.name in ("Settled", "Unscored"):
                unsettled.get(said["key"], set()).discard(said["epoch"])
    return [replace(each, unsettled=tuple(sorted(unsettled.get(key, ())))) for key, each in found.items()]


def operators(folders: Iterable[Path]) -> dict[bytes, Path]:
    """The operators (20 bytes) whose keys lie in these identities' folders, retired ones among them: stake stays with the key it was made with."""
    found = {}
    for folder in folders:
        public = identity.show(folder)
        found |= {each: folder for each in (public.address, *(rotation.old for rotation in public.rotations))}
    return found


def secret(folder: Path, operator: bytes, passphrase: str | None) -> bytes:
    """The key of an operator in an identity's folder, in use or retired. Raises IdentityError: locked, lost, corrupt."""
    opened = identity.Identity.open(folder, passphrase)
    if opened.address == operator:
        return opened.secret
    value = keystore.read_json(folder / identity.FILE, identity.FORMAT, "restore it from its backup")
    for entry, rotation in zip(value["retired"], opened.rotations, strict=True):
        if rotation.old == operator:
            return keystore.unlock(entry["operator"], passphrase, str(folder / identity.FILE))
    raise IdentityError(f"the identity in {folder} has no key of operator {keys.checksum(operator)}", "name another one with --identity")


def wei_of(text: str) -> int:
    """An amount of credits, exact. Raises InputError."""
    match = re.fullmatch(r"(\d{1,20})(?:\.(\d{1,18}))?", text)
    wei = int(match[1]) * WEI + int((match[2] or "").ljust(18, "0")) if match else 0
    if not wei:
        raise InputError(f"{text!r} is not an amount of credits", "a number above 0 with at most 18 decimals, such as 250 or 0.5")
    return wei


def _then(account: Account) -> str:
    """What can be done instead."""
    if account.withdrawable:
        return f"{amount(account.withdrawable)} credits can be withdrawn: `swarm stake withdraw`"
    if account.locked:
        return f"{amount(account.locked)} credits are unbonding until {date(account.stake.releaseAt)}; `swarm stake withdraw` after that"
    if account.stake.active:
        return f"{amount(account.stake.active)} credits are staked; `swarm stake unbond all` begins to take them out"
    return "`swarm stake add` stakes some"


def paying(chain: Chain, token: bytes) -> Chain:
    """The same contracts with another token, such as the one that a swarm's terms name."""
    if token == chain.places["credit"]:
        return chain
    value = chain.link.model_dump()
    return Chain(ChainLink.model_validate(value | {"contracts": value["contracts"] | {"credit": keys.checksum(token)}}), chain.rpc.timeout_s)
