"""The offer of a job: what a submitter wants and pays, made from a recipe, a budget and a deadline, with its bounds in sentences.

    wish = Wish(budget, deadline_s, steps=40)
    rules, told = fitted(recipe, wish, work)        the recipe as a job has it
    offer = Offer.of(rules, wish, work)             what is posted; offer.costs(rules)

The money is cut so: P for a step to its solver, P for a drawn step to each auditor that was right, P to each of two attesters of a part,
a fiftieth of the price for planted faults. A solver's stake is a multiple of what an epoch pays: what a forged step costs on average when
it is drawn with odds q/T is stake x q/T, and has to be more than P for each of the epochs that can be open at once.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

from swarm import enrolment
from swarm import recipe as recipes
from swarm.chain.values import WEI, amount
from swarm.errors import InputError
from swarm.jobs.guidance import Costs, Guidance, Work
from swarm.recipe import Recipe

SHARE = 20  # steps of an epoch for each drawn one: two auditors replay each, which is a tenth
PLANTS = 50  # of the price
DELIVERY_BPS, TARGET_BPS = 1_000, 2_000
PARTS = 64
SEATS = 2  # auditors of an epoch that are paid out of the budget, attesters of a delivery, scorers of a part
ROOM = 1.3  # epochs are so much longer than their steps are estimated to take
SLOW = 1.5  # a solver's machine may be so much slower than the estimate and still be in time
START_S = 90  # until two members have seeded and a solver has loaded the model
ABSENCES = 10_000 // enrolment.ABSENCE_BPS  # stake / (steps x gain), by the contract's rule for silence
SHORTEST_WINDOW_S = 120
CHALLENGE_S = 12  # at least: a whistleblower commits, waits for a block, and challenges
PATIENCE_EPOCHS = 4


@dataclass(frozen=True)
class Wish:
    """What a submitter asks for. `budget` is wei for everything, `deadline_s` seconds from posting; None leaves it to the recipe."""

    budget: int
    deadline_s: int
    steps: int | None = None  # of one solver, or of all together where the job is split
    solvers: int = 1
    split: bool = False
    segments: int | None = None
    stake_multiple: float | None = None
    target: float | None = None
    evaluation: bytes = bytes(32)  # the commitment to it

    def __post_init__(self) -> None:
        if not 1 <= self.solvers <= PARTS:
            raise InputError(f"--solvers {self.solvers}: a job has 1 to {PARTS} solvers", "post several jobs for more")
        if self.split and self.solvers < 2:
            raise InputError("--split with one solver", "a job that is split has several: --solvers 2 or more")
        if self.target is not None and not 0 < self.target <= 1:
            raise InputError(f"--target {self.target}: a score is above 0 and at most 1", "for example 0.8")
        if (self.target is None) != (self.evaluation == bytes(32)):
            raise InputError("--target and --evaluation go together", "a target is reached on an evaluation: name its file")
        if self.steps is not None and not 1 <= self.steps < 2**31:
            raise InputError(f"--steps {self.steps}: a job has 1 step at least", "leave it out for the recipe's run.rounds")
        if self.segments is not None and not 1 <= self.segments <= 64:
            raise InputError(f"--segments {self.segments}: 1 to 64 steps are drawn of an epoch", "2 is usual")
        if self.stake_multiple is not None and not 0 < self.stake_multiple <= 10_000:
            raise InputError(f"--stake-multiple {self.stake_multiple:g}: above 0, at most 10000", "leave it out for one that makes forging lose")

    def each(self, recipe: Recipe) -> int:
        """Steps of one part."""
        return self.steps or recipe.run.rounds

    def all(self, recipe: Recipe) -> int:
        return self.each(recipe) * (1 if self.split else self.solvers)


def least_steps(recipe: Recipe, each: int) -> int:
    """Steps of an epoch that pays its verifiers out of the submitter's pocket."""
    return min(each, SHARE * recipe.proof.drawn)


