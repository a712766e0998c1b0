"""The market's book: every job as its chain tells it, from the events and views of `ComputeMarket` and
`JobDelivery`.

    Book(chain).jobs()     all, the newest first        Book(chain).job("3fa9")    the one whose id begins so        rows(chain)    as JSON has them

What a brief says is shown as the submitter's word; state, money and times are the contract's alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from swarm import keys
from swarm.chain.abi import Event
from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Scanner, mark
from swarm.chain.values import JobPhase, amount
from swarm.errors import InputError, Refused
from swarm.jobs import brief as briefs
from swarm.jobs.brief import Brief

ROLE, DELIVERY = "market", "delivery"
LEAST_PREFIX = 4
SHOWN = 200  # jobs whose state is asked for a list, the newest


@dataclass
class Job:
    """One posted job. `brief` is None where what was posted is none; `why` says so then."""

    chain: Chain
    id: bytes
    submitter: bytes
    offer: SimpleNamespace
    posted: int  # block
    brief: Brief | None
    why: str = ""
    events: list[Event] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.brief.name if self.brief is not None else "(no brief)"

    @property
    def short(self) -> str:
        """The id as people type it."""
        return self.id.hex()[:12]

    @property
    def phase(self) -> JobPhase:
        return JobPhase(self.state.phase)

    @property
    def open(self) -> bool:
        """Whether somebody can still begin to work on it, or will be able to once it is seeded."""
        free = any(part.key == bytes(32) and not self.is_complete(part) for part in self.parts)
        return self.phase in (JobPhase.SEEDING, JobPhase.WORKING) and not self.state.cancelled and free and self.state.steps < self.offer.steps

    def is_complete(self, part: SimpleNamespace) -> bool:
        return part.steps >= self.offer.stepsEach or self.state.steps >= self.offer.steps

    @cached_property
    def state(self) -> SimpleNamespace:
        """`IComputeMarket.Job` now."""
        return self.chain.read(ROLE, "jobOf", self.id)

    @cached_property
    def parts(self) -> list[SimpleNamespace]:
        """`IComputeMarket.Part` of each part now."""
        return [self.chain.read(ROLE, "partOf", self.id, part) for part in range(self.offer.parts)]

    @cached_property
    def deliveries(self) -> list[SimpleNamespace]:
        """`IJobDelivery.Delivery` of each part now: model, time, confirmed, number."""
        return [self.chain.read(DELIVERY, "deliveryOf", self.id, part) for part in range(self.offer.parts)]

    @cached_property
    def swarm(self) -> Swarm:
        return Swarm(self.chain, self.id)

    def forget(self) -> None:
        """Ask the chain anew: a phase follows from the time alone."""
        for view in ("state", "parts", "deliveries"):
            self.__dict__.pop(view, None)

    def named(self, name: str) -> list[Event]:
        """The job's events of one name, in order."""
        return [event for event in self.events if event.name == name]


class Book:
    """Reads the market's events; `look` again takes in what is new."""

    def __init__(self, chain: Chain):
        self.chain = chain
        self.found: dict[bytes, Job] = {}
        self._scanner = Scanner(chain, (ROLE, DELIVERY))

    def look(self) -> list[Event]:
        """The events since the last look, taken into the book; what a fork of the chain took back is out of it."""
        events: list[Event] = []
        while (found := self._scanner.scan()).new or found.gone:
            self._drop(set(found.gone))
            events += found.new
            for event in found.new:
                self._take(event)
        for job in self.found.values():
            job.forget()
        return events

    def jobs(self) -> list[Job]:
        """Every job, the newest first."""
        self.look()
        return sorted(self.found.values(), key=lambda job: job.posted, reverse=True)

    def job(self, text: str) -> Job:
        """The job whose id begins with `text` (hex), or that has this name and no other has. Raises InputError."""
        jobs, wanted = self.jobs(), text.lower().removeprefix("0x")
        found = [job for job in jobs if len(wanted) >= LEAST_PREFIX and job.id.hex().startswith(wanted)] or [job for job in jobs if job.name == text]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"{len(found)} jobs are meant by {text[:80]!r}: {', '.join(job.short for job in found[:8])}", "give more of the id")
        raise InputError(f"there is no job {text[:80]!r} on this chain", "`swarm job list --all` shows every job")

    def _drop(self, gone: set[str]) -> None:
        for job in [*self.found.values()] if gone else ():
            job.events = [event for event in job.events if mark(event) not in gone]
            if not job.named("Posted"):
                del self.found[job.id]

    def _take(self, event: Event) -> None:
        values = event.values
        if event.name == "Posted" and values["job"] not in self.found:
            self.found[values["job"]] = _posted(self.chain, event)
        job = self.found.get(values.get("job", b""))
        if job is not None:
            job.events.append(event)


def rows(chain: Chain) -> list[dict[str, Any]]:
    """The jobs of a chain as plain values, the newest first: amounts in credits as exact texts, times in unix seconds."""
    return [row(job) for job in Book(chain).jobs()[:SHOWN]]


def row(job: Job) -> dict[str, Any]:
    state, offer = job.state, job.offer
    return {
        "job": job.id.hex(),
        "name": job.name,
        "about": job.brief.about if job.brief else job.why,
        "submitter": keys.checksum(job.submitter),
        "phase": job.phase.name.lower(),
        "open": job.open,
        "price": amount(offer.price),
        "steps": offer.steps,
        "accepted_steps": state.steps,
        "parts": offer.parts,
        "claimed": sum(part.key != bytes(32) for part in job.parts),
        "seeders": state.seeders,
        "deadline": state.deadline,
        "escrow": amount(state.escrow),
        "solver_stake": amount(offer.solverStake),
    }


def _posted(chain: Chain, event: Event) -> Job:
    values = event.values
    try:
        found, why = briefs.parse(values["brief"]), ""
    except Refused as refused:
        found, why = None, str(refused)
    return Job(chain, values["job"], values["submitter"], values["offer"], event.block, found, why)
