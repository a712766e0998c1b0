"""`swarm job fetch`: the finished model of a job, with its card, after its checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swarm import addresses
from swarm.cli import job as j
from swarm.cli import options as o
from swarm.errors import InputError

Out = Annotated[Path | None, typer.Option("--out", help="New folder for the model; `model-` and the job's id otherwise.")]
Part = Annotated[int, typer.Option("--part", min=0, help="Which part, where there are several; they count from 0.")]


def fetch(
    job: j.JobId,
    out: Out = None,
    part: Part = 0,
    boot: o.Boot = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    json: o.Json = False,
) -> None:
    """Fetch the finished model of any job with its card. Its digest and tensors are checked against the chain first.

    Example: `swarm job fetch 3fa9c2 --out my-model`

    Needs no key. What was fetched can be loaded with `from_pretrained`.
    """
    from swarm.jobs import collect
    from swarm.jobs import fetch as fetching
    from swarm.jobs.watch import Names

    dialled = [addresses.dialable(text) for text in boot or []]
    with j.looked_up(job, rpc, contracts, quiet=json) as (_, book, found):
        place = (out or Path(f"model-{found.short}")).absolute()
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InputError(f"{place} exists already, and is not an empty folder", "name a new one with --out")
        card = fetching.facts(found, part, Names(book).name) if part < found.offer.parts else []
        told = collect.collected(found, part, dialled, card, j.teller(json))
    fetching.finish(told, place)
    text = f"{place}: the model has the delivered digest, and its tensors are those of state {told.root.hex()[:16]}, where the audited epochs end"
    j.say(json, text, {"job": found.id.hex(), "part": part, "folder": str(place), "model": told.digest.hex(), "root": told.root.hex()})
