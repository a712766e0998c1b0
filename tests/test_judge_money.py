"""The money: what trades, fees, slashes, disputes and VOID pay, to the wei, and that nothing is made or lost on the way."""

from __future__ import annotations

import pytest
from courts import Court, address, refused, traded

from judge import events, settlement
from judge.events import ABSTAIN
from judge.market import Market
from judge.terms import CREDIT, WAD

SIDES = ("buy", "spend", "sell", "sell for")


def decided(court: Court, market: Market, votes) -> list[str]:
    """Bring a market to FINAL by one panel; `votes(judges)` are the choices. Returns the judges."""
    court.to_panel(market)
    judges = court.seated(market)
    court.vote(market, votes(judges))
    if market.phase == "CHALLENGE":
        court.expire(market)
    return judges


# ---- fees and slashes


def test_fees_of_a_panel_to_the_wei():
    court, market = traded()
    court.to_panel(market)
    judges = court.seated(market)
    seats = {judge: market.panel.seats[address(judge)] for judge in judges}
    before = {**{judge: court.free(judge) for judge in judges}, "p0": court.free("p0")}
    stakes = {judge: court.stake(judge) for judge in judges}
    fees, silent, lazy, wrong = market.fee_pot, judges[0], judges[1], judges[2]
    if seats[silent] > 2 or sum(seats[judge] for judge in judges[3:]) <= seats[wrong]:
        pytest.fail("choose another number of people: this draw does not show what it should")
    court.vote(market, {judge: {lazy: ABSTAIN, wrong: 2}.get(judge, 0) for judge in judges if judge != silent})
    court.expire(market)
    assert market.verdict.choice == 0
    whole = fees * 60 // 100
    bonus = whole * 20 // 100
    halves = {judge: seats[judge] * (1 if judge == lazy else 2) for judge in judges if judge not in (silent, wrong)}
    pay = {judge: (whole - bonus) * many // sum(halves.values()) for judge, many in halves.items()}
    slash = seats[silent] * CREDIT // 4 + seats[wrong] * CREDIT // 2
    coherent = {judge: seats[judge] for judge in judges[3:]}
    prize = {judge: slash * many // sum(coherent.values()) for judge, many in coherent.items()}
    for judge in judges:
        assert court.free(judge) == before[judge] + pay.get(judge, 0) + prize.get(judge, 0)
        lost = {silent: seats[silent] * CREDIT // 4, wrong: seats[wrong] * CREDIT // 2}.get(judge, 0)
        assert court.stake(judge) == stakes[judge] - lost
    assert court.free("p0") == before["p0"] + fees * 20 // 100
    assert court.state.bonus == bonus
    rest = fees - fees * 20 // 100 - whole + (whole - bonus - sum(pay.values())) + (slash - sum(prize.values()))
    assert court.state.treasury == rest
    court.balanced()
    court.replayed()


def test_fees_of_a_market_without_a_panel_go_to_creator_and_treasury():
    court, market = traded(kind="V")
    fees, creator = market.fee_pot, court.free("p0")
    court.end_rounds(market)
    court.due(events.Resolve, market=market.id, outcome=0)
    court.expire(market)
    assert court.free("p0") == creator + fees // 5 and court.state.treasury == fees - fees // 5 and court.state.bonus == 0


def test_the_bonus_pool_is_split_by_weight():
    court, market = traded()
    decided(court, market, lambda judges: 0)
    pool, treasury = court.state.bonus, court.state.treasury
    free = court.free("p8"), court.free("p9")
    refused(court, "early", court.due, events.Bonus, number=2, weights=())
    refused(court, "unknown", court.due, events.Bonus, number=1, weights=((address("eve"), 1),))
    refused(court, "malformed", court.due, events.Bonus, number=1, weights=((address("p8"), 1), (address("p8"), 1)))
    court.due(events.Bonus, number=1, weights=((address("p8"), WAD), (address("p9"), WAD // 2)))
    assert (court.free("p8"), court.free("p9")) == (free[0] + pool * 2 // 3, free[1] + pool // 3)
    assert court.state.bonus == 0 and court.state.treasury == treasury + pool - pool * 2 // 3 - pool // 3
    refused(court, "duplicate", court.due, events.Bonus, number=1, weights=())
    court.balanced()


def test_a_bonus_pool_that_nobody_earned_stays():
    court, market = traded()
    decided(court, market, lambda judges: 0)
    pool = court.state.bonus
    court.due(events.Bonus, number=1, weights=((address("p8"), 0),))
    assert court.state.bonus == pool > 0


# ---- disputes


def disputed(final: int, claimed: int = 1, join: bool = False) -> tuple[Court, Market, dict]:
    """A verdict of 0, disputed by p1 for `claimed`, and a second panel that says `final`."""
    court = Court([f"p{i}" for i in range(30)])
    market = court.market("p0")
    court.trade(market, "p1", 0, 20 * CREDIT)
    court.to_panel(market)
    first = dict(market.panel.seats)
    court.vote(market, 0)
    money = {"first": first, "challenger": court.free("p1"), "joiner": court.free("p2"), "fees": market.fee_pot, "wealth": court.wealth()}
    court.dispute(market, "p1", claimed)
    if join and address("p2") not in market.panel.seats:
        court.dispute(market, "p2", claimed, level=0, bond=6 * CREDIT)
    court.draw(market)
    money["second"] = dict(market.panel.seats)
    court.vote(market, final)
    court.expire(market)
    court.balanced()
    return court, market, money


def test_an_upheld_dispute_pays_its_challengers_60_percent_of_the_slash():
    court, market, money = disputed(final=1, join=True)
    slash = 7 * CREDIT // 2
    prize = slash * 60 // 100
    assert market.challenges[0].outcome == "upheld" and market.verdict.choice == 1
    assert court.free("p1") == money["challenger"] + prize * 12 // 18
    if address("p2") not in money["second"] and address("p2") not in money["first"]:
        assert court.free("p2") == money["joiner"] + prize * 6 // 18
    for judge, seats in money["first"].items():
        assert court.state.operators[judge].stake == 100 * CREDIT - seats * CREDIT // 2
    assert sum(one.stake for one in court.state.operators.values()) == 30 * 100 * CREDIT - slash


def test_a_lost_dispute_pays_half_of_its_bond_to_the_seats_that_upheld():
    court, market, money = disputed(final=0)
    assert market.challenges[0].outcome == "lost"
    assert court.free("p1") == money["challenger"] - 12 * CREDIT
    fees = money["fees"] * 60 // 100
    bonus = fees * 20 // 100
    each = 2 * CREDIT // 10 - (fees - bonus) // 44  # what the fees of one trade lack, for half a seat of 22
    assert 30 * each < 6 * CREDIT  # the treasury has its half of the bond
    for judge, seats in money["second"].items():
        name = next(one for one in court.people if address(one) == judge)
        assert court.wealth()[name] == money["wealth"][name] + 6 * CREDIT * seats // 15 + (fees - bonus) * 2 * seats // 44 + 2 * seats * each


def test_a_third_choice_gives_the_bond_back():
    court, market, money = disputed(final=2)
    assert market.challenges[0].outcome == "neither" and court.free("p1") == money["challenger"]


def test_a_void_market_gives_bonds_and_locks_back():
    court = Court([f"p{i}" for i in range(30)])
    market = court.market("p0")
    court.to_panel(market)
    court.vote(market, 0)
    wealth = court.wealth()
    court.dispute(market, "p1", 1)
    court.draw(market)
    court.t = market.ends
    court.due(events.Timeout, market=market.id)
    court.settle(market)
    assert market.challenges[0].outcome == "void"
    assert {name: have - wealth[name] for name, have in court.wealth().items() if have != wealth[name]} == {"p0": market.subsidy + court.terms.bond}


def test_the_treasury_tops_the_fees_of_higher_seats_up():
    court = Court([f"p{i}" for i in range(30)])
    market = court.market("p0")
    court.to_panel(market)
    court.vote(market, 0)
    before = {judge: court.state.operators[judge].free for judge in market.panel.seats}
    first = dict(market.panel.seats)
    court.dispute(market, next(name for name in court.people[1:] if address(name) not in first), 1)
    court.draw(market)
    second = dict(market.panel.seats)
    held = {judge: court.state.operators[judge].free for judge in second}
    court.vote(market, 0)
    court.expire(market)
    for judge in first:
        assert court.state.operators[judge].free == before[judge]  # nobody traded: no fees
    for judge, seats in second.items():
        assert court.state.operators[judge].free == held[judge] + seats * 4 * CREDIT // 10 + 6 * CREDIT * seats // 15
    assert court.state.treasury == 0  # its half of the bond pays for 15 seats, exactly
    court.balanced()


def test_the_treasury_pays_what_it_has_and_the_same_to_each():
    court = Court(["p0", "p1"])
    court.state.treasury, free = 10, court.free("p0")
    settlement._top_up(court.state, {address("p0"): 2, address("p1"): 1}, 5)
    assert (court.free("p0") - free, court.state.treasury) == (6, 1)


def test_invalid_settles_seats_and_refunds_fees():
    court, market = traded()
    fees = dict(market.fees)
    free = {name: court.free(name) for name in ("p1", "p2")}
    judges = decided(court, market, lambda judges: {judge: 0 if judge == judges[0] else 3 for judge in judges})
    assert market.verdict.choice == 3 and court.stake(judges[0]) < 100 * CREDIT
    court.settle(market)
    for name in ("p1", "p2"):
        assert court.free(name) == free[name] + fees[address(name)]
    court.balanced()


def test_splitting_gives_what_no_division_gives_to_the_treasury():
    court = Court(["p0", "p1", "p2"])
    state, free = court.state, court.free("p0")
    settlement._split(state, 10, {address("p0"): 1, address("p1"): 1, address("p2"): 1})
    settlement._split(state, 7, {})
    assert (court.free("p0") - free, state.treasury) == (3, 8)
