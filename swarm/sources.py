"""Where a swarm can be read for its scores: a run of this machine, or an invite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from swarm import chainhost, heartbeat, invite, runs
from swarm.assessment import Source
from swarm.chain import link
from swarm.chain.client import Chain
from swarm.errors import InputError
from swarm.runs import Run

Reading = Callable[[Path], contextlib.AbstractContextManager[Chain]]


@contextlib.contextmanager
def of_run(run: Run, reading: Reading = chainhost.reading) -> Iterator[Source]:
    """A run of this machine: its peers while they are on, and those that it was invited by, are whom others are asked through.

    Raises InputError where it has no chain (yet), ChainError where the chain does not answer.
    """
    rules = run.recipe()
    if rules.proof.profile == "none":
        what = f"the run in {run.folder} has no chain: its recipe says proof.profile = none"
        raise InputError(what, "scores need a recipe that proves, such as `local`")
    folder = run.folder / chainhost.FOLDER
    if not (folder / link.FILE).exists():
        what = f"the run in {run.folder} has no chain yet"
        raise InputError(what, "it starts with `swarm up`, within the first minute; `swarm status` says where it is")
    on = run.on
    beats = [heartbeat.read(peer / heartbeat.FILE) for peer in run.peers] if on else []
    boot = [address for beat in beats if beat is not None for address in beat.addresses]
    with reading(folder) as chain:
        yield Source(chain, bytes.fromhex(run.info.swarm), tuple(run.peers), (*boot, *run.info.boot), on, rules, run.info.recipe_blob)


@contextlib.contextmanager
def of_invite(text: str) -> Iterator[Source]:
    """The swarm of an invite, with what its runs on this machine, if any, have of it."""
    given = invite.parse(text)
    if given.chain is None:
        raise InputError("this invite names no chain: nothing is proved in its swarm", "there is nothing to score")
    mine = [run for run in runs.all_runs() if run.info.swarm == given.swarm.hex()]
    peers = tuple(peer for run in mine for peer in run.peers)
    rules = mine[0].recipe() if mine else None
    on = any(run.on for run in mine)
    yield Source(Chain(given.chain), given.swarm, peers, tuple(given.addresses), on, rules, given.recipe_blob.hex())
