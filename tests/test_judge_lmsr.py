"""LMSR in wei: the specification's vectors, the properties that make a market safe, and its arithmetic against 150 digits."""

from __future__ import annotations

import json
from decimal import Context, Decimal, FloatOperation, localcontext
from inspect import signature
from pathlib import Path

import pytest
from hypothesis import strategies as st
from judges import examples

from judge import lmsr
from judge.lmsr import MOST, WAD, bundle, buy_cost, cost, price_at, prices, sell_value, shares_for_proceeds, shares_for_spend, shares_to_belief

SPREAD = 13  # b between the highest and the lowest liability: no price below 1e-7


def wei(credits: str) -> int:
    return int(Decimal(credits) * WAD)


VECTORS = json.loads((Path(__file__).parent / "vectors" / "lmsr.json").read_text())
EXACT = Context(prec=150)
TINY = Decimal("1e-24")


@pytest.fixture(autouse=True)
def enough_digits():
    """The tests' own arithmetic; that of lmsr does not look at it."""
    with localcontext(EXACT):
        yield


# ---- the specification's vectors

each_trade = pytest.mark.parametrize("vector", VECTORS["trades"], ids=lambda vector: vector["id"])
OPERATIONS = {"buy": buy_cost, "sell": sell_value, "spend": shares_for_spend}


def order_of(vector: dict) -> tuple[tuple[int, ...], int, int, int]:
    return tuple(map(wei, vector["liabilities"])), wei(vector["b"]), vector["outcome"], wei(vector["amount"])


@each_trade
def test_every_vector_comes_out_to_the_wei(vector):
    liabilities, b, outcome, amount = order = order_of(vector)
    result = OPERATIONS[vector["operation"]](*order)
    assert result == int(vector["wei"])
    assert shows(price_at(liabilities, b, outcome, 48), vector["before"])
    moved = {"buy": amount, "sell": -amount, "spend": result}[vector["operation"]]
    assert shows(price_at(added(liabilities, outcome, moved), b, outcome, 48), vector["after"])


@each_trade
def test_the_reference_of_these_tests_has_the_exact_results(vector):
    liabilities, b, outcome, amount = order_of(vector)
    exact = Decimal(vector["exact"]) * WAD
    if vector["operation"] == "spend":
        spent, given = paid(liabilities, b, outcome, exact), amount
    else:
        spent, given = paid(liabilities, b, outcome, amount if vector["operation"] == "buy" else -amount), exact
    assert abs(abs(spent) / given - 1) < Decimal("1e-31")


@pytest.mark.parametrize("vector", VECTORS["subsidies"])
def test_subsidies(vector):
    b, outcomes = wei(vector["b"]), vector["outcomes"]
    assert lmsr.subsidy(outcomes, b) == cost((0,) * outcomes, b) == int(vector["wei"])


def test_the_evidence_vector():
    vector = VECTORS["evidence"]
    liabilities, b, b_new = tuple(map(wei, vector["liabilities"])), wei(vector["b"]), wei(vector["b_new"])
    minted = bundle(liabilities, b, b_new)
    assert minted == tuple(map(int, vector["bundle"]))
    for outcome, price in enumerate(vector["prices"]):
        assert shows(price_at(liabilities, b, outcome, 48), price)
        assert abs(price_at(both(liabilities, minted), b_new, outcome, 48) - price_at(liabilities, b, outcome, 48)) < 10**28


def test_the_belief_vector():
    vector = VECTORS["belief"]
    shares, most = Decimal(vector["shares"]) * WAD, Decimal(vector["cost"]) * WAD
    assert shares_to_belief((0, 0), wei(vector["b"]), vector["outcome"], wei(vector["target"])) == (int(shares), int(most) + 1)


