"""`swarm score`, `swarm explain`, `swarm leaderboard`: what everyone has earned, recomputed from the chain and public records each time.

Records that are not on this machine are fetched from members: through the run's own peers, through those that invited it, or with `--invite`.
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
    from swarm.chain.book import Book
    from swarm.chain.client import Chain
    from swarm.runs import Run

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

    Parts: W verified work, J judging, F forecasts, E evidence, U uptime. "open" scores are not final.

    Example: `swarm score --operator amber-otter`
    """
    from rich.console import Console

    from swarm import explanation
    from swarm import score as scores
    from swarm.ui import scores as ui

    with opened(run_dir, invite, wait, json, epoch) as (book, archive):
        if epoch is not None:
            explanation.require_over(book, epoch)
        only = explanation.operator_of(book, operator) if operator else None
        found = [each for number in (book.epochs if epoch is None else [epoch]) for each in scores.of_epoch(book, number, archive.find)]
        found = [each for each in found if only in (None, each.operator)]
        rows = [explanation.row(book, each) for each in found]
        missing = explanation.missing(found, archive.why)
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

    with opened(run_dir, invite, wait, json, epoch) as (book, archive):
        explanation.require_over(book, epoch)
        only = explanation.operator_of(book, operator) if operator else None
        found = [each for each in scores.of_epoch(book, epoch, archive.find) if only in (None, each.operator)]
        values = [explanation.of(book, each) for each in found]
        missing = explanation.missing(found, archive.why)
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
    from swarm.keys import checksum
    from swarm.ui import scores as ui

    with opened(run_dir, invite, wait, json) as (book, archive):
        found = [each for number in book.epochs for each in scores.of_epoch(book, number, archive.find)]
        totals, missing = scores.totals(found), explanation.missing(found, archive.why)
    rows = [
        {
            "operator": checksum(each.operator),
            "name": explanation.title(book, each.operator),
            "score": each.score / scores.UNIT,
            "at_most": each.at_most / scores.UNIT,
            "epochs": each.epochs,
            "units": each.units,
        }
        for each in totals
    ]
    if json:
        typer.echo(codec.dumps(rows, indent=1))
    elif rows:
        ui.leaderboard(rows, Console(highlight=False))
        _say(missing)
    else:
        typer.echo(_nothing(book))


@contextlib.contextmanager
def opened(run_dir: Path | None, invite: str | None, wait: float, quiet: bool, epoch: int | None = None) -> Iterator[tuple[Book, Archive]]:
    """The book of a run's swarm, or of an invite's, and the public records of its epochs, or of one.

    Raises InputError where there is no run, or no chain or swarm in it, ChainError where the chain cannot be read.
    """
    from swarm import runs, witness
    from swarm.archive import Archive
    from swarm.chain.book import Book
    from swarm.errors import ChainRefused, InputError

    say = (lambda text: None) if quiet else (lambda text: typer.echo(text, err=True))
    place = runs.home() / "cache" / f"visit-{os.getpid()}"
    with _invited(invite) if invite else _of_run(run_dir) as (chain, swarm, folders, boot):
        chain.check()
        try:
            book = Book(chain, swarm)
        except ChainRefused as error:
            if error.name != "SwarmUnknown":
                raise
            what = f"swarm {swarm.hex()[:8]} is not on its chain yet"
            raise InputError(what, "its first peer creates it once it knows its machine; try again in a minute") from None
        archive = Archive(swarm, folders, runs.home() / "cache" / "records", place, boot, say)
        archive.gather(witness.wanted(book, book.epochs if epoch is None else [epoch]), wait)
        yield book, archive


Source = tuple["Chain", bytes, list[Path], list[str]]  # chain, swarm, folders with blobs, addresses of members


@contextlib.contextmanager
def _of_run(run_dir: Path | None) -> Iterator[Source]:
    """A run of this machine: its peers while they are on, and those that it was invited by, are whom others are asked through."""
    from swarm import chainhost, heartbeat, runs
    from swarm.chain import link
    from swarm.errors import InputError

    run = runs.latest(run_dir)
    if run.recipe().proof.profile == "none":
        what = f"the run in {run.folder} has no chain: its recipe says proof.profile = none"
        raise InputError(what, "scores need a recipe that proves, such as `local`")
    folder = run.folder / chainhost.FOLDER
    if not (folder / link.FILE).exists():
        what = f"the run in {run.folder} has no chain yet"
        raise InputError(what, "it starts with `swarm up`, within the first minute; `swarm status` says where it is")
    beats = [heartbeat.read(peer / heartbeat.FILE) for peer in run.peers] if run.on else []
    boot = [address for beat in beats if beat is not None for address in beat.addresses]
    with chainhost.reading(folder) as chain:
        yield chain, bytes.fromhex(run.info.swarm), _blobs(run), [*boot, *run.info.boot]


@contextlib.contextmanager
def _invited(text: str) -> Iterator[Source]:
    """The swarm of an invite, with what its runs on this machine, if any, have of it."""
    from swarm import invite, runs
    from swarm.chain.client import Chain
    from swarm.errors import InputError

    given = invite.parse(text)
    if given.chain is None:
        raise InputError("this invite names no chain: nothing is proved in its swarm", "there is nothing to score")
    mine = [run for run in runs.all_runs() if run.info.swarm == given.swarm.hex()]
    yield Chain(given.chain), given.swarm, [folder for run in mine for folder in _blobs(run)], list(given.addresses)


def _blobs(run: Run) -> list[Path]:
    return [peer / "network" / "blobs" for peer in run.peers]


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


def _nothing(book: Book) -> str:
    left = book.closes(book.swarm.epoch_at(book.now)) - book.now
    return f"no epoch has commitments yet; the next ones come within {left} s of chain time"
