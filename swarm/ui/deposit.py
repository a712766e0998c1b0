"""An operator's judging deposit as a JSON value and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm import keys
from swarm.chain.values import amount
from swarm.deposit import Deposit
from swarm.times import date, span


def value(account: Deposit, folder: Path) -> dict[str, Any]:
    """A deposit as JSON: credits as exact decimal texts, times in seconds since 1970 by the chain's clock."""
    holding, found = account.holding, account.held
    return {
        "member": holding.name,
        "identity": folder.name,
        "swarm": holding.swarm.hex(),
        "operator": keys.checksum(holding.operator),
        "deposit": amount(found.active),
        "unbonding": amount(found.unbonding),
        "releases_at": found.releaseAt if found.unbonding else None,
        "withdrawable": amount(account.withdrawable),
        "delay_s": account.delay,
        "wallet": amount(account.wallet),
        "chain_time": account.now,
    }


def text(account: Deposit, folder: Path) -> str:
    """The same for people."""
    holding, found = account.holding, account.held
    ends = f"until {date(found.releaseAt)}, in {span(found.releaseAt - account.now)}" if account.locked else "it can be withdrawn"
    rows = {
        "deposited": f"{amount(found.active)} credits; unbonding takes {span(account.delay)}",
        "unbonding": f"{amount(found.unbonding)} credits" + (f" ({ends})" if found.unbonding else ""),
        "withdrawable": f"{amount(account.withdrawable)} credits",
        "wallet": f"{amount(account.wallet)} credits",
    }
    head = f"judging deposit of {holding.name} ({folder.name}, operator {keys.checksum(holding.operator)}) in swarm {holding.swarm.hex()[:8]}"
    return "\n".join([head, *(f"  {name:<14}{said}" for name, said in rows.items())])
