"""The deviations. Each act plays what is to be compared through the contracts and returns what the deviation brings over honest conduct.

Chances that are plain arithmetic (which steps are drawn, who sits) are put in as numbers and named in the row; the money of each case is
measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb

from benchmarks.deviations.play import COMMITMENT, Case, Play, Terms, Work, lazy, leaked, slander
from benchmarks.deviations.stage import Actor, Prices, Stage
from swarm.chain.values import Outcome
from swarm.proof.odds import detection

CREW = 6  # verifiers of a job here
PLANT_PAY = 1.25  # of a planted step over an honest one, as in the market


@dataclass(frozen=True)
class Row:
    """`profit` is credits over honest conduct (over doing nothing where that is what the honest do)."""

    role: str
    deviation: str
    profit: float
    how: str


@dataclass
class Theatre:
    """Stage, terms and prices, and the honest acts that others are compared with, each played once."""

    stage: Stage
    terms: Terms
    prices: Prices

    def __post_init__(self) -> None:
        self._honest: dict[str, float] = {}

    @property
    def epoch_steps(self) -> int:
        return self.terms.offer.leastSteps

    def profits(self, names: Sequence[str], act: Callable[[], object]) -> dict[str, float]:
        """What an act brings the actors, work and gas paid."""
        actors = [self.stage.actor(name) for name in names]
        before = [self._worth(actor) for actor in actors]
        act()
        return {actor.name: self._worth(actor) - old for actor, old in zip(actors, before, strict=True)}

    def _worth(self, actor: Actor) -> float:
        return self.stage.purse(actor) - actor.cost(self.prices)

    def job(self, works: list[Work], seats: Sequence = (), terms: Terms | None = None, **choices: object) -> Play:
        """A job with one solver from its posting to its end; `works` are the solver's epochs, ended by a conviction."""
        play = Play(self.stage, terms or self.terms, verifiers=CREW).open()
        for number, work in enumerate(works):
            play.epoch({"solver": work}, seats if number == 0 else (), **choices if number == 0 else {})
            if play.outcomes[-1] == Outcome.FAULT:
                break
        if play.is_complete(0):
            play.deliver(0)
        play.finish()
        return play

    def honest_works(self) -> list[Work]:
        epochs = -(-self.terms.offer.stepsEach // self.epoch_steps)
        return [Work(self.epoch_steps) for _ in range(epochs)]

    def honest(self, name: str) -> float:
        """What an honest job brings solver or submitter."""
        if not self._honest:
            self._honest = self.profits(["solver", "submitter"], lambda: self.job(self.honest_works()))
        return self._honest[name]

    def seat(self, works: Work, seats: Sequence = ()) -> tuple[float, Case]:
        """What one epoch brings the first seat of its panel, after an honest one."""
        play, found = Play(self.stage, self.terms, verifiers=CREW).open(), []
        play.epoch({"solver": Work(self.epoch_steps)})
        each = self.profits([actor.name for actor in play.verifiers], lambda: found.extend(play.epoch({"solver": works}, seats)))
        return each[found[0].panel[0].name], found[0]

    def honest_seat(self) -> float:
        if "seat" not in self._honest:
            self.honest("solver")
            self._honest["seat"] = self.seat(Work(self.epoch_steps))[0]
        return self._honest["seat"]


def lazy_solver(theatre: Theatre, share: float) -> Row:
    """Forges a share of the steps of one epoch (0: one step) and is honest in the others."""
    steps, drawn = theatre.epoch_steps, theatre.terms.drawn
    forged = max(1, round(share * steps))
    rest = theatre.honest_works()[1:]
    chance = detection(steps, drawn, forged)
    case = lambda hit: theatre.profits(["solver"], lambda: theatre.job([Work(steps, forged, hit), *rest]))["solver"]  # noqa: E731
    seen, unseen = case(True), case(False) if chance < 1 else 0.0
    profit = chance * seen + (1 - chance) * unseen - theatre.honest("solver")
    how = f"drawn with odds {chance:.3f}: {seen:+.2f}, else {unseen:+.2f}; honest {theatre.honest('solver'):+.2f}"
    return Row("solver", f"forges {forged} of {steps} steps of an epoch", profit, how)


def tiny_epochs(theatre: Theatre) -> Row:
    """Commits one step an epoch, so that its auditors cost more than it earns."""
    one = theatre.profits(["solver"], lambda: theatre.job([Work(1)]))["solver"]
    none = theatre.profits(["solver"], lambda: theatre.job([]))["solver"]
    honest = theatre.honest("solver") / theatre.terms.offer.stepsEach
    how = f"its auditors are paid out of its pay: {one - none:+.3f} for the step; honest {honest:+.3f} a step"
    return Row("solver", "commits epochs of one step, to drain the budget", one - none - honest, how)


def squatter(theatre: Theatre) -> Row:
    """Claims and does nothing until it is expired."""

    def act() -> None:
        play = Play(theatre.stage, theatre.terms, verifiers=CREW).open()
        theatre.stage.until(theatre.stage.now + theatre.terms.offer.patience + 1)
        theatre.stage.pay(play.submitter, "market", "expire", play.job, 0)

    return Row("solver", "claims a part and does nothing", theatre.profits(["solver"], act)["solver"], "its bond is burned, the part is free again")


def self_denunciation(theatre: Theatre) -> Row:
    """Forges an epoch, has friends in both seats pass it, and denounces itself through a third friend."""
    play = Play(theatre.stage, theatre.terms, verifiers=CREW)

    def act() -> None:
        play.open()
        play.enlist("accomplice", play.swarm.terms.minStake)
        play.epoch({"solver": Work(theatre.epoch_steps, theatre.epoch_steps, True)}, (leaked, leaked), ["accomplice"])
        play.finish()

    each = theatre.profits(["solver", "accomplice"], act)
    how = f"loses {each['solver']:+.2f}, its accomplice wins {each['accomplice']:+.2f}; both seats lose besides"
    return Row("solver", "forges and has itself denounced by an accomplice", sum(each.values()), how)


def lying_verifier(theatre: Theatre) -> Row:
    """Says that an honest epoch has a fault, for half of the slash."""
    got, honest = theatre.seat(Work(theatre.epoch_steps), (slander,))[0], theatre.honest_seat()
    return Row("verifier", "says fault where there is none", got - honest, f"a jury finds nothing: {got:+.2f}; honest {honest:+.2f} a seat")


def lazy_verifier(theatre: Theatre) -> Row:
    """Says "fine" without a replay, and has to guess the value that only a replay yields."""
    got, honest = theatre.seat(Work(theatre.epoch_steps), (lazy,))[0], theatre.honest_seat()
    return Row("verifier", "says ok without replaying", got - honest, f"the value is wrong, a jury is called: {got:+.2f}; honest {honest:+.2f}")


def leaked_value(theatre: Theatre) -> Row:
    """Gets the replay's value from solvers and never replays; a planted fault finds it. There are as many as the offer's budget pays for."""
    steps, offer = theatre.epoch_steps, theatre.terms.offer
    rate = offer.plants / (PLANT_PAY * offer.price)
    saved = theatre.seat(Work(steps), (leaked,))[0] - theatre.honest_seat()
    honest = theatre.seat(Work(steps, steps, True, planted=True))[0]
    caught = theatre.seat(Work(steps, steps, True, planted=True), (leaked,))[0] - honest
    how = f"saves {saved:+.2f} a seat; a planted fault, {rate:.1%} of all epochs, costs {caught:+.2f}"
    return Row("verifier", "never replays, solvers leak it the value", (1 - rate) * saved + rate * caught, how)


def colluding_pair(theatre: Theatre, friends: int) -> Row:
    """A solver forges a whole epoch; `friends` of the verifiers pass whatever it does. Nobody else looks."""
    steps, names = theatre.epoch_steps, [f"verifier-{number}" for number in range(CREW)]
    rest = theatre.honest_works()[1:]

    def case(seats: Sequence) -> float:
        play: list[Play] = []
        each = theatre.profits(["solver", *names], lambda: play.append(theatre.job([Work(steps, steps, True), *rest], seats)))
        return each["solver"] + sum(each[actor.name] for actor in play[0].first_panel[: len(seats)])

    chances = [comb(friends, n) * comb(CREW - friends, 2 - n) / comb(CREW, 2) for n in range(3)]
    got = [case((leaked,) * n) if chance else 0.0 for n, chance in enumerate(chances)]
    honest = theatre.honest("solver")
    profit = sum(chance * one for chance, one in zip(chances, got, strict=True)) - honest
    cases = ", ".join(f"{n} in the panel ({chance:.2f}) {one:+.2f}" for n, (chance, one) in enumerate(zip(chances, got, strict=True)) if chance)
    return Row("pair", f"solver forges an epoch, {friends} of {CREW} verifiers pass it", profit, f"{cases}; honest {honest:+.2f}")


def withheld_evaluation(theatre: Theatre) -> Row:
    """The model misses the target; the submitter keeps the evaluation closed all the same."""
    target = replace(theatre.terms.offer, targetBps=2_000, target=8_000, evaluation=COMMITMENT)
    terms = Terms(theatre.terms.rules, target)

    def act(opens: bool) -> None:
        play = Play(theatre.stage, terms, verifiers=CREW).open()
        for work in theatre.honest_works():
            play.epoch({"solver": work})
        play.deliver(0)
        if opens:
            play.evaluate(0, score=5_000)
        play.finish()

    opened, withheld = (theatre.profits(["submitter"], lambda opens=opens: act(opens))["submitter"] for opens in (True, False))
    how = f"the solver is paid what was kept back: {withheld:+.2f}; opened, it comes back: {opened:+.2f}"
    return Row("submitter", "withholds the evaluation that was missed", withheld - opened, how)


def cancelling(theatre: Theatre) -> Row:
    """Has members join, seed and claim, and cancels."""

    def act() -> None:
        play = Play(theatre.stage, theatre.terms, verifiers=CREW).open()
        theatre.stage.pay(play.submitter, "market", "cancel", play.job)
        play.finish()

    each = theatre.profits(["submitter", "solver"], act)
    how = f"gas; the solver gets its bond back ({each['solver']:+.3f}, gas)"
    return Row("submitter", "posts, and cancels once a solver has claimed", each["submitter"], how)


def withheld_data(theatre: Theatre) -> Row:
    """Posts and serves nothing, so nobody can seed."""

    def act() -> None:
        play = Play(theatre.stage, theatre.terms, verifiers=0)
        theatre.stage.post(play.submitter, play.swarm, theatre.terms.offer)
        play.finish()

    got = theatre.profits(["submitter"], act)["submitter"]
    return Row("submitter", "posts, and serves no data", got, "gas: without two seeders nobody can claim")


def frivolous(theatre: Theatre) -> Row:
    """Challenges a clean epoch."""
    play = Play(theatre.stage, theatre.terms, verifiers=CREW).open()
    play.enlist("whistle", play.swarm.terms.minStake)
    got = theatre.profits(["whistle"], lambda: play.epoch({"solver": Work(theatre.epoch_steps)}, (), ["whistle"]))["whistle"]
    return Row("whistleblower", "challenges a clean epoch", got, "the jury confirms it: the bond is lost")


def copycat(theatre: Theatre) -> Row:
    """Sees somebody's challenge of a bad verdict and tries to take it over."""
    play = Play(theatre.stage, theatre.terms, verifiers=CREW).open()
    for name in ("whistle", "copycat"):
        play.enlist(name, play.swarm.terms.minStake)
    work = Work(theatre.epoch_steps, theatre.epoch_steps, True)
    each = theatre.profits(["whistle", "copycat"], lambda: play.epoch({"solver": work}, (leaked, leaked), ["whistle", "copycat"]))
    how = f"gas: it has to have committed before; the first wins {each['whistle']:+.2f}"
    return Row("whistleblower", "copies the challenge of another", each["copycat"], how)


def many_disputes(theatre: Theatre, count: int) -> Row:
    """Disputes `count` clean epochs at once."""
    split = replace(theatre.terms.offer, parts=min(64, count), steps=theatre.terms.offer.steps * min(64, count))
    jobs = [min(64, count - done) for done in range(0, count, 64)]
    total, outcomes = 0.0, []
    for size in jobs:
        terms = Terms(theatre.terms.rules, replace(split, parts=size, steps=theatre.terms.offer.steps * size))
        names = [f"crowd-{number}" for number in range(size)]
        play = Play(theatre.stage, terms, solvers=names, verifiers=CREW, submitter="patron").open()
        play.enlist("whistle", max(play.swarm.terms.minStake, (size + 1) * theatre.stage.chain.read("court", "bondOf", play.job)))
        works = {name: Work(theatre.epoch_steps) for name in names}
        total += theatre.profits(["whistle"], lambda play=play, works=works: play.epoch(works, (), ["whistle"]))["whistle"]
        outcomes += play.outcomes
    clean = sum(outcome == Outcome.CLEAN for outcome in outcomes)
    return Row("whistleblower", f"disputes {count} clean epochs at once", total, f"{clean} of {count} close clean; a bond is lost for each")


def wash(theatre: Theatre, plays: Theatre | None = None) -> Row:
    """One owner is submitter, solver and all verifiers."""
    names = ["submitter", "solver", *(f"verifier-{number}" for number in range(CREW))]
    works = [Work(theatre.epoch_steps, theatre.epoch_steps, False) for _ in theatre.honest_works()]
    each = theatre.profits(names, lambda: theatre.job(works, (leaked, leaked)))
    return Row("all at once", "pays itself for forged work", sum(each.values()), "its own money goes round; what is left is gas and burned bonds")
