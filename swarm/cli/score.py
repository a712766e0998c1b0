"""`swarm score`, `swarm explain`, `swarm leaderboard`: what everyone has earned, recomputed from the chain and public records each time.

Records that are not on this machine are fetched from members: through the run's own peers, through those that invited it, or with `--invite`.
The judge market's pages are those of the run's nodes while they are on; else members are asked for theirs.
"""

from __future__ import annotations

import contextlib
import json as codec
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm.cli import options as o
from swarm.cli.audit import Invited

if TYPE_CHECKING:
    from swarm.archive import Archive
    from swarm.assessment import Assessment
    from swarm.chain.book import Book

Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to go on asking for records that no member hands over; 0 asks nobody.")]
Operator = Annotated[str, typer.Option("--operator", help="Only this operator: its 0x address or a peer's two-word name.")]


def score(
    operator: Operator = "",
    epoch: Annotated[int | None, typer.Option("--epoch", min=0, help="Only this epoch.")] = None,
    json: o.Json = False,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    wait: Wait = 15.0,
) -> None:
    """Every operator's participation score (0 to 1000), epoch by epoch, with its parts and the transaction behind it.

    Parts: W verified work, J judging, F forecasts, E evidence, U uptime. "open" scores are not final, "?" is not known here.

    Example: `swarm score --operator amber-otter`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.ui import scores as ui

    with opened(run_dir, invite, wait, json, epoch) as (book, archive, market):
        if epoch is not None:
            explanation.require_over(book, epoch)
        only = explanation.operator_of(book, operator) if operator else None
        found = [each for number in (book.epochs if epoch is None else [epoch]) for each in scores.of_epoch(book, number, archive.find, market)]
        found = [each for each in found if only in (None, each.operator)]
        rows = [explanation.row(book, each) for each in found]
        missing = [*explanation.missing(found, archive.why), *explanation.unjudged(found)]
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    elif rows:
        ui.score_table(rows, Console(highlight=False))
        _say(missing)
    else:
        typer.echo(_nothing(book))


def explain(
    epoch: Annotated[int, typer.Argument(min=0, help="Which epoch.")],
    operator: Operator = "",
    json: o.Json = False,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    wait: Wait = 15.0,
) -> None:
    """How the scores of an epoch come about: inputs, formula, transactions, audits; or why there is no score.

    Example: `swarm explain 3 --operator amber-otter`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.ui import scores as ui

    with opened(run_dir, invite, wait, json, epoch) as (book, archive, market):
        explanation.require_over(book, epoch)
        only = explanation.operator_of(book, operator) if operator else None
        found = [each for each in scores.of_epoch(book, epoch, archive.find, market) if only in (None, each.operator)]
        values = [explanation.of(book, each) for each in found]
        missing = [*explanation.missing(found, archive.why), *explanation.unjudged(found)]
    if json:
        typer.echo(codec.dumps({"epoch": epoch, "swarm": book.swarm.id.hex(), "formula": explanation.FORMULA, "scores": values}, indent=1))
        return
    typer.echo(f"epoch {epoch} of swarm {book.swarm.id.hex()[:8]}: {explanation.FORMULA}")
    for value in values:
        ui.explanation(value, Console(highlight=False))
    _say(missing)
    if not values:
        typer.echo(f"{operator} committed nothing in epoch {epoch} and nobody heard it, so there is no score and no transaction")


def leaderboard(json: o.Json = False, run_dir: o.RunDir = None, invite: Invited = None, wait: Wait = 15.0) -> None:
    """Every operator's final scores and verified units added up, the largest total first.

    Example: `swarm leaderboard`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.ui import scores as ui

    with opened(run_dir, invite, wait, json) as (book, archive, market):
        found = [each for number in book.epochs for each in scores.of_epoch(book, number, archive.find, market)]
        rows, missing = explanation.board(book, found), [*explanation.missing(found, archive.why), *explanation.unjudged(found)]
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    elif rows:
        ui.leaderboard(rows, Console(highlight=False))
        _say(missing)
    else:
        typer.echo(_nothing(book))


@contextlib.contextmanager
def opened(
    run_dir: Path | None, invite: str | None, wait: float, quiet: bool, epoch: int | None = None
) -> Iterator[tuple[Book, Archive, Assessment]]:
    """The book of a run's swarm, or of an invite's, the public records of its epochs, or of one, and what its judge market says.

    Raises InputError where there is no run, or no chain or swarm in it, ChainError where the chain cannot be read.
    """
    from swarm import assessment, runs, sources, witness
    from swarm.archive import Archive
    from swarm.chain.book import Book
    from swarm.errors import ChainRefused, InputError

    say = (lambda text: None) if quiet else (lambda text: typer.echo(text, err=True))
    place, cache = runs.home() / "cache" / f"visit-{os.getpid()}", runs.home() / "cache"
    with sources.of_invite(invite) if invite else sources.of_run(runs.latest(run_dir)) as source:
        source.chain.check()
        try:
            book = Book(source.chain, source.swarm)
        except ChainRefused as error:
            if error.name != "SwarmUnknown":
                raise
            what = f"swarm {source.swarm.hex()[:8]} is not on its chain yet"
            raise InputError(what, "its first peer creates it once it knows its machine; try again in a minute") from None
        blobs = [peer / "network" / "blobs" for peer in source.peers]
        with contextlib.closing(Archive(source.swarm, blobs, cache / "records", place, list(source.boot), say)) as archive:
            archive.gather(witness.wanted(book, book.epochs if epoch is None else [epoch]), wait)
            yield book, archive, assessment.of(source, book, archive, cache / "pages", wait)


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


def _nothing(book: Book) -> str:
    left = book.closes(book.swarm.epoch_at(book.now)) - book.now
    return f"no epoch has commitments yet; the next ones come within {left} s of chain time"
