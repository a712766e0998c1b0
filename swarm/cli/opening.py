"""`swarm judge open`: a person asks a question of the judges. The person's own node hosts the market."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from swarm.cli import court as c
from swarm.cli import options as o

TAKEN_S = 30.0
PAUSE_S = 0.2

Question = Annotated[str, typer.Argument(help="What is asked, in at most 4,000 characters.")]
Answers = Annotated[list[str] | None, typer.Option("--answer", help="One of 2 to 20 answers; give it again for each.")]
Kind = Annotated[str, typer.Option("--kind", help="H: people judge. P: models judge.")]
Yes = Annotated[bool, typer.Option("--yes", help="Open it. Without this you are told what it costs.")]


def open_(
    question: Question,
    answer: Answers = None,
    kind: Kind = "H",
    yes: Yes = False,
    peer: c.Peer = 0,
    run_dir: o.RunDir = None,
    json: o.Json = False,
) -> None:
    """Open a market about a question of yours. Your node on this machine hosts it, so it has to stay on until the market is over.

    Example: `swarm judge open "Which proof is clearer?" --answer "By induction: ..." --answer "By symmetry: ..." --yes`

    It costs the subsidy of the market's prices, of which what no trader wins comes back, and locks a bond, which comes back unless the
    judges call the question invalid.
    """
    from judge import plain, verbs
    from judge.terms import Terms
    from judge.views import NAME
    from swarm import judging, runs, voting
    from swarm.chain import link
    from swarm.market.asking import Askings, Draft
    from swarm.market.facts import domain_of
    from swarm.session import Session

    voter = voting.of_run(runs.latest(run_dir), peer)
    domain, operator = domain_of(link.load(voter.chain).chain_id, voter.swarm), Session.load(voter.folder / "session.bin").operator
    draft = Draft.of(question, answer or [], kind, domain, operator, int(voter.rules.judge.b0 * judging.CREDIT))
    bond = Terms().bond  # the specification's: no recipe changes it
    cost = f"it costs at most {plain.credits(draft.subsidy)} credits of subsidy, and locks a bond of {plain.credits(bond)}"
    if not yes:
        c.end(verbs.Done(verbs.USAGE, f"judge: {cost}, which comes back unless the judges call the question invalid: say --yes to open it"), json)
    askings, name = Askings(runs.home() / judging.OPENINGS), f"m-{draft.market.hex()[:NAME]}"
    path = askings.put(draft)
    end = time.monotonic() + TAKEN_S
    while (outcome := askings.ended(draft.market)) is None and time.monotonic() < end:
        time.sleep(PAUSE_S)
    value = {"market": draft.market.hex(), "name": name, "kind": kind, "subsidy": str(draft.subsidy), "bond": str(bond)}
    if outcome is None:
        c.end(verbs.Done(verbs.OFFLINE, f"judge: your node has not opened {name} so far; it will when it can: {path}", value), json)
    if not outcome.opened:
        c.end(verbs.Done(verbs.PHASE, f"judge: {name} was not opened: {outcome.sentence}", value), json)
    c.end(verbs.Done(verbs.OK, f"opened {name}: {cost}", value), json)
