"""`swarm dispute`: the matches of a swarm's dispute court, and one of them move by move. Nodes play them by themselves (`swarm.advocate`)."""

from __future__ import annotations

import contextlib
import json as codec
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated, Any

import typer

from swarm import chainhost, runs
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.values import Ruling, Stage
from swarm.cli import options as o
from swarm.disputing import ROLE, Docket
from swarm.errors import InputError
from swarm.names import name_of

app = typer.Typer(help="Matches about false steps, which the contract decides.\n\nExample: `swarm dispute list`", no_args_is_help=True)
SAID = {
    "Opened": "opened",
    "Unsealed": "the challenger shows its trace",
    "EntryShown": "how the value comes about is shown",
    "InstructionShown": "the instruction is shown",
    "Posted": "a side posts what it makes of it",
    "Collected": "the bond is free",
}
Id = Annotated[str, typer.Argument(help="The match, or how its id begins, as `swarm dispute list` shows it.")]


@app.command("list")
def list_(run_dir: o.RunDir = None, json: o.Json = False) -> None:
    """Every match of the run's swarm: which step, who against whom, and how it stands.

    Example: `swarm dispute list`
    """
    with _court(run_dir) as (docket, names, opened):
        rows = [_row(docket.chain, names, each) for each in opened]
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    for row in [] if json else rows:
        typer.echo("{id:.12}  step {step} of epoch {epoch} of {prover}, disputed by {challenger}: {state}".format(**row))
    if not rows and not json:
        typer.echo("no step was disputed")


@app.command()
def show(match: Id, run_dir: o.RunDir = None, json: o.Json = False) -> None:
    """One match, move by move.

    Example: `swarm dispute show 3fa9`
    """
    with _court(run_dir) as (docket, names, opened):
        found = [each for each in opened if each.id.hex().startswith(match.removeprefix("0x").lower())]
        if len(found) != 1:
            raise InputError(f"{len(found)} matches begin with {match}", "`swarm dispute list` shows them")
        row = _row(docket.chain, names, found[0])
        moves = [_said(event) for event in docket.scan() if event.values.get("id") == found[0].id]
    if json:
        typer.echo(codec.dumps(row | {"moves": moves}, indent=1))
        return
    typer.echo("step {step} of epoch {epoch} of {prover}, disputed by {challenger}: {state}".format(**row))
    for said in moves:
        typer.echo(f"  {said}")


@contextlib.contextmanager
def _court(run_dir: Any) -> Iterator[tuple[Docket, dict[bytes, str], list[SimpleNamespace]]]:
    """The docket, names of members by key, and the swarm's matches in order."""
    run = runs.latest(run_dir)
    if run.recipe().proof.profile != "canonical":
        raise InputError(f"the steps of the run in {run.folder} are not canonical", "a court can compute only those: set proof.profile = canonical")
    with chainhost.reading(run.chain) as chain:
        swarm = bytes.fromhex(run.info.swarm)
        entered = [event.values for event in Scanner(chain, ("ledger",)).scan().new if event.name == "Entered"]
        names = {each["key"]: name_of(each["operator"], each["peer"]) for each in entered if each["swarm"] == swarm}
        docket = Docket(chain)
        yield docket, names, [each for each in docket.opened() if each.key in names]


def _row(chain: Chain, names: dict[bytes, str], opened: SimpleNamespace) -> dict[str, Any]:
    match = chain.read(ROLE, "matchOf", opened.id)
    challengers, spent, left = chain.read(ROLE, "clockOf", opened.id)
    if match.stage == Stage.CLOSED:
        state = Ruling(match.ruling).name.lower().replace("_", " ")
    else:
        state = f"{Stage(match.stage).name.lower()}, the {'challenger' if challengers else 'prover'} has {max(0, left - spent)} s"
    who = {"prover": names[opened.key], "challenger": names.get(opened.challenger, opened.challenger.hex()[:12])}
    return {"id": opened.id.hex(), "epoch": opened.epoch, "step": opened.step, **who, "state": state}


def _said(event: Any) -> str:
    """An event of a match in a few words."""
    told = event.values
    match event.name:
        case "Revealed":
            return f"the {'challenger' if told['byChallenger'] else 'prover'} shows {len(told['nodes'])} nodes"
        case "Descended":
            return f"{Stage(told['stage']).name.lower()}: they differ first at place {told['index']} of height {told['height']}"
        case "Decided":
            return f"the word is {told['word']:08x}; the prover said {told['proverWord']:08x}, the challenger {told['challengerWord']:08x}"
        case "Ended":
            return f"over: {Ruling(told['ruling']).name.lower().replace('_', ' ')}"
    return SAID.get(event.name, event.name)
