"""How a prover forges: its records are changed from some step on, and made coherent again, as far as that goes.

The steps are really taken on what was forged (`Replayer.advance` is the trainer's own step), so that the states that follow are those that the
forged data lead to: only the data lie, not the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.cheats.conduct import Work
from benchmarks.cheats.recorded import Own, Recorded, packed
from swarm.groups import Group, pack, unpack
from swarm.learn import record as batches
from swarm.learn.record import BatchRecord, digest_of
from swarm.proof.epoch import Epoch
from swarm.proof.leaf import Leaf
from swarm.proof.replay import Fault

Change = Callable[[BatchRecord, Leaf, dict[bytes, bytes]], BatchRecord]  # may add blobs


def of_batches(recorded: Recorded, own: Own, steps: int, change: Change) -> Work:
    """The last `steps` steps are taken on changed batches."""
    epoch, blobs, replayer = own.epoch, dict(own.blobs), recorded.replayer
    first = len(epoch.leaves) - steps
    leaves, states = list(epoch.leaves[:first]), list(epoch.states[:first])
    replayer.load(blobs[epoch.states[first]], epoch.leaves[first])
    for leaf in epoch.leaves[first:]:
        before, data = replayer.trainee.root, packed(replayer.trainee)
        record = change(batches.unpack(blobs[leaf.batch], recorded.rules), leaf, blobs)
        blobs[digest_of(record.pack())], blobs[digest_of(data)] = record.pack(), data
        said = dict(batch=digest_of(record.pack()), rollouts=record.rollout_root, rewards=record.reward_root)
        forged = replace(leaf, before=before, **said)
        try:
            replayer.advance(forged, blobs.__getitem__)
        except Fault as fault:
            if fault.where != "after":  # of the true record: here it leads elsewhere
                raise
        leaves.append(replace(forged, after=replayer.trainee.root))
        states.append(digest_of(data))
    return Work(replace(epoch, leaves=tuple(leaves), states=tuple(states)), blobs, frozenset(range(first, len(leaves))))


def relabelled(own: Own, forged: bool = True, source: Epoch | None = None, **fields: object) -> Work:
    """Every step record (of `source`, else the own ones) with other fields; nothing else is changed."""
    epoch = source or own.epoch
    leaves = tuple(replace(leaf, **fields) for leaf in epoch.leaves)
    number = fields.get("epoch", epoch.number)
    made = replace(epoch, peer=own.identity.peer, operator=own.identity.address, number=number, leaves=leaves)
    return Work(made, {}, frozenset(range(len(leaves))) if forged else frozenset())


def with_groups(record: BatchRecord, leaf: Leaf, blobs: dict[bytes, bytes], recorded: Recorded, edit: Callable[[Group], Group]) -> BatchRecord:
    """The record after `edit` has changed the groups of its own answers, with rollouts named anew where they were trained on."""
    from swarm.groups import Limits

    stage, digest = record.own[0]
    groups = [edit(group) for group in unpack(blobs[digest], Limits.of(recorded.rules), leaf.peer)[3]]
    data = pack(stage, leaf.round, leaf.epoch_seed, groups)
    blobs[digest_of(data)] = data
    trained = []
    for each in record.trained:
        if each.source < 0 and each.stage == stage:
            names = (rollout.digest for rollout in groups[each.place].rollouts)
            each = replace(each, rollouts=tuple((name, *old[1:]) for name, old in zip(names, each.rollouts, strict=True)))
        trained.append(each)
    return replace(record, own=((stage, digest_of(data)), *record.own[1:]), trained=tuple(trained))
