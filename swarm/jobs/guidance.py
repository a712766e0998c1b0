"""What a job is worth: its work by arithmetic from model and recipe, what such work was paid on this chain, and what a posted job costs.

Rates are wei for a TFLOP of verified work (10^12 floating-point operations, counted by `swarm.proof.units`). Where nobody was ever paid on
a chain, a core's hour at the speed `swarm.plan` assumes counts as one credit: a place to begin, not a market price.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from swarm import plan
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.values import WEI, amount
from swarm.errors import InputError
from swarm.jobs.book import Book, Job
from swarm.proof import odds
from swarm.recipe import Recipe

MFLOP_OF_TFLOP = 10**6
FIRST_RATE = int(WEI / (3600 * plan.TRAIN_FLOPS / 1e12))  # one credit for a core's hour
FLOOR = 100  # a job under a hundredth of the cheapest known rate is refused: nobody's electricity is that cheap
POST_GAS = {"create the swarm": 330_000, "approve": 60_000, "post": 450_000, "confirm, settle, withdraw": 300_000}


@dataclass(frozen=True)
class Work:
    """What one step takes: MFLOP of sampling and of training, seconds with `cores` cores, and bytes of memory and disk of the machine."""

    sampled: int
    trained: int
    step_s: float
    memory: int
    disk: int
    cores: float

    @classmethod
    def of(cls, recipe: Recipe, cores: float) -> Work:
        """By arithmetic, within a factor of two. Raises InputError where the model's shape is not known here."""
        one, found = plan.estimate(recipe, cores), plan.flops(recipe)
        if found is None or one.memory is None or one.disk is None or one.round_s is None:
            what = f"the work of a step cannot be estimated: the model {recipe.model.source} is not on this machine"
            raise InputError(what, "fetch it into a folder and name that: model.source=path:FOLDER")
        return cls(*found, one.round_s, one.memory, one.disk, cores)

    @property
    def mflop(self) -> int:
        return self.sampled + self.trained

    def tflop(self, steps: int) -> float:
        return steps * self.mflop / MFLOP_OF_TFLOP


@dataclass(frozen=True)
class Guidance:
    """What a TFLOP was paid (`paid`: jobs whose epochs were accepted) and is offered for (`offered`: open jobs), wei each."""

    paid: tuple[int, ...]
    offered: tuple[int, ...]

    @property
    def rate(self) -> int:
        """The median of what was paid, else of what is offered, else the first rate."""
        known = self.paid or self.offered
        return max(1, int(statistics.median(known))) if known else FIRST_RATE

    @property
    def source(self) -> str:
        if self.paid:
            return f"the median of {len(self.paid)} job{'s' * (len(self.paid) > 1)} that paid for accepted work on this chain"
        if self.offered:
            return f"the median of {len(self.offered)} open offer{'s' * (len(self.offered) > 1)}; nobody was paid on this chain yet"
        return "one credit for a core's hour, since there is no job on this chain yet"

    def price(self, tflop: float) -> int:
        """Wei for so much work."""
        return max(1, int(self.rate * tflop))

    def floor(self, tflop: float) -> int:
        """Wei under which nobody would do so much work. By the cheapest that is known, so that a few dear offers keep nobody out."""
        return max(1, int(min((FIRST_RATE, *self.paid, *self.offered)) * tflop) // FLOOR)


def guidance(chain: Chain, book: Book) -> Guidance:
    """What jobs of this chain paid and offer. Paid work is counted in units that a closed audit verified, never by a brief."""
    jobs = book.jobs()
    return Guidance(_paid(chain, jobs), tuple(rate for job in jobs if (rate := _offered(job)) is not None))


def _paid(chain: Chain, jobs: list[Job]) -> tuple[int, ...]:
    accepted = [(job, event.values) for job in jobs for event in job.named("Accepted")]
    if not accepted:
        return ()
    units = {}
    scanner = Scanner(chain, ("ledger",))
    while new := scanner.scan().new:
        units |= {(event.values["key"], event.values["epoch"]): event.values["units"] for event in new if event.name == "Committed"}
    paid: dict[bytes, int] = {}
    worked: dict[bytes, int] = {}
    for job, said in accepted:
        paid[job.id] = paid.get(job.id, 0) + said["paid"]
        worked[job.id] = worked.get(job.id, 0) + units.get((said["key"], said["epoch"]), 0)
    return tuple(paid[job] * MFLOP_OF_TFLOP // worked[job] for job in paid if worked[job])


def _offered(job: Job) -> int | None:
    """What an open job offers by its submitter's own estimate: only that is known before anybody has worked."""
    estimate = job.brief.estimate if job.brief is not None else None
    mflop = estimate.sampled + estimate.trained if estimate else 0
    return job.offer.price * MFLOP_OF_TFLOP // (job.offer.steps * mflop) if job.open and mflop else None


@dataclass(frozen=True)
class Costs:
    """What a job costs whom. Amounts in wei; `least` is the fewest steps of an epoch that pays its verifiers, `drawn` those of them replayed."""

    training: int
    verification: int
    attestation: int
    plants: int
    total: int
    steps: int
    least: int
    drawn: int
    epochs: int
    stake: int
    gas: int = 0  # wei of the chain's coin, at today's price

    @property
    def share(self) -> float:
        """Replayed steps for each step trained: each drawn one is replayed by two auditors."""
        return 2 * self.drawn / self.least

    def rows(self) -> list[tuple[str, str, str]]:
        """(what, credits, why) of each line."""
        replayed = f"{self.drawn} of {self.least} steps of an epoch, by two auditors: {self.share:.1%} of all steps are replayed"
        return [
            ("training", amount(self.training), f"{self.steps} steps, {short(self.training / self.steps)} each"),
            ("verification", amount(self.verification), replayed),
            ("attestation", amount(self.attestation), "two members fetch the finished model and check it (and score it, with a target)"),
            ("planted faults", amount(self.plants), "for work that is wrong on purpose, which catches verifiers that do not look"),
            ("total", amount(self.total), "goes into escrow; what is not earned comes back"),
        ]

    def odds(self) -> str:
        """What the verification is worth, in words."""
        once = odds.of_share(self.least, self.drawn, 0.1)
        whole = odds.over_epochs(once, self.epochs)
        loss = self.stake * self.drawn / self.least
        single = odds.detection(self.least, self.drawn, 1)
        return (
            f"a solver that forges one step in ten is seen with odds {once:.2f} in an epoch and {whole:.2f} in the job's {self.epochs}; one forged "
            f"step of {self.least} with {single:.2f}, and then its stake of {amount(self.stake)} credits is gone: forging a step gains "
            f"{short(self.training / self.steps)} and loses {short(loss)} on average"
        )


def short(wei: float) -> str:
    """Credits with four figures, for prose."""
    value = wei / WEI
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}".rstrip("0").rstrip(".") if value > 0 else "0"
