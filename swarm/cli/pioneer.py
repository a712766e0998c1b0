"""`swarm pioneer`: programs that admit operators by their verified history."""

from __future__ import annotations

import json as codec
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from swarm import identity as identities
from swarm import keys, keystore, pioneer, runs, stake, times
from swarm.calls import Call, Calls
from swarm.chain.book import Book
from swarm.chain.client import Chain
from swarm.chain.values import amount
from swarm.cli import options as o
from swarm.cli import sending
from swarm.cli.audit import Invited
from swarm.cli.stake import DryRun, Name, Where
from swarm.errors import InputError
from swarm.pioneer import Program
from swarm.ui import pioneer as ui

app = typer.Typer(help="Programs that admit operators by their verified history: start one, apply, be admitted.", rich_markup_mode="markdown")

TEXTS = "texts"
Which = Annotated[str, typer.Option("--program", help="Which one, where there are several: the beginning of its id.")]
Whose = Annotated[str, typer.Option("--operator", help="Whose: a 0x address. Else your own.")]
Whom = Annotated[str, typer.Argument(metavar="OPERATOR", help="The operator's 0x address.")]
TextFile = Annotated[Path | None, typer.Option("--text", help="File with the reasons; its digest goes on the chain, it stays with you.")]
Sender = Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Whose operator key sends and pays; else `default`.")]


@dataclass(frozen=True)
class Place:
    """Where a command looks, and for whom it acts."""

    where: Where
    program: str
    file: Path | None
    ask: bool

    @contextmanager
    def opened(self) -> Iterator[tuple[Chain, Program]]:
        """The chain and the program that is meant."""
        with self.where.opened() as (chain, swarm, _):
            yield chain, pioneer.choose(pioneer.programs(chain, swarm), self.program)

    def owner(self, chain: Chain, swarm: bytes) -> tuple[bytes, Path]:
        """The operator whose key is here and that is a member. Raises InputError where there are several, IdentityError where there is none."""
        found = {held.operator: folder for held, folder in self.where.holdings(chain, swarm)}
        if len(found) > 1:
            names = ", ".join(f"{folder.name} ({keys.checksum(who)})" for who, folder in found.items())
            raise InputError(f"there are {len(found)} operators: {names}", "say which with --identity NAME")
        return next(iter(found.items()))

    def sender(self) -> tuple[bytes, Path]:
        """The operator of an identity, which need not be a member."""
        return sender_of(self.where.identity)

    def secret(self, operator: bytes, folder: Path) -> bytes:
        return stake.secret(folder, operator, keystore.passphrase(self.file, self.ask))


def sender_of(name: str) -> tuple[bytes, Path]:
    """The operator of a named identity, else of `default`, else of the only one there is. Raises InputError where one has to be named."""
    there = sorted(path.parent for path in (runs.home() / "identities").glob(f"*/{identities.FILE}"))
    folder = there[0] if len(there) == 1 and not name else o.identity_folder(name or "default")
    if not name and folder not in there and there:
        raise InputError(f"there are {len(there)} identities: {', '.join(each.name for each in there)}", "say which with --identity NAME")
    return identities.show(folder).address, folder


def place_of(
    program: str, identity: str, file: Path | None, ask: bool, run_dir: Path | None, invite: str | None, rpc: str | None, contracts: Path | None
) -> Place:
    """The place of the flags."""
    return Place(Where(run_dir, invite, rpc, contracts, identity, ""), program, file, ask)


def finish(plan: Calls, secret: Callable[[], bytes], dry_run: bool, json: bool, **known: Any) -> None:
    """Send a plan, or only try it, and say so."""
    done = known | sending.carry_out(plan, secret, dry_run)
    if json:
        typer.echo(codec.dumps(done, indent=1))
    else:
        sending.tell(done)


