"""`swarm score`, `swarm explain`, `swarm leaderboard`: what everyone has earned, recomputed from the chain and public blobs each time."""

from __future__ import annotations

import contextlib
import json as codec
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o

if TYPE_CHECKING:
    from swarm.chain.book import Book
    from swarm.witness import Blobs

Operator = Annotated[str, typer.Option("--operator", help="Only this operator: its 0x address or a peer's two-word name.")]


def score(
    operator: Operator = "",
    epoch: Annotated[int | None, typer.Option("--epoch", min=0, help="Only this epoch.")] = None,
    json: o.Json = False,
    run_dir: o.RunDir = None,
) -> None:
    """Every operator's participation score (0 to 1000), epoch by epoch, with its parts and the transaction behind it.

    Parts: W verified work, J judging, F forecasts, E evidence, U uptime. "open" scores are not final.

    Example: `swarm score --operator amber-otter`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.ui import scores as ui

    with opened(run_dir) as (book, blobs):
        if epoch is not None:
            explanation.require_over(book, epoch)
        only = explanation.operator_of(book, operator) if operator else None
        found = [each for number in (book.epochs if epoch is None else [epoch]) for each in scores.of_epoch(book, number, blobs)]
        rows = [explanation.row(book, each) for each in found if only in (None, each.operator)]
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    elif rows:
        ui.score_table(rows, Console(highlight=False))
    else:
        typer.echo(_nothing(book))


def explain(
    epoch: Annotated[int, typer.Argument(min=0, help="Which epoch.")],
    operator: Operator = "",
    json: o.Json = False,
    run_dir: o.RunDir = None,
) -> None:
    """How the scores of an epoch come about: inputs, formula, transactions, audits; or why there is no score.

    Example: `swarm explain 3 --operator amber-otter`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.ui import scores as ui

    with opened(run_dir) as (book, blobs):
        explanation.require_over(book, epoch)
        only = explanation.operator_of(book, operator) if operator else None
        found = [each for each in scores.of_epoch(book, epoch, blobs) if only in (None, each.operator)]
        values = [explanation.of(book, each) for each in found]
    if json:
        typer.echo(codec.dumps({"epoch": epoch, "swarm": book.swarm.id.hex(), "formula": explanation.FORMULA, "scores": values}, indent=1))
        return
    typer.echo(f"epoch {epoch} of swarm {book.swarm.id.hex()[:8]}: {explanation.FORMULA}")
    for value in values:
        ui.explanation(value, Console(highlight=False))
    if not values:
        typer.echo(f"{operator} committed nothing in epoch {epoch} and nobody heard it, so there is no score and no transaction")


def leaderboard(json: o.Json = False, run_dir: o.RunDir = None) -> None:
    """Every operator's final scores and verified units added up, the largest total first.

    Example: `swarm leaderboard`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.keys import checksum
    from swarm.ui import scores as ui

    with opened(run_dir) as (book, blobs):
        totals = scores.totals([each for number in book.epochs for each in scores.of_epoch(book, number, blobs)])
    rows = [
        {
            "operator": checksum(each.operator),
            "name": explanation.title(book, each.operator),
            "score": each.score / scores.UNIT,
            "epochs": each.epochs,
            "units": each.units,
        }
        for each in totals
    ]
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    elif rows:
        ui.leaderboard(rows, Console(highlight=False))
    else:
        typer.echo(_nothing(book))


@contextlib.contextmanager
def opened(run_dir: Path | None) -> Iterator[tuple[Book, Blobs]]:
    """A run's book and the public blobs that lie with its peers.

    Raises InputError where there is no run, or no chain or swarm in it, ChainError where the chain cannot be read.
    """
    from swarm import chainhost, runs, witness
    from swarm.chain import link
    from swarm.chain.book import Book
    from swarm.errors import ChainRefused, InputError

    run = runs.latest(run_dir)
    if run.recipe().proof.profile == "none":
        what = f"the run in {run.folder} has no chain: its recipe says proof.profile = none"
        raise InputError(what, "scores need a recipe that proves, such as `local`")
    folder = run.folder / chainhost.FOLDER
    if not (folder / link.FILE).exists():
        what = f"the run in {run.folder} has no chain yet"
        raise InputError(what, "it starts with `swarm up`, within the first minute; `swarm status` says where it is")
    with chainhost.reading(folder) as chain:
        chain.check()
        try:
            book = Book(chain, bytes.fromhex(run.info.swarm))
        except ChainRefused as error:
            if error.name != "SwarmUnknown":
                raise
            what = f"swarm {run.info.swarm[:8]} is not on its chain yet"
            raise InputError(what, "its first peer creates it once it knows its machine; try again in a minute") from None
        yield book, witness.in_folders([peer / "network" / "blobs" for peer in run.peers])


def _nothing(book: Book) -> str:
    left = book.closes(book.swarm.epoch_at(book.now)) - book.now
    return f"no epoch has commitments yet; the next ones come within {left} s of chain time"
