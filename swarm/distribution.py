"""Distributions of a token over what a frozen snapshot shows: who funds one, what is each operator's part, and how it is claimed.

    part = pot x units of the operator / units of everyone, rounded down

The contract reads units and tier from the chain again, so nothing is believed of a snapshot but what the chain says too. Used by
`swarm claim` and `swarm distribution`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from swarm import keys, stake
from swarm.calls import Call, Calls
from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Scanner
from swarm.chain.values import amount
from swarm.errors import ChainRefused, InputError
from swarm.pioneer import Program
from swarm.snapshot import Snapshot
from swarm.stake import wei_of
from swarm.times import date, span

DAY_S = 86_400
MAX_DECIMALS = 18


@dataclass(frozen=True)
class Token:
    """An ERC-20: 20 bytes, and how many decimals people read it with."""

    address: bytes
    decimals: int

    def text(self, wei: int) -> str:
        return amount(wei * 10 ** (MAX_DECIMALS - self.decimals))

    def wei(self, text: str) -> int:
        """An amount that people give, exact. Raises InputError."""
        wei, rest = divmod(wei_of(text), 10 ** (MAX_DECIMALS - self.decimals))
        if rest:
            raise InputError(f"{text!r} is finer than this token", f"it has {self.decimals} decimals")
        return wei


@dataclass(frozen=True)
class Distribution:
    """One distribution (32 bytes) with its terms, as in IDistributor.Distribution, and the operators that were paid."""

    id: bytes
    terms: SimpleNamespace
    token: Token
    paid: dict[bytes, int]

    def part(self, units: int) -> int:
        """Wei of the token that `units` bring."""
        return self.terms.pot * units // self.terms.total


def token_of(chain: Chain, address: bytes) -> Token:
    """The ERC-20 at an address. Raises ChainRefused where there is none, or one that nobody can read amounts of."""
    decimals = stake.paying(chain, address).read("credit", "decimals")
    if decimals > MAX_DECIMALS:
        raise ChainRefused(f"the token at {keys.checksum(address)} has {decimals} decimals", f"at most {MAX_DECIMALS} are supported here", "TokenOdd")
    return Token(address, decimals)


def distributions(chain: Chain, programs: list[Program]) -> list[Distribution]:
    """Every distribution for these programs, the oldest first."""
    wanted, found, paid = {each.id for each in programs}, {}, {}
    scanner = Scanner(chain, ("distributor",))
    while new := scanner.scan().new:
        for event in new:
            said = event.values
            if event.name == "DistributionFunded" and said["program"] in wanted:
                found[said["id"]] = said["token"]
            elif event.name == "PartPaid" and said["id"] in found:
                paid.setdefault(said["id"], {})[said["operator"]] = said["amount"]
    terms = {each: chain.read("distributor", "distributionOf", each) for each in found}
    return [Distribution(each, terms[each], _readable(chain, token), paid.get(each, {})) for each, token in found.items()]


def choose(found: list[Distribution], text: str) -> Distribution:
    """The one whose id begins with `text`. Raises InputError."""
    chosen = [each for each in found if each.id.hex().startswith(text.lower().removeprefix("0x"))]
    names = ", ".join(each.id.hex()[:12] for each in found[:8]) or "none"
    if len(chosen) != 1:
        what = f"{len(chosen)} distributions begin with {text!r}" if text else f"there are {len(found)} distributions"
        raise InputError(what, f"there are {names}; name one by the beginning of its id")
    return chosen[0]


def funding(chain: Chain, program: Program, epoch: int, token: Token, text: str, tier: int, days: int, funder: bytes) -> Calls:
    """Give an amount of a token for a snapshot, to be claimed for so many days; from the faucet where the token is a swarm's free credits."""
    wei, paying, terms = token.wei(text), stake.paying(chain, token.address), Swarm(chain, program.swarm).terms
    if terms.faucet and terms.token == token.address:
        calls = stake.supplying(paying, funder, wei, True, keys.checksum(funder), "distributor")
    else:
        calls = _letting(paying, token, wei, funder)
    who = "everyone with verified units" if not tier else f"operators of tier {tier} or higher"
    what = f"give {token.text(wei)} to {who} of epoch {epoch}, by their units, to be claimed for {days} days"
    calls.append(Call("distributor", "fund", (program.id, epoch, token.address, wei, tier, days * DAY_S), what))
    return Calls(paying, funder, calls, "what nobody claims can be taken back after that: `swarm distribution reclaim`")


