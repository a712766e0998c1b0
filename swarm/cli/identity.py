"""`swarm identity`: who you are to others, and how to keep it."""

from __future__ import annotations

import json as codec
from pathlib import Path
from typing import Annotated

import base58
import typer

from swarm import identity as identities
from swarm import keys, keystore, runs
from swarm.cli import options as o
from swarm.identity import Identity, Public

app = typer.Typer(help="Identities: the keys behind a peer's two-word name.", rich_markup_mode="markdown")

Name = Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Which identity; local swarms make local-0, local-1 and so on.")]
Unencrypted = Annotated[bool, typer.Option("--unencrypted", help="Without a passphrase: whoever reads the file has the key.")]


@app.command()
def create(
    identity: Name = "default", passphrase_file: o.PassphraseFile = None, ask_passphrase: o.AskPassphrase = False, unencrypted: Unencrypted = False
) -> None:
    """Make a new identity.

    Example: `swarm identity create --ask-passphrase`
    """
    made = Identity.create(_folder(identity), keystore.passphrase(passphrase_file, ask_passphrase, confirm=True), unencrypted=unencrypted)
    _print(made, False)


@app.command()
def show(identity: Annotated[str, typer.Option("--identity", envvar="SWARM_IDENTITY", help="Only this one.")] = "", json: o.Json = False) -> None:
    """Print name, operator address and peer id; nothing secret, no passphrase needed.

    Example: `swarm identity show --json`
    """
    found = [identities.show(folder) for folder in ([_folder(identity)] if identity else sorted((runs.home() / "identities").glob("*/")))]
    if json:
        typer.echo(codec.dumps([_value(public) for public in found], indent=1))
        return
    for public in found:
        _print(public, True)
    if not found:
        typer.echo(f"there is no identity in {runs.home() / 'identities'} yet; `swarm up` makes local ones, `swarm identity create` others")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="New file for the backup.")],
    identity: Name = "default",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    unencrypted: Unencrypted = False,
) -> None:
    """Write both keys of an identity to one file.

    Example: `swarm identity backup me.backup --ask-passphrase`
    """
    kept = identities.backup(_folder(identity), file, keystore.passphrase(passphrase_file, ask_passphrase), unencrypted=unencrypted)
    typer.echo(f"{kept.name} is kept in {file}, {'locked' if kept.encrypted else 'NOT locked: whoever reads it has the key'}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    identity: Name = "default",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
) -> None:
    """Bring an identity back from its backup. Run it on one machine at a time.

    Example: `swarm identity restore me.backup --identity laptop --ask-passphrase`
    """
    _print(identities.restore(file, _folder(identity), keystore.passphrase(passphrase_file, ask_passphrase)), True)


@app.command()
def rotate(
    identity: Name = "default",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    peer: Annotated[bool, typer.Option("--peer", help="A new peer key as well.")] = False,
) -> None:
    """Make a new operator key that the old one signs over to; the name changes with it.

    Example: `swarm identity rotate --ask-passphrase`
    """
    _print(identities.rotate(_folder(identity), keystore.passphrase(passphrase_file, ask_passphrase), peer=peer), True)


def _folder(name: str) -> Path:
    return o.identity_folder(name)


def _value(public: Public) -> dict[str, object]:
    return {
        "identity": public.folder.name,
        "name": public.name,
        "operator": keys.checksum(public.address),
        "peer": peer_id(public.peer),
        "encrypted": public.encrypted,
        "rotations": len(public.rotations),
    }


def peer_id(peer: bytes) -> str:
    """The libp2p peer id, base58, of 32 bytes."""
    return base58.b58encode(b"\x12\x20" + peer).decode()


def _print(public: Public, hint: bool) -> None:
    value = _value(public)
    locked = "locked" if public.encrypted else "not locked"
    typer.echo(f"{value['identity']:<12}{value['name']:<22}operator {value['operator']}  peer {value['peer']}  {locked}")
    if not hint:
        typer.echo(f"keep a copy: swarm identity backup {public.folder.name}.backup --identity {public.folder.name}")
