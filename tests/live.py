"""A live swarm for tests of judging: nodes of `swarm up`, voters without a node of `swarm judge serve`, and a person in a real terminal (tmux).

Everything is a process of the real commands, with a home of its own, on 127.0.0.1; everything is ended by its own process id.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from test_swarm import QUICK, Command, wait_for

from swarm import enrolment
from swarm.runs import Run

SHORT = ["proof.epoch=24", "proof.grace=20", "proof.beacon=4", "proof.audit=15", "proof.reveal=5", "proof.challenge=4"]
ENDLESS = ["run.rounds=100000", "evaluate.every=0", "judge.opens=0", "judge.panels=0", *QUICK, *SHORT]
PAUSE_S, ESCAPE_S = 0.25, 0.7
SIZE = (80, 24)

# A voter that finds "right" right, and says so of "wrong" at level 0 where the question asks it to be wrong at first.
VOTER = """
import json, sys
said = json.load(sys.stdin)
word = "wrong" if "wrong at first" in said["question"] and said["level"] == 0 else "right"
print(json.dumps({"choice": next(one["number"] for one in said["answers"] if word in one["text"]), "sure": 90}))
"""


class Swarm:
    """A running swarm. `host` is the home of its nodes."""

    def __init__(self, folder: Path, profile: str, peers: int = 1):
        self.folder, self.host = folder, folder / "host"
        self.up = Command(self.host, "up", "local", "--peers", str(peers), "--plain", f"judge.profile={profile}", *ENDLESS)
        self.commands = [self.up]

    def ready(self) -> None:
        """Wait until all nodes of the host are members."""
        wait_for(lambda: self.up.beat()["round"] >= 1 and enrolment.read_schedule(self.run.chain) is not None, [self.up], 200)

    @property
    def run(self) -> Run:
        return Run.read(self.up.folder().parent)

    def invite(self, name: str) -> Path:
        """A file with a new invite."""
        path = self.folder / f"{name}.invite"
        end = time.monotonic() + 60
        while not (text := self.do("host", "invite")[1].strip()):
            assert time.monotonic() < end
        path.write_text(text)
        return path

    def first(self, name: str) -> list[str]:
        """The words of a first command of a voter without a node."""
        return ["judge", "--invite", str(self.invite(name))]

    def voter(self, name: str) -> Command:
        """A voter with a program, until it is stopped. What happens is in its home's log, a JSON object a line."""
        made = Command(self.folder / name, *self.first(name), "serve", "--json", "--", sys.executable, "-c", VOTER)
        self.commands.append(made)
        return made

    def do(self, name: str, *words: str) -> tuple[int, str, str]:
        """One command in a home: its exit code, stdout and stderr."""
        environment = os.environ | {"SWARM_HOME": str(self.folder / name)}
        done = subprocess.run([sys.executable, "-m", "swarm.cli", *words], env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def value(self, name: str, *words: str) -> Any:
        """What one command prints with --json; it has to succeed."""
        code, out, err = self.do(name, *words, "--json")
        assert code == 0, (words, out, err)
        return json.loads(out)

    def ask(self, question: str) -> str:
        """A person of the host opens a market; its name."""
        answers = ("--answer", "this one is right", "--answer", "this one is wrong", "--answer", "neither")
        return self.value("host", "judge", "open", question, *answers, "--yes")["name"]

    def told(self, name: str) -> list[dict[str, Any]]:
        """What a voter's program did so far."""
        lines = (self.folder / name / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stop(self) -> list[int]:
        """Ctrl-C for all voters at once, then for the host; their exit codes."""
        for command in self.commands[1:]:
            if command.process.poll() is None:
                command.process.send_signal(signal.SIGINT)
        return [command.process.wait(60) for command in self.commands[1:]] + [command.stop() for command in self.commands[::-1]]


@contextlib.contextmanager
def swarm(folder: Path, profile: str, voters: list[str], peers: int = 1) -> Iterator[Swarm]:
    """A live swarm with these voters, all with stake."""
    made = Swarm(folder, profile, peers)
    try:
        made.ready()
        for name in voters:
            made.voter(name)
        wait_for(lambda: all(any(row["event"] == "connected" for row in made.told(name)) for name in voters), made.commands, 200)
        yield made
    finally:
        made.stop()


class Terminal:
    """A command in a real terminal. `frames`: every screen that was waited for, for whoever compares them."""

    def __init__(self, home: Path, *words: str):
        self.socket, self.frames = f"judge-{home.name}-{os.getpid()}", []
        home.mkdir(exist_ok=True)
        environment = {"SWARM_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        said = " ".join(f"{name}='{value}'" for name, value in environment.items())
        command = f"{said} {sys.executable} -m swarm.cli " + " ".join(f"'{word}'" for word in words)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "j", "-x", str(SIZE[0]), "-y", str(SIZE[1]), "bash --norc")
        self.keys(f"{command}; echo ended with $?", "Enter")

    def tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-L", self.socket, *words], check=True, capture_output=True, text=True).stdout

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.tmux("capture-pane", "-p", "-t", "j").splitlines())

    def keys(self, *keys: str) -> None:
        """Press keys. What comes right after an Escape would be an Alt key."""
        for key in keys:
            self.tmux("send-keys", "-t", "j", key)
            time.sleep(ESCAPE_S if key == "Escape" else 0.02)

    def until(self, pattern: str, seconds: float = 15.0) -> re.Match[str]:
        """The first match on the screen; keeps the screen."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, screen := self.screen, re.MULTILINE)):
            assert time.monotonic() < end, f"{pattern!r} is not on the screen:\n{screen}"
            time.sleep(PAUSE_S)
        self.frames.append(screen)
        return found

    def has(self, *parts: str) -> None:
        """These stand on the screen that was waited for last."""
        missing = [part for part in parts if part not in self.frames[-1]]
        assert not missing, f"{missing} are not on the screen:\n{self.frames[-1]}"

    def close(self) -> None:
        self.tmux("kill-server")
