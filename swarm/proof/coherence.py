"""What an epoch's records must be before any step of them is replayed: what was committed, every round once, no state out of nowhere.

Cheap and without a model: an auditor checks it of what it fetched, a prover of its own records before it commits to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm.errors import Refused
from swarm.proof import leaf as leaves
from swarm.proof.epoch import Epoch

if TYPE_CHECKING:
    from swarm.proof.audit import Commitment


def check_header(epoch: Epoch, said: Commitment) -> None:
    """An epoch blob must be what the chain's header commits to. Raises Refused("header") naming what differs."""
    found = {
        "swarm": (epoch.swarm, said.swarm),
        "peer": (epoch.peer, said.peer),
        "operator": (epoch.operator, said.operator),
        "epoch": (epoch.number, said.epoch),
        "number of steps": (len(epoch.leaves), said.steps),
        "root": (epoch.root, said.root),
        "first state": (epoch.first, said.first),
        "last state": (epoch.last, said.last),
        "work units": (min(epoch.units, said.cap), said.units),
    }
    for name, (there, chain) in found.items():
        if there != chain:
            raise Refused("header", f"the {name} of the epoch's records is not what was committed")


def check_row(epoch: Epoch, earlier: Sequence[Epoch], base: bytes, restores: bool = True) -> None:
    """The steps continue each other and what came before.

    A round of one seed is paid for once. A restore, which nobody replays, leads only to a state that this epoch, one of the `earlier`
    epochs of the same peer, or the swarm's `base` had; without `restores` there is none, since it would be paid like a step. Raises Refused("row").
    """
    learned = [leaf for leaf in epoch.leaves if leaf.kind == leaves.LEARN]
    if any(later.round <= leaf.round for leaf, later in zip(learned, learned[1:], strict=False)):
        raise Refused("row", "a round is counted twice")
    for before in earlier:
        counted = {(leaf.round, leaf.epoch_seed) for leaf in before.leaves if leaf.kind == leaves.LEARN}
        if again := next((leaf for leaf in learned if (leaf.round, leaf.epoch_seed) in counted), None):
            raise Refused("row", f"round {again.round} was counted in epoch {before.number} already")
    known = {base} | {root for before in earlier for leaf in before.leaves for root in (leaf.before, leaf.after)}
    for leaf in epoch.leaves:
        known.add(leaf.before)
        if leaf.kind not in (leaves.LEARN, leaves.RESTORE) or (leaf.kind == leaves.RESTORE and not restores):
            raise Refused("row", f"step {leaf.step} is of a kind that nobody can replay")
        if leaf.kind == leaves.RESTORE and leaf.after not in known:
            raise Refused("row", f"step {leaf.step} goes back to a state that its author never had")
        known.add(leaf.after)
