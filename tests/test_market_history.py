"""The log's root at each epoch's end: the same whatever came when; what lies before a final one is closed, what is voted on waits."""

from __future__ import annotations

import random

import pytest
from courts import address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markets import NAMES, START, TERMS, FakeFacts, account, opening, phase, sign, trade
from test_market_tape import END, arrive, seed_of, written

from judge import events
from judge.errors import Refused
from judge.terms import CREDIT
from swarm.market import binder
from swarm.market import tape as tapes
from swarm.market.facts import Beacon
from swarm.market.history import PATIENCE_S, History
from swarm.market.page import Phase
from swarm.market.tape import Tape
from swarm.proof.schedule import Schedule

SCHEDULE = Schedule(START // 1000 - 5, epoch=5, grace=4, beacon=1, audit=5, reveal=3, challenge=3)
QUIET = Schedule(START // 1000 - 5, epoch=100, grace=50, beacon=1, audit=5, reveal=3, challenge=3)
EPOCHS = range((END - START) // 5000)


def known(schedule: Schedule | None = SCHEDULE) -> FakeFacts:
    """The facts of the written log, with epochs."""
    made = FakeFacts(schedule=schedule)
    made.add(*(fact for _, fact in written()[0].news(0)))
    return made


def tape_of(facts: FakeFacts) -> Tape:
    return Tape(TERMS, facts, lambda said, texts: 1)


def played(pages=None) -> Tape:
    tape = tape_of(known())
    arrive(tape, list(written()[1] if pages is None else pages))
    tape.play(END)
    return tape


def heads(tape: Tape) -> list[bytes]:
    return [tape.history.root(epoch).head for epoch in EPOCHS]


def final(tape: Tape, epoch: int, head: bytes | None = None) -> None:
    """The chain says so, at its earliest."""
    head = tape.history.root(epoch).head if head is None else head
    tape.history.look({epoch: head}, SCHEDULE.commit_until(epoch) + 1)


def test_a_root_is_the_head_of_everything_that_lies_at_or_before_the_end():
    tape, apart = played(), tape_of(known(schedule=None))
    arrive(apart, list(written()[1]))
    for epoch in EPOCHS:
        apart.play(SCHEDULE.end(epoch) * 1000)
        assert tape.history.root(epoch).head == apart.state.head, epoch
    assert len(set(heads(tape))) == 4 and tape.history.root(len(EPOCHS) + 1) is None


def test_the_end_itself_belongs_to_its_epoch():
    end = SCHEDULE.end(1) * 1000
    before, at, after = (played([account(sign(events.Stake, "ann", t, amount=CREDIT))]) for t in (end - 1, end, end + 1))
    assert len({tape.history.root(0).head for tape in (before, at, after)}) == 1
    assert len({tape.history.root(1).head for tape in (before, at, after)}) == 3
    assert after.history.root(1).head == played([]).history.root(1).head != at.history.root(1).head


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.lists(st.integers(START - 3000, END), min_size=1, max_size=6))
def test_roots_are_the_same_whatever_came_when(chance: random.Random, moments):
    told, late = [fact for _, fact in known().news(0)], FakeFacts(schedule=SCHEDULE)
    tape, pages = tape_of(late), list(written()[1])
    chance.shuffle(pages)
    chance.shuffle(told)
    for moment in sorted(moments):
        late.add(*told[: len(told) // 3])
        del told[: len(told) // 3]
        for page in chance.sample(pages, chance.randint(0, len(pages))):
            try:
                tape.add(page)
                pages.remove(page)
            except Refused:
                pass
        tape.play(moment)
    late.add(*told)
    arrive(tape, pages)
    assert tape.is_behind or not (told or pages)
    tape.play(END)
    assert heads(tape) == heads(played()) and not tape.is_behind


def test_what_comes_late_changes_the_roots_from_its_place_on_and_none_before(monkeypatch):
    monkeypatch.setattr(tapes, "MARK_EVERY", 4)
    late = next(page for page in written()[1] if isinstance(page, Phase) and page.stage[1] == "REVEAL")
    tape = played([page for page in written()[1] if page is not late])
    before = heads(tape)
    place = tape.begins(late)
    tape.add(late)
    assert tape.is_behind
    tape.play(END)
    changed = [epoch for epoch in EPOCHS if heads(tape)[epoch] != before[epoch]]
    assert changed and changed[0] == min(epoch for epoch in EPOCHS if place <= SCHEDULE.end(epoch) * 1000)
    assert heads(tape) == heads(played())


def test_a_page_before_a_final_root_is_refused_and_one_behind_it_is_not():
    late = next(page for page in written()[1] if isinstance(page, Phase) and page.stage[1] == "REVEAL")
    tape = played([page for page in written()[1] if page is not late])
    epoch = next(epoch for epoch in EPOCHS if tape.begins(late) <= SCHEDULE.end(epoch) * 1000)
    end = SCHEDULE.end(epoch) * 1000
    final(tape, epoch)
    assert tape.history.closed == end and tape.history.dissent is None
    backdated = [account(sign(events.Stake, "ann", t, amount=CREDIT)) for t in (START + 1, end)]
    mixed = account(sign(events.Stake, "ben", end, amount=CREDIT), sign(events.Stake, "ben", end + 9000, amount=CREDIT))
    for page in (late, *backdated, mixed, opening("host", end, nonce=77)):
        with pytest.raises(Refused) as no:
            tape.add(page)
        assert no.value.reason == "late" and "final on the chain" in no.value.sentence
    before = heads(tape)
    for page in (account(sign(events.Stake, "ann", end + 1, amount=CREDIT)), opening("host", end + 1, nonce=78)):
        tape.add(page)
    tape.play(END)
    assert heads(tape)[: epoch + 1] == before[: epoch + 1] and heads(tape)[epoch + 1] != before[epoch + 1]


def test_no_new_page_pushes_out_one_that_is_closed(monkeypatch):
    monkeypatch.setattr(binder, "GROUP", 2)
    end = SCHEDULE.end(1) * 1000
    stake = [account(sign(events.Stake, "ann", START + 10 + n, amount=CREDIT)) for n in range(2)]
    later = sorted((account(sign(events.Stake, "ann", end + 1 + n, amount=CREDIT)) for n in range(40)), key=lambda page: page.digest)
    open_, closed = played(stake), played(stake)
    final(closed, 1)
    assert later[0].digest < max(page.digest for page in stake)
    assert open_.add(later[0]) == [max(page.digest for page in stake)]
    with pytest.raises(Refused) as no:
        closed.add(later[0])
    assert no.value.reason == "limit" and set(closed.digests(end)) == {page.digest for page in stake}


def test_what_is_voted_on_waits_and_is_taken_where_nothing_was_decided():
    tape, epoch = played(), 3
    page = account(sign(events.Stake, "ann", SCHEDULE.end(epoch) * 1000, amount=CREDIT))
    tape.history.look({}, SCHEDULE.anchor_from(epoch), holds=False)
    assert tape.history.held == -1, "who only begins to read lacks more than late pages"
    tape.history.look({}, SCHEDULE.anchor_from(epoch) - 0.1)
    assert tape.history.held == SCHEDULE.end(epoch - 1) * 1000
    for now in (SCHEDULE.anchor_from(epoch), SCHEDULE.commit_until(epoch)):
        tape.history.look({}, now)
        with pytest.raises(Refused) as no:
            tape.add(page)
        assert no.value.reason == "early" and "voted on" in no.value.sentence
    alone, quiet = History(QUIET), QUIET
    alone.look({}, quiet.commit_until(0) + PATIENCE_S)
    assert alone.held == quiet.end(0) * 1000
    alone.look({}, quiet.commit_until(0) + PATIENCE_S + 1)
    assert alone.held == -1, "nobody made it final"
    alone.look({0: b"?"}, quiet.commit_until(0) + 1)
    assert alone.held == -1


def test_another_final_root_is_dissent_and_lets_pages_in():
    late = next(page for page in written()[1] if isinstance(page, Phase) and page.stage[1] == "REVEAL")
    tape, right = played([page for page in written()[1] if page is not late]), played()
    last = EPOCHS[-1]
    final(tape, last, right.history.root(last).head)
    found = tape.history.dissent
    assert (found.epoch, found.own, found.final) == (last, heads(tape)[-1], heads(right)[-1]) and tape.history.closed == -1
    tape.add(late)
    tape.play(END)
    final(tape, last, right.history.root(last).head)
    assert tape.history.dissent is None and tape.history.closed == SCHEDULE.end(last) * 1000


def test_a_page_that_others_did_not_have_in_time_is_let_go():
    tape = played()
    page = account(sign(events.Stake, "ann", START + 7000, amount=CREDIT))
    tape.add(page)
    tape.play(END)
    assert heads(tape) != heads(played())
    tape.drop(page.digest)
    tape.play(END)
    assert heads(tape) == heads(played())


def test_a_root_names_the_hosts_whose_faults_were_proved_within_its_epoch():
    tape = tape_of(known())
    market = opening("host", START + 100).market
    tape.add(opening("host", START + 100))
    tape.play(START + 3000)
    seed = seed_of(tape.facts, tape.state.markets[market])
    one, two = ([trade(market, "ann", START + 200 + n)] for n in range(2))
    pages = [phase("host", market, "OPEN", 1, each, seed) for each in (one, two)]
    for page in pages:
        tape.add(page)
    kind, first, second = tape.binder.faults[pages[0].stage]
    tape.add(account(sign(events.Fault, "ben", START + 3500, market=market, fault=kind, first=first, second=second)))
    tape.play(END)
    faults = {epoch: tape.history.root(epoch).faults for epoch in EPOCHS if tape.history.root(epoch).faults}
    assert faults == {SCHEDULE.epoch_at((START + 3500) / 1000): (address("host"),)}
    tape.add(account(sign(events.Stake, NAMES[0], START + 3400, amount=CREDIT)))  # the tape goes back and proves it again
    tape.play(END)
    assert {epoch: tape.history.root(epoch).faults for epoch in faults} == faults


def test_snapshots_before_a_closed_end_are_forgotten_but_for_the_last(monkeypatch):
    monkeypatch.setattr(tapes, "MARK_EVERY", 4)
    tape = played()
    assert sum(mark.place[0] <= SCHEDULE.end(3) * 1000 for mark in tape._marks) > 2
    final(tape, 3)
    for n in range(9):
        tape.add(account(sign(events.Stake, "dan", END + n, amount=CREDIT)))
    tape.play(END + 10)
    assert sum(mark.place[0] <= SCHEDULE.end(3) * 1000 for mark in tape._marks) == 1 < len(tape._marks)
    tape.add(account(sign(events.Stake, "ann", SCHEDULE.end(3) * 1000 + 1, amount=CREDIT)))
    tape.play(END)
    assert heads(tape)[:4] == heads(played())[:4] and heads(tape)[4] != heads(played())[4] and tape.rewinds == 1
    told = {fact for _, fact in known().news(0)}
    tape.facts.become(told - {min((fact for fact in told if isinstance(fact, Beacon)), key=lambda fact: fact.t)})  # a chain takes one back
    tape.play(END + 10)
    assert tape.rewinds == 2 and not tape.is_behind and heads(tape)[0] == played().history.root(0).head
