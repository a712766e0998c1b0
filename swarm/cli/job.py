"""`swarm job`: work for hire. Submit a job, see what there is, solve and verify, and fetch what was trained."""

from __future__ import annotations

import contextlib
import json as codec
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm import identity as identities
from swarm import keys, keystore, runs
from swarm.chain.values import amount
from swarm.cli import options as o
from swarm.errors import IdentityError, InputError

if TYPE_CHECKING:
    from swarm.chain.client import Chain
    from swarm.jobs.book import Book, Job
    from swarm.jobs.submit import Submission

app = typer.Typer(help="Work for hire: submit a job, see what there is, fetch what was trained.", rich_markup_mode="markdown")

JobId = Annotated[str, typer.Argument(help="The job: the beginning of its id, or its name where only one has it.")]
Name = Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Identity that acts; else the one that fits.")]


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Closed jobs too.")] = False,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Jobs that somebody can take now, what they pay and what is left of them.

    Example: `swarm job list`
    """
    from swarm.jobs import book
    from swarm.ui import job as ui

    with market(rpc, contracts, quiet=json) as chain:
        found = [row for row in book.rows(chain) if all_ or row["open"]]
        lines = ui.listed(found, chain.head().time)
    typer.echo(codec.dumps(found, indent=1) if json else "\n".join(lines))


@app.command()
def show(
    job: JobId,
    serve: Annotated[bool, typer.Option("--serve", help="Go on serving a job of yours until it is done.")] = False,
    identity: Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    listen: o.Listen = None,
    announce: o.Announce = None,
    port: o.Port = 0,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    i_accept_unaudited: o.Unaudited = False,
    json: o.Json = False,
) -> None:
    """One job: its state, parts, epochs, payments, and what is due next.

    Example: `swarm job show 3fa9c2`
    """
    from swarm.jobs.watch import Names
    from swarm.ui import job as ui

    if serve:
        from swarm.cli import submission

        network = o.the_network(listen, announce, port, None, True, None, False, None)
        submission.serve(job, o.the_chain(rpc, contracts, "", i_accept_unaudited), network, identity, passphrase_file, ask_passphrase)
        return
    with looked_up(job, rpc, contracts, quiet=json) as (chain, book, found):
        value, lines = details(found), ui.shown(found, Names(book), chain.head().time)
    typer.echo(codec.dumps(value, indent=1) if json else "\n".join(lines))


@app.command()
def cancel(
    job: JobId,
    identity: Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """End a job of yours. With nobody at work you are refunded at once; work that is under way is still paid.

    Example: `swarm job cancel 3fa9c2`
    """
    with looked_up(job, rpc, contracts, quiet=json) as (chain, _, found):
        secret = submitter(found, identity, passphrase_file, ask_passphrase)
        before = found.state.escrow
        sent = send(chain, secret, "cancel", found.id)
        left = chain.read("market", "jobOf", found.id).escrow
        back = f"{amount(before - left)} credits are yours to withdraw" if left < before else "work that is under way is still paid"
        say(json, f"cancelled in transaction {sent}: {back}", {"job": found.id.hex(), "transaction": sent, "escrow": amount(left)})


@app.command()
def confirm(
    job: JobId,
    part: Annotated[int, typer.Option("--part", min=0, help="Which part, where there are several; they count from 0.")] = 0,
    identity: Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Say that you have the model of a job of yours: its solver is paid what was kept back for it. `swarm job fetch` checks it first.

    Example: `swarm job confirm 3fa9c2`
    """
    with looked_up(job, rpc, contracts, quiet=json) as (chain, _, found):
        sent = send(chain, submitter(found, identity, passphrase_file, ask_passphrase), "confirm", found.id, part, role="delivery")
        say(json, f"part {part} is confirmed in transaction {sent}", {"job": found.id.hex(), "part": part, "transaction": sent})


