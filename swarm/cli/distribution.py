"""`swarm claim`, and `swarm distribution`: tokens for what a frozen snapshot shows."""

from __future__ import annotations

import json as codec
from pathlib import Path
from typing import Annotated, Any

import typer

from swarm import distribution as distributions
from swarm import keys, pioneer, runs, snapshot
from swarm.chain import link
from swarm.chain.client import Chain
from swarm.cli import options as o
from swarm.cli.audit import Invited
from swarm.cli.pioneer import Sender, Which, finish, place_of
from swarm.cli.snapshot import FOLDER
from swarm.cli.stake import DryRun, Name, Where
from swarm.distribution import Distribution
from swarm.times import date

app = typer.Typer(help="Tokens for what a frozen snapshot shows: fund one, see them, take back what nobody claimed.", rich_markup_mode="markdown")

Id = Annotated[str, typer.Argument(metavar="[DISTRIBUTION]", help="The beginning of its id, where there are several.")]
List = Annotated[Path | None, typer.Option("--list", help="The snapshot's list, from whoever computed it; else the one kept in $SWARM_HOME.")]


def claim(
    distribution: Id = "",
    list_file: List = None,
    program: Which = "",
    identity: Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    dry_run: DryRun = False,
    json: o.Json = False,
) -> None:
    """Take your part of a distribution: of its pot, as much as your verified units are of everyone's.

    Example: `swarm claim --dry-run`

    Compute the list first with `swarm snapshot EPOCH`, or take somebody's with --list: a wrong one pays nothing.
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        found = distributions.choose(distributions.distributions(chain, [chosen]), distribution)
        who, folder = place.owner(chain, chosen.swarm)
        path = list_file or runs.home() / FOLDER / snapshot.name_of(chosen.id, found.terms.epoch)
        plan = distributions.claiming(chain, found, snapshot.load(path), who)
        finish(plan, lambda: place.secret(who, folder), dry_run, json, distribution=found.id.hex())


@app.command()
def fund(
    amount: Annotated[str, typer.Argument(help="How much of the token, such as 250 or 0.5.")],
    epoch: Annotated[int, typer.Option("--epoch", min=0, help="The snapshot's epoch.")],
    token: Annotated[str, typer.Option("--token", help="The ERC-20's 0x address; else the swarm's credits.")] = "",
    tier: Annotated[int, typer.Option("--tier", min=0, max=8, help="The least tier that is paid; 0 pays everyone with verified units.")] = 0,
    days: Annotated[int, typer.Option("--days", min=7, max=3650, help="How long it can be claimed.")] = 90,
    program: Which = "",
    identity: Sender = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    dry_run: DryRun = False,
    json: o.Json = False,
    i_accept_unaudited: o.Unaudited = False,
) -> None:
    """Give tokens to those of a snapshot, by their verified units. What nobody claims in time can be taken back.

    Example: `swarm distribution fund 1000 --epoch 3 --dry-run`
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        link.check_unaudited(chain.link.chain_id, i_accept_unaudited)
        sender, folder = place.sender()
        paid_in = distributions.token_of(chain, pioneer.address(token) if token else chain.places["credit"])
        plan = distributions.funding(chain, chosen, epoch, paid_in, amount, tier, days, sender)
        finish(plan, lambda: place.secret(sender, folder), dry_run, json, program=chosen.id.hex())


@app.command("list")
def list_(
    program: Which = "",
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Distributions of a swarm's programs: what is in them, until when, and who was paid.

    Example: `swarm distribution list`
    """
    with Where(run_dir, invite, rpc, contracts, "", "").opened() as (chain, swarm, _):
        chosen = [each for each in pioneer.programs(chain, swarm) if each.id.hex().startswith(program.lower().removeprefix("0x"))]
        values = [_value(each, chain) for each in distributions.distributions(chain, chosen)]
    if json:
        typer.echo(codec.dumps(values, indent=1))
        return
    for value in values:
        typer.echo(_text(value))
    if not values:
        typer.echo("nothing has been given so far; anyone may: `swarm distribution fund --help`")


@app.command()
def reclaim(
    distribution: Id = "",
    program: Which = "",
    identity: Sender = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    dry_run: DryRun = False,
    json: o.Json = False,
) -> None:
    """Pay what nobody claimed back to the funder, once claims are closed. Anyone may.

    Example: `swarm distribution reclaim 3f2a --dry-run`
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        found = distributions.choose(distributions.distributions(chain, [chosen]), distribution)
        sender, folder = place.sender()
        plan = distributions.reclaiming(chain, found, sender)
        finish(plan, lambda: place.secret(sender, folder), dry_run, json, distribution=found.id.hex())


def _value(found: Distribution, chain: Chain) -> dict[str, Any]:
    terms, text = found.terms, found.token.text
    return {
        "distribution": found.id.hex(),
        "program": terms.program.hex(),
        "epoch": terms.epoch,
        "token": keys.checksum(terms.token),
        "pot": text(terms.pot),
        "left": text(terms.left),
        "units": terms.total,
        "least_tier": terms.leastTier,
        "funder": keys.checksum(terms.funder),
        "closes": terms.closes,
        "open": chain.head().time <= terms.closes,
        "paid": {keys.checksum(who): text(wei) for who, wei in found.paid.items()},
    }


def _text(value: dict[str, Any]) -> str:
    whom = f"from tier {value['least_tier']} on" if value["least_tier"] else "everyone"
    until = f"to be claimed until {date(value['closes'])}" if value["open"] else f"closed since {date(value['closes'])}"
    head = f"{value['distribution'][:12]}: {value['pot']} of {value['token']} for epoch {value['epoch']} ({whom}), {value['left']} left, {until}"
    return "\n".join([head, *(f"  {who} took {amount}" for who, amount in value["paid"].items())])
