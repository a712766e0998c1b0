"""Which of a solver's commitments still count, after every kind of ending."""

from __future__ import annotations

from types import SimpleNamespace

from swarm.chain.values import Outcome
from swarm.jobs.line import Made, line

BASE = b"base"


def made(epoch: int, first: bytes, last: bytes, outcome: Outcome = Outcome.OPEN, steps: int = 8, late: bool = False) -> Made:
    return Made(SimpleNamespace(epoch=epoch, first=first, last=last, steps=steps), late, outcome)


def test_open_and_clean_epochs_in_a_row_count_and_the_first_clean_one_is_payable():
    found = line(BASE, -1, [made(2, b"b", b"c"), made(0, BASE, b"a", Outcome.CLEAN), made(1, b"a", b"b")])
    assert [each.epoch for each in found.made] == [0, 1, 2] and found.tail == b"c" and found.steps == 24
    assert found.payable.epoch == 0
    assert line(BASE, -1, [made(0, BASE, b"a"), made(1, b"a", b"b", Outcome.CLEAN)]).payable is None, "paid before the one before it"


def test_what_was_paid_is_not_counted_again():
    found = line(b"a", 0, [made(0, BASE, b"a", Outcome.CLEAN), made(1, b"a", b"b")])
    assert [each.epoch for each in found.made] == [1] and found.tail == b"b"


def test_an_epoch_that_came_out_badly_ends_the_line_and_what_is_built_on_it_is_lost():
    for outcome in set(Outcome) - {Outcome.OPEN, Outcome.CLEAN}:
        found = line(b"a", 0, [made(1, b"a", b"b", outcome), made(2, b"b", b"c", Outcome.CLEAN)])
        assert found.made == () and found.tail == b"a" and found.payable is None, outcome


def test_a_late_commitment_ends_the_line():
    found = line(BASE, -1, [made(0, BASE, b"a"), made(1, b"a", b"b", late=True), made(2, b"b", b"c")])
    assert [each.epoch for each in found.made] == [0] and found.tail == b"a"


def test_after_going_back_the_new_way_counts_and_not_the_old_one():
    old = [made(1, b"a", b"b", Outcome.UNAUDITED), made(2, b"b", b"c", Outcome.CLEAN)]
    found = line(b"a", 0, [*old, made(4, b"a", b"d"), made(5, b"d", b"e")])
    assert [each.epoch for each in found.made] == [4, 5] and found.tail == b"e"
