"""The node's end of its replayer process: start it, give it jobs one at a time, end it, start it again when it dies."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from swarm.errors import ResourceError
from swarm.parent import PARENT

COMMAND = (sys.executable, "-m", "swarm.cli", "replayer")
LONGEST_ANSWER = 65_536


class ReplayerProcess:
    """A child process with one job at a time. `give` never waits; `answer` is None until the job is done."""

    def __init__(self, folder: Path, command: tuple[str, ...] = COMMAND):
        self._folder, self._command = folder, command
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.hello: dict[str, Any] | None = None  # class, facts, cpu_s
        self.busy = False

    def start(self) -> None:
        """Start the process, unless it runs. Its first answer is `hello`."""
        if self._process is not None and self._process.poll() is None:
            return
        self._answers, self.hello, self.busy = queue.Queue(), None, False
        with open(self._folder / "replayer.txt", "ab") as log:
            pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
            environment = os.environ | {PARENT: str(os.getpid())}
            self._process = subprocess.Popen([*self._command, "--folder", str(self._folder)], env=environment, **pipes)
        threading.Thread(target=self._read, args=(self._process, self._answers), daemon=True, name="replayer").start()

    @property
    def ready(self) -> bool:
        """Whether a job can be given now."""
        if self.hello is None and not self._answers.empty():
            self.hello = self._answers.get()
        return self.hello is not None and not self.busy and self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> bool:
        """Whether the process was started and is gone."""
        return self._process is not None and self._process.poll() is not None

    def give(self, do: str, folder: Path) -> None:
        """Hand over a job. Raises ResourceError where the process is gone or at work."""
        if not self.ready:
            raise ResourceError("the replayer is not ready for a job", f"its log is {self._folder / 'replayer.txt'}")
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, "folder": str(folder)}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise ResourceError("the replayer died", f"its log is {self._folder / 'replayer.txt'}") from None
        self.busy = True

    def answer(self) -> dict[str, Any] | None:
        """The answer to the job, once. Raises ResourceError where the process died over it."""
        if not self.busy or self._answers.empty():
            return None
        self.busy, found = False, self._answers.get()
        if found is None:
            raise ResourceError("the replayer died over a job", f"its log is {self._folder / 'replayer.txt'}")
        return found

    def close(self) -> None:
        """End the process, by its own handle."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @staticmethod
    def _read(process: subprocess.Popen[str], answers: queue.Queue[dict[str, Any] | None]) -> None:
        assert process.stdout is not None
        while line := process.stdout.readline(LONGEST_ANSWER):
            answers.put(json.loads(line))
        answers.put(None)
