"""The tape: the same pages and facts give the same state in whatever order they come; what hosts leave out or make up; how markets end."""

from __future__ import annotations

import functools
import random

import pytest
from courts import address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markets import DOMAIN, NAMES, START, TERMS, Fair, FakeFacts, account, commit, opening, phase, sign, trade

from judge import events, manifest
from judge.errors import Refused
from judge.ledger import replay
from judge.terms import CREDIT, terms_of
from swarm.market import binder
from swarm.market import tape as tapes
from swarm.market.facts import Beacon, round_seed
from swarm.market.page import Phase
from swarm.market.tape import Tape

END = START + 60_000
PEOPLE = ("host", *NAMES)


def facts(delay: int = 0, **named) -> FakeFacts:
    made = FakeFacts()
    made.people(*PEOPLE, **named)
    made.beacons(-3000, 60_000, 1000, delay)
    return made


def seed_of(known: FakeFacts, market, number: int = 1) -> bytes:
    return round_seed(known.after(market.deadline)[1], market.id, number)


def wealth(fair: Fair) -> dict[bytes, int]:
    return {one: operator.free + operator.stake + operator.locked for one, operator in fair.tape.state.operators.items()}


@functools.cache
def written() -> tuple[FakeFacts, tuple, bytes, list[bytes]]:
    """(facts, pages, root, log) of a verifier market and two panel markets with trades, votes, stakes and a claim."""
    known = facts()
    fair = Fair(known)
    for name in NAMES:
        fair.add(account(sign(events.Stake, name, START - 500, amount=100 * CREDIT)))
    markets = [fair.add(opening("host", START + 100 * n, nonce=n, kind=kind)).market for n, kind in enumerate(("V", "P", "P"))]
    orders = {id: [trade(id, name, START + 500 + n, n % 2, CREDIT, nonce=n) for n, name in enumerate(NAMES[:2])] for id in markets}
    fair.run(START + 20_000, "host", orders)
    assert {fair.market(id).phase for id in markets} == {"SETTLED"} and all(fair.market(id).positions for id in markets)
    assert {fair.market(id).verdict.by for id in markets} == {"code", "panel"}
    fair.add(account(sign(events.Claim, "ben", START + 20_500, market=markets[0])))
    fair.tape.play(END)
    assert not fair.tape.refused and fair.tape.state.balance() == fair.tape.state.minted
    return known, tuple(fair.pages), fair.tape.state.root(), list(fair.tape.log)


def arrive(tape: Tape, pages: list) -> None:
    """Hand pages over; one that comes before its opening is offered again, as a reader does."""
    waiting = list(pages)
    while waiting:
        page = waiting.pop(0)
        try:
            tape.add(page)
        except Refused as why:
            assert why.reason == "unknown"
            waiting.append(page)


