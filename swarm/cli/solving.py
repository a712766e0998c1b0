"""`swarm job solve`, `swarm job verify`, and `swarm up --roles`: sell this machine's time to jobs of the compute market."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm import admission, chainhost, doctor, joining, keystore, launch, runs
from swarm import identity as identity_files
from swarm import stake as stakes
from swarm.chain.values import JobPhase, amount
from swarm.cli import options as o
from swarm.cli.join import what_others_see
from swarm.cli.running import run_to_the_end
from swarm.errors import ChainError, ChainRefused, InputError, Refused, SwarmError
from swarm.invite import Invite
from swarm.jobs import place, wages, worker
from swarm.jobs.book import Book, Job
from swarm.launch import Choices
from swarm.parent import PARENT, end_with_parent
from swarm.supervisor import View, interruptible
from swarm.taking import REFUSED

if TYPE_CHECKING:
    from swarm.identity import Identity
    from swarm.runs import Run


ROLES = ("solver", "verifier")
LOOK_S = 5.0
HOUR_S = 3600

JobId = Annotated[str | None, typer.Argument(help="The job: the beginning of its id, or its name. Or --any.")]
Any_ = Annotated[bool, typer.Option("--any", help="Whatever job fits this machine, one after the other.")]
MaxHours = Annotated[float | None, typer.Option(min=0.01, help="Begin no more work after so many hours.")]
AllowCode = Annotated[str | None, typer.Option(help="SHA-256 of the Python task that may run here, locked in. Read the file first.")]
Files = Annotated[Path | None, typer.Option(help="Folder with the recipe's local files (the Python task of --allow-code).")]
AllowHub = Annotated[bool, typer.Option("--allow-hub", help="The recipe's data sets may be downloaded from the hub.")]
IdentityName = Annotated[str | None, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Identity to work as; see `swarm identity`.")]
Unencrypted = Annotated[bool, typer.Option("--unencrypted", help="A new identity may be kept without a passphrase.")]
Peers = Annotated[int, typer.Option(min=1, max=8, help="Operators on this machine; each stakes and audits for itself.")]


def solve(
    job: JobId = None,
    any_: Any_ = False,
    max_hours: MaxHours = None,
    identity: IdentityName = None,
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    unencrypted: Unencrypted = False,
    allow_code: AllowCode = None,
    files: Files = None,
    allow_hub: AllowHub = False,
    device: o.Device = "auto",
    plain: o.Plain = False,
    max_cpu: o.MaxCpu = "",
    max_memory: o.MaxMemory = "",
    max_disk: o.MaxDisk = "",
    max_upload: o.MaxUpload = "",
    only_idle: o.OnlyIdle = False,
    listen: o.Listen = None,
    announce: o.Announce = None,
    port: o.Port = 0,
    boot: o.Boot = None,
    relay: o.Relay = True,
    client: o.Client = False,
    ban: o.Ban = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    stake: o.Stake = "",
    i_accept_unaudited: o.Unaudited = False,
) -> None:
    """Train a part of a job for pay: stake, claim, train, be audited, deliver. The same command carries on after a stop or a kill.

    Example: `swarm job solve --any --max-hours 8 --only-idle`
    """
    choices = Choices(
        devices=launch.devices(device)[:1],
        limits=o.the_limits(max_cpu, max_memory, max_disk, max_upload, only_idle),
        network=o.the_network(listen, announce, port, boot, relay, None, client, ban),
        chain=o.the_chain(rpc, contracts, stake, i_accept_unaudited),
        allow_code=allow_code,
        recipe_folder=files.absolute() if files else None,
    )
    choices = _as_identity(choices, identity, passphrase_file, ask_passphrase, unencrypted)
    _work("solver", _wish(job, any_), choices, max_hours, plain, allow_hub)


def verify(
    job: JobId = None,
    any_: Any_ = False,
    peers: Peers = 1,
    max_hours: MaxHours = None,
    identity: IdentityName = None,
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    unencrypted: Unencrypted = False,
    allow_code: AllowCode = None,
    files: Files = None,
    allow_hub: AllowHub = False,
    device: o.Device = "auto",
    plain: o.Plain = False,
    max_cpu: o.MaxCpu = "",
    max_memory: o.MaxMemory = "",
    max_disk: o.MaxDisk = "",
    max_upload: o.MaxUpload = "",
    only_idle: o.OnlyIdle = False,
    listen: o.Listen = None,
    announce: o.Announce = None,
    port: o.Port = 0,
    boot: o.Boot = None,
    relay: o.Relay = True,
    client: o.Client = False,
    ban: o.Ban = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    stake: o.Stake = "",
    i_accept_unaudited: o.Unaudited = False,
) -> None:
    """Check others' work on a job for pay: stake, hold its blobs, replay the steps that are drawn, attest the model. Trains nothing.

    Example: `swarm job verify --any --peers 2`
    """
    choices = Choices(
        peers=peers,
        devices=launch.devices(device),
        limits=o.the_limits(max_cpu, max_memory, max_disk, max_upload, only_idle),
        network=o.the_network(listen, announce, port, boot, relay, None, client, ban),
        chain=o.the_chain(rpc, contracts, stake, i_accept_unaudited),
        allow_code=allow_code,
        recipe_folder=files.absolute() if files else None,
    )
    if peers > 1 and identity is not None:
        raise InputError("--peers and --identity", "each peer is an operator of its own: leave one of the two out")
    choices = _as_identity(choices, identity, passphrase_file, ask_passphrase, unencrypted)
    _work("verifier", _wish(job, any_), choices, max_hours, plain, allow_hub)


def quit_(
    job: Annotated[str, typer.Argument(help="The job: the beginning of its id, or its name.")],
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
) -> None:
    """Give back a part that this machine claimed, so that another can go on with it. The bond returns if an epoch of yours was accepted.

    Example: `swarm job quit 3fa9c2`
    """
    folders = sorted(each.parent for each in (runs.home() / "identities").glob(f"*/{identity_files.FILE}"))
    with place.opened(o.the_chain(rpc, contracts, "", False), typer.echo) as chain:
        found, mine = Book(chain).job(job), stakes.operators(folders)
        parts = [(number, part) for number, part in enumerate(found.parts) if part.operator in mine and part.key != bytes(32)]
        if not parts:
            raise InputError(f"no part of job {found.short} is claimed by an identity of this machine", "`swarm job show` says who works on it")
        for number, part in parts:
            secret = stakes.secret(mine[part.operator], part.operator, keystore.passphrase(passphrase_file, ask_passphrase))
            chain.send(secret, "market", "quit", found.id, number)
            typer.echo(f"part {number} is free; its bond of {amount(part.bond)} credits {'comes back' if part.own else 'is burned'}")


def roles(text: str, arguments: list[str]) -> None:
    """Run one command for each of the roles in `text`, which end together with this one; `arguments` go to all of them."""
    wanted = [role.strip() for role in text.split(",")]
    if odd := [role for role in wanted if role not in ROLES] or len(set(wanted)) != len(wanted):
        raise InputError(f"--roles {text!r}: {odd} is no list of roles", f"one or more of {', '.join(ROLES)}")
    verbs = {"solver": "solve", "verifier": "verify"}
    command = [sys.executable, "-m", "swarm.cli", "job"]
    children = {role: subprocess.Popen([*command, verbs[role], "--any", "--plain", *arguments], text=True, **_pipes()) for role in wanted}
    readers = [threading.Thread(target=_repeat, args=(role, child), daemon=True) for role, child in children.items()]
    try:
        with interruptible():
            for reader in readers:
                reader.start()
            codes = [child.wait() for child in children.values()]
    finally:
        for child in children.values():
            if child.poll() is None:
                child.terminate()
        for child in children.values():
            child.wait()
    if any(codes):
        raise typer.Exit(next(code for code in codes if code))


def _pipes() -> dict[str, object]:
    """The children are ended by this process, not by the terminal, and end by themselves when it is gone."""
    streams = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return streams | dict(start_new_session=True, env=os.environ | {PARENT: str(os.getpid())})


def _repeat(role: str, child: subprocess.Popen[str]) -> None:
    for line in child.stdout or ():
        typer.echo(f"{role:<9}{line.rstrip()}")


def _wish(job: str | None, any_: bool) -> str | None:
    if (job is None) != any_:
        raise InputError("which job?" if job is None else "a job and --any", "name one as `swarm job list` shows it, or give --any")
    return job


def _as_identity(choices: Choices, name: str | None, file: Path | None, ask: bool, unencrypted: bool) -> Choices:
    """On the local market an unencrypted local identity is taken where none is named."""
    return o.as_identity(choices, name, file, ask, unencrypted, local=choices.chain.contracts is None or choices.peers > 1)


def _work(role: str, wish: str | None, choices: Choices, max_hours: float | None, plain: bool, allow_hub: bool) -> None:
    """Take the job that is meant, or one after the other that fits."""
    until = None if max_hours is None else time.time() + HOUR_S * max_hours
    if PARENT in os.environ:
        threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    with interruptible(), place.opened(choices.chain, typer.echo) as chain:
        book, passed = Book(chain), set()
        while (job := _next(role, wish, book, passed, until)) is not None:
            passed.add(job.id)
            try:
                _take(role, job, choices, until, plain, allow_hub)
            except SwarmError as error:
                if wish is not None:
                    raise
                typer.echo(f"job {job.short} is passed over: {error}")
                if isinstance(error, ChainError) and not isinstance(error, ChainRefused):
                    passed.discard(job.id)  # not for long: the chain did not answer
            if wish is not None:
                return


def _next(role: str, wish: str | None, book: Book, passed: set[bytes], until: float | None) -> Job | None:
    """The job to take now; None where there is no more time for one. Waits until there is one."""
    if wish is not None:
        return book.job(wish)
    gpu, told = launch.gpus() > 0, False
    while until is None or time.time() < until:
        if found := _fitting(role, book, passed, gpu):
            return found[0]
        if not told:
            typer.echo(f"no job for a {role} on this machine now; waiting for one (Ctrl-C ends)")
            told = True
        time.sleep(LOOK_S)
    return None


def _fitting(role: str, book: Book, passed: set[bytes], gpu: bool) -> list[Job]:
    """The jobs that this machine can take now, the best first."""
    jobs = [job for job in book.jobs() if job.id not in passed]
    if begun := worker.begun(jobs, role):
        return begun
    if role == "solver":
        return worker.to_solve(jobs, gpu, book.chain.head().time)
    return worker.to_verify(jobs, gpu, set() if book.chain.link.embedded else worker.solved_here())  # a local market is one person's anyway


def _take(role: str, job: Job, choices: Choices, until: float | None, plain: bool, allow_hub: bool) -> None:
    """Enter a job's swarm and work for it to the end."""
    if job.phase >= JobPhase.OVER:
        raise ChainRefused(f"job {job.short} is over", "`swarm job list` shows those that are not", "JobPhaseWrong")
    given, choices = worker.invite_of(job), worker.taken(job, role, choices, until)
    run, note = worker.run_of(job, role, choices)
    try:
        members = launch.identities(run, choices)
        for line in [f"job {job.short} ({job.name}): {amount(job.offer.price)} credits for {job.offer.steps} steps", *_seen(members, choices, given)]:
            typer.echo(line)
        launch.prepare_fetch(run, replace(choices, peers=1), members[0])
        recipe = joining.recipe_of(run, given, None, typer.echo)
        admission.admit(recipe, choices.allow_code, choices.recipe_folder, allow_hub, tables=True)
        joining.rows_of(run, recipe, typer.echo)
        tables = joining.tables_of(run, recipe, typer.echo)
        choices = replace(choices, recipe_folder=choices.recipe_folder or tables)
        if recipe.proof.profile == "none":
            raise Refused("proof", "the job's recipe has no proof: nothing of it could be paid", "take another job")
        chainhost.joined(run, recipe, given, choices)
        doctor.require(recipe, choices)
        for index in range(len(members)):
            (run.peer(index) / REFUSED).unlink(missing_ok=True)
        finish = _finish(role, job, run, members)
        run_to_the_end(run, recipe, choices, members, note, alone=False, plain=plain, report_to="", finish=finish)
    finally:
        run.unlock()


