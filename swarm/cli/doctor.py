"""`swarm doctor`: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

import dataclasses
import json as codec
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from swarm import doctor as checks
from swarm import invite
from swarm.cli import options as o
from swarm.errors import ResourceError
from swarm.launch import Choices

STYLES = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}


def doctor(
    recipe: Annotated[str, typer.Argument(help="Recipe to judge memory, disk and packages by.")] = "",
    peers: Annotated[int | None, typer.Option(min=1, max=64, help="Peers on this machine; the recipe says otherwise.")] = None,
    invitation: Annotated[str, typer.Option("--invite", help="An invite whose addresses are tried.")] = "",
    port: o.Port = 0,
    boot: o.Boot = None,
    max_memory: o.MaxMemory = "",
    max_disk: o.MaxDisk = "",
    offline: Annotated[bool, typer.Option("--offline", help="Leave out what needs the internet.")] = False,
    json: o.Json = False,
) -> None:
    """Check Python, PyTorch, memory, disk, ports, boot peers, clock, hub and reachability.

    Example: `swarm doctor smollm2 --peers 2`

    Exit code 5 where something fails.
    """
    chosen = checks.recipe_named(recipe)
    choices = Choices(
        peers=peers or chosen.run.peers,
        limits=o.the_limits("", max_memory, max_disk, "", False),
        network=o.the_network(None, None, port, boot, True, None, False, None),
    )
    tried = [*choices.network.boot, *(invite.parse(invitation).addresses if invitation else ())]
    found = list(checks.rows(chosen, choices, tried, offline))
    if json:
        typer.echo(codec.dumps([dataclasses.asdict(row) for row in found], indent=1))
    else:
        _print(found)
    if any(row.status == "fail" for row in found):
        raise typer.Exit(ResourceError.exit_code)


def _print(found: list[checks.Row]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("check", "status", "value", "what to do"):
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(row.name, f"[{STYLES[row.status]}]{row.status}[/]", *(value.replace("[", "\\[") for value in (row.value, row.fix)))
    Console(highlight=False).print(table)