@app.command("open")
def open_(
    job: JobId,
    identity: Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Open the evaluation of a job of yours, once its models are delivered. Serve it meanwhile: `swarm job show ID --serve` does both.

    Example: `swarm job open 3fa9c2`
    """
    from blake3 import blake3

    with looked_up(job, rpc, contracts, quiet=json) as (chain, _, found):
        mine = posting_of(found)
        if mine.posting.evaluation is None:
            raise InputError(f"job {found.short} was posted without an evaluation", "it pays for its steps alone")
        digest = blake3(mine.posting.evaluation.read_bytes()).digest()
        secret = submitter(found, identity, passphrase_file, ask_passphrase)
        sent = send(chain, secret, "openEvaluation", found.id, digest, mine.posting.salt, role="delivery")
        say(json, f"the evaluation is open, in transaction {sent}", {"job": found.id.hex(), "digest": digest.hex(), "transaction": sent})


@app.command()
def withdraw(
    identity: Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Take out what the market owes to the identities of this machine: pay, refunds, bonds, shares of attestations.

    Example: `swarm job withdraw`
    """
    from swarm import stake
    from swarm.jobs import wages
    from swarm.jobs.book import Book

    folders = [o.identity_folder(identity)] if identity else sorted(each.parent for each in (runs.home() / "identities").glob(f"*/{identities.FILE}"))
    with market(rpc, contracts, quiet=json) as chain:
        token, mine = chain.places["credit"], stake.operators(folders)
        secret_of = lambda who: stake.secret(mine[who], who, keystore.passphrase(passphrase_file, ask_passphrase))  # noqa: E731
        for who, job, part in wages.uncollected(chain, Book(chain).jobs(), mine):
            send(chain, secret_of(who), "collect", job, part)
        owed = {who: wei for who in mine if (wei := chain.read("market", "due", token, who))}
        rows = []
        for who, wei in owed.items():
            secret = secret_of(who)
            rows.append({"operator": keys.checksum(who), "credits": amount(wei), "transaction": send(chain, secret, "withdraw", token, who)})
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    for row in () if json else rows or [None]:
        typer.echo(f"{row['credits']} credits to {row['operator']}, transaction {row['transaction']}" if row else "the market owes you nothing now")


@contextlib.contextmanager
def market(rpc: str | None, contracts: Path | None, *, unaudited: bool = False, quiet: bool = False) -> Iterator[Chain]:
    """The market's chain, for one command."""
    from swarm.jobs import place

    with place.opened(o.the_chain(rpc, contracts, "", unaudited), teller(quiet)) as chain:
        yield chain


@contextlib.contextmanager
def looked_up(
    text: str, rpc: str | None, contracts: Path | None, *, unaudited: bool = False, quiet: bool = False
) -> Iterator[tuple[Chain, Book, Job]]:
    """The chain, its book and the job that is meant."""
    from swarm.jobs.book import Book

    with market(rpc, contracts, unaudited=unaudited, quiet=quiet) as chain:
        book = Book(chain)
        yield chain, book, book.job(text)


def teller(quiet: bool) -> Callable[[str], None]:
    """Says what goes on, on stderr where stdout is read by a program."""
    return (lambda text: None) if quiet else (lambda text: typer.echo(text, err=not sys.stdout.isatty()))


def submitter(job: Job, name: str, file: Path | None, ask: bool) -> bytes:
    """The secret key of a job's submitter. Raises IdentityError where it is not on this machine."""
    from swarm import stake

    folders = [o.identity_folder(name)] if name else sorted(each.parent for each in (runs.home() / "identities").glob(f"*/{identities.FILE}"))
    there = stake.operators(folders)
    if job.submitter not in there:
        what = f"job {job.short} was posted by {keys.checksum(job.submitter)}, whose key is not on this machine"
        raise IdentityError(what, "run this where it was submitted, or `swarm identity restore` the key")
    return stake.secret(there[job.submitter], job.submitter, keystore.passphrase(file, ask))


def posting_of(job: Job) -> Submission:
    """The submission of a job on this machine. Raises InputError where it was made elsewhere."""
    from swarm.jobs.submit import Submission

    found = Submission.find(job=job.id)
    if found is None:
        raise InputError(f"job {job.short} was not submitted from this $SWARM_HOME", "run this where it was submitted: its files are there")
    return found


def send(chain: Chain, secret: bytes, function: str, *args: Any, role: str = "market") -> str:
    """Send to the market; the transaction's hash."""
    return chain.send(secret, role, function, *args)["transactionHash"]


def say(json: bool, text: str, value: dict[str, Any]) -> None:
    typer.echo(codec.dumps(value, indent=1) if json else text)


def details(job: Job) -> dict[str, Any]:
    """Everything about a job as JSON has it."""
    from swarm.chain.logs import row
    from swarm.jobs import book

    parts = [
        {"part": number, "key": part.key.hex(), "steps": part.steps, "root": part.root.hex(), "model": made.model.hex(), "released": part.released}
        for number, (part, made) in enumerate(zip(job.parts, job.deliveries, strict=True))
    ]
    return book.row(job) | {"parts": parts, "events": [row(event) for event in job.events if event.name != "Posted"]}
