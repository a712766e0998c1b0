"""`swarm stake`: what you have staked in a swarm, and how it comes back."""

from __future__ import annotations

import contextlib
import json as codec
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from swarm import chainhost, enrolment, invite, keys, keystore, runs, stake
from swarm import identity as identities
from swarm.chain import link
from swarm.chain.client import Chain
from swarm.cli import options as o
from swarm.cli import sending
from swarm.cli.audit import Invited
from swarm.errors import IdentityError, InputError
from swarm.stake import Account, Holding, Plan
from swarm.ui import stake as ui

app = typer.Typer(help="Your stake: see it, add to it, take it out, and be paid what audits earned.", rich_markup_mode="markdown")

Name = Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Only this identity's stake; else that of all in $SWARM_HOME.")]
Which = Annotated[str, typer.Option("--member", help="Which one, where there are several: its name, or the beginning of its key.")]
Amount = Annotated[str, typer.Argument(help="Credits, such as 250 or 0.5.")]
AmountOrAll = Annotated[str, typer.Argument(help="Credits, such as 250 or 0.5, or `all`.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent and the gas it takes; send nothing, open no key.")]


@dataclass(frozen=True)
class Where:
    """Which chain and whose stake the flags name."""

    run_dir: Path | None
    invite: str | None
    rpc: str | None
    contracts: Path | None
    identity: str
    member: str

    @contextlib.contextmanager
    def opened(self) -> Iterator[tuple[Chain, bytes | None, bytes | None]]:
        """The chain, checked; the swarm, where a run or an invite names one; the class of this machine, where a node found it out."""
        if self.contracts is not None or self.invite:
            swarm, found = (None, link.load(self.contracts)) if self.contracts is not None else _invited(self.invite or "")
            chain = Chain(found.at(self.rpc) if self.rpc else found)
            chain.check()
            yield chain, swarm, None
            return
        run = runs.latest(self.run_dir)
        if run.recipe().proof.profile == "none" or not (run.chain / link.FILE).exists():
            what = f"the run in {run.folder} has no chain, so nothing is staked in it"
            raise InputError(what, "name another one with --run-dir, or the swarm's --invite, or --contracts FILE")
        hello = next((found for folder in run.peers if (found := enrolment.Hello.read(folder)) is not None), None)
        around = contextlib.nullcontext(Chain(link.load(run.chain).at(self.rpc))) if self.rpc else chainhost.reading(run.chain)
        with around as chain:
            chain.check()
            yield chain, bytes.fromhex(run.info.swarm), hello.machine if hello else None

    def holdings(self, chain: Chain, swarm: bytes | None) -> list[tuple[Holding, Path]]:
        """What is held with the keys that the flags name, each with its identity's folder. Raises IdentityError where that is nothing."""
        folders = [o.identity_folder(self.identity)] if self.identity else sorted((runs.home() / "identities").glob(f"*/{identities.FILE}"))
        folders = [folder.parent if folder.name == identities.FILE else folder for folder in folders]
        owners = stake.operators(folders)
        found = [(held, owners[held.operator]) for held in stake.holdings(chain, owners, swarm)]
        chosen = [each for each in found if not self.member or self.member == each[0].name or each[0].key.hex().startswith(self.member.lower())]
        if not found:
            whose = ", ".join(f"{folder.name} ({keys.checksum(who)})" for who, folder in owners.items()) or "nobody (there is no identity here)"
            where = f"swarm {swarm.hex()[:8]}" if swarm else "any swarm"
            hint = "is it another --identity, another $SWARM_HOME, or another swarm? `swarm identity restore` brings back a key"
            raise IdentityError(f"{whose} is no member of {where} on the chain at {chain.rpc.name}", hint)
        if not chosen:
            raise InputError(f"none of these members is {self.member!r}", f"there are {_names(found)}")
        return chosen

    def one(self, chain: Chain, swarm: bytes | None) -> tuple[Holding, Path]:
        """The one member that is meant. Raises InputError where there are several."""
        found = self.holdings(chain, swarm)
        if len(found) > 1:
            raise InputError(f"there are {len(found)} members: {_names(found)}", "say which with --member NAME")
        return found[0]


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
    """What is staked, what is on its way out and until when, and what can be claimed. Needs no key.

    Example: `swarm stake show`

    Looks at the newest run, or at a swarm by its --invite, or at every swarm on the contracts of --contracts.
    """
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    with where.opened() as (chain, swarm, _):
        found = [(Account(chain, held), folder) for held, folder in where.holdings(chain, swarm)]
        values = [ui.value(account, folder) for account, folder in found]
        if json:
            typer.echo(codec.dumps(values, indent=1))
            return
        for account, folder in found:
            typer.echo(ui.text(account, folder))


@app.command()
def add(
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
    """Stake more: more steps an epoch, and more weight in the draws. All of it can be lost in a dispute.

    Example: `swarm stake add 250 --dry-run`
    """
    wei = stake.wei_of(credits)

    def plan(account: Account, machine: bytes | None) -> Plan:
        link.check_unaudited(account.chain.link.chain_id, i_accept_unaudited)
        return Plan.add(account, wei, machine)

    do(plan, Where(run_dir, invite, rpc, contracts, identity, member), passphrase_file, ask_passphrase, dry_run, json)


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
    """Begin to take stake out: it gives no weight from then on, and can be withdrawn after the swarm's unbonding time.

    Example: `swarm stake unbond all --dry-run`

    On a local chain the next start of the node stakes the least again.
    """
    wei = None if credits == "all" else stake.wei_of(credits)
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    do(lambda account, _: Plan.unbond(account, wei), where, passphrase_file, ask_passphrase, dry_run, json)


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

    Example: `swarm stake withdraw`
    """
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    do(lambda account, _: Plan.withdraw(account), where, passphrase_file, ask_passphrase, dry_run, json)


@app.command()
def claim(
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
    """Pay the rewards of audits, won challenges and found faults to your operator's account.

    Example: `swarm stake claim`
    """
    where = Where(run_dir, invite, rpc, contracts, identity, member)
    do(lambda account, _: Plan.claim(account), where, passphrase_file, ask_passphrase, dry_run, json)


def do(
    wish: Callable[[Any, bytes | None], Plan],
    where: Where,
    file: Path | None,
    ask: bool,
    dry_run: bool,
    json: bool,
    kind: type[Account] = Account,
    shown: Any = ui,
) -> None:
    """Make the plan of a wish about a member's account of this kind and send it, or only say what it is; `shown` has its value and text."""
    with where.opened() as (chain, swarm, machine):
        held, folder = where.one(chain, swarm)
        plan = wish(kind(chain, held), machine)
        done = sending.carry_out(plan, lambda: stake.secret(folder, held.operator, keystore.passphrase(file, ask)), dry_run)
        after = plan.account if dry_run else kind(chain, held)
        if json:
            typer.echo(codec.dumps({"member": held.name} | done | {"stake": shown.value(after, folder)}, indent=1))
            return
        sending.tell(done)
        if not dry_run:
            typer.echo(shown.text(after, folder))


def _invited(text: str) -> tuple[bytes, link.ChainLink]:
    given = invite.parse(text)
    if given.chain is None:
        raise InputError("this invite names no chain, so nothing is staked in its swarm", "a swarm whose recipe proves its steps has one")
    return given.swarm, given.chain


def _names(found: list[tuple[Holding, Path]]) -> str:
    return ", ".join(f"{held.name} ({folder.name}, key {held.key.hex()[:8]})" for held, folder in found)
