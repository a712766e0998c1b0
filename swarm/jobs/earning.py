"""What this machine could do for the jobs that are open now, and what it would be paid: by arithmetic, from the chain and the briefs.

Steps and memory are the submitters' own estimates: whoever takes a job works them out again from its recipe before anything is staked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from swarm import plan
from swarm.chain.values import JobPhase, amount
from swarm.jobs.book import Job

MFLOP = 1e6
SEATS = 2  # auditors of an epoch


@dataclass(frozen=True)
class Machine:
    """Free memory in bytes, and cores that one job may use."""

    memory: int
    cores: float

    def step_s(self, job: Job) -> float:
        """Seconds of one step here."""
        said = job.brief.estimate if job.brief else None
        if said is None:
            return 0.0
        return (said.sampled * MFLOP / plan.GENERATE_FLOPS + said.trained * MFLOP / plan.TRAIN_FLOPS) / self.cores + plan.STEP_S


@dataclass(frozen=True)
class Chance:
    """One job and role. `pays` is all that it can bring, in wei; `hours` is work; `why` it cannot be done here, empty where it can."""

    job: str
    name: str
    role: str
    pays: int
    hours: float
    stake: int
    memory: int
    why: str = ""

    @property
    def hourly(self) -> int:
        """Wei for an hour of work."""
        return int(self.pays / self.hours) if self.hours else 0

    def value(self) -> dict[str, Any]:
        value = asdict(self) | {"pays": amount(self.pays), "stake": amount(self.stake), "hourly": amount(self.hourly), "hours": round(self.hours, 4)}
        return value


def chances(jobs: Iterable[Job], machine: Machine, now: int) -> list[Chance]:
    """What can be had of these jobs, the best paid hour first; what cannot be done here comes last."""
    found = [chance for job in jobs for chance in (solving(job, machine, now), verifying(job, machine)) if chance is not None]
    return sorted(found, key=lambda chance: (bool(chance.why), -chance.hourly))


def solving(job: Job, machine: Machine, now: int) -> Chance | None:
    """Taking a free part; None where there is none."""
    if not job.open:
        return None
    offer, state, step_s = job.offer, job.state, machine.step_s(job)
    free = max(offer.stepsEach - part.steps for part in job.parts if part.key == bytes(32))
    steps = min(free, offer.steps - state.steps)
    late = steps * step_s + job.swarm.terms.epoch > state.deadline - now
    why = _why(job, machine) or ("too slow for its deadline" if late else "")
    return Chance(job.short, job.name, "solver", offer.price * steps // offer.steps, steps * step_s / 3600, offer.solverStake, _memory(job), why)


def verifying(job: Job, machine: Machine) -> Chance | None:
    """Auditing what is still to be done of it; None where nothing is. One of two seats of every epoch is the most that one operator has."""
    offer, state = job.offer, job.state
    if job.phase not in (JobPhase.SEEDING, JobPhase.WORKING) or state.cancelled or state.steps >= offer.steps:
        return None
    epochs = -(-(offer.steps - state.steps) // offer.leastSteps)
    replayed = epochs * min(job.swarm.terms.segments, offer.leastSteps)
    others = max(1, job.swarm.chain.read("vault", "memberCount", job.id))
    seats = min(1.0, SEATS / others)  # of a panel of two, drawn by stake
    work = replayed * seats * machine.step_s(job) / 3600
    pays, stake = int(replayed * seats * offer.perSegment), job.swarm.terms.minStake
    return Chance(job.short, job.name, "verifier", pays, work, stake, _memory(job), _why(job, machine))


def _why(job: Job, machine: Machine) -> str:
    if job.brief is None:
        return "its brief cannot be read"
    return "too little memory" if _memory(job) > machine.memory else ""


def _memory(job: Job) -> int:
    return job.brief.estimate.memory if job.brief else 0
