"""`swarm model`: trained models on the chain: where one stands, what it came from, and putting one's own there."""

from __future__ import annotations

import contextlib
import json as codec
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.cli import options as o
from swarm.cli.audit import Invited

if TYPE_CHECKING:
    from swarm.archive import Archive
    from swarm.assessment import Source
    from swarm.modelbook import ModelBook
    from swarm.models.model import Model
    from swarm.models.waiting import Batch
    from swarm.runs import Run

app = typer.Typer(help="Trained models on the chain: where one stands, what it came from, and putting one's own there.", rich_markup_mode="markdown")

Digest = Annotated[str, typer.Argument(help="The model's digest in hex, or its first 8 digits or more.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to go on asking members for lists that are not here; 0 asks nobody.")]


class Exit(IntEnum):
    """Exit codes of `swarm model verify`."""

    TRAINED = 0
    OPEN = 1
    NOT_TRAINED = 2


EXITS = "Exit codes: 0 trained and so are all its ancestors, 1 not known yet (it says what is open or cannot be had), 2 not trained (it says why)."


@dataclass
class _Opened:
    """A swarm's models, up to date."""

    book: ModelBook
    source: Source
    archive: Archive


@app.command()
def show(digest: Digest, run_dir: o.RunDir = None, invite: Invited = None, wait: Wait = 15.0, json: o.Json = False) -> None:
    """One model: what it is, whether it counts as trained, and under which root it stands.

    Example: `swarm model show 5f0c93aa12de`
    """
    from swarm.ui import models as ui

    with _opened(run_dir, invite, wait, json) as opened:
        model, entry = opened.book.find(digest)
        value = ui.model(model, opened.book.index.truth.standing(model), entry)
        value["children"] = len(opened.book.index.children(model.model))
        _print(value, json)


@app.command()
def lineage(
    digest: Digest,
    longest: Annotated[int, typer.Option("--longest", min=1, max=100_000, help="Steps to go back at most.")] = 1_000,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    wait: Wait = 15.0,
    json: o.Json = False,
) -> None:
    """The trainings that a model came out of, from it back to the state that everyone began with.

    Example: `swarm model lineage 5f0c93aa12de`
    """
    from swarm.models.lineage import lineage as row_of
    from swarm.ui import models as ui

    with _opened(run_dir, invite, wait, json) as opened:
        model, entry = opened.book.find(digest)
        found = row_of(opened.book.index, model, entry, longest)
    if json:
        value = {"whole": found.is_whole, "ends": found.ends, "state": found.state.hex(), "steps": [ui.step(step) for step in found.steps]}
        typer.echo(codec.dumps(value, indent=1))
        return
    for step in found.steps:
        typer.echo(ui.line(step))
    typer.echo(ui.end(found))


@app.command(epilog=EXITS)
def verify(
    digest: Digest,
    file: Annotated[Path | None, typer.Option("--file", help="A weights or state file that has to be this model.")] = None,
    run_dir: o.RunDir = None,
    invite: Invited = None,
    wait: Wait = 15.0,
    json: o.Json = False,
) -> None:
    """Check a model by recomputing: its place under a root on the chain, its proof, and those of all its ancestors.

    Example: `swarm model verify 5f0c93aa12de --file state.safetensors`
    """
    from swarm.modelbook import Trouble
    from swarm.models.lineage import lineage as row_of

    with _opened(run_dir, invite, wait, json) as opened:
        model, entry = opened.book.find(digest)
        found = row_of(opened.book.index, model, entry)
        troubles = opened.book.troubles(found)
    if file is not None and (said := _other_file(model, file)):
        troubles.append(Trouble(said, True))
    code = max((Exit.NOT_TRAINED if each.is_final else Exit.OPEN for each in troubles), default=Exit.TRAINED)
    whys = [each.why for each in troubles]
    if json:
        value = {"model": model.model.hex(), "verdict": ["trained", "open", "not trained"][code], "steps": len(found.steps), "why": whys}
        typer.echo(codec.dumps(value, indent=1))
    else:
        said = {Exit.TRAINED: "trained", Exit.OPEN: "not known yet", Exit.NOT_TRAINED: "NOT TRAINED"}[code]
        typer.echo(f"{said}: {'; '.join(whys) or f'and so are all {len(found.steps) - 1} that it came out of, back to the base state'}")
    raise typer.Exit(int(code))