def _seen(members: list[Identity], choices: Choices, given: Invite) -> list[str]:
    """What entering the swarm makes public, said once for all members."""
    told = [what_others_see(member, choices, given.chain) for member in members]
    return [*(lines[0] for lines in told), *told[0][1:]]


def _finish(role: str, job: Job, run: Run, members: list[Identity]) -> Callable[[list[View]], None]:
    """What is done and said when all nodes of a run have ended."""

    def finish(views: list[View]) -> None:
        over, lines = _outcome(role, job, members)
        if over:
            run.update(finished=time.time())
        for line in lines:
            typer.echo(line)

    return finish


def _outcome(role: str, job: Job, members: list[Identity]) -> tuple[bool, list[str]]:
    """Whether these members are done with a job, and what it brought them; verifiers take their shares of it."""
    chain, lines = job.chain, []
    keys = [job.swarm.key(member.address, member.peer) for member in members]
    over = JobPhase(chain.read("market", "phaseOf", job.id)) >= JobPhase.OVER
    parts = [(number, chain.read("market", "partOf", job.id, number)) for number in range(job.offer.parts)]
    mine = {number: part for number, part in parts if part.key in keys}
    complete = {number: chain.read("market", "isComplete", job.id, number) for number in mine}
    for number, part in mine.items():
        lines.append(f"part {number}: {part.own} steps of yours are accepted, the part is {'complete' if complete[number] else 'not complete'}")
        if not complete[number] and not over:
            lines.append(f"it stays yours for {job.offer.patience} s after its last accepted steps; the same command carries on with it")
    secrets = {member.address: member.secret for member in members if role == "verifier"}
    for operator, _, part in wages.uncollected(chain, [job], secrets):
        chain.send(secrets[operator], "market", "collect", job.id, part)
    for member in members:
        where = (chain.places["credit"], member.address)
        due, audits = chain.read("market", "due", *where), chain.read("vault", "claimable", *where)
        also = f", and {amount(audits)} for audits (`swarm stake claim`)" if audits else ""
        lines.append(f"{member.name}: the market owes it {amount(due)} credits (`swarm job withdraw`){also}; its stake: `swarm stake unbond all`")
    return over or (role == "solver" and all(complete.values())), lines
