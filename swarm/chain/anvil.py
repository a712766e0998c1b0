"""The local chain: one anvil process on 127.0.0.1, started, watched, restarted and stopped by its owner.

    folder/  anvil.json (port, chain id, pid)  purse.key (0600)  state.json  kept.json  log.txt

What was measured with anvil 1.7.1: blocks, transactions, receipts and logs survive a restart from `--state` (answers
about *state* at old blocks do not, and nothing here asks for them); chain time goes on by the wall clock; a `kill -9`
loses what came after the last dump, 1 to 2 s. The dump is written in place, so a kill in the middle of it leaves a
file that anvil refuses: a second copy, written whole, is kept from a few seconds before. A dump holds every block
since the first, 1.7 KB each, so its interval grows with it (see `interval`).

anvil obeys `anvil_*` and `evm_*` calls from anyone who reaches its port: others get `proxy.Proxy`. There are no
accounts inside it that it would sign for, and no mnemonic, which `ps` would show to everyone on the machine: the one
funded key, the purse, lies in a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm import disk, keys
from swarm.chain.rpc import Rpc
from swarm.errors import ChainError, ResourceError, StateError

FILE, PURSE, STATE, KEPT, LOG = "anvil.json", "purse.key", "state.json", "kept.json", "log.txt"
BINARY = Path(__file__).parents[2] / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
START_S = 20.0
STOP_S = 10.0
COPY_S = 5.0  # between two copies of the dump
STEP_BYTES = 8 * 2**20  # of dump, for each further second between two dumps
LONGEST_INTERVAL_S = 30
STATES = 32  # kept in memory: without any, a question about the newest block fails when the next one comes in the middle of it
LOG_BYTES = 4 * 2**20
FAILURES = 5  # in a row, then it is given up
FIRST_CHAIN, CHAINS = 1_500_000_000, 500_000_000  # chain ids of local chains; no public chain has one of these
WEI = 10**18


class Note(BaseModel):
    """`anvil.json`: what must stay the same over restarts, and whose process it was."""

    model_config = ConfigDict(extra="ignore")

    port: int = Field(ge=1, le=65_535)
    chain_id: int = Field(ge=FIRST_CHAIN, lt=FIRST_CHAIN + CHAINS)
    pid: int = 0


class Anvil:
    """The local chain of one swarm. `start`, then `watch` every second or so, then `stop`."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.note = _read(folder / FILE)
        self._process: subprocess.Popen[bytes] | None = None
        self._interval = 1
        self._failures = 0
        self._start_at = 0.0
        self._copied = time.monotonic()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.note.port}"

    @property
    def chain_id(self) -> int:
        return self.note.chain_id

    @property
    def rpc(self) -> Rpc:
        """Everything that anvil obeys: for the owner of the chain only."""
        return Rpc(self.url)

    @property
    def purse(self) -> bytes:
        """The 32-byte key that deploys and pays; made at the first call."""
        path = self.folder / PURSE
        if not path.exists():
            part = os.open(path.with_suffix(".part"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(part, "wb") as file:
                file.write(keys.new_secret())
            os.replace(path.with_suffix(".part"), path)
        secret = path.read_bytes()
        if len(secret) != 32:
            raise StateError(f"{path} is damaged", "start a new run with --fresh")
        return secret

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start anvil and wait until it answers; the purse is filled. Raises ResourceError or ChainError saying why not."""
        self._end_leftover()
        if not _free(self.note.port):
            self.note.port = free_port()
        self._launch()
        self.fund(keys.address_of(self.purse), 1_000_000 * WEI)

    def watch(self, now: float) -> str | None:
        """Restart where it ended, copy the dump, dump less often where it grew. `now` is monotonic. Returns a sentence where something happened.

        Raises ChainError after too many failures in a row.
        """
        if self._process is None or self._process.poll() is not None:
            return self._restart(now)
        if now - self._copied >= COPY_S * self._interval:
            self._copied, self._failures = now, 0
            keep(self.folder)
            if interval(self.folder) >= 2 * self._interval:
                self.stop()
                self._launch()
                return f"the local chain's file has grown: it is written every {self._interval} s from now on"
        return None

    def stop(self) -> None:
        """End anvil by its own id so that it dumps its state, and wait for it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._save(0)

    def fund(self, address: bytes, wei: int) -> None:
        """Let an account have at least `wei`: a right of the chain's owner, nobody pays for it."""
        who = "0x" + address.hex()
        if int(self.rpc.call("eth_getBalance", who, "latest"), 16) < wei:
            self.rpc.call("anvil_setBalance", who, hex(wei))

    def _restart(self, now: float) -> str | None:
        if now < self._start_at:
            return None
        code = None if self._process is None else self._process.poll()
        self._failures += 1
        if self._failures > FAILURES:
            raise ChainError(f"the local chain ended {FAILURES} times in a row (code {code})", f"its log is {self.folder / LOG}")
        self._start_at, self._copied = now + 2.0 ** (self._failures - 1), now
        try:
            self._launch()
            self.fund(keys.address_of(self.purse), 1_000_000 * WEI)
        except ChainError as error:
            return f"{error}; it is tried again"
        return f"the local chain ended (code {code}) and was started again: what was not yet on disk is sent again"

    def _launch(self) -> None:
        binary = find()
        mend(self.folder)
        self._interval = interval(self.folder)
        log = self.folder / LOG
        if log.exists() and log.stat().st_size > LOG_BYTES:
            os.replace(log, log.with_name("log.1.txt"))
        command = [binary, "--host", "127.0.0.1", "--port", self.note.port, "--chain-id", self.chain_id, "--accounts", 0, "--quiet", "--no-cors"]
        command += ["--block-time", 1, "--state", STATE, "--state-interval", self._interval, "--disable-console-log"]
        command += ["--prune-history", STATES]
        with open(log, "ab") as output:
            pipes = dict(stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            self._process = subprocess.Popen([str(word) for word in command], cwd=self.folder, start_new_session=True, **pipes)
        self._save(self._process.pid)
        self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(ChainError):
                if int(Rpc(self.url, timeout_s=2.0).call("eth_chainId"), 16) == self.chain_id:
                    return
            time.sleep(0.02)
        code = self._process.poll()
        self.stop()
        why = f"does not answer after {START_S:.0f} s" if code is None else f"ended with code {code}"
        raise ChainError(f"the local chain {why}: {_tail(self.folder / LOG)}", f"its log is {self.folder / LOG}")

    def _end_leftover(self) -> None:
        """End the anvil that a killed owner left running on this very folder."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.note.pid) if self.note.pid else None
            if process is not None and "anvil" in process.name() and Path(process.cwd()) == self.folder.resolve():
                process.terminate()
                process.wait(STOP_S)

    def _save(self, pid: int) -> None:
        self.note.pid = pid
        disk.replace(self.folder / FILE, self.note.model_dump_json().encode())


def find() -> Path:
    """anvil's binary: on PATH, else the one that npm installed. Raises ResourceError saying how to get it."""
    if (found := shutil.which("anvil")) is not None:
        return Path(found)
    if os.access(BINARY, os.X_OK):
        return BINARY
    hint = "`npm ci --omit=dev` in contracts/ installs it (./run_swarm.sh does so by itself), or use another chain with --rpc"
    raise ResourceError("anvil, the local chain, is not installed", hint)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def interval(folder: Path) -> int:
    """Seconds between two dumps: 1 for each 8 MiB that a dump has, so that writing them stays a small load (a day is about 150 MB)."""
    path = folder / STATE
    return min(LONGEST_INTERVAL_S, 1 + (path.stat().st_size // STEP_BYTES if path.exists() else 0))


def keep(folder: Path) -> None:
    """Copy the dump to where anvil does not write, if it is whole."""
    with contextlib.suppress(FileNotFoundError):
        if (data := (folder / STATE).read_bytes()).endswith(b"}") and data.startswith(b"{") and _ends(data):
            disk.replace(folder / KEPT, data)


def mend(folder: Path) -> None:
    """Put the kept copy in the place of a dump that a kill cut short. Raises StateError where both are damaged."""
    path = folder / STATE
    if not path.exists() or _whole(path):
        return
    if not (folder / KEPT).exists():
        if path.stat().st_size == 0:  # killed in its first second: there was nothing to lose
            path.unlink()
            return
    elif _whole(folder / KEPT):
        shutil.copyfile(folder / KEPT, path)
        return
    raise StateError(f"{path} is damaged and so is its copy", "start a new run with --fresh")


def _ends(data: bytes) -> bool:
    """Whether a dump was cut at a brace by chance: the whole ends with the last of its fields."""
    return b'"historical_states"' in data[-64:] or _json(data)


def _whole(path: Path) -> bool:
    return _json(path.read_bytes())


def _json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _read(path: Path) -> Note:
    try:
        return Note.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Note(port=free_port(), chain_id=FIRST_CHAIN + secrets.randbelow(CHAINS))
    except ValidationError:
        raise StateError(f"{path} is damaged", "start a new run with --fresh") from None


def _free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace").strip()[-200:] or "its log is empty"
    return "there is no log"
