"""`swarm invite`: the one string that others join with."""

from __future__ import annotations

import json as codec

import typer

from swarm import addresses, chainhost, heartbeat, runs
from swarm import invite as invites
from swarm.cli import options as o
from swarm.errors import NetworkError
from swarm.invite import Invite
from swarm.runs import Run

REACH = {"loopback": "this machine only", "private": "your local network", "public": "anywhere"}


def invite(run_dir: o.RunDir = None, json: o.Json = False) -> None:
    """Print the invite of the run that is on: swarm id, addresses, recipe hash in one string.

    Example: `swarm invite`

    The string goes to stdout alone, so it can be piped; what it reaches is said on stderr.
    """
    run = _running(runs.latest(run_dir))
    made = of(run)
    widest = next(scope for scope in ("public", "private", "loopback") if any(addresses.scope(a) == scope for a in made.addresses))
    if json:
        value = {"invite": made.text(), "swarm": run.info.swarm, "recipe_hash": run.info.recipe_hash, "addresses": list(made.addresses)}
        typer.echo(codec.dumps(value | {"reaches": widest}, indent=1))
        return
    typer.echo(f"reaches {REACH[widest]}; whoever has it sees these addresses: {', '.join(made.addresses)}", err=True)
    if widest != "public":
        typer.echo("to be reached from further away, start with --listen 0.0.0.0 (and --announce HOST:PORT behind a router)", err=True)
    if made.chain is not None and made.chain.embedded:
        typer.echo("its chain is one process here: take this machine's word for it, or use --rpc among strangers", err=True)
    if made.chain is not None and made.voucher is None:
        typer.echo("it carries no voucher: whoever joins is in no draw until its own work is verified", err=True)
    typer.echo(made.text())


def of(run: Run) -> Invite:
    """The invite of a run whose peers are on. Raises NetworkError where none has an address yet."""
    beats = [beat for folder in run.peers if (beat := heartbeat.read(folder / heartbeat.FILE)) is not None]
    there = [address for beat in beats for address in beat.addresses]
    order = ("public", "private", "loopback")
    there.sort(key=lambda address: order.index(addresses.scope(address)))
    if not there:
        raise NetworkError(f"no peer of {run.folder} is reachable yet", "start it with `swarm up` and wait for its first round")
    ids = (bytes.fromhex(value) for value in (run.info.swarm, run.info.recipe_hash, run.info.recipe_blob))
    there = there[: invites.MAX_ADDRESSES]
    chain = chainhost.as_others_see(run, there[0])
    return Invite(*ids, tuple(there), chain, chainhost.voucher_of(run, chain) if chain is not None else None)


def _running(run: Run) -> Run:
    """The run itself where it is on, else the newest one that is."""
    if run.on:
        return run
    return next((other for other in runs.all_runs() if other.on), run)