def shows(price: int, digits: str) -> bool:
    """Whether a price of 48 digits is `digits` where they end: they are cut off, and an amount of the vector is whole wei."""
    unit = Decimal(1).scaleb(Decimal(digits).as_tuple().exponent)
    return -unit < Decimal(price).scaleb(-48) - Decimal(digits) < unit


# ---- a plain reference: the cost function itself, no closed form, 150 digits


def potential(liabilities, b) -> Decimal:
    return b * sum((Decimal(liability) / b).exp() for liability in liabilities).ln()


def paid(liabilities, b, outcome, shares) -> Decimal:
    """What `shares` cost, wei."""
    return potential(added(liabilities, outcome, shares), b) - potential(liabilities, b)


def added(liabilities, outcome, shares) -> tuple[int, ...]:
    return tuple(sold + shares if place == outcome else sold for place, sold in enumerate(liabilities))


def both(liabilities, minted) -> tuple[int, ...]:
    return tuple(map(sum, zip(liabilities, minted, strict=True)))


# ---- the edges of the arithmetic


def test_nothing_is_free_and_nothing_is_a_gift():
    b = 100 * WAD
    sunk = (300 * b, 0)  # a price of 5e-131, which 60 digits cannot tell from 0
    assert buy_cost(sunk, b, 1, 1) == 1 and sell_value(sunk, b, 1, 1) == 0
    assert buy_cost(sunk, b, 0, WAD) == WAD and sell_value(sunk, b, 0, WAD) == WAD - 1
    assert shares_for_spend(sunk, b, 0, WAD) == WAD
    assert prices(sunk, b) == (WAD, 0) and price_at(sunk, b, 0) == 10**36


def test_the_guard_of_a_cost_is_left_out_of_a_spend_and_added_to_proceeds():
    b = 10**28
    sunk = (0, -60 * b)  # at 9e-27 ten shares cost less than the guard
    for amount in range(1, 80):
        assert buy_cost(sunk, b, 1, shares_for_spend(sunk, b, 1, amount)) <= amount
        assert sell_value(sunk, b, 1, shares_for_proceeds(sunk, b, 1, amount)) >= amount


