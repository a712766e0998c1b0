"""Tasks whose code is not ours, each in a child process: no keys, no network, no writing, and a time limit for everything.

`Sandbox` is a `Task` that asks a child (`cell.py`) to draw and to grade. The child gets no environment of ours, locks
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

from swarm.errors import Refused, TaskError
from swarm.tasks.task import Question, grade

START, DRAW, SCORE = 120.0, 30.0, 5.0  # seconds: importing and opening, drawing a question, grading an answer
REPLY = 1_048_576  # bytes of one reply
ROOT = Path(__file__).resolve().parent.parent.parent  # where the package `swarm` lies


class Sandbox:
    """A task run by a child process. `kind` is `file` or `gym`; `subject` are the arguments of that class in `cell.py`.

    `unlocked` says why the child is not locked in, or is empty. Raises Refused("sandbox") where a lock is a must and
    not to be had, TaskError where the task does not open.
    """

    def __init__(self, name: str, kind: str, subject: dict[str, Any], *, must: bool = True, lock: bool = True):
        self.name = name
        self.unlocked = ""
        self._order = {"kind": kind, "subject": subject, "must": must, "lock": lock}
        self._child: subprocess.Popen[bytes] | None = None
        self._busy = threading.Lock()
        self._unread = b""
        self._start()

    def draw(self, seed: bytes) -> Question:
        reply = self._ask({"do": "draw", "seed": seed.hex()}, DRAW)
        return Question.of(self.name, reply.get("prompt"), reply.get("reference"), seed)

    def score(self, question: Question, answer: str) -> float:
        reply = self._ask({"do": "score", "seed": question.entry.hex(), "answer": answer}, SCORE)
        return grade(self.name, reply.get("score"))

    def gold(self, question: Question) -> str | None:
        gold = self._ask({"do": "gold", "seed": question.entry.hex()}, DRAW).get("gold")
        if not isinstance(gold, str | None):
            raise TaskError(f"task {self.name}: a gold answer is {type(gold).__name__} instead of text", "mend the task's gold")
        return gold

    def close(self) -> None:
        """End the child and reap it."""
        child, self._child, self._unread = self._child, None, b""
        if child is not None:
            child.kill()
            child.stdin.close()
            child.stdout.close()
            child.wait()

    def _ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        with self._busy:
            if self._child is None or self._child.poll() is not None:
                self.close()
                self._start()
            return self._exchange({**request, "limit": limit}, limit)

    def _start(self) -> None:
        """Start the child, see that it is locked in, and have it open the task."""
        try:
            self._launch()
            self._exchange(None, START)
        except (Refused, TaskError):
            self.close()
            raise

    def _launch(self) -> None:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-s", "-P", "-B", "-m", "swarm.tasks.cell"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._child = subprocess.Popen(command, env=environment, cwd="/", start_new_session=True, **pipes)
        os.set_blocking(self._child.stdin.fileno(), False)
        with tempfile.NamedTemporaryFile(prefix="openswarm-canary-") as canary:
            state = self._exchange({**self._order, "canary": canary.name, "parent": os.getpid()}, START)
        self.unlocked = "" if state.get("locked") is True else str(state.get("unlocked"))[:300]
        if self.unlocked and self._order["must"]:
            what = f"task {self.name}: its code may only run in a sandbox, and there is none here ({self.unlocked})"
            raise Refused("sandbox", what, "use Linux 5.13 or later with Landlock on x86-64 or aarch64, or a recipe without this task")

    def _exchange(self, message: dict[str, Any] | None, limit: float) -> dict[str, Any]:
        """Send a message (None: only listen) and read one reply within `limit` seconds."""
        try:
            line = self._converse(b"" if message is None else json.dumps(message).encode() + b"\n", time.monotonic() + limit)
            reply = json.loads(line)
        except TimeoutError:
            self.close()
            raise TaskError(f"task {self.name}: no reply within {limit:g} s; its process was ended", "its code hangs on this input") from None
        except EOFError:
            code = self._child.wait() if self._child else 0
            self.close()
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise TaskError(f"task {self.name}: its process ended ({how})", "its code crashed, or used too much memory or time") from None
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            self.close()
            raise TaskError(f"task {self.name}: its process sent something that is no reply", "its code writes to descriptors that are not its own")
        if "error" in reply:
            raise TaskError(f"task {self.name}: {str(reply['error'])[:500]}", "run the task's code by itself to see the whole failure")
        return reply

    def _converse(self, data: bytes, deadline: float) -> bytes:
        """Write `data`, read up to the next newline. Raises TimeoutError, EOFError, ValueError (oversize)."""
        child = self._child
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            if data:
                selector.register(child.stdin, selectors.EVENT_WRITE)
            while b"\n" not in self._unread or data:
                ready = selector.select(max(0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is child.stdin:
                        data = data[self._write(child, data) :]
                        if not data:
                            selector.unregister(child.stdin)
                    else:
                        self._read(child)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _write(self, child: subprocess.Popen[bytes], data: bytes) -> int:
        try:
            return os.write(child.stdin.fileno(), data)
        except BrokenPipeError:
            raise EOFError from None

    def _read(self, child: subprocess.Popen[bytes]) -> None:
        chunk = os.read(child.stdout.fileno(), 65_536)
        if not chunk:
            raise EOFError
        self._unread += chunk
        if len(self._unread) > REPLY:
            raise ValueError("oversize")
