"""What the tape writes by itself, so that nobody chooses: checks of panels by the task's scorer, and the peer bonus of an epoch."""

from __future__ import annotations

import random

import pytest
from courts import address
from markets import DOMAIN, NAMES, START, TERMS, Fair, FakeFacts, account, opening, sign, trade

from judge import bonus, events, scores
from judge.events import read
from judge.keys import keccak
from judge.ledger import replay
from judge.terms import CREDIT, WAD
from swarm.market.facts import Minted
from swarm.market.tape import Tape

EPOCH_2 = START + 25_000
SCORER = b"\5" * 32


def facts(beacons: bool = True) -> FakeFacts:
    made = FakeFacts()
    made.people("host", *NAMES)
    made.beacons(-3000, 60_000 if beacons else 24_000)
    made.add(Minted(EPOCH_2, 2, ()))
    return made


def fair(known: FakeFacts | None = None, **named) -> Fair:
    """Eight markets of the host that a panel decides, with trades of ann and ben, played past the end of epoch 1."""
    one = Fair(known or facts(), **named)
    for name in NAMES:
        one.add(account(sign(events.Stake, name, START - 500, amount=200 * CREDIT)))
    ids = [one.add(opening("host", START + 10 * n, nonce=n, kind="P", scorer=SCORER)).market for n in range(8)]
    orders = {id: [trade(id, name, START + 900, n % 2, CREDIT, nonce=n) for n, name in enumerate(NAMES[:2])] for id in ids}
    one.run(START + 20_000, "host", orders)
    assert all(one.market(id).phase == "SETTLED" for id in ids)
    one.tape.play(START + 40_000)
    return one


def of_kind(tape: Tape, kind: type) -> list[events.Event]:
    return [entry.event for data in tape.log if isinstance((entry := read(data, DOMAIN)).event, kind)]


def varied(market, name: str) -> int:
    """Mostly one answer of each market for all, now and then another."""
    told = keccak(market.id, name.encode())
    return market.id[0] % 2 if told[0] % 8 else 1 - market.id[0] % 2


def test_every_panel_is_checked_by_the_tasks_own_scorer():
    one = fair(scorer=lambda said, texts: said.nonce % 2)
    checks = of_kind(one.tape, events.Check)
    assert {check.market for check in checks} == set(one.tape.state.markets) and len(checks) == 8
    account_of = one.tape.state.operators
    judged = [panel.ballots for market in one.tape.state.markets.values() for panel in market.panels]
    for name in NAMES:
        votes = sum(address(name) in ballots for ballots in judged)
        assert account_of[address(name)].gold_votes == votes
    assert sum(account_of[address(name)].gold_hits > 0 for name in NAMES) > 0  # all vote 0: half of them right
    assert replay(TERMS, one.tape.log).root() == one.tape.state.root()


def test_what_the_scorer_does_not_know_or_no_panel_settled_is_not_checked():
    for scorer in (lambda said, texts: None, lambda said, texts: 7):
        assert not of_kind(fair(scorer=scorer).tape, events.Check)
    code = Fair(facts())
    code.add(opening("host", START, kind="V"))
    nobody = code.add(opening("host", START, nonce=2, kind="P")).market
    code.run(START + 40_000, "host", {}, silent=NAMES)
    assert code.market(nobody).phase == "SETTLED" and not of_kind(code.tape, events.Check)


def test_the_peer_bonus_is_split_once_by_agreement_behind_the_gold_gate():
    one = fair(choice=varied)
    (paid,) = of_kind(one.tape, events.Bonus)
    state = one.tape.state
    assert paid.number == 2 and paid.t == one.facts.after(EPOCH_2)[0] and state.bonus == 0 and state.balance() == state.minted
    reports = {id: {who: ballot.choice for panel in market.panels for who, ballot in panel.ballots.items()} for id, market in state.markets.items()}
    pairs = scores.correlated(reports)
    seed = keccak(one.facts.after(EPOCH_2)[1], b"bonus", (2).to_bytes(8, "big"))
    earns = {who for who, _ in paid.weights}
    assert earns and earns == {address(name) for name in NAMES if (scores.agreement(address(name), reports, pairs, seed) or 0) > 0}
    assert all(0 < weight <= WAD for _, weight in paid.weights)


def test_without_agreement_the_pool_stays_and_its_panels_count_in_the_next_epoch():
    one = fair()  # everybody always votes the same: that tells nothing
    assert not of_kind(one.tape, events.Bonus) and one.tape.state.bonus > 0 and one.tape.state.bonus_epoch == 0
    one = fair(choice=varied)
    before = replay(TERMS, [data for data in one.tape.log if not isinstance(read(data, DOMAIN).event, events.Bonus)])
    assert bonus.weights(before, 2, bytes(32)) == bonus.weights(before, 3, bytes(32)) != ()
    assert bonus.weights(one.tape.state, 3, bytes(32)) == ()


def test_no_bonus_before_there_is_randomness_that_nobody_knew_at_the_epochs_end():
    one = fair(facts(beacons=False), choice=varied)
    assert not of_kind(one.tape, events.Bonus)
    one.facts.beacons(26_000, 60_000)
    one.tape.play(START + 40_000)
    (paid,) = of_kind(one.tape, events.Bonus)
    assert paid.t == START + 26_000


@pytest.mark.parametrize("seed", range(4))
def test_checks_and_bonus_are_the_same_in_whatever_order_pages_and_facts_come(seed):
    one, chance = fair(choice=varied), random.Random(seed)
    told = [fact for _, fact in one.facts.news(0)]
    chance.shuffle(told)
    late, pages = FakeFacts(), list(one.pages)
    chance.shuffle(pages)
    pages.sort(key=lambda page: hasattr(page, "stage"))  # openings first: a page of an unknown market waits with its reader
    tape = Tape(TERMS, late, lambda said, texts: 1)
    while told or pages:
        late.add(*told[:20])
        for page in pages[:9]:
            tape.add(page)
        told, pages = told[20:], pages[9:]
        tape.play(START + 40_000)
    assert tape.rewinds and tape.state.root() == one.tape.state.root() and tape.log == one.tape.log
