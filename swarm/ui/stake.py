"""A member's stake as a JSON value and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm import keys
from swarm.chain.values import amount
from swarm.stake import Account
from swarm.times import date, span


def value(account: Account, folder: Path) -> dict[str, Any]:
    """An account as JSON: credits as exact decimal texts, times in seconds since 1970 by the chain's clock."""
    held, found = account.holding, account.stake
    return {
        "member": held.name,
        "identity": folder.name,
        "swarm": held.swarm.hex(),
        "key": held.key.hex(),
        "operator": keys.checksum(held.operator),
        "stake": amount(found.active),
        "least": amount(account.terms.minStake),
        "capacity": account.capacity,
        "draws": account.draws,
        "paused": found.paused,
        "lapsed": found.lapsed,
        "exposed": amount(account.exposed),
        "unsettled_epochs": list(held.unsettled),
        "unbonding": amount(found.unbonding),
        "releases_at": found.releaseAt if found.unbonding else None,
        "withdrawable": amount(account.withdrawable),
        "claimable": amount(account.claimable),
        "wallet": amount(account.wallet),
        "coin": amount(account.coin),
        "chain_time": account.now,
    }


def text(account: Account, folder: Path) -> str:
    """The same for people, a line for each thing."""
    held, found, now = account.holding, account.stake, account.now
    ends = f"until {date(found.releaseAt)}, in {span(found.releaseAt - now)}" if account.locked else "it can be withdrawn"
    unsettled = f"; not settled yet: epochs {', '.join(map(str, held.unsettled[-8:]))}" if held.unsettled else ""
    rows = {
        "staked": f"{amount(found.active)} credits (the least is {amount(account.terms.minStake)}), good for {account.capacity} steps an epoch",
        "draws": account.draws,
        "exposed": f"{amount(account.exposed)} credits: a lost dispute takes all that is not withdrawn{unsettled}",
        "unbonding": f"{amount(found.unbonding)} credits" + (f" ({ends})" if found.unbonding else ""),
        "withdrawable": f"{amount(account.withdrawable)} credits",
        "claimable": f"{amount(account.claimable)} credits of rewards",
        "wallet": f"{amount(account.wallet)} credits, and {amount(account.coin)} of the chain's coin for gas",
    }
    head = f"{held.name} ({folder.name}, operator {keys.checksum(held.operator)}, key {held.key.hex()[:8]}) in swarm {held.swarm.hex()[:8]}"
    return "\n".join([head, *(f"  {name:<14}{said}" for name, said in rows.items())])
