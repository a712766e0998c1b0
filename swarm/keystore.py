"""Secrets on disk: locked keys, private files, the passphrase, and the claim that keeps one identity in one process.

A locked key is a JSON object: `{"keystore": {...}}`, the version-3 keystore that every Ethereum wallet opens (scrypt,
written and read by eth-account), or `{"plain": HEX}` where a person asked for that or the swarm is local. A passphrase
comes from a file, from SWARM_PASSPHRASE, or from a prompt that a flag asked for; never from an argument, which every
user of the machine could read.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from swarm import keys
from swarm.bounds import json_of
from swarm.errors import IdentityError

WORK_FACTOR = 2**18  # scrypt's N: about a second and 256 MB
COST = {"n": 2**20, "r": 8, "p": 8, "c": 10_000_000, "dklen": 64}  # a hostile backup must not cost hours or all memory
MAX_FILE = 65_536
ENVIRONMENT = "SWARM_PASSPHRASE"
CLAIM = "in-use"


def lock(secret: bytes, passphrase: str | None, work_factor: int = WORK_FACTOR) -> dict[str, Any]:
    """A 32-byte key as it is stored; unencrypted where `passphrase` is None."""
    if passphrase is None:
        return {"plain": secret.hex()}
    if not passphrase:
        raise IdentityError("the passphrase is empty", "give one in a file or in SWARM_PASSPHRASE, or ask for an unencrypted key")
    from eth_account import Account  # 0.8 s: only where a key is locked or opened

    return {"keystore": Account.encrypt(secret, passphrase, kdf="scrypt", iterations=work_factor)}


def unlock(stored: dict[str, Any], passphrase: str | None, where: str) -> bytes:
    """The 32-byte key of a stored one. Raises IdentityError: locked, wrong passphrase, corrupt."""
    try:
        secret = bytes.fromhex(stored["plain"]) if "plain" in stored else _open(stored["keystore"], passphrase, where)
        keys.address_of(secret)
    except (KeyError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise corrupt(where, f"its operator key does not parse: {type(error).__name__}") from None
    return secret


def relock(stored: dict[str, Any], passphrase: str | None, where: str, work_factor: int = WORK_FACTOR) -> dict[str, Any]:
    """The same key under `passphrase` if it is unencrypted and one is given; a locked key stays as it is."""
    if "plain" not in stored or passphrase is None:
        return stored
    return lock(unlock(stored, None, where), passphrase, work_factor)


def _open(keystore: dict[str, Any], passphrase: str | None, where: str) -> bytes:
    if passphrase is None:
        raise IdentityError(
            f"the operator key in {where} is locked and no passphrase was given",
            f"name a file with --passphrase-file, set {ENVIRONMENT}, or add --ask-passphrase",
        )
    cost = keystore["crypto"]["kdfparams"]
    for name, most in COST.items():
        if type(cost.get(name, 1)) is not int or not 1 <= cost.get(name, 1) <= most:
            raise corrupt(where, f"its keystore asks for {name} = {cost[name]!r}; at most {most} is worked off")
    from eth_account import Account

    try:
        return bytes(Account.decrypt(keystore, passphrase))
    except ValueError as error:
        if "MAC mismatch" not in str(error):
            raise
        raise IdentityError(
            f"the passphrase does not open the operator key in {where}",
            "try again; nobody can recover a lost passphrase: then move the folder away, and the next start makes a new identity",
        ) from None


def corrupt(where: object, why: str) -> IdentityError:
    """The error for a damaged key or identity file."""
    return IdentityError(f"{where} is damaged: {why}", "move its folder away and run `swarm identity restore BACKUP`")


def passphrase(file: Path | None = None, ask: bool = False, confirm: bool = False, environ: Mapping[str, str] = os.environ) -> str | None:
    """The passphrase from `file`, else from SWARM_PASSPHRASE, else (only with `ask`) from a prompt; else None."""
    if file is not None:
        try:
            with open(file, "rb") as stream:
                text = stream.read(4097).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise IdentityError(f"no passphrase in {file}: {error}", "the file holds the passphrase as one line of UTF-8") from None
        if len(text) > 4096:
            raise IdentityError(f"{file} is longer than any passphrase (4,096 bytes)", "is this the right file?")
        return text.removesuffix("\n").removesuffix("\r")
    if ENVIRONMENT in environ:
        return environ[ENVIRONMENT]
    if not ask:
        return None
    if not sys.stdin.isatty():
        raise IdentityError("a passphrase prompt was asked for, but there is no terminal", f"use --passphrase-file or {ENVIRONMENT}")
    given = getpass.getpass("Passphrase of the operator key: ")
    if confirm and getpass.getpass("Again: ") != given:
        raise IdentityError("the two passphrases differ", "run the command again")
    return given


def write_private(path: Path, data: bytes) -> None:
    """Write a file whole (write, fsync, rename, fsync of the folder), readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_private(path: Path, lost: str) -> bytes:
    """A private file of at most 64 KiB. Raises IdentityError: lost (hint `lost`), open to others, too large."""
    try:
        with open(path, "rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise IdentityError(f"there is no {path}", lost) from None
    except (PermissionError, IsADirectoryError) as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror}", "run as the user who made it") from None
    if mode & 0o077:
        raise IdentityError(f"other users of this machine can read {path}", f"chmod 600 {path}")
    if len(data) > MAX_FILE:
        raise corrupt(path, f"it has more than {MAX_FILE} bytes")
    return data


def read_json(path: Path, format: str, lost: str) -> dict[str, Any]:
    """A private JSON object whose `format` is the expected one. Raises IdentityError."""
    try:
        value = json_of(read_private(path, lost))
    except ValueError:
        raise corrupt(path, "it is not JSON") from None
    if not isinstance(value, dict) or value.get("format") != format:
        raise corrupt(path, f"its format is not `{format}`")
    return value


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold an identity's folder for this process. Raises IdentityError where another process holds it.

    The kernel drops the lock when the holder dies, however it dies; the pid in the file is for people.
    """
    try:
        descriptor = os.open(folder / CLAIM, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise IdentityError(f"the identity folder {folder} cannot be used: {error.strerror}", "check that it exists and is yours to write") from None
    with open(descriptor, "r+") as file:
        _flock(file, folder)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _flock(file: TextIO, folder: Path) -> None:
    for _ in range(10):  # half a second: `holder` in another process may be looking at this moment
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
    raise IdentityError(
        f"the identity in {folder} is in use by process {file.read(20).strip() or '?'}",
        "stop that process, or give this one an identity of its own with --identity NAME",
    )


def holder(folder: Path) -> int | None:
    """The pid of the process that holds an identity's folder, or None. A hint for people: `claim` decides."""
    try:
        with open(folder / CLAIM) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read(20).strip() or 0)
    except FileNotFoundError:
        pass
    return None
