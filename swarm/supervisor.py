"""Starts the node processes of a run, watches them, starts killed ones again, and names causes.

One child process per peer, each in a process group of its own, so that a terminal's Ctrl-C reaches only the supervisor
and leftovers of a killed node (its network process) can be ended with it. A child that ends by a signal or a passing
error is started again after 1, 2, 4 ... 60 s; five failures without a finished round in between end it for good, and
never touch the others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from swarm import heartbeat
from swarm.ending import Ending, Machine, explain
from swarm.errors import NetworkError, ResourceError
from swarm.heartbeat import Heartbeat
from swarm.limits import Limits
from swarm.parent import PARENT

POLL_S = 0.25
WATCH_S = 2.0  # seconds between two looks at memory
DISK_S = 15.0  # seconds between two looks at disk
STOP_S = 15.0  # seconds a node has to end after SIGTERM
FAILURES = 5  # without a finished round in between
LONGEST_WAIT_S = 60.0
LOG_BYTES = 8 * 2**20

# The command that runs a node; tests put another one in its place.
NODE = (sys.executable, "-m", "swarm.cli", "node")


@dataclass(frozen=True)
class View:
    """What is shown of one peer: its last heartbeat, and what the supervisor knows better than the peer."""

    index: int
    beat: Heartbeat
    alive: bool
    ended: Ending | None  # the last ending, also of a child that runs again
    restarts: int
    wait_s: float | None  # until the next start
    folder: Path

    @property
    def final(self) -> bool:
        return not self.alive and self.wait_s is None


class Screen(Protocol):
    """Where views are shown."""

    def show(self, views: list[View]) -> None: ...

    def say(self, text: str) -> None: ...


class Child:
    """One peer's process and its history."""

    def __init__(self, index: int, folder: Path, command: tuple[str, ...] = NODE, variables: dict[str, str] | None = None):
        """`variables` are set in the process's environment, beside what is passed on."""
        self.index, self.folder, self.variables = index, folder, variables or {}
        self.restarts = 0
        self.ended: Ending | None = None
        self._command = (*command, "--folder", str(folder))
        self._process: subprocess.Popen[bytes] | None = None
        self._before = Machine()
        self._failures = 0
        self._round_at_start = 0
        self._start_at: float | None = 0.0  # monotonic; None: not to be started (again)
        self._beat = Heartbeat()

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def view(self, now: float) -> View:
        """The newest heartbeat that can be read, and the process's state. `now` is monotonic."""
        with contextlib.suppress(heartbeat.StateError):  # damaged: the last good one stays until the node writes again
            self._beat = heartbeat.read(self.folder / heartbeat.FILE) or self._beat
        wait = None if self.alive or self._start_at is None else max(0.0, self._start_at - now)
        return View(self.index, self._beat, self.alive, self.ended, self.restarts, wait, self.folder)

    def start_if_due(self, now: float) -> None:
        """Start the process where that is due. Its output goes to `log.txt`, its old addresses are forgotten."""
        if self.alive or self._start_at is None or now < self._start_at:
            return
        self._forget("starting")
        self._round_at_start = self._beat.round
        self._before = Machine.now()
        log = self.folder / "log.txt"
        if log.exists() and log.stat().st_size > LOG_BYTES:
            os.replace(log, self.folder / "log.1.txt")
        with open(log, "ab") as output:
            pipes = dict(stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            self._process = subprocess.Popen(self._command, **pipes, start_new_session=True, env=environment() | self.variables)

    def reap(self, now: float) -> Ending | None:
        """The ending of the process where it has just ended, with the next start set; else None."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._end_group(signal.SIGKILL)
        self._process = None
        return self._close(explain(code, self._before, Machine.now(), self.folder / "log.txt"), now)

    def wait(self, timeout_s: float) -> Ending:
        """Wait for a short process to end, once."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if (ending := self.reap(time.monotonic())) is not None:
                return ending
            time.sleep(POLL_S)
        return Ending(f"took longer than {timeout_s:.0f} s", code=NetworkError.exit_code)

    def give_up(self, cause: str) -> Ending:
        """End the process for good, for a cause of the supervisor's."""
        self.stop(time.monotonic() + STOP_S)
        self._start_at = None
        self.ended = Ending(cause, code=ResourceError.exit_code)
        self._forget("failed")
        return self.ended

    def ask_to_stop(self) -> None:
        """SIGTERM to the process, by its own id."""
        self._start_at = None
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self, end: float) -> None:
        """Ask, wait until `end` (monotonic), then kill; returns when it is reaped."""
        self.ask_to_stop()
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.1, end - time.monotonic()))
        self._end_group(signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._forget("waiting")

    def _close(self, ending: Ending, now: float) -> Ending:
        self.view(now)
        self._failures = 1 if self._beat.round > self._round_at_start else self._failures + 1
        again = ending.restart and self._failures <= FAILURES and self._start_at is not None
        if ending.restart and not again and self._start_at is not None:
            ending = Ending(f"{ending.cause} ({FAILURES} failures without a finished round: given up)", code=ending.code)
        self.ended = ending
        self._start_at = now + min(LONGEST_WAIT_S, 2.0 ** (self._failures - 1)) if again else None
        self.restarts += again
        self._forget("done" if ending.done else "starting" if again else "failed")
        return ending

    def _forget(self, state: heartbeat.State) -> None:
        """Take back what only a living process may claim: addresses, peers heard, a stage that goes on."""
        self._beat = self._beat.model_copy(
            update={"state": state, "addresses": [], "peers_heard": 0, "stage": "", "stage_done": 0.0, "stage_eta_s": None, "pid": 0, "waits_for": ""}
        )
        self._beat.write(self.folder / heartbeat.FILE)

    def _end_group(self, number: int) -> None:
        """End what a dead node left behind in its process group, such as its network process."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Supervisor:
    """Runs the children until all are done. `limits` are those of the whole run."""

    def __init__(self, children: list[Child], screen: Screen, limits: Limits, folder: Path):
        self.children, self.screen, self.limits, self.folder = children, screen, limits, folder
        self._next_watch = self._next_disk = 0.0

    def run(self) -> list[View]:
        """Start everything, watch, restart; returns the last views. On Ctrl-C or SIGTERM ends all children, then raises KeyboardInterrupt."""
        try:
            with interruptible():
                while not all(view.final for view in self.views()):
                    self._turn(time.monotonic())
                    time.sleep(POLL_S)
        finally:
            self.stop()
        return self.views()

    def views(self) -> list[View]:
        now = time.monotonic()
        return [child.view(now) for child in self.children]

    def stop(self) -> None:
        """End all children at once, each by its own id."""
        end = time.monotonic() + STOP_S
        for child in self.children:
            child.ask_to_stop()
        for child in self.children:
            child.stop(end)

    def _turn(self, now: float) -> None:
        for child in self.children:
            if (ending := child.reap(now)) is not None:
                self._say_ending(child, ending, now)
            child.start_if_due(now)
        if now >= self._next_watch:
            self._next_watch = now + WATCH_S
            self._watch_memory()
        if self.limits.max_disk is not None and now >= self._next_disk:
            self._next_disk = now + DISK_S
            self._watch_disk(self.limits.max_disk)
        self.screen.show(self.views())

    def _say_ending(self, child: Child, ending: Ending, now: float) -> None:
        view = child.view(now)
        if ending.done:
            self.screen.say(f"peer {child.index} is finished")
        elif view.wait_s is None:
            self.screen.say(f"peer {child.index} {ending.cause}: it stays down, the others go on")
        else:
            self.screen.say(f"peer {child.index} {ending.cause}: it starts again in {view.wait_s:.0f} s and resumes after round {view.beat.round}")

    def _watch_memory(self) -> None:
        share = self.limits.share(len(self.children)).max_memory
        for child in self.children:
            if share is not None and child.pid is not None and (used := memory(child.pid)) > share:
                cause = f"used {used / 2**20:.0f} MiB, more than its share of --max-memory ({share / 2**20:.0f} MiB)"
                self.screen.say(f"peer {child.index} {child.give_up(cause).cause}: it is ended; its last finished round is kept")

    def _watch_disk(self, most: int) -> None:
        used = disk(self.folder)
        for child in self.children:
            if used > most and child.alive:
                cause = f"the run uses {used / 2**20:.0f} MiB on disk, more than --max-disk ({most / 2**20:.0f} MiB)"
                self.screen.say(f"peer {child.index} is ended: {child.give_up(cause).cause}")


def memory(pid: int) -> int:
    """Resident bytes of a process and its descendants; 0 where it is gone. Shared pages count once per process."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def disk(folder: Path) -> int:
    """Bytes that the files under a folder occupy."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
                total += os.stat(os.path.join(root, name), follow_symlinks=False).st_blocks * 512
    return total


def environment() -> dict[str, str]:
    """What a node process sees of the environment: everything but secrets meant for the supervisor."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SWARM_PASSPHRASE")}
    return kept | {"TOKENIZERS_PARALLELISM": "false", PARENT: str(os.getpid())}


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP arrive as KeyboardInterrupt, like Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
