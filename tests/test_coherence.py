"""What an epoch's records must be before a step is replayed: one row of states, every round once, no state out of nowhere."""

import pytest

from swarm.errors import Refused
from swarm.keys import keccak
from swarm.proof import coherence
from swarm.proof import leaf as leaves
from swarm.proof.audit import Commitment
from swarm.proof.epoch import Epoch
from swarm.proof.leaf import Leaf

NONE, SEED, BASE = bytes(32), b"s" * 32, b"b" * 32


def root(number):
    return keccak(bytes([number]))


def an_epoch(number, *steps):
    """Steps are (kind, round, before, after)."""
    rows = []
    for place, (kind, round, before, after) in enumerate(steps):
        head = (NONE, NONE, number, SEED, place, kind, round, 0)
        rows.append(Leaf(*head, before, NONE, NONE, NONE, NONE, 0, 1, 1, 10 if kind == leaves.LEARN else 0, NONE, after))
    return Epoch(NONE, NONE, bytes(20), number, tuple(rows), (NONE,) * len(rows))


FIRST = an_epoch(0, (leaves.LEARN, 1, BASE, root(1)), (leaves.LEARN, 2, root(1), root(2)))


@pytest.mark.parametrize("after", [BASE, root(1), root(2), root(3)])
def test_a_restore_may_lead_to_a_state_that_was_there_before(after):
    epoch = an_epoch(1, (leaves.LEARN, 3, root(2), root(3)), (leaves.RESTORE, 0, root(3), after), (leaves.LEARN, 4, after, root(9)))
    coherence.check_row(epoch, [FIRST], BASE)


@pytest.mark.parametrize("earlier", [[], [FIRST]])
def test_a_restore_that_leads_to_a_state_out_of_nowhere_is_refused(earlier):
    epoch = an_epoch(1, (leaves.LEARN, 3, root(2), root(3)), (leaves.RESTORE, 3, root(3), root(7)), (leaves.LEARN, 4, root(7), root(8)))
    with pytest.raises(Refused, match="step 1 goes back to a state that its author never had"):
        coherence.check_row(epoch, earlier, BASE)


def test_a_restore_may_not_lead_to_a_state_that_comes_later():
    epoch = an_epoch(1, (leaves.RESTORE, 2, root(2), root(4)), (leaves.LEARN, 3, root(4), root(5)))
    with pytest.raises(Refused, match="never had"):
        coherence.check_row(epoch, [FIRST], BASE)


@pytest.mark.parametrize("kind", [leaves.AVERAGE, 3, 255])
def test_a_step_of_a_kind_without_a_replay_is_refused(kind):
    epoch = an_epoch(1, (kind, 3, root(2), root(3)))
    with pytest.raises(Refused, match="of a kind that nobody can replay"):
        coherence.check_row(epoch, [FIRST], BASE)


def test_a_round_counts_once_within_an_epoch_and_over_those_before():
    twice = an_epoch(1, (leaves.LEARN, 3, root(2), root(3)), (leaves.RESTORE, 2, root(3), root(2)), (leaves.LEARN, 3, root(2), root(3)))
    with pytest.raises(Refused, match="counted twice"):
        coherence.check_row(twice, [FIRST], BASE)
    again = an_epoch(1, (leaves.RESTORE, 1, root(2), root(1)), (leaves.LEARN, 2, root(1), root(2)))
    with pytest.raises(Refused, match="round 2 was counted in epoch 0 already"):
        coherence.check_row(again, [FIRST], BASE)


@pytest.mark.parametrize("field", ["swarm", "peer", "operator", "epoch", "steps", "units", "root", "first", "last"])
def test_records_that_are_not_what_was_committed_are_refused(field):
    said = dict(
        key=NONE, swarm=NONE, peer=NONE, operator=bytes(20), epoch=0, steps=2, units=20,
        root=FIRST.root, first=FIRST.first, last=FIRST.last, data=FIRST.digest,
    )  # fmt: skip
    coherence.check_header(FIRST, Commitment(**said))
    wrong = said[field] + 1 if isinstance(said[field], int) else b"x" + said[field][1:]
    with pytest.raises(Refused, match="is not what was committed"):
        coherence.check_header(FIRST, Commitment(**said | {field: wrong}))


def test_without_restores_a_step_that_does_no_work_is_refused():
    epoch = an_epoch(1, (leaves.LEARN, 3, root(2), root(3)), (leaves.RESTORE, 0, root(3), root(3)))
    coherence.check_row(epoch, [FIRST], BASE)
    with pytest.raises(Refused, match="of a kind that nobody can replay"):
        coherence.check_row(epoch, [FIRST], BASE, restores=False)
