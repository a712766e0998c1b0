"""`swarm eval`: greedy accuracy of a run's models on held-out questions, in a child process per peer."""

from __future__ import annotations

import json as codec
import subprocess
import sys
from typing import Annotated

import typer

from swarm import runs
from swarm.cli import options as o
from swarm.errors import InputError, SwarmError
from swarm.supervisor import environment


def evaluate(
    run_dir: o.RunDir = None,
    peer: Annotated[int | None, typer.Option(min=0, help="Only this peer.")] = None,
    questions: Annotated[int | None, typer.Option(min=1, max=10_000, help="Held-out questions per task; the recipe says otherwise.")] = None,
    json: o.Json = False,
) -> None:
    """Measure held-out greedy accuracy of the newest whole state of every peer, beside the best constant answer.

    Example: `swarm eval --peer 0 --questions 500`
    """
    run = runs.latest(run_dir)
    folders = [folder for index, folder in enumerate(run.peers) if peer in (None, index)]
    if not folders:
        raise InputError(f"{run.folder} has no peer {peer}", f"it has {len(run.peers)}, counted from 0")
    found = {folder.name: _measure(folder, questions) for folder in folders}
    if json:
        typer.echo(codec.dumps(found, indent=1))
        return
    for name, measured in found.items():
        for task, accuracy in measured["accuracy"].items():
            typer.echo(f"{name}  {task:<20} {accuracy:.3f}  (best constant answer {measured['constant'][task]:.3f})")


def _measure(folder: runs.Path, questions: int | None) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "swarm.cli", "measure", "--folder", str(folder), *(["--questions", str(questions)] if questions else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
        error = SwarmError(f"{folder.name} could not be evaluated: {done.stderr.strip()[-400:]}", "has it finished a round?")
        error.exit_code = done.returncode if done.returncode > 0 else 1
        raise error
    return codec.loads(done.stdout.splitlines()[-1])