def test_the_log_alone_gives_the_same_state():
    known, pages, root, log = written()
    assert len(pages) > 12 and replay(TERMS, log).root() == root


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.lists(st.integers(START - 3000, END), min_size=1, max_size=6))
def test_pages_and_facts_in_any_order_give_the_same_state(chance: random.Random, moments):
    known, pages, root, log = written()
    told = [fact for _, fact in known.news(0)]
    late = FakeFacts()
    tape = Tape(TERMS, late, lambda said, texts: 1)
    pages, told = list(pages), list(told)
    chance.shuffle(pages)
    chance.shuffle(told)
    held: list = []
    for moment in sorted(moments):  # what comes after a moment is late for whatever lies before it
        late.add(*told[: len(told) // 3])
        del told[: len(told) // 3]
        cut = chance.randint(0, len(pages))
        for page in held + pages[:cut]:
            try:
                tape.add(page)
                held = [one for one in held if one is not page]
            except Refused:
                held = [*[one for one in held if one is not page], page]
        del pages[:cut]
        tape.play(moment)
    late.add(*told)
    arrive(tape, held + pages)
    tape.play(END)
    assert tape.state.root() == root and tape.log == log


def test_a_late_page_is_played_at_its_place_from_the_last_snapshot_before_it(monkeypatch):
    monkeypatch.setattr(tapes, "MARK_EVERY", 4)
    known, pages, root, _ = written()
    tape = Tape(TERMS, known, lambda said, texts: 1)
    late = next(page for page in pages if isinstance(page, Phase) and page.stage[1] == "REVEAL")
    arrive(tape, [page for page in pages if page is not late])
    tape.play(END)
    assert tape.state.root() != root and len(tape._marks) > 3 and tape.rewinds == 0
    tape.add(late)
    tape.play(END)
    assert tape.state.root() == root and tape.rewinds == 1


def test_randomness_that_comes_late_is_used_where_it_belongs():
    known, pages, root, _ = written()
    late = FakeFacts()
    told = [fact for _, fact in known.news(0)]
    late.add(*(fact for fact in told if not isinstance(fact, Beacon)))
    tape = Tape(TERMS, late, lambda said, texts: 1)
    arrive(tape, list(pages))
    tape.play(END)
    assert {one.phase for one in tape.state.markets.values()} == {"SETTLED"} and all(one.void_reason for one in tape.state.markets.values())
    late.add(*(fact for fact in told if isinstance(fact, Beacon)))
    tape.play(END)
    assert tape.state.root() == root


def test_a_fact_that_a_chain_takes_back_is_gone():
    known, pages, root, _ = written()
    told = {fact for _, fact in known.news(0)}
    late = FakeFacts()
    late.become(told)
    tape = Tape(TERMS, late, lambda said, texts: 1)
    arrive(tape, list(pages))
    tape.play(END)
    late.become({fact for fact in told if not isinstance(fact, Beacon) or fact.t != START + 2000})
    tape.play(END)
    assert tape.state.root() != root
    late.become(told)
    tape.play(END)
    assert tape.state.root() == root


def test_randomness_that_somebody_could_know_before_the_deadline_is_not_used():
    known = FakeFacts()
    known.people(*PEOPLE)
    deadline = START + TERMS.machine.evidence
    known.add(Beacon(deadline + 500, deadline - 1, bytes(32)), Beacon(deadline + 3000, deadline, b"\1" * 32))
    fair = Fair(known)
    id = fair.add(opening("host", START)).market
    fair.tape.play(END)
    assert fair.market(id).round_seeds == [round_seed(b"\1" * 32, id, 1)]


def test_a_host_that_vanishes_costs_nobody_anything():
    fair = Fair(facts())
    for name in NAMES:
        fair.add(account(sign(events.Stake, name, START - 500, amount=100 * CREDIT)))
    fair.tape.play(START - 100)
    before = wealth(fair)
    id = fair.add(opening("host", START, kind="P")).market
    fair.tape.play(START + 1000)
    first = fair.market(id)
    orders = [trade(id, "ann", START + 500)]
    fair.tape.play(START + 1900)
    fair.add(phase("host", id, "OPEN", 1, orders, seed_of(fair.facts, first)))
    fair.tape.play(START + 4000)
    assert fair.market(id).positions[address("ann")].shares[0] == CREDIT and fair.market(id).phase == "COMMIT"
    fair.tape.play(END)  # and no page ever again
    one = fair.market(id)
    assert one.phase == "SETTLED" and one.void_reason == "it did not end in time" and fair.tape.state.balance() == fair.tape.state.minted
    fair.add(account(sign(events.Claim, "ann", END + 1, market=id)))
    fair.tape.play(END + 1000)
    after = wealth(fair)
    lost = {who: before[who] - after[who] for who in before if before[who] != after[who]}
    assert set(lost) == {address("ann"), address("host")}  # the share paid the mean price of its round: what one lost, the other won
    assert abs(sum(lost.values())) <= 1 and abs(lost[address("ann")]) < CREDIT // 5


def test_a_host_that_vanishes_before_the_reveals_costs_no_judge_anything():
    fair = Fair(facts())
    for name in NAMES:
        fair.add(account(sign(events.Stake, name, START - 500, amount=100 * CREDIT)))
    fair.tape.play(START - 100)
    before = wealth(fair)
    id = fair.add(opening("host", START, kind="P")).market
    fair.tape.play(START + 3900)
    one = fair.market(id)
    judges = [name for name in NAMES if address(name) in one.panel.seats]
    fair.add(phase("host", id, "COMMIT", 0, [commit(one, name) for name in judges]))
    fair.tape.play(START + 4100)
    assert fair.market(id).phase == "REVEAL"
    fair.tape.play(END)
    assert fair.market(id).void_reason == "it did not end in time" and wealth(fair) == before


def test_no_page_means_that_nothing_happened_in_that_phase():
    fair = Fair(facts())
    id = fair.add(opening("host", START)).market
    fair.tape.play(START - 100)
    fair.tape.play(END)
    one = fair.market(id)
    assert one.phase == "SETTLED" and one.verdict.choice == 1 and not one.positions
    assert fair.tape.state.operators[address("host")].free == 1000 * CREDIT


def test_a_scorer_that_cannot_say_sends_the_market_to_a_panel():
    for said in (None, 7, -1):
        fair = Fair(facts(), scorer=lambda opening, texts, said=said: said)
        id = fair.add(opening("host", START)).market
        fair.tape.play(END)
        assert fair.market(id).by_panel and fair.market(id).phase == "SETTLED"


def test_a_panels_market_without_judges_is_resolved_by_a_scorer_that_could_not_have_checked_them():
    fair = Fair(facts(), scorer=lambda said, texts: 0 if said.kind == "V" else None)  # two outcomes are right
    id = fair.add(opening("host", START, kind="P", scorer=b"\5" * 32)).market
    fair.tape.play(END)
    one = fair.market(id)
    assert (one.phase, one.void_reason, one.kind) == ("SETTLED", "", "V") and (one.verdict.by, one.verdict.choice) == ("code", 0)


def test_a_page_by_another_key_or_of_an_unknown_market_or_phase_is_refused():
    fair = Fair(facts())
    id = fair.add(opening("host", START)).market
    for reason, page in (
        ("signature", phase("ann", id, "OPEN", 1, [trade(id, "ann", START)])),
        ("unknown", phase("host", opening("host", START, nonce=9).market, "OPEN", 1, [])),
        ("limit", phase("host", id, "OPEN", 7, [trade(id, "ann", START)])),
        ("limit", phase("host", id, "COMMIT", 9, [])),
    ):
        with pytest.raises(Refused) as caught:
            fair.tape.add(page)
        assert caught.value.reason == reason
    fair.tape.play(END)
    assert not fair.market(id).positions


def test_entries_that_the_log_refuses_are_skipped_and_counted():
    fair = Fair(facts())
    id = fair.add(opening("host", START)).market
    fair.tape.play(START + 100)
    good = trade(id, "ann", START + 500)
    late, early = trade(id, "ben", START + 2000), trade(id, "cleo", START - 1)
    poor, stranger = trade(id, "dan", START + 500, amount=10**9 * CREDIT), trade(id, "nobody", START + 500)
    fair.add(phase("host", id, "OPEN", 1, [good, late, early, poor, stranger], seed_of(fair.facts, fair.market(id))))
    fair.tape.play(END)
    assert set(fair.market(id).positions) == {address("ann")}
    assert fair.tape.refused["deadline"] == 2 and fair.tape.refused["standing"] == 1 and sum(fair.tape.refused.values()) == 4


def test_a_wrong_order_is_not_played_and_can_be_proved():
    fair, right = Fair(facts()), Fair(facts())
    entries = None
    for one, wrong in ((right, False), (fair, True)):
        id = one.add(opening("host", START)).market
        one.tape.play(START + 100)
        entries = [trade(id, name, START + 500, nonce=3) for name in NAMES]
        ids = manifest.order([entry.id for entry in entries], "OPEN", seed_of(one.facts, one.market(id)))
        one.add(phase("host", id, "OPEN", 1, entries, ids=ids[::-1] if wrong else ids))
        one.tape.play(START + 2500)
    assert fair.tape.state.root() == right.tape.state.root() and not right.tape.binder.faults
    (stage, (kind, first, second)) = fair.tape.binder.faults.popitem()
    assert kind == "order"
    manifest.prove(fair.tape.state, fair.market(stage[0]), kind, first, second)
    fair.add(account(sign(events.Fault, "ann", START + 2600, market=stage[0], fault=kind, first=first, second=second)))
    fair.tape.play(START + 6000)
    assert fair.market(stage[0]).void_reason == "its host: order"


def test_two_pages_of_one_phase_give_one_state_whoever_saw_which_first_and_a_proof():
    roots = set()
    for turned in (False, True):
        fair = Fair(facts())
        id = fair.add(opening("host", START)).market
        fair.tape.play(START + 100)
        seed = seed_of(fair.facts, fair.market(id))
        two = [phase("host", id, "OPEN", 1, [trade(id, name, START + 500)], seed) for name in ("ann", "ben")]
        for page in two[::-1] if turned else two:
            fair.add(page)
            fair.tape.play(START + 2500)
        roots.add(fair.tape.state.root())
        kind, first, second = fair.tape.binder.faults[(id, "OPEN", 1)]
        fair.add(account(sign(events.Fault, "cleo", START + 2600, market=id, fault=kind, first=first, second=second)))
        fair.tape.play(START + 5000)
        assert kind == "twice" and fair.market(id).void_reason == "its host: twice"
        assert fair.tape.state.operators[address("cleo")].free == 1000 * CREDIT + TERMS.bond // 2
        roots.add(fair.tape.state.root())
    assert len(roots) == 2


def test_a_flood_of_openings_leaves_the_same_ones_everywhere(monkeypatch):
    monkeypatch.setattr(binder, "GROUP", 10)
    flood = [opening("host", START + n, nonce=n) for n in range(25)]
    roots = set()
    for seed in range(3):
        order = list(flood)
        random.Random(seed).shuffle(order)
        tape = Tape(TERMS, facts(), lambda said, texts: 1)
        gave_way = []
        for n, page in enumerate(order):
            try:
                gave_way += tape.add(page)
            except Refused as why:
                assert why.reason == "limit"
                gave_way.append(page.digest)
            if n % 5 == 0:
                tape.play(START + 1000)
        tape.play(START + 1500)
        assert set(gave_way) == {page.digest for page in sorted(flood, key=lambda page: page.digest)[10:]}
        roots.add(tape.state.root())
        assert len(tape.state.markets) == 8 == TERMS.open_most and tape.refused
    assert len(roots) == 1


def test_very_late_pages_cannot_make_a_long_tape_begin_again_all_the_time(monkeypatch):
    monkeypatch.setattr(tapes, "DEEP", 3)
    tape = Tape(TERMS, facts(), lambda said, texts: 1)
    tape.add(opening("host", START + 20))
    tape.play(START + 30_000)
    stakes = [account(sign(events.Stake, name, START + n, amount=CREDIT)) for n, name in enumerate(NAMES)]
    for n, page in enumerate(stakes):
        tape.add(page)
        tape.play(START + 30_000 + n)
    assert tape.rewinds == 1
    tape.play(START + 30_000 + tapes.DEEP_MS)
    assert tape.rewinds == 2 and all(tape.state.operators[address(name)].stake == CREDIT for name in NAMES)


def test_judges_whose_stake_is_elsewhere_are_waited_for():
    terms = terms_of("test", chain_id=DOMAIN, seed="beacon", seats=(5, 5, 5), stake_least=5 * CREDIT)
    fair = Fair(facts(), terms)
    for name in NAMES[:3]:
        fair.add(account(sign(events.Stake, name, START - 500, amount=10 * CREDIT)))
    ids = [fair.add(opening("host", START + n, nonce=n, kind="P")).market for n in range(2)]
    fair.run(START + 7500, "host", {})
    assert sorted(bool(fair.market(id).panels) for id in ids) == [False, True] and fair.tape.refused["early"] >= 1
    fair.run(START + 31_000, "host", {})
    assert {fair.market(id).verdict.choice for id in ids if fair.market(id).verdict} == {0} and {fair.market(id).phase for id in ids} == {"SETTLED"}


def test_a_vote_for_another_panel_or_by_somebody_without_a_seat_counts_nothing():
    fair = Fair(facts())
    for name in NAMES:
        fair.add(account(sign(events.Stake, name, START - 500, amount=100 * CREDIT)))
    id = fair.add(opening("host", START, kind="P")).market
    fair.tape.play(START + 3100)
    one = fair.market(id)
    assert one.phase == "COMMIT"
    wrong = sign(events.Commit, "ann", one.since, market=id, level=1, roll=0, commit=bytes(32))
    fair.add(phase("host", id, "COMMIT", 0, [wrong, commit(one, "host"), commit(one, "ann"), commit(one, "ben"), commit(one, "cleo")]))
    fair.tape.play(one.deadline + 1)
    assert fair.tape.refused["phase"] == 1 and fair.tape.refused["seat"] >= 1


@pytest.mark.parametrize(("outcome", "kind", "accepted"), [(1, "V", "eve"), (2, "V", "eve"), (0, "V", ""), (None, "V", ""), (1, "P", "")])
def test_a_piece_counts_where_code_agrees_that_the_first_outcome_is_wrong_and_every_stake_comes_back(outcome, kind, accepted):
    fair = Fair(facts(), scorer=lambda said, texts: outcome)
    market = fair.add(opening("host", START, kind=kind, scorer=b"\5" * 32)).market
    claims = {"eve": (0, events.WRONG), "dan": (0, events.RIGHT), "ben": (1, events.WRONG), "cleo": (events.SILENT, events.SILENT)}
    orders = [sign(events.Evidence, name, START + 500, market=market, text=name, about=about, says=says) for name, (about, says) in claims.items()]
    fair.run(START + 8000, "host", {market: orders})
    pieces = fair.market(market).pieces.values()
    assert len(pieces) == 4 and not fair.tape.refused and not any(piece.stake for piece in pieces)
    assert [piece.author for piece in pieces if piece.status == "accepted"] == ([address(accepted)] if accepted else [])
    assert fair.tape.state.balance() == fair.tape.state.minted
