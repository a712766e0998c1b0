"""`swarm job challenge`: replay what others audit in a job, and dispute what they got wrong."""

from __future__ import annotations

import os
import shutil
import time
from typing import Annotated

import typer

from swarm import identity as identities
from swarm import launch, runs
from swarm.chain.values import JobPhase
from swarm.cli import job as j
from swarm.cli import options as o
from swarm.errors import InputError
from swarm.identity import Identity

FOLDER, LOCAL = "whistles", "whistle"
REPLAY_S = 120.0

Peer = Annotated[str, typer.Argument(help="Only this member: two-word name, peer id or operator address. Everybody otherwise.")]
EpochNumber = Annotated[int | None, typer.Argument(min=0, help="And only this epoch.")]
Hours = Annotated[float | None, typer.Option("--max-hours", min=0, help="Stop after this time; when the job is over otherwise.")]


def challenge(
    job: j.JobId,
    peer: Peer = "",
    epoch: EpochNumber = None,
    max_hours: Hours = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Replay and say what comes out; stake and send nothing.")] = False,
    identity: j.Name = "",
    passphrase_file: o.PassphraseFile = None,
    ask_passphrase: o.AskPassphrase = False,
    boot: o.Boot = None,
    rpc: o.Rpc = None,
    contracts: o.Contracts = None,
    i_accept_unaudited: o.Unaudited = False,
) -> None:
    """Be a whistleblower in a job: replay what is audited there, and challenge what comes out otherwise here. Right is worth up to half a stake.

    Example: `swarm job challenge 3fa9c2`

    Takes a bond for each challenge from a stake of your own, lost where the jury finds you wrong. You are in no draw and have no duties.
    """
    from swarm import observer
    from swarm.jobs.whistle import Whistle

    if bool(peer) != (epoch is not None):
        raise InputError("a member and an epoch go together", "name both, or neither for all of them")
    say = j.teller(False)
    with j.looked_up(job, rpc, contracts, unaudited=i_accept_unaudited) as (chain, book, found):
        if found.brief is None:
            raise InputError(f"job {found.short} has no brief that can be read", found.why)
        mine = runs.home() / FOLDER / found.short
        shutil.rmtree(mine / "replays", ignore_errors=True)
        mine.mkdir(parents=True, exist_ok=True, mode=0o700)
        member = _member(chain.link.embedded, identity, passphrase_file, ask_passphrase)
        there = [*(boot or []), *found.brief.addresses]
        with observer.opened(mine / "replays", chain, found.id, there, None, found.brief.recipe.hex(), runs.home() / "cache", say) as opened:
            say("loading the model and its tasks")
            with opened.at_work() as replay:
                whistle = Whistle(opened, member, mine, say)
                if not dry_run:
                    whistle.enrol(found.swarm.terms.minStake)
                if peer:
                    return whistle.see_through(observer.find(found.swarm, peer, epoch or 0), replay, REPLAY_S, dry_run)
                end = time.monotonic() + 3600 * max_hours if max_hours is not None else float("inf")
                over = lambda: time.monotonic() > end or chain.read("market", "phaseOf", found.id) >= JobPhase.OVER  # noqa: E731
                say(f"watching job {found.short}: every epoch is replayed when its steps are drawn (Ctrl-C ends)")
                whistle.watch(replay, over, REPLAY_S, dry_run)


def _member(local: bool, name: str, file: object, ask: bool) -> Identity:
    """Whose stake it is: the named identity, or on a local chain a free one of whistleblowers."""
    if local and not name:
        for number in range(launch.MAX_LOCAL):
            folder = runs.home() / "identities" / f"{LOCAL}-{number}"
            if runs.claim(folder / "reserved") is not None:  # until this process ends
                return Identity.open_or_create_local(folder)
    from swarm import keystore

    folder, secret = o.identity_folder(name or "default"), keystore.passphrase(file, ask)
    if not (folder / identities.FILE).exists():
        raise InputError(f"there is no identity in {folder}", f"`swarm identity create {os.path.basename(folder)}` makes one")
    return Identity.open(folder, secret)
