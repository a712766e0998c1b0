"""Which job a machine takes next, and the run that it makes of it: an invite out of the chain's event, a folder, members, the stake.

What the event says was written by a stranger and is obeyed only as far as `swarm join` would obey it: the recipe's hash, the terms and the
offer's money are the contract's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import psutil

from swarm import launch, runs
from swarm.chain.values import JobPhase, amount
from swarm.errors import InputError
from swarm.invite import Invite
from swarm.jobs.book import Job
from swarm.jobs.earning import Machine
from swarm.launch import Choices
from swarm.runs import Info, Run
from swarm.settings import JobChoice
from swarm.taking import Taking, can_be_had

SHARE = 0.25  # of an epoch that one step may take on a machine without a GPU
SPARE = 0.8  # of the free memory


def fits(job: Job, gpu: bool) -> bool:
    """Whether this machine could do a job's steps in time, by what its submitter estimates; the recipe is looked at before it is begun."""
    if job.brief is None or not job.brief.addresses:
        return False
    if job.brief.estimate.memory > SPARE * psutil.virtual_memory().available:
        return False
    return gpu or Machine(0, 1.0).step_s(job) < SHARE * job.swarm.terms.epoch


def to_solve(jobs: Iterable[Job], gpu: bool, now: int) -> list[Job]:
    """Jobs with a part to be had at chain time `now`, the best paid step first."""
    on = (JobPhase.SEEDING, JobPhase.WORKING)
    found = [job for job in jobs if job.phase in on and any(can_be_had(part, job.offer, now) for part in job.parts) and fits(job, gpu)]
    return sorted(found, key=lambda job: job.offer.price / job.offer.steps, reverse=True)


def to_verify(jobs: Iterable[Job], gpu: bool, solved: set[bytes]) -> list[Job]:
    """Jobs that go on, those first that need seeders; none that this machine solves (`solved`): who trains does not judge it."""
    on = (JobPhase.SEEDING, JobPhase.WORKING)
    found = [job for job in jobs if job.phase in on and job.id not in solved and fits(job, gpu)]
    return sorted(found, key=lambda job: (job.state.seeders >= 2, job.posted))


def begun(jobs: Iterable[Job], role: str) -> list[Job]:
    """Jobs that go on and that a run of this machine was on in this role when it was stopped or killed: they come before new ones."""
    mine = {run.info.swarm for run in runs.all_runs() if (run.info.kind, run.info.role, run.info.finished) == ("job", role, None) and not run.on}
    return [job for job in jobs if job.phase < JobPhase.OVER and job.id.hex() in mine]


def solved_here() -> set[bytes]:
    """Jobs that some run of this machine solves, or solved."""
    return {bytes.fromhex(run.info.swarm) for run in runs.all_runs() if (run.info.kind, run.info.role) == ("job", "solver")}


def invite_of(job: Job) -> Invite:
    """What `swarm join` needs, from the chain's event. Raises InputError where the event does not tell."""
    if job.brief is None or not job.brief.addresses:
        raise InputError(f"job {job.short} cannot be taken: {job.why or 'its brief names no address'}", "ask its submitter, or take another one")
    return Invite(job.id, job.swarm.record().recipe, job.brief.recipe, job.brief.addresses, job.chain.link)


def stake_of(job: Job, role: str, asked: int | None) -> int:
    """Wei that a member has to stake. Raises InputError where the user did not allow so much on a chain whose credits cost something."""
    least = max(job.swarm.terms.minStake, job.offer.solverStake if role == "solver" else 0)
    if asked is not None and asked < least or asked is None and not job.chain.link.embedded:
        said = "nothing was said" if asked is None else f"--stake says {amount(asked)}"
        raise InputError(f"a {role} of job {job.short} stakes {amount(least)} credits, and {said}", f"add --stake {amount(least)}")
    return max(least, asked or 0)


def taken(job: Job, role: str, choices: Choices, until: float | None) -> Choices:
    """The choices for a run that takes a job: who is dialled, what is staked, what the nodes do."""
    given = invite_of(job)
    boot = [*choices.network.boot, *given.addresses]
    taking = Taking(job.id, JobChoice(role=role, until=until), stake_of(job, role, choices.chain.stake))
    return replace(choices, trusted=False, taking=taking, network=choices.network.model_copy(update={"boot": boot}))


def run_of(job: Job, role: str, choices: Choices) -> tuple[Run, str]:
    """The run of this job and role that can be carried on, or a new one; locked."""
    for run in runs.all_runs():
        mine = (run.info.kind, run.info.role, run.info.swarm) == ("job", role, job.id.hex()) and run.info.finished is None
        if mine and launch.fits(run, choices) and run.try_lock():
            return run, f"carrying on with the run in {run.folder}"
    given = invite_of(job)
    info = Info(kind="job", role=role, recipe="joined", recipe_hash=given.recipe_hash.hex(), recipe_blob=given.recipe_blob.hex(), swarm=job.id.hex())
    run = Run.create(runs.next_folder(f"{role}-{job.id.hex()[:8]}").absolute(), info)
    return run, f"new run in {run.folder}"