def test_extreme_sizes_neither_overflow_nor_hang():
    far = (MOST, -MOST)
    assert prices(far, 1) == (WAD, 0) and cost(far, 1) == MOST + 1
    assert buy_cost(far, 1, 1, MOST) == 1 and sell_value(far, 1, 0, MOST) == MOST - 1
    assert buy_cost((0, 0), 1, 0, MOST) == MOST and shares_for_spend((0, 0), 1, 0, MOST) == MOST
    assert shares_for_spend(far, 1, 1, 1) == 2 * MOST and shares_for_proceeds(far, 1, 0, MOST) == MOST + 1
    assert shares_to_belief(far, 1, 1, WAD // 2) == (2 * MOST - 1, 1)
    assert bundle((0, 0), MOST, 1)[0] == (MOST - 1) * 693147180559945309417232121458176568 // 10**36
    assert prices((0,) * 20, MOST) == (WAD // 20,) * 20


def test_an_equal_remainder_goes_to_the_first():
    assert prices((0, 0, 0), WAD) == (333333333333333334, 333333333333333333, 333333333333333333)


def test_nothing_is_bought_by_nothing():
    for operation in (buy_cost, sell_value, shares_for_spend, shares_for_proceeds):
        assert operation((0, WAD), WAD, 0, 0) == 0
    assert shares_to_belief((WAD, 0), WAD, 0, WAD // 2) == (0, 0)
    assert bundle((0, WAD), WAD, WAD) == (0, 0)


def test_more_than_a_market_can_pay_is_refused():
    most = sell_value((0, 0), 100 * WAD, 0, MOST)
    assert most == 69314718055994530941
    assert sell_value((0, 0), 100 * WAD, 0, shares_for_proceeds((0, 0), 100 * WAD, 0, most)) == most
    with pytest.raises(ValueError, match="no number of shares of outcome 0 sells for 69314718055994530942 wei"):
        shares_for_proceeds((0, 0), 100 * WAD, 0, most + 1)


def test_the_precision_of_the_caller_does_not_matter():
    calls = [(buy_cost, 7 * WAD), (sell_value, 7 * WAD), (shares_for_spend, 7 * WAD), (shares_for_proceeds, WAD), (shares_to_belief, WAD // 2)]
    market = (1 * WAD, 2 * WAD, 3 * WAD), 100 * WAD

    def everything():
        lmsr._weight.cache_clear()
        trades = [operation(*market, 1, amount) for operation, amount in calls]
        return [*trades, price_at(*market, 1), cost(*market), prices(*market), bundle(*market, 90 * WAD), lmsr.subsidy(7, WAD)]

    expected = everything()
    with localcontext(Context(prec=5, rounding="ROUND_UP")):
        assert everything() == expected


GOOD = {"liabilities": (0, WAD), "b": WAD, "outcome": 1, "outcomes": 3, "b_new": WAD // 2, "digits": 36}
GOOD |= {"shares": WAD, "spend": WAD, "proceeds": 10, "target": WAD // 2}
BAD = {
    "liabilities": [(), (0,), (0,) * 21, (0, 1.0), (0, MOST + 1), (0, -MOST - 1)],
    "outcome": [-1, 2, 0.0, True],
    "outcomes": [1, 21, -2],
    "b_new": [0, -1, WAD + 1],
    "digits": [-1, 49],
    "target": [0, -1, WAD, 0.5],
}
AMOUNTS = [-1, MOST + 1, 1.0, "1", None, True]
PUBLIC = (buy_cost, sell_value, shares_for_spend, shares_for_proceeds, shares_to_belief, price_at, cost, prices, bundle, lmsr.subsidy)


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_a_bad_argument_is_named(function):
    names = list(signature(function).parameters)
    function(**{name: GOOD[name] for name in names})
    for name in names:
        for bad in BAD.get(name, AMOUNTS) + [0] * (name == "b"):
            with pytest.raises(ValueError, match="is an int from"):
                function(**{known: GOOD[known] for known in names} | {name: bad})


def test_a_float_among_the_decimals_is_an_error():
    with localcontext(lmsr.CONTEXT), pytest.raises(FloatOperation):
        Decimal(0.5)


# ---- properties


@st.composite
def markets(draw, most=20):
    """(L, b): 0.001 to 10^6 credits of liquidity, anywhere within SPREAD."""
    b = draw(st.integers(10**15, 10**24))
    return tuple(part * b // 1000 + part % 7 for part in draw(st.lists(st.integers(0, 1000 * SPREAD), min_size=2, max_size=most))), b


@st.composite
def orders(draw, most=20):
    """(L, b, outcome, amount): from one wei to 5 b."""
    liabilities, b = draw(markets(most))
    amount = draw(st.one_of(st.integers(1, 9), st.integers(1, b), st.integers(1, 5 * b)))
    return liabilities, b, draw(st.integers(0, len(liabilities) - 1)), amount


@examples(markets())
def test_prices_are_a_distribution(market):  # P1, P2
    found = prices(*market)
    assert sum(found) == WAD and all(0 < price < WAD for price in found)
    over = [price * WAD - price_at(*market, outcome) for outcome, price in enumerate(found)]
    assert all(-WAD < excess < WAD for excess in over)
    up, down = [WAD - excess for excess in over if excess > 0], [-excess for excess in over if excess <= 0]
    assert min(up, default=WAD) >= max(down) - 1  # what was rounded up had the largest remainders


@examples(orders(most=6))
def test_every_result_is_the_exact_one_rounded_for_the_market(order):
    liabilities, b, outcome, amount = order
    assert 0 <= buy_cost(*order) - paid(*order) < 1
    assert 0 <= -paid(liabilities, b, outcome, -amount) - sell_value(*order) < 1
    shares = shares_for_spend(*order)
    assert paid(liabilities, b, outcome, shares) <= amount < paid(liabilities, b, outcome, shares + 1)
    assert 0 <= cost(liabilities, b) - potential(liabilities, b) < 1
    share = ((liabilities[outcome] - potential(liabilities, b)) / b).exp()
    assert -TINY < share * 10**48 - price_at(liabilities, b, outcome, 48) < 1


@examples(orders())
def test_buying_raises_a_price_and_lowers_the_others(order):  # P3
    liabilities, b, outcome, amount = order
    before, after = prices(liabilities, b), prices(added(liabilities, outcome, amount), b)
    rises = [new - old for old, new in zip(before, after, strict=True)]
    rise = rises.pop(outcome)
    assert rise >= -1 and all(other <= 1 for other in rises)
    if amount > b // 1000:
        assert rise > 0 and all(other < 0 for other in rises)


@examples(orders(), st.integers(1, 10**24))
def test_a_cost_does_not_depend_on_the_path(order, second):  # P4
    liabilities, b, outcome, first = order
    apart = buy_cost(*order) + buy_cost(added(liabilities, outcome, first), b, outcome, second)
    assert apart - buy_cost(liabilities, b, outcome, first + second) in (0, 1, 2)


@examples(orders(), st.integers(0, 19), st.integers(1, 10**24))
def test_a_round_trip_never_profits(order, other, second):  # P5
    liabilities, b, outcome, first = order
    other %= len(liabilities)
    one = added(liabilities, outcome, first)
    two = added(one, other, second)
    spent = buy_cost(*order) + buy_cost(one, b, other, second)
    back = sell_value(two, b, outcome, first) + sell_value(added(two, outcome, -first), b, other, second)
    assert 0 <= spent - back <= 4


@examples(orders())
def test_a_spend_buys_the_most_that_it_can(order):  # P6
    liabilities, b, outcome, spend = order
    shares = shares_for_spend(*order)
    assert shares >= spend and buy_cost(liabilities, b, outcome, shares) <= spend <= buy_cost(liabilities, b, outcome, shares + 4)


@examples(markets(), st.integers(1, 10**24))
def test_a_complete_set_costs_what_it_pays(market, amount):  # P7
    (liabilities, b), spent = market, 0
    for outcome in range(len(liabilities)):
        spent += buy_cost(liabilities, b, outcome, amount)
        liabilities = added(liabilities, outcome, amount)
    assert 0 <= spent - amount <= len(liabilities)


@examples(markets(), st.integers(1, 999))
def test_evidence_moves_no_price_and_no_money(market, part):  # P12, and the loss bound of 1.5
    liabilities, b = market
    b_new = max(1, b * part // 1000)
    minted = bundle(liabilities, b, b_new)
    after = both(liabilities, minted)
    assert min(minted) >= 0 and 0 <= cost(liabilities, b) - cost(after, b_new) <= 2
    for outcome in range(len(liabilities)):
        assert abs(price_at(after, b_new, outcome) - price_at(liabilities, b, outcome)) <= 10**36 // b_new + 2


@examples(markets(), st.integers(2, 999), st.integers(1, 998))
def test_evidence_in_pieces_gains_nothing(market, first, second):
    liabilities, b = market
    between, b_new = b * first // 1000, b * min(second, first - 1) // 1000
    one = bundle(liabilities, b, between)
    two = bundle(both(liabilities, one), between, b_new)
    whole = bundle(liabilities, b, b_new)
    assert all(-3 <= a + c - together <= 3 for a, c, together in zip(one, two, whole, strict=True))


@examples(orders(), st.integers(1, 999))
def test_pushing_a_price_before_evidence_and_back_after_it_gains_nothing(order, part):
    liabilities, b, outcome, amount = order
    b_new = b * part // 1000
    pushed = added(liabilities, outcome, amount)
    honest, twisted = bundle(liabilities, b, b_new), bundle(pushed, b, b_new)
    # Both end at the same prices: the pushed shares weigh amount (b_new/b) at the lower b.
    at_low_b = amount * b_new // b
    twisted_end = both(pushed, twisted)
    paid_twisted = buy_cost(*order) - sell_value(twisted_end, b_new, outcome, at_low_b)
    for won in range(len(liabilities)):
        gain = twisted[won] + (amount - at_low_b) * (won == outcome) - paid_twisted
        assert abs(gain - honest[won]) <= 8


@examples(orders(), st.integers(-(10**26), 10**26), st.integers(1, 999))
def test_a_constant_in_every_liability_changes_nothing(order, constant, part):  # P13
    liabilities, b, outcome, amount = order
    moved = tuple(liability + constant for liability in liabilities)
    assert prices(moved, b) == prices(liabilities, b) and cost(moved, b) == cost(liabilities, b) + constant
    assert bundle(moved, b, b * part // 1000) == bundle(liabilities, b, b * part // 1000)
    for operation in (buy_cost, sell_value, shares_for_spend):
        assert operation(moved, b, outcome, amount) == operation(*order)


@examples(orders(), st.integers(0, 10**6))
def test_proceeds_take_the_fewest_shares_that_give_them(order, part):  # P15
    liabilities, b, outcome, _ = order
    proceeds = max(1, sell_value(liabilities, b, outcome, MOST) * part // 10**6)
    shares = shares_for_proceeds(liabilities, b, outcome, proceeds)
    assert shares >= proceeds and sell_value(liabilities, b, outcome, shares) >= proceeds
    assert -paid(liabilities, b, outcome, 1 - shares) < proceeds + TINY


@examples(orders(), st.integers(10**12, WAD - 10**12))
def test_a_belief_is_reached_and_not_passed(order, target):
    liabilities, b, outcome, _ = order
    shares, most = shares_to_belief(liabilities, b, outcome, target)
    goal = target * 10**18
    if not shares:
        assert price_at(added(liabilities, outcome, 1), b, outcome) >= goal
        return
    short, past = (price_at(added(liabilities, outcome, shares + more), b, outcome) for more in (0, 1))
    assert short <= goal <= past + 1 and 0 <= most - buy_cost(liabilities, b, outcome, shares) <= 1


TRADES = st.lists(st.tuples(st.integers(0, 3), st.integers(-10, 10), st.integers(1, 10**18)), max_size=8)


@examples(st.integers(10**15, 10**22), TRADES)
def test_a_sponsor_never_loses_more_than_its_subsidy(b, trades):  # P9, P10, P11
    pot = lmsr.subsidy(4, b)
    for sold, paid_in in traded((0,) * 4, b, trades):
        pot += paid_in
        assert pot >= cost(sold, b) and pot >= max(sold)  # whatever wins is paid: the loss, F + in - out, is at most F


@examples(markets(most=4), TRADES)
def test_the_loss_from_any_start_is_at_most_b_ln_of_the_least_price(market, trades):
    (start, b), net = market, 0
    for sold, paid_in in traded(start, b, trades):
        net += paid_in
        for before, after in zip(start, sold, strict=True):
            assert after - before - net <= cost(start, b) - before  # which is b ln(1/p) of this outcome, rounded up


def traded(sold, b, trades):
    """The liabilities after each trade, and what it paid in; sales only of what was bought here, or all of it."""
    start = sold
    for outcome, size, odd in trades:
        outcome %= len(sold)
        if size > 0:
            amount = size * b // 5 + odd % b
            paid_in = buy_cost(sold, b, outcome, amount)
        else:
            amount = -min(sold[outcome] - start[outcome], -size * b // 5 + odd % b)
            paid_in = -sell_value(sold, b, outcome, -amount)
        sold = added(sold, outcome, amount)
        yield sold, paid_in
