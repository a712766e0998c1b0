"""`swarm invite`: the one string that others join with."""

from __future__ import annotations

import json as codec

import typer

from swarm import addresses, chainhost, heartbeat, keystore, runs
from swarm import invite as invites
from swarm.cli import options as o
from swarm.enrolment import WITHOUT_VOUCHER
from swarm.errors import IdentityError, NetworkError
from swarm.invite import Invite
from swarm.runs import Run

REACH = {"loopback": "this machine only", "private": "your local network", "public": "anywhere"}


def invite(run_dir: o.RunDir = None, passphrase_file: o.PassphraseFile = None, ask_passphrase: o.AskPassphrase = False, json: o.Json = False) -> None:
    """Print the invite of the run that is on: swarm id, addresses, recipe hash in one string.

    Example: `swarm invite`

    The string goes to stdout alone, so it can be piped; what it reaches is said on stderr. Where steps are proved it carries a voucher,
    the creator's word that gives one joiner weight in the draws: print a new invite for everyone. A locked operator key needs its passphrase.
    """
    run = _running(runs.latest(run_dir))
    made, why = of(run, keystore.passphrase(passphrase_file, ask_passphrase))
    widest = next(scope for scope in ("public", "private", "loopback") if any(addresses.scope(a) == scope for a in made.addresses))
    if json:
        value = {"invite": made.text(), "swarm": run.info.swarm, "recipe_hash": run.info.recipe_hash, "addresses": list(made.addresses)}
        chain = None if made.chain is None else made.chain.model_dump() | {"voucher": made.voucher is not None}
        typer.echo(codec.dumps(value | {"reaches": widest, "chain": chain}, indent=1))
        return
    typer.echo(f"reaches {REACH[widest]}; whoever has it sees these addresses: {', '.join(made.addresses)}", err=True)
    if widest != "public":
        typer.echo("to be reached from further away, start with --listen 0.0.0.0 (and --announce HOST:PORT behind a router)", err=True)
    for sentence in about_chain(made, why):
        typer.echo(sentence, err=True)
    typer.echo(made.text())


def about_chain(made: Invite, why: str) -> list[str]:
    """What to know about the chain of an invite; `why` it carries no voucher."""
    if made.chain is None:
        return []
    if not made.chain.embedded:
        return [f"its chain is {made.chain.chain_id} at {made.chain.url}; any other address of that chain can be given with --rpc"]
    shared = "it carries a voucher for one joiner: print a new invite for the next one"
    return [chainhost.ONE_HOST, shared if made.voucher is not None else f"it carries no voucher ({why}): {WITHOUT_VOUCHER}"]


def of(run: Run, passphrase: str | None = None) -> tuple[Invite, str]:
    """The invite of a run whose peers are on, and why it carries no voucher. Raises NetworkError where no peer has an address yet."""
    beats = [beat for folder in run.peers if (beat := heartbeat.read(folder / heartbeat.FILE)) is not None]
    there = [address for beat in beats for address in beat.addresses]
    order = ("public", "private", "loopback")
    there.sort(key=lambda address: order.index(addresses.scope(address)))
    if not there:
        raise NetworkError(f"no peer of {run.folder} is reachable yet", "start it with `swarm up` and wait for its first round")
    ids = (bytes.fromhex(value) for value in (run.info.swarm, run.info.recipe_hash, run.info.recipe_blob))
    there = there[: invites.MAX_ADDRESSES]
    chain = chainhost.as_others_see(run, there)
    given, why = None, "only the swarm's creator gives them out"
    if chain is not None:
        try:
            given = chainhost.voucher_of(run, chain, passphrase)
        except IdentityError as error:
            if passphrase is not None:
                raise
            why = f"{error}; {error.hint}"
    return Invite(*ids, tuple(there), chain, given), why


def _running(run: Run) -> Run:
    """The run itself where it is on, else the newest one that is."""
    if run.on:
        return run
    return next((other for other in runs.all_runs() if other.on), run)
