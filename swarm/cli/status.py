"""`swarm status`: last round done, current stage, what it waits for, from the heartbeats of a run."""

from __future__ import annotations

import json as codec
from dataclasses import asdict
from typing import Annotated

import psutil
import typer

from swarm import chainhost, heartbeat, runs
from swarm.cli import options as o
from swarm.ending import Machine, explain_previous
from swarm.heartbeat import Heartbeat
from swarm.names import plain
from swarm.runs import Run
from swarm.supervisor import View
from swarm.ui.lines import one_line, warning


def status(
    run_dir: o.RunDir = None,
    everything: Annotated[bool, typer.Option("--all", help="All runs, one line each.")] = False,
    json: o.Json = False,
) -> None:
    """Say where a run stands: every peer's last round, stage, what it waits for, last warning.

    Example: `swarm status --json`
    """
    found = runs.all_runs() if everything else [runs.latest(run_dir)]
    if json:
        values = [_value(run) | ({} if everything else _chain(run)) for run in found]
        typer.echo(codec.dumps(values if everything else values[0], indent=1))
        return
    for run in found:
        typer.echo(f"{run.folder}: {_state(run)}")
        if not everything and (chain := chainhost.standing(run)) is not None:
            typer.echo(chain.line())
        for view in [] if everything else views(run):
            typer.echo(one_line(view))
            for warned in view.beat.warnings[-1:]:
                typer.echo(f"    {warning(warned)}")


def views(run: Run) -> list[View]:
    """What the heartbeats of a run say, whether or not a process is behind them."""
    found = []
    for index, folder in enumerate(run.peers):
        beat = heartbeat.read(folder / heartbeat.FILE) or Heartbeat()
        alive = bool(beat.pid) and psutil.pid_exists(beat.pid)
        if not alive and beat.state not in ("done", "failed"):
            beat.state, beat.waits_for = "waiting", "to be started again"
        found.append(View(index, beat, alive, None, 0, None, folder))
    return found


def _state(run: Run) -> str:
    if run.on:
        return "on"
    if run.info.finished is not None:
        return "finished"
    return explain_previous(run.info.machine, run.info.supervisor, Machine.now()) or "stopped; the command that started it carries on"


def _chain(run: Run) -> dict[str, object]:
    found = chainhost.standing(run)
    return {"chain": None if found is None else asdict(found) | {"answers": not found.why}}


def _value(run: Run) -> dict[str, object]:
    peers = [{"index": view.index, "alive": view.alive, **view.beat.model_dump(mode="json")} for view in views(run)]
    state = "on" if run.on else "finished" if run.info.finished is not None else "stopped"
    head = {"run": str(run.folder), "recipe": plain(run.info.recipe, 40), "recipe_hash": run.info.recipe_hash, "swarm": run.info.swarm}
    return {**head, "state": state, "why": _state(run), "peers": peers}
