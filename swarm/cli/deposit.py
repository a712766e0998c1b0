"""`swarm stake judge`: the deposit that stands good for your faults as a host of markets."""

from __future__ import annotations

import json as codec

import typer

from swarm import deposit as deposits
from swarm import stake
from swarm.chain import link
from swarm.cli import options as o
from swarm.cli.audit import Invited
from swarm.cli.stake import Amount, AmountOrAll, DryRun, Name, Where, Which, do
from swarm.deposit import Deposit
from swarm.stake import Plan
from swarm.ui import deposit as ui

app = typer.Typer(help="Your judging deposit: it stands good for proved faults as a host of markets.", rich_markup_mode="markdown")


@app.command()
def show(
    member: Which = "",
    identity: Name = "",
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """What is deposited, what is on its way out and until when. Needs no key.

    Example: `swarm stake judge show`
    """
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    with where.opened() as (chain, swarm, _):
        found = [(Deposit(chain, held), folder) for held, folder in where.holdings(chain, swarm)]
        if json:
            typer.echo(codec.dumps([ui.value(account, folder) for account, folder in found], indent=1))
            return
        for account, folder in found:
            typer.echo(ui.text(account, folder))


@app.command()
def deposit(
    credits: Amount,
    member: Which = "",
    identity: Name = "",
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
    """Deposit more. A fault of yours as a host that somebody proves takes a tenth of the swarm's least stake of it.

    Example: `swarm stake judge deposit 50 --dry-run`
    """
    wei = stake.wei_of(credits)

    def plan(account: Deposit, _: bytes | None) -> Plan:
        link.check_unaudited(account.chain.link.chain_id, i_accept_unaudited)
        return deposits.deposit(account, wei)

    do(plan, Where(run_dir, invite, rpc, contracts, identity, member), passphrase_file, ask_passphrase, dry_run, json, Deposit, ui)


@app.command()
def unbond(
    credits: AmountOrAll,
    member: Which = "",
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
    """Begin to take the deposit out: it can be withdrawn when the longest market is over.

    Example: `swarm stake judge unbond all --dry-run`
    """
    wei = None if credits == "all" else stake.wei_of(credits)
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    do(lambda account, _: deposits.unbond(account, wei), where, passphrase_file, ask_passphrase, dry_run, json, Deposit, ui)


@app.command()
def withdraw(
    member: Which = "",
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
    """Pay what has finished unbonding to your operator's account.

    Example: `swarm stake judge withdraw`
    """
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    do(lambda account, _: deposits.withdraw(account), where, passphrase_file, ask_passphrase, dry_run, json, Deposit, ui)
