"""A process of its own that trains in canonical numerics: `python tests/canonical_process.py FOLDER BUILD THREADS ROWS ROUNDS`, prints state roots.

FOLDER holds the identity of the one who trains; ROWS bounds the rows of every batch, below what the recipe says.
"""

import sys
from pathlib import Path

import torch


def main(folder: str, build: str, threads: str, rows: str, rounds: str) -> None:
    from proofs import a_recorded_node

    from swarm.policy import context
    from swarm.proof.canonical import native
    from swarm.proof.canonical.build import BUILDS

    torch.set_num_threads(int(threads))
    whole = context.batches
    context.batches = lambda model, prompts, extra, most, **how: whole(model, prompts, extra, min(most, int(rows)), **how)
    from swarm.policy import sampler

    sampler.batches = context.batches
    with native.using(BUILDS[build]):
        node, _ = a_recorded_node(Path(folder), 1, "proof.profile=canonical")
        for _ in range(int(rounds)):
            node.play_round()
            print(node.trainee.root.hex(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
