"""Records on disk: whole at any moment, continuous over restarts, released when their cases are closed."""

import dataclasses
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm import merkle
from swarm.errors import Refused
from swarm.network.store import BlobStore, digest_of
from swarm.proof import epoch as epochs
from swarm.proof import leaf as leaves
from swarm.proof.leaf import Leaf, leaf_of
from swarm.proof.onion import Onion
from swarm.proof.recorder import Recorder

SWARM, PEER, OPERATOR, MACHINE = b"\x01" * 32, b"\x02" * 32, b"\x03" * 20, b"\x04" * 32


def root(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Clock:
    epoch = 0

    def __call__(self) -> int:
        return self.epoch


def a_recorder(folder, clock) -> Recorder:
    return Recorder(folder / "proof", SWARM, PEER, OPERATOR, MACHINE, BlobStore(folder / "blobs", 0), clock)


def a_leaf(round: int, before: bytes, after: bytes) -> Leaf:
    none = bytes(32)
    return Leaf(SWARM, PEER, 0, none, 0, leaves.LEARN, round, 100 + round, before, none, none, none, MACHINE, 0, 10, 20, 30, none, after)


def play(recorder: Recorder, round: int, *, confirm: bool = True, every: int = 3):
    stored = recorder.stored(round, every)
    state, blob = recorder.store.put(b"state %d" % round), recorder.store.put(b"blob %d" % round)
    step = recorder.add(a_leaf(round, root(round - 1), root(round)), b"g" * 32, state, [blob], stored)
    if confirm:
        recorder.confirm()
    return step


def test_an_epoch_holds_its_steps_in_order_and_closes_to_the_same_bytes(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    for round in range(1, 6):
        clock.epoch = 0 if round < 4 else 1
        play(recorder, round)
    closed = recorder.close(0, [b"\x09" * 32])
    assert [leaf.step for leaf in closed.leaves] == [0, 1, 2] and closed.units == 90
    assert (closed.first, closed.last) == (root(0), root(3)) and closed.heard == (b"\x09" * 32,)
    assert a_recorder(tmp_path, clock).close(0, []) == closed, "a second close gave other bytes"
    assert recorder.store.get(digest_of(closed.pack())) == closed.pack()
    assert recorder.close(7, []) is None and recorder.epoch(7) is None


def test_a_step_after_its_epoch_was_closed_counts_for_the_next_one(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    play(recorder, 1)
    recorder.close(0, [])
    assert play(recorder, 2).leaf.epoch == 1, "the clock still says epoch 0, which is closed"


def test_a_leaf_without_its_checkpoint_does_not_count_and_is_written_anew(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    play(recorder, 1)
    lost = play(recorder, 2, confirm=False)
    assert recorder.pending and [step.leaf.round for step in recorder.steps(0)] == [1]
    again = a_recorder(tmp_path, clock)
    again.resume(1, root(1), 0)
    assert not again.pending and [step.leaf.round for step in again.steps(0)] == [1]
    assert play(again, 2).salt != lost.salt
    assert [step.leaf.step for step in again.steps(0)] == [0, 1]


def test_a_leaf_whose_checkpoint_was_finished_counts_after_a_kill_before_it_was_confirmed(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    play(recorder, 1, confirm=False)
    again = a_recorder(tmp_path, clock)
    again.resume(1, root(1), 0)
    assert [step.leaf.round for step in again.steps(0)] == [1]


def test_an_older_state_than_the_committed_one_is_said_by_a_restore_leaf(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    for round in (1, 2, 3):
        play(recorder, round)
    recorder.close(0, [])
    clock.epoch = 1
    again = a_recorder(tmp_path, clock)
    again.resume(2, root(2), 50)  # the newest checkpoint was damaged
    (restore,) = again.steps(1)
    assert (restore.leaf.kind, restore.leaf.before, restore.leaf.after, restore.leaf.units) == (leaves.RESTORE, root(3), root(2), 0)
    again.add(a_leaf(4, root(2), root(9)), b"g" * 32, bytes(32), [], True)
    again.confirm()
    closed = again.close(1, [])
    assert closed.first == root(3) and closed.units == 30
    assert epochs.unpack(closed.pack(), 10) == closed


def test_the_way_to_a_state_begins_at_the_nearest_stored_one(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    for round in range(1, 9):
        clock.epoch = round // 5
        play(recorder, round)
    assert [step.leaf.round for step in recorder.way_to(0, 0)] == [1]
    assert [step.leaf.round for step in recorder.way_to(0, 2)] == [1, 2, 3]
    assert [step.leaf.round for step in recorder.way_to(1, 1)] == [4, 5, 6], "a way may begin in the epoch before"


def test_closed_cases_release_their_blobs_and_nothing_that_an_open_one_needs(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    for round in range(1, 9):
        clock.epoch = round // 5
        play(recorder, round)
    recorder.close(0, []), recorder.close(1, [])
    full = recorder.disk
    recorder.forget(1)
    assert recorder.disk < full
    assert recorder.store.get(digest_of(b"blob 1")) is None and recorder.store.get(digest_of(b"state 1")) is None
    assert recorder.way_to(1, 0)[0].leaf.round == 4, "the state before the open epoch's steps is gone"
    for step in recorder.way_to(1, 3):
        assert all(recorder.store.get(digest) for digest in step.blobs)
    assert recorder.epoch(0) is not None, "the records of a closed epoch stay: scores are computed from them"
    again = a_recorder(tmp_path, clock)
    again.resume(8, root(8), 0)
    again.store.put(b"something that makes the store trim")
    assert all(again.store.get(digest) for step in again.way_to(1, 3) for digest in step.blobs)


def test_a_leaf_changes_its_digest_with_every_field():
    leaf = a_leaf(1, root(0), root(1))
    assert len(leaf.encoded()) == leaves.BYTES and leaf_of(leaf.row()) == leaf
    for field in dataclasses.fields(Leaf):
        value = getattr(leaf, field.name)
        other = b"\xff" * 32 if isinstance(value, bytes) else value + 1
        assert dataclasses.replace(leaf, **{field.name: other}).digest != leaf.digest, field.name


@pytest.mark.parametrize("value", [-1, 2**32, True, 1.0, "1", None])
def test_a_leaf_of_another_form_is_refused(value):
    row = a_leaf(1, root(0), root(1)).row()
    for damaged in ([*row[:2], value, *row[3:]], row[:-1], [b"x", *row[1:]]):
        with pytest.raises(Refused, match="step record"):
            leaf_of(damaged)


def test_an_epoch_blob_that_contradicts_itself_or_is_too_large_is_refused(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    for round in (1, 2, 3):
        play(recorder, round)
    good = recorder.close(0, [])
    first, second, third = good.leaves
    later, foreign = dataclasses.replace(first, epoch=1), dataclasses.replace(second, peer=bytes(32))
    for wrong in ((second, first, third), (first, third), (later, second, third), (first, foreign, third)):
        with pytest.raises(Refused):
            epochs.unpack(dataclasses.replace(good, leaves=wrong, states=good.states[: len(wrong)]).pack(), 10)
    with pytest.raises(Refused, match="at most"):
        epochs.unpack(bytes(epochs.max_bytes(2) + 1), 2)
    with pytest.raises(Refused):
        epochs.unpack(good.pack(), 2)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.data())
def test_merkle_proofs_fit_their_leaf_place_and_count_only(count, data):
    digests = [digest_of(b"%d" % n) for n in range(count)]
    index = data.draw(st.integers(0, count - 1))
    top, path = merkle.root(digests), merkle.proof(digests, index)
    assert merkle.verify(top, count, index, digests[index], path)
    assert not merkle.verify(top, count, index, digest_of(b"other"), path)
    assert not merkle.verify(top, count, index, digests[index], [*path, bytes(32)])
    other = data.draw(st.integers(0, count - 1))
    assert other == index or not merkle.verify(top, count, other, digests[index], path)


def test_an_onion_gives_one_link_an_epoch_and_none_that_it_does_not_know(tmp_path):
    from swarm.keys import keccak

    onion = Onion(tmp_path / "onion", length=300)
    shown = onion.tip
    for _ in range(300):
        below = onion.below(shown)
        assert keccak(below) == shown
        shown = below
    assert onion.below(shown) is None and onion.below(bytes(32)) is None
    assert Onion(tmp_path / "onion", length=300).tip == onion.tip and (tmp_path / "onion").stat().st_mode & 0o077 == 0


def test_a_killed_write_leaves_no_half_leaf(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    play(recorder, 1)
    shutil.copy(tmp_path / "proof/leaves/00000001.leaf", tmp_path / "proof/leaves/00000002.leaf.part")
    assert [step.leaf.round for step in a_recorder(tmp_path, clock)._steps.values()] == [1]


def test_going_on_from_another_state_leaves_the_earlier_way_where_it_is_and_sends_no_more_of_it(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.restores = False
    recorder.resume(0, root(0), 0)
    for round in range(1, 8):
        clock.epoch = round // 3
        play(recorder, round)
    for number in (0, 1):
        recorder.close(number, [])
    recorder.posted(0)
    recorder.abandon(committed={0})
    assert recorder.unposted == [] and recorder.unsettled == [0], "an epoch that leads elsewhere would still be committed"
    recorder.rebase(root(2))
    assert [step.leaf.round for step in recorder.all_steps] == [1, 2, 3, 4, 5] and recorder.since(-1) == []
    for again in (recorder, a_recorder(tmp_path, clock)):
        again.restores = False
        again.resume(2, root(2), 0)
        assert (again.head, again.committed_round) == (root(2), 0), "a restart would go on from the way that was left"
    play(recorder, 3, confirm=False)
    assert recorder.pending and recorder.since(-1)[0].leaf.round == 3, "a step counts whose checkpoint is not on disk"
    recorder.abandon(committed={0})
    recorder.rebase(root(2))
    new = play(recorder, 3)
    assert new.stored and new.leaf.epoch == 2 and [step.leaf.round for step in recorder.since(-1)] == [3]
    assert recorder.head == root(3) and recorder.close(2, []).first == root(2)
    assert recorder.way_to(2, 0) == [new] and recorder.way_to(1, 2)[-1].leaf.round == 5, "the old way cannot be audited any more"


def test_without_restores_a_lost_state_is_not_written_down_as_a_step(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    play(recorder, 1)
    recorder.close(0, [])
    again = a_recorder(tmp_path, clock)
    again.restores = False
    again.resume(0, root(0), 0)
    assert again.head == root(1) and len(again.all_steps) == 1


def test_a_held_blob_outlives_the_records_that_name_it(tmp_path):
    clock = Clock()
    recorder = a_recorder(tmp_path, clock)
    recorder.resume(0, root(0), 0)
    for round in range(1, 9):
        clock.epoch = round // 4
        play(recorder, round)
    held = digest_of(b"blob 1")
    recorder.hold(held)
    for number in (0, 1):
        recorder.close(number, [])
    recorder.forget(2)
    assert recorder.store.has(held) and not recorder.store.has(digest_of(b"blob 2"))
    recorder.let_go(held)
    assert not recorder.store.has(held)
