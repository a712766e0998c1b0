"""How commands that send transactions say what they send: with `--dry-run` beforehand, else with the receipts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from swarm.calls import Calls
from swarm.chain.values import amount


def carry_out(plan: Calls, secret: Callable[[], bytes], dry_run: bool) -> dict[str, Any]:
    """Send a plan, or only try it; what happened as a JSON value. `secret` opens the key and is called only to send."""
    calls = zip(plan.calls, plan.gas, strict=True)
    rows = [{"call": f"{call.role}.{call.function}", "what": call.what, "gas": gas, "tried": tried} for call, (gas, tried) in calls]
    cost = plan.cost
    if not dry_run:
        receipts = plan.send(secret())
        for row, receipt in zip(rows, receipts, strict=True):
            row |= {"gas": int(receipt["gasUsed"], 16), "tried": True, "transaction": receipt["transactionHash"]}
        cost = sum(int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in receipts)
    return {"sent": not dry_run, "calls": rows, "cost": amount(cost), "note": plan.note}


def tell(done: dict[str, Any]) -> None:
    """The same for people."""
    for row in done["calls"]:
        gas = f"{'' if row['tried'] else 'at most '}{row['gas']:,} gas"
        typer.echo(f"{row['what']}: {gas}" + (f", transaction {row['transaction']}" if "transaction" in row else ""))
    if done["note"]:
        typer.echo(done["note"])
    if not done["sent"]:
        typer.echo(f"about {done['cost']} of the chain's coin for gas; nothing was sent (--dry-run)")
