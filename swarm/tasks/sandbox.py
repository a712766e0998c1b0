"""Tasks whose code is not ours, each in a child process: no keys, no network, no writing, and a time limit for everything.

`Sandbox` is a `Task` that asks a `Child` (`cell.py` on its side) to draw and to grade. The child gets no environment of ours, locks
itself in (`lock.py`) and then tries to break out; where that is not possible (macOS, old kernels), `must=True` refuses and
`must=False` runs it with limits of time and memory only and says so in `unlocked`. Whatever a child says is read with
bounds and checked for type. A child that hangs or dies costs one TaskError and is started again for the next call.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from swarm.bounds import json_of
from swarm.errors import Refused, TaskError
from swarm.tasks.task import Question, grade

START, DRAW, SCORE = 120.0, 30.0, 5.0  # seconds: importing and opening, drawing a question, grading an answer
REPLY = 1_048_576  # bytes of one reply
ROOT = Path(__file__).resolve().parent.parent.parent  # where the package `swarm` lies


class Child:
    """A process in which tasks run; it is started for the first of them, and again after it was closed, hung or died.

    `unlocked` says why the process is not locked in, or is empty. With `must`, no task is opened in one that is not; with `late`,
    it locks itself in after its tasks were opened instead of before (their code is trusted, what it grades is not).
    """

    def __init__(self, *, must: bool = True, lock: bool = True, late: bool = False):
        self.unlocked = "" if lock else "not asked for"
        self._must, self._lock, self._late = must, lock, late
        self._subjects: dict[str, dict[str, Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = threading.RLock()
        self._unread = b""
        self._task = ""

    def open(self, name: str, kind: str, subject: dict[str, Any]) -> None:
        """Add a task. Raises Refused("sandbox") where a lock is a must and not to be had, TaskError where it does not open."""
        request = {"do": "open", "task": name, "kind": kind, "subject": subject}
        with self._busy:
            self._task = name
            if self._late:
                self.close()  # a process that is locked in opens nothing more
            if self._process is None:
                self._subjects[name] = request
                self._start()
            else:
                self._exchange(request, START)
                self._subjects[name] = request

    def ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        """One reply, within `limit` seconds. Raises TaskError."""
        with self._busy:
            self._task = request["task"]
            if self._process is None or self._process.poll() is not None:
                self.close()
                self._start()
            return self._exchange(request, limit)

    def close(self) -> None:
        """End the process and reap it."""
        process, self._process, self._unread = self._process, None, b""
        if process is not None:
            process.kill()
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def _ended(self) -> int:
        """Exit code of a process that closed its pipe; one that lives on is killed."""
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self.close()
        return code

    def _start(self) -> None:
        """Start the process, see that it is locked in, and have it open its tasks."""
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-s", "-P", "-B", "-m", "swarm.tasks.cell"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=environment, cwd="/", start_new_session=True, **pipes)
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            steps = [self._open_all, self._lock_in] if self._late else [self._lock_in, self._open_all]
            for step in steps:
                step()
        except (Refused, TaskError):
            self.close()
            raise

    def _open_all(self) -> None:
        for request in self._subjects.values():
            self._exchange(request, START)

    def _lock_in(self) -> None:
        if self._lock:
            with tempfile.NamedTemporaryFile(prefix="openswarm-canary-") as canary:
                state = self._exchange({"do": "lock", "canary": canary.name, "parent": os.getpid()}, START)
            self.unlocked = "" if state.get("locked") is True else str(state.get("unlocked"))[:300]
        if self.unlocked and self._must:
            what = f"task {self._task}: its code may only run in a sandbox, and there is none here ({self.unlocked})"
            raise Refused("sandbox", what, "use Linux 5.13 or later with Landlock on x86-64 or aarch64, or a recipe without this task")

    def _exchange(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        """Send a request and read the reply, within `limit` seconds."""
        try:
            line = self._converse(json.dumps({**request, "limit": limit}).encode() + b"\n", time.monotonic() + limit)
            reply = json_of(line)
        except TimeoutError:
            self.close()
            raise TaskError(f"task {self._task}: no reply within {limit:g} s; its process was ended", "its code hangs on this input") from None
        except EOFError:
            code = self._ended()
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise TaskError(f"task {self._task}: its process ended ({how})", "its code crashed, or used too much memory or time") from None
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            self.close()
            raise TaskError(f"task {self._task}: its process sent something that is no reply", "its code writes to descriptors that are not its own")
        if "error" in reply:
            raise TaskError(f"task {self._task}: {str(reply['error'])[:500]}", "run the task's code by itself to see the whole failure")
        return reply

    def _converse(self, data: bytes, deadline: float) -> bytes:
        """Write `data`, read up to the next newline. Raises TimeoutError, EOFError, ValueError (oversize)."""
        process = self._process
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            while b"\n" not in self._unread or data:
                ready = selector.select(max(0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is process.stdin:
                        data = data[self._write(process, data) :]
                        if not data:
                            selector.unregister(process.stdin)
                    else:
                        self._read(process)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _write(self, process: subprocess.Popen[bytes], data: bytes) -> int:
        try:
            return os.write(process.stdin.fileno(), data)
        except BrokenPipeError:
            raise EOFError from None

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            raise EOFError
        self._unread += chunk
        if len(self._unread) > REPLY:
            raise ValueError("oversize")


class Sandbox:
    """A task in a child process, of its own or shared (then `close` ends it for all, and the next call starts it again).

    `kind` and `subject` are a key of `KINDS` in `cell.py` and the arguments that go with it. Raises what `Child.open` raises.
    """

    def __init__(self, name: str, kind: str, subject: dict[str, Any], child: Child):
        self.name = name
        self.child = child
        child.open(name, kind, subject)

    def draw(self, seed: bytes) -> Question:
        reply = self._ask("draw", seed, DRAW)
        return Question.of(self.name, reply.get("prompt"), reply.get("reference"), seed)

    def score(self, question: Question, answer: str) -> float:
        return grade(self.name, self._ask("score", question.entry, SCORE, answer=answer).get("score"))

    def gold(self, question: Question) -> str | None:
        gold = self._ask("gold", question.entry, DRAW).get("gold")
        if not isinstance(gold, str | None):
            raise TaskError(f"task {self.name}: a gold answer is {type(gold).__name__} instead of text", "mend the task's gold")
        return gold

    @property
    def scored(self) -> bool:
        """Whether a user's file can grade answers at all."""
        return self.child.ask({"do": "scored", "task": self.name}, DRAW).get("scored") is True

    def close(self) -> None:
        """End the child process."""
        self.child.close()

    def _ask(self, do: str, seed: bytes, limit: float, **more: str) -> dict[str, Any]:
        return self.child.ask({"do": do, "task": self.name, "seed": seed.hex(), **more}, limit)