def _letting(paying: Chain, token: Token, wei: int, funder: bytes) -> list[Call]:
    """What lets the distributor take `wei` of a token. Raises ChainRefused where the funder has less."""
    if (has := paying.read("credit", "balanceOf", funder)) < wei:
        what = f"{keys.checksum(funder)} has {token.text(has)} of the token and is to give {token.text(wei)}"
        raise ChainRefused(what, "send it some, or give less", "BalanceTooLow")
    taker = paying.address("distributor")
    if paying.read("credit", "allowance", funder, taker) >= wei:
        return []
    return [Call("credit", "approve", (taker, wei), f"let the distributor take {token.text(wei)}")]


def claiming(chain: Chain, found: Distribution, snapshot: Snapshot, operator: bytes) -> Calls:
    """Take an operator's part. Raises ChainRefused where there is none, or no more."""
    terms, who, leaf = found.terms, keys.checksum(operator), snapshot.leaf(operator)
    if operator in found.paid:
        raise ChainRefused(f"operator {who} has its part, {found.token.text(found.paid[operator])}, already", "nothing to do", "ShareTaken")
    if chain.head().time > terms.closes:
        raise ChainRefused(f"claims were paid until {date(terms.closes)}", "what nobody claimed is the funder's", "ClaimsClosed")
    if leaf is None or not found.part(leaf.units):
        what = f"operator {who} had no verified units when epoch {terms.epoch} was frozen"
        raise ChainRefused(what, "`swarm snapshot` shows who had", "NothingToPay")
    if leaf.tier < terms.leastTier:
        what = f"this distribution pays from tier {terms.leastTier} on, and operator {who} had tier {leaf.tier} then"
        raise ChainRefused(what, "what is not paid goes back to the funder", "TierTooLow")
    if not chain.read("pioneer", "isPosted", snapshot.program, snapshot.epoch, snapshot.root):
        what = f"the root of this list, {snapshot.root.hex()[:12]}, is not on the chain"
        raise ChainRefused(what, f"post it, anyone may: `swarm snapshot {snapshot.epoch} --post`", "RootNotPosted")
    args: tuple[Any, ...] = (found.id, (leaf.operator, leaf.score, leaf.units, leaf.tier), list(leaf.keys), snapshot.proof(leaf))
    what = f"pay {found.token.text(found.part(leaf.units))} for {leaf.units:,} of {terms.total:,} units to {who}"
    return Calls(chain, operator, [Call("distributor", "claim", args, what)])


def reclaiming(chain: Chain, found: Distribution, sender: bytes) -> Calls:
    """Take back what nobody claimed. Raises ChainRefused before claims are closed, or where nothing is left."""
    if not found.terms.left:
        raise ChainRefused("nothing is left of this distribution", "nothing to do", "NothingToPay")
    if (left := found.terms.closes - chain.head().time) >= 0:
        raise ChainRefused(f"claims are paid until {date(found.terms.closes)}", f"run the same command in {span(left + 1)}", "StillClaimable")
    what = f"pay {found.token.text(found.terms.left)} back to the funder {keys.checksum(found.terms.funder)}"
    return Calls(chain, sender, [Call("distributor", "reclaim", (found.id,), what)])


def _readable(chain: Chain, address: bytes) -> Token:
    """A token that somebody chose: one that does not say its decimals is shown in its smallest parts, and spoils no list."""
    try:
        return token_of(chain, address)
    except ChainRefused:
        return Token(address, 0)
