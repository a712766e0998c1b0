"""Play every cheat against honest peers: `python -m benchmarks.cheats` (about half an hour on one core; `--only ulp --plays 5` to try one).

A play is one epoch (two for last epoch's proof, three for the laptop) of six invited members and a stranger at the default stakes of the
recipe `local` (`rows`: of `sft`), with real recorded steps, the real contracts on a real anvil, the real audit desk and replayer. The chain's
time is moved by hand. Every play begins anew, so plays are independent, and the interval is Student's for the mean. A play's `net` is what the cheat
gained less what it lost; benchmarks/cheats/ledger.py says how both are counted.

`--forged` says how many of `--steps` steps a prover forges (the ulp is one step always). `--live CHEAT` plays one against a live local swarm.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.cheats.catalogue import CHEATS
from benchmarks.cheats.ledger import Row, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=CHEATS, help="a cheat; may be given several times (default: all)")
    parser.add_argument("--plays", type=int, default=30)
    parser.add_argument("--steps", type=int, default=8, help="steps of an epoch")
    parser.add_argument("--forged", type=int, default=4, help="of which a cheating prover forges the last ones")
    parser.add_argument("--plant-every", type=int, default=3, help="one play in so many has a planted fault (leaked value)")
    parser.add_argument("--identities", type=int, default=1000, help="of the faucet sybil")
    parser.add_argument("--json", action="store_true", help="one line of JSON a play instead of the table")
    parser.add_argument("--live", help="play this cheat against a live local swarm: rewards, rows, lazy, slander or ulp")
    chosen = parser.parse_args()
    if chosen.live:
        from benchmarks.cheats import live

        print(live.play(chosen.live).text)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, row, took in played(chosen, Path(folder)):
            rows.append(row)
            if chosen.json:
                for result in row.results:
                    print(json.dumps({"cheat": name, **vars(result)}), flush=True)
            else:
                print(f"{row.name}: {took / len(row.results):.1f} s a play", flush=True)
    if not chosen.json:
        print("\n" + table(rows, heading(chosen)) + "\n" + expectation(chosen))


def heading(chosen: argparse.Namespace) -> str:
    forged = f"{chosen.steps} steps an epoch, one drawn, {chosen.forged} forged (the ulp: 1, and four times as many plays)"
    return f"{chosen.plays} plays each, {forged}; credits, units in MFLOP"


def expectation(chosen: argparse.Namespace) -> str:
    """What one forged step brings by arithmetic: too little of it is seen in a few plays."""
    from swarm import recipe

    proof = recipe.load("local").proof
    odds = proof.drawn / chosen.steps
    least = proof.drawn / proof.steps
    net, worst = (proof.gain * (1 - seen) - proof.stake * seen for seen in (odds, least))
    return (
        f"one forged step in expectation: {proof.gain:g} x (1 - {odds:.3f}) - {proof.stake} x {odds:.3f} = {net:+.2f} credits; "
        f"of {proof.steps} steps, the most an epoch may have: {worst:+.2f}"
    )


def played(chosen: argparse.Namespace, folder: Path):
    """(name, row, seconds) of every cheat that is asked for."""
    from benchmarks.cheats.arena import opened
    from benchmarks.cheats.sybils import Sybils

    names = chosen.only or list(CHEATS)
    for recipe in dict.fromkeys(CHEATS[name].recipe for name in names):
        with opened(folder / recipe, chosen.steps, recipe) as arena:
            for name in (name for name in names if CHEATS[name].recipe == recipe):
                begun, kind = time.monotonic(), CHEATS[name]
                around = {"identities": chosen.identities} if kind is Sybils else {}
                found = list(arena.plays(kind, chosen.plays * kind.often, chosen.forged, chosen.plant_every, **around))
                yield name, Row(kind.name, found), time.monotonic() - begun


if __name__ == "__main__":
    main()
