"""What audits find and what they cost: `python benchmarks/audit.py` (some 20 CPU-minutes). Three tables, each alone with `--only`:

draws    measured odds of detection beside the hypergeometric ones: the steps are drawn by the court on a local chain, for many keys and
         epochs, each epoch with randomness that members revealed. The forged steps are the first ones, the same in every trial, so that all
         chance is the court's; "evenness" is the variance of how often each step was drawn over that of fair draws (1 in the mean)
court    the same end to end (`audit_court.py`): epochs recorded with the real model, one step forged, committed, drawn, replayed by the
         drawn auditors, voted on, closed; and honest ones beside them
records  the bookkeeping in per cent of training (`audit_records.py`)

Intervals are Wilson's at 99 % (Wilson 1927, "Probable inference, the law of succession, and statistical inference"). The draws follow from
`--seed` alone. The exit status is 1 where an exact value lies outside its interval, a verdict was wrong, or the bookkeeping is above 3 %.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path

import audit_court
import audit_records
from audit_chain import Town, town

from swarm import recipe
from swarm.proof import odds

# T, q, f (0: one step)
CELLS = [(860, 43, 0.1), (860, 43, 0.0), (40, 2, 0.1), (1000, 50, 0.1), (100, 5, 0.01), (100, 5, 0.1), (100, 5, 1.0), (8, 2, 0.0)]
KEYS, EPOCHS = 25, 40  # trials of a cell: their product
Z = 2.5758293035489004  # two-sided 99 %


def wilson(seen: int, trials: int, z: float = Z) -> tuple[float, float]:
    """The interval of a share of which `seen` of `trials` were seen; its ends are exact where all or none were."""
    share, more = seen / trials, z * z / trials
    middle = (share + more / 2) / (1 + more)
    half = z / (1 + more) * math.sqrt(share * (1 - share) / trials + more / (4 * trials))
    return (0.0 if seen == 0 else middle - half), (1.0 if seen == trials else middle + half)


def inside(exact: float, seen: int, trials: int) -> bool:
    low, high = wilson(seen, trials)
    return low <= exact <= high


def draw(town: Town, sizes: list[tuple[int, int]], keys: int, epochs: int) -> dict[tuple[int, int], list[list[int]]]:
    """The steps that the court draws of `sizes` = [(T, q)]: one list per key and epoch. A swarm has one q, so there is one of each."""
    proof = recipe.load("local", []).proof
    swarms = {}
    for total, drawn in sizes:
        creator = town.account("creator", total, drawn)
        rules = proof.model_copy(update={"drawn": drawn, "steps": total, "gain": 0.0})
        swarm = town.swarm(f"{total}/{drawn}", creator, rules, b"\x01" * 32)
        members = [town.join(swarm, creator, bytes([index]) * 32) for index in range(keys)]
        members[0] = town.stake(swarm, members[0], b"\x0c" * 32, random=True)
        swarms[total, drawn] = swarm, members
    found: dict[tuple[int, int], list[list[int]]] = {size: [] for size in sizes}
    for _ in range(epochs):
        for (total, drawn), (swarm, members) in swarms.items():
            epoch = swarm.epoch_at(town.now)
            town.reveal(swarm, members[:1], epoch)
            found[total, drawn] += [swarm.drawn_steps(member.key, epoch, total) for member in members]
    return found


def evenness(total: int, drawn: int, trials: list[list[int]]) -> float:
    """Variance of how often each of `total` steps was drawn, over that of fair draws; give or take sqrt(2 / total) around 1."""
    counts, share = Counter(step for steps in trials for step in steps), drawn / total
    mean = len(trials) * share
    return sum((counts[step] - mean) ** 2 for step in range(total)) / (total * mean * (1 - share))


def draws_table(found: dict[tuple[int, int], list[list[int]]], cells: list[tuple[int, int, float]]) -> bool:
    """Print measured and exact odds; whether every exact value lies in its interval."""
    good = True
    print("\nsteps drawn by AuditCourt.drawnSteps, the first ones forged")
    heads = f"{'trials':>7} {'measured':>9} {'99 % Wilson':>17} {'exact':>7}  {'exact inside':<14}{'evenness':>8}"
    print(f"{'T':>5} {'q':>3} {'q/T':>6} {'forged':>12} {heads}")
    for total, drawn, share in cells:
        forged = math.ceil(share * total - 1e-9) or 1
        trials = found[total, drawn]
        if any(len(set(steps)) != drawn or not set(steps) <= set(range(total)) for steps in trials):
            raise RuntimeError(f"the court drew other than {drawn} different steps of {total}")
        seen = sum(min(steps) < forged for steps in trials)
        exact, (low, high) = odds.detection(total, drawn, forged), wilson(seen, len(trials))
        even = evenness(total, drawn, trials)
        good &= inside(exact, seen, len(trials))
        name = f"{forged} ({share:.0%})" if share else f"{forged} (one)"
        measured = f"{len(trials):>7} {seen / len(trials):9.4f}  [{low:.4f}, {high:.4f}] {exact:7.4f}"
        print(
            f"{total:>5} {drawn:>3} {drawn / total:6.1%} {name:>12} {measured}  {'yes' if inside(exact, seen, len(trials)) else 'NO':<14}{even:8.2f}"
        )
    return good


def draws(seed: int, cells: list[tuple[int, int, float]] = CELLS, keys: int = KEYS, epochs: int = EPOCHS) -> bool:
    sizes = list(dict.fromkeys((total, drawn) for total, drawn, _ in cells))
    with tempfile.TemporaryDirectory() as folder, town(Path(folder), seed) as place:
        found = draw(place, sizes, keys, epochs)
    return draws_table(found, cells)


def court(seed: int, forging: int = 48, honest: int = 12, steps: int = 8, batches: int = 4) -> bool:
    """Print the end-to-end trials; whether every verdict was right and the exact odds lie in the interval."""
    with tempfile.TemporaryDirectory() as folder, town(Path(folder), seed) as place:
        told = audit_court.play(place, Path(folder), forging, honest, steps, batches)
    audit_court.table(told)
    exact = odds.detection(steps, audit_court.DRAWN, 1)
    low, high = wilson(told.convicted, forging)
    good = inside(exact, told.convicted, forging)
    print(f"convicted {told.convicted / forging:.4f}, 99 % Wilson [{low:.4f}, {high:.4f}], exact {exact:.4f}: {'inside' if good else 'OUTSIDE'}")
    return good and told.right


def records(cache: Path) -> bool:
    rows = [audit_records.run(name, cache) for name in audit_records.ROUNDS]
    audit_records.table(rows)
    return all(row.of_round <= audit_records.BOUND for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["draws", "court", "records"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(".swarm/cache"), help="where the converted SmolLM2 is kept")
    options = parser.parse_args()
    parts = {"draws": lambda: draws(options.seed), "court": lambda: court(options.seed), "records": lambda: records(options.cache)}
    good = [part() for name, part in parts.items() if options.only in (None, name)]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