@app.command()
def start(
    tier: Annotated[list[str], typer.Option("--tier", help="A tier's bar: units=N,epochs=N,verdicts=N,judged. Again for each higher tier.")],
    council: Annotated[str, typer.Option(help="0x address that has its say in tiers that are `judged`. Else nobody has.")] = "",
    delay: Annotated[str, typer.Option(help="From the council's decision until it counts: 12h, 2d; 1 h to 30 d.")] = "2d",
    answer: Annotated[str, typer.Option(help="In which an appeal has to be answered: at least twice the delay, at most 90 d.")] = "14d",
    salt: Annotated[str, typer.Option(help="Tells your programs from each other.")] = "",
    text: TextFile = None,
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
    """Start a program for a swarm. Its rules can never be changed, and you have no more say in it than anybody else.

    Example: `swarm pioneer start --tier units=100000,epochs=2 --tier units=1000000,epochs=10,verdicts=5 --dry-run`

    Without --council the contract alone decides, by units, clean epochs and right verdicts. A `judged` tier takes the council's word as well.
    """
    place = place_of("", identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    bars = [pioneer.bar(each) for each in tier]
    spoken = pioneer.address(council) if council else bytes(20)
    waits = {"delay": times.seconds(delay, "--delay"), "answer": times.seconds(answer, "--answer")} if council else {"delay": 0, "answer": 0}
    with place.where.opened() as (chain, swarm, _):
        if swarm is None:
            raise InputError("which swarm is the program for?", "name it by --run-dir or --invite")
        sender, folder = place.sender()
        word = keys.keccak(salt.encode())
        plan = pioneer.start(chain, sender, word, {"swarm": swarm, "council": spoken, **waits}, bars, _text(text, dry_run))
        made = chain.read("pioneer", "programOf", sender, word).hex()
        finish(plan, lambda: place.secret(sender, folder), dry_run, json, program=made)


@app.command("list")
def list_(
    program: Which = "",
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Programs, what they ask for, and who applied and was admitted, with every decision and its reason.

    Example: `swarm pioneer list`
    """
    with Where(run_dir, invite, rpc, contracts, "", "").opened() as (chain, swarm, _):
        found = [each for each in pioneer.programs(chain, swarm) if each.id.hex().startswith(program.lower().removeprefix("0x"))]
        values = [ui.program(each, [ui.standing(chain, each, operator) for operator in each.operators]) for each in found]
    if json:
        typer.echo(codec.dumps(values, indent=1))
    elif values:
        typer.echo("\n".join(map(ui.program_text, values)))
    else:
        typer.echo("no program was started" + (" that is named so" if program else "") + "; anyone may start one: `swarm pioneer start --help`")


@app.command()
def status(
    operator: Whose = "",
    program: Which = "",
    identity: Name = "",
    run_dir: o.RunDir = None,
    invite: Invited = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """An operator's verified history, its tier, what the next one takes, and what is under way. Needs no key.

    Example: `swarm pioneer status`
    """
    place = place_of(program, identity, None, False, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        who = pioneer.address(operator) if operator else place.owner(chain, chosen.swarm)[0]
        has = pioneer.record(chain, Book(chain, chosen.swarm), who, chosen.named(who))
        value = ui.status(chain, chosen, who, has)
    typer.echo(codec.dumps(value, indent=1) if json else ui.status_text(value))


@app.command()
def apply(
    text: Annotated[Path | None, typer.Option("--text", help="File with your statement; else one that lists your verified history.")] = None,
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
    """Apply with the history of your peers: a statement that your operator's key signs.

    Example: `swarm pioneer apply --dry-run`

    Only your address, your member keys and the statement's digest go on the chain: write nothing into a statement that you would not show. Apply
    again when you have new peers.
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        who, folder = place.owner(chain, chosen.swarm)
        has = pioneer.record(chain, Book(chain, chosen.swarm), who)
        said = pioneer.Text.read(text) if text is not None else pioneer.statement(chosen, has, who, chain.head().time)
        wanted = pioneer.application(chain, chosen, has, who, said.digest)
        what = f"apply to program {chosen.id.hex()[:12]} with {len(has.keys)} peers, {has.units:,} verified units, {has.epochs} clean epochs"
        note = f"the statement is kept in {runs.home() / TEXTS / said.digest.hex()}.txt; `swarm pioneer admit` next"
        if dry_run:  # what is signed cannot be tried without the key
            _say_untried(chain, what, pioneer.APPLY_GAS + pioneer.KEY_GAS * len(has.keys), note, json)
            return
        secret = place.secret(who, folder)
        said.keep(runs.home() / TEXTS)
        plan = Calls(chain, who, [Call("pioneer", "submit", (wanted, pioneer.signed(chain, wanted, secret)), what)], note)
        finish(plan, lambda: secret, dry_run, json, program=chosen.id.hex())


@app.command()
def admit(
    operator: Whose = "",
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
    """Admit an applicant, yourself or another, to the highest tier that its history has reached. The contract checks it.

    Example: `swarm pioneer admit --dry-run`
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        sender, folder = place.sender() if operator and identity else place.owner(chain, chosen.swarm)
        who = pioneer.address(operator) if operator else sender
        has = pioneer.record(chain, Book(chain, chosen.swarm), who, chosen.named(who))
        plan = pioneer.admission(chain, chosen, has, who, sender)
        finish(plan, lambda: place.secret(sender, folder), dry_run, json, program=chosen.id.hex())


@app.command()
def appeal(
    text: TextFile = None,
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
    """Ask a program's council to decide, or to decide again. One that is not answered in time is won.

    Example: `swarm pioneer appeal --text why.txt`
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        who, folder = place.owner(chain, chosen.swarm)
        if not chosen.has_council:
            raise InputError("this program has no council: its contract decides, and `swarm pioneer admit` asks it again", "it can be asked any time")
        note = f"the council has {times.span(chosen.answer)} to answer; after that `swarm pioneer settle` grants the appeal"
        calls = [Call("pioneer", "appeal", (chosen.id, _text(text, dry_run)), f"appeal to the council {keys.checksum(chosen.council)}")]
        finish(Calls(chain, who, calls, note), lambda: place.secret(who, folder), dry_run, json, program=chosen.id.hex())


@app.command()
def decide(
    operator: Whom,
    tier: Annotated[int, typer.Argument(min=0, max=8, help="The highest tier that you speak for; 0 refuses.")],
    code: Annotated[str, typer.Option("--code", help="The reason in a word, at most 32 characters: judging-record.")],
    text: TextFile = None,
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
    """For a program's council: its word about an applicant, which counts after the program's delay.

    Example: `swarm pioneer decide 0x1111111111111111111111111111111111111111 2 --code judging-record`
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        sender, folder = place.sender()
        plan = pioneer.decision(chain, chosen, pioneer.address(operator), tier, code, _text(text, dry_run), sender)
        finish(plan, lambda: place.secret(sender, folder), dry_run, json, program=chosen.id.hex())


@app.command()
def settle(
    operator: Whose = "",
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
    """Let a decision count whose delay is over, or grant an appeal that nobody answered. Anyone may.

    Example: `swarm pioneer settle --dry-run`
    """
    place = place_of(program, identity, passphrase_file, ask_passphrase, run_dir, invite, rpc, contracts)
    with place.opened() as (chain, chosen):
        sender, folder = place.sender() if operator and identity else place.owner(chain, chosen.swarm)
        plan = pioneer.settlement(chain, chosen, pioneer.address(operator) if operator else sender, sender)
        finish(plan, lambda: place.secret(sender, folder), dry_run, json, program=chosen.id.hex())


def _text(file: Path | None, dry_run: bool) -> bytes:
    """Digest of the text in a file, which is kept too, but for a dry run; zeros where there is none."""
    said = pioneer.Text.read(file) if file is not None else pioneer.Text(b"")
    if not dry_run:
        said.keep(runs.home() / TEXTS)
    return said.digest


def _say_untried(chain: Chain, what: str, gas: int, note: str, json: bool) -> None:
    cost = amount(gas * int(chain.rpc.call("eth_gasPrice"), 16))
    rows = [{"call": "pioneer.submit", "what": what, "gas": gas, "tried": False}]
    done = {"sent": False, "calls": rows, "cost": cost, "note": note}
    if json:
        typer.echo(codec.dumps(done, indent=1))
    else:
        sending.tell(done)
