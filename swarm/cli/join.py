"""`swarm join`: take part in somebody else's swarm with the one string of an invite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swarm import admission, chainhost, doctor, joining, launch, runs
from swarm import invite as invites
from swarm.chain.link import ChainLink
from swarm.chain.rpc import Rpc
from swarm.cli import options as o
from swarm.cli.running import run_to_the_end
from swarm.errors import InputError
from swarm.identity import Identity
from swarm.invite import Invite
from swarm.launch import Choices
from swarm.runs import Info, Run
from swarm.ui import tracker

Invitation = Annotated[str, typer.Argument(envvar="SWARM_INVITE", help="The string that `swarm invite` printed.")]
AllowCode = Annotated[str | None, typer.Option(help="SHA-256 of the Python task that may run here, locked in. Read the file first.")]
Files = Annotated[Path | None, typer.Option(help="Folder with the recipe's local files (the Python task of --allow-code).")]
IdentityName = Annotated[str | None, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Identity to join as; see `swarm identity`.")]


def join(
    invitation: Invitation,
    identity: IdentityName = None,
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    unencrypted: Annotated[bool, typer.Option("--unencrypted", help="A new identity may be kept without a passphrase.")] = False,
    recipe: Annotated[Path | None, typer.Option(help="The recipe as a file, instead of fetching it from members.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop after this many rounds; the recipe says otherwise.")] = None,
    allow_code: AllowCode = None,
    files: Files = None,
    allow_hub: Annotated[bool, typer.Option("--allow-hub", help="The recipe's data sets may be downloaded from the hub.")] = False,
    run_dir: o.RunDir = None,
    device: o.Device = "auto",
    dry_run: o.DryRun = False,
    plain: o.Plain = False,
    report_to: o.ReportTo = "",
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
    trusted_relay: o.TrustedRelay = None,
    client: o.Client = False,
    ban: o.Ban = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    stake: o.Stake = "",
    i_accept_unaudited: o.Unaudited = False,
) -> None:
    """Join the swarm of an invite, or carry on with it.

    Example: `swarm join os1_k5HE... --only-idle`

    Says first what others will see. The recipe comes from members and is checked before anything of it is obeyed.
    """
    given = invites.parse(invitation)
    network = o.the_network(listen, announce, port, boot, relay, trusted_relay, client, ban, "127.0.0.1" if given.local else "0.0.0.0")
    choices = Choices(
        peers=1,
        devices=launch.devices(device)[:1],
        limits=o.the_limits(max_cpu, max_memory, max_disk, max_upload, only_idle),
        network=network.model_copy(update={"boot": [*network.boot, *given.addresses]}),
        chain=o.the_chain(rpc, contracts, stake, i_accept_unaudited),
        allow_code=allow_code,
        recipe_folder=files.absolute() if files else None,
        trusted=False,
    )
    tracker.check(report_to)
    if dry_run:
        typer.echo(_dry(given, choices))
        return
    choices = o.as_identity(choices, identity, passphrase_file, ask_passphrase, unencrypted, local=given.local)
    run, note = _run(given, run_dir, choices)
    members = launch.identities(run, choices)
    for line in what_others_see(members[0], choices, given.chain):
        typer.echo(line)
    launch.prepare_fetch(run, choices, members[0])
    chosen = joining.recipe_of(run, given, recipe, typer.echo)
    admission.admit(chosen, allow_code, choices.recipe_folder, allow_hub)
    joining.rows_of(run, chosen, typer.echo)
    if chosen.proof.profile != "none":
        chainhost.joined(run, chosen, given, choices)
    if rounds is not None:
        chosen = chosen.model_copy(update={"run": chosen.run.model_copy(update={"rounds": rounds})})
    doctor.require(chosen, choices)
    run_to_the_end(run, chosen, choices, members, note, alone=False, plain=plain, report_to=report_to)


def what_others_see(identity: Identity, choices: Choices, chain: ChainLink | None) -> list[str]:
    """What joining makes public, in a few plain lines."""
    where = ", ".join(choices.network.announce or choices.network.listen)
    return [
        f"You join as {identity.name} (operator 0x{identity.address.hex()}, peer {identity.peer.hex()[:16]}).",
        f"Others will see: your IP address (listening on {where}); every text your model writes, with the scores anyone gives it;",
        "your two-word name, operator address and peer id; when you are on. They will not see files, keys, or anything else of this machine.",
        *([f"The swarm's chain is at {_host(chain, choices)}: whoever runs that sees your IP address too."] if chain is not None else []),
    ]


def _host(chain: ChainLink, choices: Choices) -> str:
    return Rpc(choices.chain.rpc or chain.url).name


def _run(given: Invite, run_dir: Path | None, choices: Choices) -> tuple[Run, str]:
    """The run of this swarm and identity that can be carried on, or a new one; locked."""
    folders = [run.folder for run in runs.all_runs()] if run_dir is None else [run_dir]
    old = [Run.read(folder) for folder in folders if (folder / runs.FILE).exists()]
    for run in old:
        mine = run.info.kind == "join" and run.info.swarm == given.swarm.hex() and run.info.finished is None
        if mine and launch.fits(run, choices) and run.try_lock():
            return run, f"carrying on with the run in {run.folder}"
    if run_dir is not None and old:
        raise InputError(f"{run_dir} holds another run, or one that is on or finished", "name another --run-dir, or leave it out")
    info = Info(
        kind="join",
        recipe="joined",
        recipe_hash=given.recipe_hash.hex(),
        recipe_blob=given.recipe_blob.hex(),
        swarm=given.swarm.hex(),
        boot=list(given.addresses),
    )
    run = Run.create((run_dir or runs.next_folder(f"joined-{given.swarm.hex()[:8]}")).absolute(), info)
    return run, f"new run in {run.folder}"


def _dry(given: Invite, choices: Choices) -> str:
    rows = {
        "swarm": given.swarm.hex(),
        "recipe hash": given.recipe_hash.hex(),
        "addresses": ", ".join(given.addresses),
        "listening on": ", ".join(choices.network.listen),
        "chain": "none: nothing is proved" if given.chain is None else f"{given.chain.chain_id} at {_host(given.chain, choices)}",
        "recipe": "fetched from members and checked; its estimate is made before training starts",
    }
    return "\n".join([*(f"{name + ':':<14}{value}" for name, value in rows.items()), "nothing was started (--dry-run)"])
