"""One cheat against a live local swarm: five real nodes with their own processes, chain, network and duties, of which one has one thing replaced.

    python -m benchmarks.cheats --live rewards    (or rows, lazy, slander, ulp; some ten minutes on two free cores)

The cheat is the first peer, who created the swarm and was invited by nobody: an inviter answers for whom he invited.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cheats.liar import WAYS
from swarm import chainhost, launch, recipe, runs, supply
from swarm.chain import link
from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Scanner
from swarm.chain.values import WEI, Outcome
from swarm.disputing import Docket, outcome
from swarm.supervisor import Child, Supervisor
from swarm.ui import dashboard

PEERS = 5
QUICK = ["answer.questions=4", "critique.groups=2", "resolve.groups=2", "sharing.own=5", "sharing.foreign=3", "sharing.operator_share=0.5"]
QUICK += ["evaluate.questions=10", "evaluate.every=0"]
# Five nodes and their replayers share this machine: windows twice those of the recipe `local`, which three nodes have.
QUICK += ["proof.epoch=60", "proof.grace=30", "proof.beacon=16", "proof.audit=60", "proof.reveal=16", "proof.challenge=12"]
ROOT = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Standing:
    """What the chain says of one member at the end. Credits, MFLOP, and how its cases ended."""

    name: str
    slashed: float
    rewarded: float
    units: int
    ends: tuple[str, ...]


@dataclass(frozen=True)
class Live:
    """The end of a live play: the cheat first."""

    cheat: str
    standings: tuple[Standing, ...]
    matches: tuple[tuple[str, str, str], ...]  # of the dispute court: prover, challenger, how it ended

    @property
    def text(self) -> str:
        heads = f"{'peer':<24} {'lost':>8} {'rewards':>8} {'units':>8}  cases"
        lines = [f"live: {self.cheat}, {len(self.standings)} operators", heads]
        for number, one in enumerate(self.standings):
            name = one.name + (" (the cheat)" if number == 0 else "")
            lines.append(f"{name:<24} {one.slashed:8.2f} {one.rewarded:8.2f} {one.units:8}  {', '.join(one.ends)}")
        lines += [f"{challenger} disputed a step of {prover}: {end}" for prover, challenger, end in self.matches]
        return "\n".join(lines)


def play(cheat: str, rounds: int = 40, peers: int = PEERS, more: Sequence[str] = ()) -> Live:
    """Run the swarm until all rounds are played and all cases closed; `more` changes its recipe. Raises SwarmError where it cannot start."""
    if cheat not in WAYS:
        raise SystemExit(f"--live takes one of {', '.join(WAYS)}")
    with tempfile.TemporaryDirectory() as home:
        os.environ["SWARM_HOME"] = home
        name = "sft" if cheat == "rows" else "local"
        rules = recipe.load(name, [*QUICK, f"run.rounds={rounds}", *more])
        choices = launch.Choices(peers=peers, recipe_folder=launch.folder_of(name))
        run, _ = runs.for_recipe(rules, None, fresh=True)
        supply.from_beside(run, rules, choices.recipe_folder)
        members = launch.identities(run, choices)
        children = launch.prepare(run, rules, choices, members)
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))}
        liar = Child(0, children[0].folder, (sys.executable, "-m", "benchmarks.cheats.liar", cheat), children[0].variables | paths)
        with dashboard.screen(f"live: {cheat}", True) as screen, chainhost.hosted(run, rules, choices, members, screen.say):
            Supervisor([liar, *children[1:]], screen, choices.limits, run.folder).run()
            chain = Chain(link.load(run.chain))
            swarm = bytes.fromhex(run.info.swarm)
            return Live(cheat, standings(chain, swarm, members), matches(chain, swarm, members))


def standings(chain: Chain, swarm: bytes, members: list) -> tuple[Standing, ...]:
    """What became of the members, from the chain's events."""
    found = []
    events = Scanner(chain, ("ledger", "vault", "court")).scan().new
    for member in members:
        key = Swarm(chain, swarm).key(member.address, member.peer)
        own = [event for event in events if event.values.get("key") == key]
        slashed = sum(event.values["amount"] for event in own if event.name == "Slashed") / WEI
        rewarded = sum(e.values["amount"] for e in events if e.name == "Rewarded" and e.values["account"] == member.address) / WEI
        units = sum(event.values["units"] for event in own if event.name == "Settled")
        ends = tuple(Outcome(event.values["outcome"]).name.lower() for event in own if event.name == "Finalized")
        found.append(Standing(member.name, slashed, rewarded, units, ends))
    return tuple(found)


def matches(chain: Chain, swarm: bytes, members: list) -> tuple[tuple[str, str, str], ...]:
    """Every match of the dispute court among the members."""
    names = {Swarm(chain, swarm).key(member.address, member.peer): member.name for member in members}
    docket = Docket(chain)
    return tuple((names[each.key], names[each.challenger], outcome(docket, each.id)) for each in docket.opened())
