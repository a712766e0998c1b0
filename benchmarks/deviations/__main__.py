"""What cheating brings on the compute market: `python -m benchmarks.deviations` (about ten minutes; --only, --disputes, --budget).

Each deviation is played against the real contracts on a chain of its own, by scripted actors, in a job as `swarm job submit` makes it at
its defaults: 120 steps of recipes/local.toml in three epochs of 40, two of them drawn, six verifiers. A row's profit is what the
deviation brings over honest conduct, in credits, with all stakes, bonds, payments and gas counted; odds of the draw are exact. A row at or
above zero ends the script with exit code 1.

Prices: a trained step costs a solver two thirds of what it is paid (--margin), a replayed step as much as a trained one (--replay; measured
by `python -m benchmarks.job_costs`), gas --gas credits a million. Whistleblowers, watchers and reputation are left out unless a row names them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.deviations import acts
from benchmarks.deviations.acts import Row, Theatre
from benchmarks.deviations.play import Terms
from benchmarks.deviations.stage import CLASS, Prices, stage
from swarm import recipe
from swarm.chain.values import WEI
from swarm.jobs.guidance import Work
from swarm.jobs.offer import Offer, Wish, fitted

STEPS, DEADLINE_S = 120, 30 * 86_400
SLOWER = 100  # windows are so many times as long as the recipe's: nobody waits for them, and no busy machine misses one
LAZY = {"one step": 0.0, "a tenth": 0.1, "half": 0.5, "all": 1.0}
WINDOWS = ("epoch", "grace", "beacon", "audit", "reveal", "challenge")


def terms(budget: int) -> Terms:
    """The default job."""
    rules = recipe.load("local")
    slow = [f"proof.{window}={SLOWER * getattr(rules.proof, window)}" for window in WINDOWS]
    rules, wish = recipe.load("local", slow), Wish(budget * WEI, DEADLINE_S, steps=STEPS)
    made, _ = fitted(rules, wish, Work.of(rules, 1))
    offer = Offer.of(made, wish)
    return Terms(made, acts.replace(offer, machine=CLASS))


def rows(disputes: int) -> dict[str, Callable[[Theatre], Row]]:
    """Every deviation by name."""
    some = {name: partial(acts.lazy_solver, share=share) for name, share in LAZY.items()}
    pairs = {f"pair-{friends}": partial(acts.colluding_pair, friends=friends) for friends in (1, 2)}
    return {
        **some,
        "tiny": acts.tiny_epochs,
        "squatter": acts.squatter,
        "denunciation": acts.self_denunciation,
        "lying": acts.lying_verifier,
        "lazy": acts.lazy_verifier,
        "leaked": acts.leaked_value,
        **pairs,
        "evaluation": acts.withheld_evaluation,
        "cancel": acts.cancelling,
        "data": acts.withheld_data,
        "frivolous": acts.frivolous,
        "copycat": acts.copycat,
        "disputes": partial(acts.many_disputes, count=disputes),
        "wash": acts.wash,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="play these deviations only")
    parser.add_argument("--disputes", type=int, default=100, help="parallel disputes of one whistleblower")
    parser.add_argument("--budget", type=int, default=30, help="credits for the job")
    parser.add_argument("--margin", type=float, default=1.5, help="a step's pay over its cost")
    parser.add_argument("--replay", type=float, default=1.0, help="cost of a replayed step over a trained one")
    parser.add_argument("--gas", type=float, default=0.1, help="credits for a million gas")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    known = rows(chosen.disputes)
    if unknown := [name for name in chosen.only or () if name not in known]:
        parser.error(f"no deviation {unknown[0]}: {', '.join(known)}")
    job = terms(chosen.budget)
    paid = job.offer.price / job.offer.steps / WEI
    prices = Prices(paid / chosen.margin, chosen.replay * paid / chosen.margin, chosen.gas / 1e6)
    _head(job, prices)
    lost = []
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), chosen.seed) as found:
        theatre = Theatre(found, job, prices)
        for name in chosen.only or known:
            row = known[name](theatre)
            print(f"{name:<13}{row.role:<15}{row.deviation:<52}{row.profit:>+9.3f}  {row.how}", flush=True)
            lost += [name] if row.profit >= 0 else []
    print("every deviation loses" if not lost else f"at or above zero: {', '.join(lost)}")
    return 1 if lost else 0


def _head(job: Terms, prices: Prices) -> None:
    offer = job.offer
    print(f"job: {offer.steps} steps, {offer.price / WEI:.2f} credits for training ({offer.price / offer.steps / WEI:.4f} a step), ", end="")
    print(f"{job.drawn} of {offer.leastSteps} steps drawn, {offer.perSegment / WEI:.4f} for each to each right auditor")
    costs = f"a step {prices.step:.4f}, a replayed step {prices.replay:.4f}, a million gas {prices.gas * 1e6:g}"
    print(f"stake {offer.solverStake / WEI:g} credits; costs: {costs}")
    print(f"{'name':<13}{'role':<15}{'deviation':<52}{'profit':>9}  played")


if __name__ == "__main__":
    sys.exit(main())
