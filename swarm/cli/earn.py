"""`swarm earn`: what this machine could do for others now, and what it pays."""

from __future__ import annotations

import json as codec

import typer

from swarm.cli import job as j
from swarm.cli import options as o


def earn(rpc: o.Rpc = None, contracts: o.Contracts = None, max_memory: o.MaxMemory = "", json: o.Json = False) -> None:
    """What the open jobs would pay this machine, for solving and for verifying. Nothing is staked or claimed.

    Example: `swarm earn`

    A machine that is too small to solve a job can often verify it. Then: `swarm job solve ID`, `swarm job verify ID`.
    """
    import psutil

    from swarm.jobs import earning
    from swarm.jobs.book import SHOWN, Book
    from swarm.ui import job as ui

    free = psutil.virtual_memory().available
    limits = o.the_limits("", max_memory, "", "", False)
    with j.market(rpc, contracts, quiet=json) as chain:
        machine = earning.Machine(min(free, limits.max_memory or free), 1.0)
        found = earning.chances(Book(chain).jobs()[:SHOWN], machine, chain.head().time)
        typer.echo(codec.dumps([chance.value() for chance in found], indent=1) if json else "\n".join(ui.chances(found, machine.memory)))