@app.command("list")
def list_batches(run_dir: o.RunDir = None, invite: Invited = None, wait: Wait = 15.0, json: o.Json = False) -> None:
    """The batches on the chain, and which of their lists can be had.

    Example: `swarm model list`
    """
    from swarm.ui import models as ui

    with _opened(run_dir, invite, wait, json) as opened:
        batches, counts, waits = opened.book.index.batches(), opened.book.index.counts(), len(opened.book.waiting)
        why = opened.archive.why
    rows = [ui.batch(each, why) for each in batches]
    if json:
        typer.echo(codec.dumps({"batches": rows, "models": counts, "waiting": waits}, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['root'][:16]}  {row['models']:>6} models  block {row['block']:>8}  {row['list']}")
    lacking = f", {counts['missing']} in lists that are unavailable" if counts["missing"] else ""
    typer.echo(f"{counts['read']} models in {len(rows)} batches{lacking}; {waits} wait here to be posted (`swarm model post`)")


@app.command()
def add(
    epoch: Annotated[int | None, typer.Argument(min=0, help="Which epoch; without it all that closed clean.")] = None,
    peer: Annotated[int, typer.Option("--peer", min=0, help="Which of this run's peers, with an epoch.")] = 0,
    job: Annotated[bool, typer.Option("--job", help="The delivered models of the job that this run is for.")] = False,
    everyone: Annotated[bool, typer.Option("--everyone", help="The models of all members of the swarm.")] = False,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """Let models of this run's peers wait for the next batch. Only what closed clean is taken.

    Example: `swarm model add 7`
    """
    from swarm import runs
    from swarm.errors import InputError

    if (epoch is not None) + everyone + job > 1:
        raise InputError("an epoch, --everyone and --job leave no room for each other", "give one of them, or none")
    run = runs.latest(run_dir)
    with _opened(run.folder, None, 0.0, json) as opened:
        keys = _keys(run, opened.source)
        if job:
            new = opened.book.add_job(opened.source.swarm)
        elif epoch is not None:
            if peer not in keys:
                raise InputError(f"this run has no peer {peer} that was ever a member", f"it has {', '.join(map(str, keys)) or 'none'}")
            new = int(opened.book.add(keys[peer], epoch))
        else:
            new = opened.book.add_all(opened.source.swarm, None if everyone else set(keys.values()))
        waits = len(opened.book.waiting)
    _print({"added": new, "waiting": waits}, json)


@app.command()
def post(
    run_dir: o.RunDir = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until two other operators hold the list.")] = 60.0,
    dry_run: o.DryRun = False,
    json: o.Json = False,
) -> None:
    """Put what waits on the chain, up to 8192 models under one root: some 48,000 gas, so a thousand models cost 48 each.

    Example: `swarm model post --dry-run`
    """
    from swarm import enrolment, runs
    from swarm.errors import InputError

    run = runs.latest(run_dir)
    say = (lambda text: None) if json else typer.echo
    with _opened(run.folder, None, 0.0, json) as opened:
        book = opened.book
        ready = len(book.waiting) + sum(batch.count for batch in book.waiting.sealed())
        if dry_run or not ready:
            _print({"waiting": ready, "posted": 0, "note": "nothing was sent (--dry-run)" if dry_run else "`swarm model add` lets models wait"}, json)
            return
        peers = [folder for folder in run.peers if (folder / enrolment.SESSION_KEY).exists() and (folder / "network" / "blobs").is_dir()]
        if not peers:
            raise InputError(f"no peer of the run in {run.folder} was ever a member on its chain", "start it first: its peers serve the lists")
        done = book.post(enrolment.session_key(peers[0]), [folder / "network" / "blobs" for folder in peers], say)
        held = _held(opened, run, done[-1], wait) if opened.source.on and wait else None
    value = {"posted": sum(batch.count for batch in done), "batches": [batch.root.hex() for batch in done], "held_by": held}
    if json:
        typer.echo(codec.dumps(value, indent=1))
    elif held is None:
        typer.echo("whether others hold the list was not asked: start the run, its peers serve it (`swarm model list --wait 15` elsewhere shows it)")
    else:
        typer.echo(f"operators besides this run's that hold the last list: {held}" + ("" if held >= 2 else "; keep this run on until it is two"))


@contextlib.contextmanager
def _opened(run_dir: Path | None, invite: str | None, wait: float, quiet: bool) -> Iterator[_Opened]:
    """The models of a run's swarm, or of an invite's, brought up to date."""
    from swarm import modelbook, runs, sources
    from swarm.archive import Archive
    from swarm.models.waiting import LISTS

    say = (lambda text: None) if quiet else (lambda text: typer.echo(text, err=True))
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(sources.of_invite(invite) if invite else sources.of_run(runs.latest(run_dir)))
        book = stack.enter_context(modelbook.opened(runs.home(), source.chain))
        source.chain.check()
        lists = modelbook.place_of(runs.home(), source.chain.link) / LISTS
        blobs = [peer / "network" / "blobs" for peer in source.peers]
        place = runs.home() / "cache" / f"visit-{os.getpid()}"
        with contextlib.closing(Archive(source.swarm, [*blobs, lists], lists, place, list(source.boot), say)) as archive:
            book.bring_up(archive, wait)
            yield _Opened(book, source, archive)


def _other_file(model: Model, file: Path) -> str:
    """Why a file is not this model; empty where it is. Raises InputError."""
    from blake3 import blake3

    from swarm.chain.values import Kind
    from swarm.errors import InputError, Refused

    try:
        if model.kind == Kind.JOB:
            found = blake3().update_mmap(file).digest()
        else:
            from swarm.learn import root, state

            found = root.state_root(*state.unpack(file.read_bytes()))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror})", "the digest alone can be verified without --file") from None
    except Refused as error:
        return f"{file} is no state: {error}"
    return "" if found == model.model else f"{file} is another model ({found.hex()[:16]})"


def _held(opened: _Opened, run: Run, batch: Batch, wait: float) -> int:
    """How many operators besides this run's hand over a batch's list."""
    from swarm.errors import NetworkError

    own = {operator for key, operator, _ in opened.book.index.truth.members(opened.source.swarm) if key in _keys(run, opened.source).values()}
    try:
        network = opened.archive.visit(wait)
        return len(opened.book.holders(network, opened.source.swarm, batch.list, batch.count, own, wait))
    except NetworkError:
        return 0


def _keys(run: Run, source: Source) -> dict[int, bytes]:
    """Member keys of a run's peers, by their number."""
    from swarm.chain.client import Swarm
    from swarm.session import Session

    found = {}
    for index, folder in enumerate(run.peers):
        if (folder / "session.bin").exists():
            session = Session.load(folder / "session.bin")
            found[index] = Swarm(source.chain, source.swarm).key(session.operator, session.peer)
    return found


def _print(value: dict[str, Any], json: bool) -> None:
    from swarm.ui import models as ui

    typer.echo(codec.dumps(value, indent=1) if json else "\n".join(ui.lines(value)))
