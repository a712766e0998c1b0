"""A submitter as a process of its own: posts a small job whose epochs hold few steps, serves it, and ends when it is settled.

    python tests/job_process.py STEPS SETTING ...

Like `swarm job submit`, but for the recipe's windows, which that makes long enough for every machine, and for the steps that an epoch may hold:
so a short job has several epochs.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from swarm import recipe
from swarm.chain.values import WEI
from swarm.cli.submission import work
from swarm.jobs import place
from swarm.jobs.brief import Estimate
from swarm.jobs.offer import Offer, Wish, longest_case
from swarm.jobs.submit import Posting, Submission
from swarm.launch import ChainChoice, Choices
from swarm.parent import end_with_parent

LEAST = 8  # steps of an epoch, at most and at least
SMALL = ["evaluate.questions=10", "evaluate.every=0", "answer.questions=4", "critique.groups=0", "resolve.groups=0", "sharing.own=4"]
SMALL += ["sharing.foreign=0", "judge.profile=none", "judge.panels=0", "judge.opens=0", "judge.model="]
WINDOWS = ["proof.epoch=15", "proof.grace=8", "proof.beacon=4", "proof.audit=12", "proof.reveal=4", "proof.challenge=3"]
STAKES = [f"proof.steps={LEAST}", "proof.stake=100", "proof.gain=0.01", "proof.drawn=1", "proof.units=60000"]


def main(steps: int, settings: list[str]) -> None:
    rules = recipe.load("local", [*SMALL, *WINDOWS, *STAKES, *settings])
    patience = longest_case(rules) + 3 * rules.proof.epoch
    offer = replace(Offer.of(rules, Wish(20 * WEI, 3600, steps=steps)), leastSteps=LEAST, patience=patience)
    with place.opened(ChainChoice(), print) as chain:
        work(Submission.begin(rules, Posting(offer, (), Estimate())), chain, Choices(recipe_folder=Path.cwd()), print)


if __name__ == "__main__":
    import threading

    threading.Thread(target=end_with_parent, daemon=True).start()
    main(int(sys.argv[1]), sys.argv[2:])
