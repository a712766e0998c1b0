"""Getting a delivered model's blobs: from a seeder's folder on this machine, else from the job's members, over a network that only dials."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

from swarm import recipe, runs
from swarm.errors import InputError, NetworkError, Refused
from swarm.identity import Identity
from swarm.jobs import seeder
from swarm.jobs.book import Job
from swarm.jobs.fetch import Finish
from swarm.jobs.submit import FOLDER, SHORT
from swarm.jobs.watch import largest
from swarm.network.boot import GoodPeers
from swarm.recipe import MAX_BYTES, Recipe

SESSION_S = 86_400
FETCH_S = 60.0
SCRATCH = "fetched"

Get = Callable[[bytes, int], bytes]


def collected(job: Job, number: int, boot: list[str], card: list[str], say: Callable[[str], None]) -> Finish:
    """The blobs of a delivered part, here, with what the chain says they must be. Raises InputError, Refused, NetworkError."""
    part, model = _delivered(job, number)
    place = runs.home() / SCRATCH / f"{job.id.hex()[:SHORT]}-{number}"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _source(job, place, boot, say) as get:
        rules = _recipe(job, get)
        (place / "recipe.json").write_bytes(rules.canonical)
        for digest, name in ((part.checkpoint, "checkpoint"), (model, "model")):
            say(f"the {name}, {digest.hex()[:16]}")
            (place / name).write_bytes(get(digest, largest(rules)))
    return Finish(place / "recipe.json", place / "model", model, place / "checkpoint", part.root, runs.home() / "cache", card)


def _delivered(job: Job, number: int) -> tuple[SimpleNamespace, bytes]:
    """A part and the digest of its model."""
    if not 0 <= number < job.offer.parts:
        raise InputError(f"--part {number}: job {job.short} has {job.offer.parts} part(s)", "they count from 0")
    part, model = job.parts[number], job.deliveries[number].model
    if model == bytes(32):
        what = f"part {number} of job {job.short} is not delivered: {part.steps} of {job.offer.stepsEach} steps are accepted"
        raise InputError(what, f"`swarm job show {job.short}` says where it stands")
    if part.checkpoint == bytes(32):
        what = f"the last epoch of part {number} was accepted without a checkpoint, so its model cannot be compared with the state that was audited"
        raise Refused("checkpoint", what, "members may have attested it all the same: see `swarm job show`")
    return part, model


def _recipe(job: Job, get: Get) -> Recipe:
    """The recipe, with the hash of the job's swarm. Raises Refused."""
    if job.brief is None:
        raise Refused("brief", f"job {job.short} cannot be fetched: {job.why}")
    rules = recipe.from_bytes(get(job.brief.recipe, MAX_BYTES))
    if rules.hash != job.swarm.record().recipe:
        what = f"the recipe that job {job.short} names is not the one its swarm was created with"
        raise Refused("recipe hash", what, "its submitter posted a wrong brief")
    return rules


@contextlib.contextmanager
def _source(job: Job, place: Path, boot: list[str], say: Callable[[str], None]) -> Iterator[Get]:
    """Where blobs come from. The network is started when something is not on this machine."""
    own = runs.home() / FOLDER / job.id.hex()[:SHORT] / "peer-0"
    with contextlib.ExitStack() as stack:
        started: list[Get] = []

        def get(digest: bytes, limit: int) -> bytes:
            if (data := seeder.blob(own, digest)) is not None:
                return data
            if not started:
                say("dialling the job's members (loading hivemind first, 10 s)")
                started.append(stack.enter_context(_dialled(job, place, [*boot, *GoodPeers(own / "network" / "peers.json").addresses()])))
            return started[0](digest, limit)

        yield get


@contextlib.contextmanager
def _dialled(job: Job, place: Path, boot: list[str]) -> Iterator[Get]:
    """A client of the job's swarm under an identity made for it."""
    from swarm.network import Network, NetworkSettings

    there = tuple(dict.fromkeys([*boot, *(job.brief.addresses if job.brief else ())]))
    if not there:
        raise NetworkError(f"nobody is known who could have the model of job {job.short}", "name a member with --boot")
    session = Identity.open_or_create_local(place / "identity").session(job.id, SESSION_S)
    network = Network(session, place / "network", NetworkSettings(boot=there, client=True), None)
    network.start()
    try:
        yield lambda digest, limit: network.fetch(digest, limit, timeout=FETCH_S)
    finally:
        network.close()
