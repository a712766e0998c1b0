"""Flags that several commands share, each with its environment variable, and what they amount to."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from swarm import addresses, keystore, limits, runs
from swarm.errors import InputError
from swarm.identity import FILE, Identity
from swarm.launch import ChainChoice, Choices
from swarm.limits import Limits
from swarm.settings import NetworkChoice

LIMITS = "Limits of this machine"
NETWORK = "Network"
CHAIN = "Chain"

RunDir = Annotated[Path | None, typer.Option(envvar="SWARM_RUN_DIR", help="The run's folder; else the newest fitting one in $SWARM_HOME/runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Seed = Annotated[int | None, typer.Option(envvar="SWARM_SEED", help="Another seed is another swarm: other questions, other samples.")]
Device = Annotated[str, typer.Option(envvar="SWARM_DEVICE", help="auto, cpu, cuda:0, or a list such as cuda:0,cuda:1: one peer each.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print recipe, plan, estimated memory and time; touch neither network nor weights.")]
Plain = Annotated[bool, typer.Option("--plain", envvar="SWARM_PLAIN", help="Plain lines even in a terminal.")]
ReportTo = Annotated[str, typer.Option(envvar="SWARM_REPORT_TO", help="Send metrics to trackio, tensorboard or wandb as well.")]
PassphraseFile = Annotated[Path | None, typer.Option(envvar="SWARM_PASSPHRASE_FILE", help="File with the operator key's passphrase.")]
AskPassphrase = Annotated[bool, typer.Option("--ask-passphrase", help="Ask for the passphrase in the terminal.")]

MaxCpu = Annotated[str, typer.Option(envvar="SWARM_MAX_CPU", help="Cores the whole run may use: 1.5, or 50% of the machine.", rich_help_panel=LIMITS)]
MaxMemory = Annotated[str, typer.Option(envvar="SWARM_MAX_MEMORY", help="Memory of the whole run: 2GB.", rich_help_panel=LIMITS)]
MaxDisk = Annotated[str, typer.Option(envvar="SWARM_MAX_DISK", help="Disk space of the whole run: 5GB.", rich_help_panel=LIMITS)]
MaxUpload = Annotated[str, typer.Option(envvar="SWARM_MAX_UPLOAD", help="Upload of the whole run: 500KB (a second).", rich_help_panel=LIMITS)]
OnlyIdle = Annotated[
    bool, typer.Option("--only-idle", envvar="SWARM_ONLY_IDLE", help="Lowest priority; pause while other programs are busy.", rich_help_panel=LIMITS)
]

Listen = Annotated[
    list[str] | None,
    typer.Option(envvar="SWARM_LISTEN", help="Where to listen: HOST, HOST:PORT or a multiaddress; 0.0.0.0 opens it.", rich_help_panel=NETWORK),
]
Announce = Annotated[
    list[str] | None, typer.Option(envvar="SWARM_ANNOUNCE", help="Address told to others instead: HOST:PORT or such.", rich_help_panel=NETWORK)
]
Port = Annotated[int, typer.Option(envvar="SWARM_PORT", min=0, max=65_535, help="TCP port of the first peer; 0 takes any.", rich_help_panel=NETWORK)]
Boot = Annotated[list[str] | None, typer.Option(envvar="SWARM_BOOT", help="A member to dial first (multiaddress).", rich_help_panel=NETWORK)]
Relay = Annotated[bool, typer.Option("--relay/--no-relay", help="Use relays, and be one where reachable.", rich_help_panel=NETWORK)]
TrustedRelay = Annotated[list[str] | None, typer.Option(help="Relay to use (multiaddress); the boot peers otherwise.", rich_help_panel=NETWORK)]
Client = Annotated[bool, typer.Option("--client", help="Only dial, never listen.", rich_help_panel=NETWORK)]
Ban = Annotated[
    Path | None,
    typer.Option(envvar="SWARM_BAN", help="File with a peer id or operator address a line that is never talked to.", rich_help_panel=NETWORK),
]

Rpc = Annotated[
    str | None, typer.Option("--rpc", envvar="SWARM_RPC", help="Another EVM chain than the run's own: its JSON-RPC address.", rich_help_panel=CHAIN)
]
Contracts = Annotated[Path | None, typer.Option(envvar="SWARM_CONTRACTS", help="File of `swarm chain deploy` for that chain.", rich_help_panel=CHAIN)]
Stake = Annotated[str, typer.Option(envvar="SWARM_STAKE", help="Credits to stake for each peer there; nothing without this.", rich_help_panel=CHAIN)]
Unaudited = Annotated[bool, typer.Option("--i-accept-unaudited", help="Use a chain whose money is real.", rich_help_panel=CHAIN)]
ChainPort = Annotated[
    int, typer.Option(envvar="SWARM_CHAIN_PORT", min=0, max=65_535, help="Port of the local chain's door; 0 takes any.", rich_help_panel=CHAIN)
]


def the_chain(rpc: str | None, contracts: Path | None, stake: str, unaudited: bool, port: int = 0) -> ChainChoice:
    """The chain of the flags' texts. Raises InputError naming a wrong amount."""
    try:
        wei = int(Decimal(stake) * 10**18) if stake else None
    except (InvalidOperation, OverflowError, ValueError):
        wei = -1
    if wei is not None and wei <= 0:
        raise InputError(f"--stake {stake!r} is not an amount of credits", "a number above 0, for example 1000")
    return ChainChoice(rpc, contracts, wei, unaudited, port)