def step_price(wish: Wish, steps: int, least: int, drawn: int) -> int:
    """Wei for one step, of a budget that pays everything. Rounded down, so the cost is never above the budget."""
    votes = SEATS * wish.solvers * (1 if wish.target is None else 1 + drawn)
    shares = steps * least + SEATS * drawn * steps + votes * least + -(-steps * least // PLANTS)  # each is 1 / least of a step's price
    return _tidy((wish.budget - 1) * least // shares)


def _tidy(wei: int, figures: int = 4) -> int:
    """Rounded down to so many figures, for those who read it."""
    unit = 10 ** max(0, len(str(wei)) - figures)
    return wei // unit * unit


def fitted(recipe: Recipe, wish: Wish, work: Work) -> tuple[Recipe, list[str]]:
    """The recipe as a job has it, and a sentence for each thing that is not as it was. Raises InputError where it cannot be a job."""
    if recipe.has_judged:
        judged = next(task.name for task in recipe.tasks if task.judged)
        raise InputError(f"task {judged} is judged, and a job has no judge market", "take tasks that a program scores")
    told, data = [], recipe.model_dump(mode="json")
    if recipe.has_market:
        data["judge"] = {}
        told.append(f"the judge market of {recipe.name} is off: a job's rewards come from its tasks' scorers")
    proof, each = data["proof"], wish.each(recipe)
    if proof["profile"] == "none":
        proof["profile"] = "pinned"
        told.append("its steps are proved (proof.profile = pinned): a job pays for nothing else")
    drawn = wish.segments or min(proof["drawn"], max(1, each // SHARE))
    if drawn < proof["drawn"] and wish.segments is None:
        told.append(f"{drawn} instead of {proof['drawn']} steps of an epoch are drawn: more would be over a tenth of {each} (--segments)")
    proof["drawn"] = drawn
    least = min(each, SHARE * drawn)
    if proof["epoch"] < (needed := math.ceil(ROOM * least * work.step_s)):
        told.append(f"epochs last {needed} s instead of {proof['epoch']}, so that {least} steps of {work.step_s:.1f} s fit into one")
        proof["epoch"] = needed
    proof["grace"] = max(proof["grace"], math.ceil(proof["epoch"] / 2)) if proof["grace"] < proof["epoch"] else proof["epoch"] - 1
    proof["audit"] = max(proof["audit"], math.ceil(3 * drawn * work.step_s) + 10)
    proof["challenge"] = max(proof["challenge"], CHALLENGE_S)
    proof["steps"] = min(each, max(least, 4 * SHARE * drawn))
    proof["units"] = max(proof["units"], 2 * work.mflop * proof["steps"])
    proof["stake"], proof["gain"] = 10**9, 1e-6  # in order until they follow from the price
    timed = recipes.parse(data, recipe.name)
    stake = _stake(timed, wish, step_price(wish, wish.all(recipe), least, drawn))
    proof["stake"], proof["gain"] = stake, 0.99 * stake / (ABSENCES * proof["steps"])
    data["run"]["rounds"] = each
    return recipes.parse(data, recipe.name), told


def open_epochs(recipe: Recipe) -> int:
    """K: epochs of one member that can be open at once."""
    return -(-recipe.proof.closed_after // recipe.proof.epoch) + 1


def _stake(recipe: Recipe, wish: Wish, price: int) -> int:
    """Whole credits of a member's stake."""
    multiple = wish.stake_multiple or max(2.0, 2 * open_epochs(recipe) / recipe.proof.drawn)
    return max(1, math.ceil(multiple * price * recipe.proof.steps / WEI))


@dataclass(frozen=True)
class Offer:
    """`IComputeMarket.Offer`, field for field but for `deadline_s`, which counts from posting, and `machine`, its `class`."""

    price: int
    perSegment: int  # noqa: N815 (the contract's names)
    plants: int
    steps: int
    stepsEach: int  # noqa: N815
    leastSteps: int  # noqa: N815
    parts: int
    solverStake: int  # noqa: N815
    deadline_s: int
    patience: int
    deliveryBps: int  # noqa: N815
    targetBps: int  # noqa: N815
    target: int
    evaluation: bytes
    openWindow: int  # noqa: N815
    machine: bytes = bytes(32)

    @classmethod
    def of(cls, recipe: Recipe, wish: Wish) -> Offer:
        """The offer for a fitted recipe; `machine`, the class of those who may work on it, is set when it is known."""
        each, steps, drawn = wish.each(recipe), wish.all(recipe), recipe.proof.drawn
        least = least_steps(recipe, each)
        price, longest = step_price(wish, steps, least, drawn), longest_case(recipe)
        window = max(SHORTEST_WINDOW_S, recipe.proof.epoch)
        return cls(
            price=price * steps,
            perSegment=price,
            plants=price * steps // PLANTS,
            steps=steps,
            stepsEach=steps if wish.split else each,
            leastSteps=least,
            parts=wish.solvers,
            solverStake=recipe.proof.stake * WEI,
            deadline_s=wish.deadline_s,
            patience=longest + PATIENCE_EPOCHS * recipe.proof.epoch,
            deliveryBps=DELIVERY_BPS,
            targetBps=TARGET_BPS if wish.target is not None else 0,
            target=round((wish.target or 0) * 10_000),
            evaluation=wish.evaluation,
            openWindow=window,
        )

    def at(self, now: int) -> dict[str, Any]:
        """The contract's struct, for posting at a chain time."""
        value = asdict(self)
        return value | {"deadline": now + value.pop("deadline_s"), "class": value.pop("machine")}

    def costs(self, recipe: Recipe, gas: int = 0) -> Costs:
        """What `costOf` of the contract takes, part by part."""
        drawn = recipe.proof.drawn
        verification = -(-SEATS * drawn * self.perSegment * self.steps // self.leastSteps)
        votes = SEATS * self.parts * self.perSegment * (1 if not self.targetBps else 1 + drawn)
        total = self.price + verification + votes + self.plants
        epochs = -(-self.steps // self.leastSteps)
        figures = (self.price, verification, votes, self.plants, total, self.steps, self.leastSteps, min(drawn, self.leastSteps), epochs)
        return Costs(*figures, stake=self.solverStake, gas=gas)


def longest_case(recipe: Recipe) -> int:
    """Seconds from an epoch's end until the longest dispute about it is over, as the swarm's terms have it."""
    proof = recipe.proof
    level = proof.audit + proof.reveal + proof.challenge
    return proof.grace + proof.beacon + 2 * (proof.audit + proof.reveal) + 4 * level


def check(offer: Offer, recipe: Recipe, work: Work, guidance: Guidance, budget: int) -> None:
    """Raise InputError with one sentence where nobody could or would do this job."""
    tflop = work.tflop(offer.steps)
    if offer.price < (floor := guidance.floor(tflop)):
        needed = math.ceil(budget * floor / max(1, offer.price))
        what = f"of {amount(budget)} credits {amount(offer.price)} go to the solvers, and nobody does {tflop:.3g} TFLOP for under {amount(floor)}"
        raise InputError(what, f"a budget of {_rounded(needed)} or more; the guidance is {_rounded(guidance.price(tflop))} for the training alone")
    needed = least_deadline(offer, recipe, work)
    if offer.deadline_s < needed:
        span = f"{offer.stepsEach // (offer.parts if offer.stepsEach == offer.steps else 1)} steps of {work.step_s:.1f} s"
        what = f"a deadline of {offer.deadline_s} s cannot be met: {span} and an epoch of {recipe.proof.epoch} s to commit them take about {needed} s"
        raise InputError(what, f"give --deadline {math.ceil(needed / 60)}m or more, fewer --steps, or several solvers")


def least_deadline(offer: Offer, recipe: Recipe, work: Work) -> int:
    """Seconds from posting in which a machine like this one can have committed its part."""
    each = -(-offer.steps // offer.parts)
    return math.ceil(START_S + SLOW * each * work.step_s + recipe.proof.epoch + recipe.proof.grace)


def _rounded(wei: int) -> str:
    """Credits, rounded up to something people would type."""
    digits = max(0, 3 - math.floor(math.log10(max(wei, 1) / WEI)))
    return f"{math.ceil(wei / WEI * 10**digits) / 10**digits:.{digits}f}".rstrip("0").rstrip(".")


def of_chain(found: SimpleNamespace) -> dict[str, Any]:
    """A posted offer as plain values."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in vars(found).items()}
