"""`swarm pause` and `swarm resume`: out of the draws of audits and juries, and back."""

from __future__ import annotations

import typer

from swarm import chainhost, enrolment, runs
from swarm.chain.client import Chain, Swarm
from swarm.cli import options as o
from swarm.errors import InputError
from swarm.runs import Run
from swarm.session import Session


def pause(run_dir: o.RunDir = None) -> None:
    """Leave the draws: nobody counts on this run's peers for audits or randomness, and being away costs them nothing.

    Example: `swarm pause`

    Training and commitments go on. A node that ends in order does this by itself, and its next start resumes.
    """
    _change(runs.latest(run_dir), paused=True)


def resume(run_dir: o.RunDir = None) -> None:
    """Come back into the draws after `swarm pause`, or after a missed duty.

    Example: `swarm resume`
    """
    _change(runs.latest(run_dir), paused=False)


def _change(run: Run, paused: bool) -> None:
    if run.recipe().proof.profile == "none":
        raise InputError(f"the steps of the run in {run.folder} are not proved (proof.profile = none)", "there are no draws to leave")
    peers = [folder for folder in run.peers if (folder / enrolment.SESSION_KEY).exists() and (folder / "session.bin").exists()]
    if not peers:
        raise InputError(f"no peer of the run in {run.folder} was ever a member on its chain", "start it first")
    with chainhost.reading(run.chain) as chain:
        swarm = Swarm(chain, bytes.fromhex(run.info.swarm))
        for folder in peers:
            session = Session.load(folder / "session.bin")
            said = _of(chain, swarm, swarm.key(session.operator, session.peer), enrolment.session_key(folder), paused)
            typer.echo(f"{session.name}: {said}")


def _of(chain: Chain, swarm: Swarm, key: bytes, secret: bytes, paused: bool) -> str:
    """Pause or resume one member, and say from when it counts."""
    now = swarm.stake(key)
    if not now.active:
        return "has no stake, so it is in no draw"
    if now.paused == paused:
        return "is out of the draws already" if paused else "is in the draws already"
    chain.send(secret, "vault", "pause" if paused else "resume", key)
    if paused:
        epoch = chain.read("registry", "openEpochAt", swarm.id, chain.head().time)
        return f"is out of the draws from epoch {epoch} on; what it was drawn for before still has to be done"
    return f"is in the draws again from epoch {swarm.stake(key).resumedAt} on"