def source(words: list[str]) -> tuple[str, list[str]]:
    """The recipe among the arguments (the one without `=`; `local` if none) and the overrides."""
    named = [word for word in words if "=" not in word]
    if len(named) > 1:
        raise InputError(f"two recipes: {named[0]} and {named[1]}", "name one; settings look like key=value")
    return (named[0] if named else "local"), [word for word in words if "=" in word]


def identity_folder(name: str) -> Path:
    """Where the identity of this name lies. Raises InputError for what is not a name."""
    if not re.fullmatch(r"[\w-]{1,40}", name):
        raise InputError(f"--identity {name!r} is not a name", "letters, digits, - and _, at most 40")
    return runs.home() / "identities" / name


def as_identity(choices: Choices, name: str | None, file: Path | None, ask: bool, unencrypted: bool, local: bool) -> Choices:
    """The choices with the identity to join as: a named one (made where it is new), else `default`.

    In a swarm that cannot reach beyond this machine an unencrypted local one is taken where none is named.
    """
    if name is None and local:
        return choices
    folder = identity_folder(name or "default")
    secret = keystore.passphrase(file, ask, confirm=ask and not folder.exists())
    if not (folder / FILE).exists():
        Identity.create(folder, secret, unencrypted=unencrypted)
    return replace(choices, identity=folder, passphrase=secret)


def the_limits(max_cpu: str, max_memory: str, max_disk: str, max_upload: str, only_idle: bool) -> Limits:
    """Limits of the flags' texts; an empty text is no limit. Raises InputError naming the flag."""
    return Limits(
        max_cpu=limits.cores(max_cpu) if max_cpu else None,
        max_memory=limits.size(max_memory, "--max-memory") if max_memory else None,
        max_disk=limits.size(max_disk, "--max-disk") if max_disk else None,
        max_upload=limits.size(max_upload, "--max-upload") if max_upload else None,
        only_idle=only_idle,
    )


def the_network(
    listen: list[str] | None,
    announce: list[str] | None,
    port: int,
    boot: list[str] | None,
    relay: bool,
    trusted_relay: list[str] | None,
    client: bool,
    ban: Path | None,
    default_host: str = "127.0.0.1",
) -> NetworkChoice:
    """The network's settings of the flags' texts. Raises InputError naming a wrong address."""
    if ban is not None and not ban.is_file():
        raise InputError(f"--ban {ban}: no such file", "one peer id or operator address a line")
    return NetworkChoice(
        listen=[addresses.listening(text, "--listen") for text in listen or [default_host]],
        announce=[addresses.listening(text, "--announce") for text in announce or []],
        port=port,
        boot=[addresses.dialable(text) for text in boot or []],
        client=client,
        relay=relay,
        trusted_relays=[addresses.dialable(text) for text in trusted_relay or []],
        ban_file=ban.absolute() if ban else None,
    )
