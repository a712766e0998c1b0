"""A job and a posting's figures as people read them: plain lines. Every text of a brief was made plain when it was read."""

from __future__ import annotations

import time
from typing import Any

from swarm.chain.values import JobPhase, amount
from swarm.jobs.book import Job
from swarm.jobs.earning import Chance
from swarm.jobs.guidance import Costs, Guidance, Work, short
from swarm.jobs.watch import Names
from swarm.keys import checksum
from swarm.times import span

SEEN = "Solvers and verifiers will see everything: the recipe, the data and code it names, every text the model writes, and the finished model."
GAP = "  "


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines with columns as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def listed(jobs: list[dict[str, Any]], now: int) -> list[str]:
    """The list of jobs, from `book.row`."""
    if not jobs:
        return ["no jobs (`swarm job list --all` shows closed ones too)"]
    head = ("job", "name", "phase", "pays", "steps done", "parts taken", "seeds", "ends in")
    rows = [
        (
            *(job["job"][:12], job["name"][:24], job["phase"], job["price"]),
            f"{job['accepted_steps']} of {job['steps']}",
            f"{job['claimed']} of {job['parts']}",
            f"{min(job['seeders'], 2)} of 2",
            left(job["deadline"] - now),
        )
        for job in jobs
    ]
    return table([head, *rows])


def posting(name: str, work: Work, steps: int, guidance: Guidance, costs: Costs) -> list[str]:
    """What is shown before anything is posted."""
    tflop = work.tflop(steps)
    each = f"{work.sampled / 1e6:.3g} of sampling and {work.trained / 1e6:.3g} of training a step"
    takes = f"{work.step_s:.1f} s a step, {span(round(work.step_s * steps))} in all; {work.memory / 1e9:.1f} GB of memory"
    return [
        f"job {name}: {steps} steps, about {tflop:.3g} TFLOP ({each})",
        f"on {work.cores:g} core{'s' * (work.cores != 1)} like this machine's {takes}",
        f"price guidance: {short(guidance.price(tflop))} credits for the training alone ({guidance.source})",
        *table([(what, f"{credits} credits", why) for what, credits, why in costs.rows()]),
        f"gas: about {short(costs.gas)} of the chain's coin, for everything that you send",
        costs.odds(),
        SEEN,
    ]


def cloud(price: float, work: Work, steps: int, total: int) -> str:
    """The same work on a rented machine, at the price for an hour that the user states."""
    hours = work.step_s * steps / 3600
    return f"in the cloud, by your price of {price:g} an hour: {price * hours:.4g} for {hours:.2g} hours of such a machine; this job: {short(total)}"


def shown(job: Job, names: Names, now: int) -> list[str]:
    """One job: its state, parts, payments and what is due next."""
    state, offer = job.state, job.offer
    pays = f"{amount(offer.price)} credits for {offer.steps} steps, {amount(offer.perSegment)} for a replayed step"
    lines = [
        f"job {job.id.hex()}  {job.name}  {job.phase.name.lower()}{' (cancelled)' if state.cancelled else ''}",
        *([job.brief.about] if job.brief and job.brief.about else [job.why] if job.why else []),
        f"submitter {checksum(job.submitter)}, posted in block {job.posted}",
        f"pays {pays}; {amount(state.escrow)} are in escrow",
        f"a solver stakes {amount(offer.solverStake)}; {min(2, state.seeders)} of 2 seeds; {state.steps} of {offer.steps} steps accepted",
    ]
    for number, part in enumerate(job.parts):
        who = names.name(part.key) if part.key != bytes(32) else "nobody"
        delivery = job.deliveries[number]
        model = f", model {delivery.model.hex()[:16]}" if delivery.model != bytes(32) else ""
        tail = " (paid for)" if part.released else " (confirmed)" if delivery.confirmed else ""
        lines.append(f"part {number}: {who}, {part.steps} steps{model}{tail}")
        for said in (event.values for event in job.named("Accepted") if event.values["part"] == number):
            paid = f"{amount(said['paid'])} paid, {amount(said['kept'])} kept back"
            lines.append(f"  epoch {said['epoch']} of {names.name(said['key'])}: {said['steps']} steps, {paid}")
    audited = sum(event.values["amount"] for event in job.named("AuditorPaid"))
    return [*lines, f"verifiers were paid {amount(audited)} credits", *(f"next: {line}" for line in due(job, now))]


def chances(found: list[Chance], memory: int) -> list[str]:
    """What a machine could earn."""
    if not found:
        return ["nothing to do now: no job is open (`swarm job list`)"]
    head = ("job", "name", "as", "pays", "hours of one core", "an hour", "stake", "memory", "")
    rows = [
        (
            *(chance.job, chance.name[:24], chance.role, short(chance.pays), f"{chance.hours:.3g}", short(chance.hourly), short(chance.stake)),
            *(f"{chance.memory / 1e9:.1f} GB", chance.why or f"swarm job {'solve' if chance.role == 'solver' else 'verify'} {chance.job}"),
        )
        for chance in found
    ]
    note = f"estimates are the submitters' own; {memory / 1e9:.1f} GB of memory are free here. A stake comes back unless you cheat or miss duties."
    return [*table([head, *rows]), note]


def due(job: Job, now: int) -> list[str]:
    """The next deadlines of a job, in words."""
    found, state = [], job.state
    if job.phase in (JobPhase.SEEDING, JobPhase.WORKING) and now < state.deadline:
        found.append(f"epochs count that end within {left(state.deadline - now)}")
    if job.phase == JobPhase.WORKING:
        found += [
            f"part {number} can be taken from its solver in {left(part.moved + job.offer.patience - now)} if it does not move"
            for number, part in enumerate(job.parts)
            if part.key != bytes(32) and not job.is_complete(part)
        ]
    if job.phase in (JobPhase.OPENING, JobPhase.SCORING, JobPhase.REVEALING):
        found.append(f"it is {job.phase.name.lower()} now")
    if job.phase == JobPhase.OVER:
        found.append("anyone can settle it now: `swarm job show ID --serve` does, or its solver")
    elif job.phase != JobPhase.SETTLED:
        found.append(f"it can be settled in {left(state.ends - now)} at the latest, {time.strftime('%H:%M:%S UTC', time.gmtime(state.ends))}")
    return found


def left(seconds: int) -> str:
    """How long until something, or `over`."""
    return span(seconds) if seconds > 0 else "over"
