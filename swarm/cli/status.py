"""`swarm status`: last round done, current stage, what it waits for, from the heartbeats of a run."""

from __future__ import annotations

import json as codec
from dataclasses import asdict
from typing import Annotated

import typer

from swarm import chainhost, runs, standing
from swarm.cli import options as o
from swarm.names import plain
from swarm.runs import Run
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
        typer.echo(f"{run.folder}: {standing.sentence(run)}")
        if not everything and (chain := chainhost.standing(run)) is not None:
            typer.echo(chain.line())
        for view in [] if everything else standing.views(run):
            typer.echo(one_line(view))
            for warned in view.beat.warnings[-1:]:
                typer.echo(f"    {warning(warned)}")


def _chain(run: Run) -> dict[str, object]:
    found = chainhost.standing(run)
    return {"chain": None if found is None else asdict(found) | {"answers": not found.why}}


def _value(run: Run) -> dict[str, object]:
    peers = [{"index": view.index, "alive": view.alive, **view.beat.model_dump(mode="json")} for view in standing.views(run)]
    head = {"run": str(run.folder), "recipe": plain(run.info.recipe, 40), "recipe_hash": run.info.recipe_hash, "swarm": run.info.swarm}
    return {**head, "state": standing.word(run), "why": standing.sentence(run), "peers": peers}
