"""A node's bids: the specification's values, the calibration on made-up pasts, and what every bid keeps to."""

from __future__ import annotations

import random
from dataclasses import replace
from math import exp, inf, log, nan

import pytest
from hypothesis import strategies as st
from judges import examples

from judge import lmsr, trader
from judge.trader import WAD, Bid, Calibration, Offer, Pass, Purse, Resolved, belief, bid, calibrate, cost, growth, kelly, log_odds, moved

EVEN = Offer((0, 0), 100 * WAD, fee_bps=0)
PURSE = Purse(1000 * WAD)
SURE = Calibration(1.0, 0.9)
LEANING = (log(4), 0.0)  # a belief of 0.8

price_of = st.floats(0.001, 0.999)
liquidity = st.floats(0.5, 1000)
bankroll_of = st.floats(0.5, 10_000)


# ---- size


@pytest.mark.parametrize(
    ("p", "b", "w", "r", "d", "c", "after"),
    [
        (0.5, 100, 50, 0.8, "42.617737", "23.562232", "0.604960"),
        (0.5, 100, 1000, 0.8, "125.794042", "81.495944", "0.778671"),
        (0.25, 100, 50, 0.6, "54.163369", "16.526283", "0.364247"),
    ],
)
def test_kelly_has_the_values_of_the_specification(p, b, w, r, d, c, after):
    shares = kelly(p, b, w, r)
    assert (f"{shares:.6f}", f"{cost(p, b, shares):.6f}", f"{moved(p, b, shares):.6f}") == (d, c, after)


@examples(price_of, liquidity, bankroll_of, price_of, st.sampled_from([0.0, 0.01, 0.05]))
def test_kelly_is_where_growth_is_largest(p, b, w, r, fee):
    shares = kelly(p, b, w, r, fee)
    best = growth(p, b, w, r, shares, fee)
    if r * (1 - fee) <= p:
        assert shares == 0
        return
    assert best >= 0 and cost(p, b, shares) <= w * (1 - fee) * (1 + 1e-9)
    assert moved(p, b, shares) <= r * (1 - fee) + 1e-9
    for other in (0.25 * shares, 0.9 * shares, 1.1 * shares):
        assert growth(p, b, w, r, other, fee) <= best + 1e-9


@pytest.mark.parametrize("fee", [0.0, 0.01, 0.05])
def test_no_neighbour_of_kelly_grows_more(fee):
    shares = kelly(0.5, 100, 50, 0.8, fee)
    assert growth(0.5, 100, 50, 0.8, shares, fee) > max(growth(0.5, 100, 50, 0.8, shares * factor, fee) for factor in (0.999, 1.001))
    assert growth(0.5, 100, 50, 0.8, 1000, fee) == -inf  # more than the bankroll


@pytest.mark.parametrize(("p", "r"), [(0.5, 0.5), (0.5, 0.2), (0.8, 0.79)])
def test_without_an_edge_kelly_takes_nothing(p, r):
    assert kelly(p, 100, 50, r) == 0


def test_the_cost_of_large_bets_does_not_overflow():
    assert cost(0.5, 1, 5000) == pytest.approx(5000 + log(0.5)) and moved(0.5, 1, 5000) == pytest.approx(1)
    assert 0 < kelly(0.5, 0.001, 10_000, 0.9) < 10_000


# ---- the bid


def test_a_bid_is_a_quarter_of_kelly():
    found = bid(EVEN, LEANING, SURE, PURSE)
    quarter = kelly(0.5, 100, 1000, 0.1 * 0.5 + 0.9 * 0.8) / 4
    assert found.outcome == 0 and found.shares == pytest.approx(quarter * WAD, rel=1e-12)


def test_an_order_waits_for_a_price_one_per_cent_worse_but_not_for_a_loss():
    found = bid(EVEN, LEANING, SURE, PURSE)
    assert found.max_gross == lmsr.buy_cost(EVEN.liabilities, EVEN.b, 0, found.shares) * 101 // 100
    slight, deep = 0.9 * 0.502 + 0.1 * 0.5, Offer((0, 0), 10**5 * WAD, fee_bps=0)
    thin = bid(deep, (log(0.502 / 0.498), 0.0), SURE, Purse(10**5 * WAD))
    gross = lmsr.buy_cost(deep.liabilities, deep.b, 0, thin.shares)
    assert gross < thin.max_gross < gross * 101 // 100 and thin.max_gross == pytest.approx(slight * thin.shares)


def test_a_round_takes_a_tenth_of_the_bankroll():
    small = Purse(20 * WAD)
    sharp = Offer((0, 0), 10 * WAD, fee_bps=100)
    found = bid(sharp, (20.0, 0.0), SURE, small)
    assert found.max_gross == 2 * WAD
    net = lmsr.buy_cost(sharp.liabilities, sharp.b, 0, found.shares)
    assert net <= 198 * WAD // 100 and net > 197 * WAD // 100
    rest = bid(sharp, (20.0, 0.0), SURE, replace(small, spent=WAD))
    assert rest.max_gross == WAD and rest.shares < found.shares
    spent = bid(sharp, (20.0, 0.0), SURE, replace(small, spent=2 * WAD))
    assert spent == Pass("the round's tenth of the bankroll is spent, or less than the smallest bid")


def test_the_fee_is_part_of_the_price():
    free, dear = (bid(replace(EVEN, fee_bps=bps), LEANING, SURE, PURSE) for bps in (0, 500))
    assert dear.shares < free.shares
    slight = (log(0.51 / 0.49), 0.0)
    assert isinstance(bid(EVEN, slight, SURE, PURSE), Bid)
    assert bid(replace(EVEN, fee_bps=500), slight, SURE, PURSE) == Pass("the belief does not beat the price by more than the fee")


def test_the_outcome_of_the_most_growth_is_taken():
    offer = Offer((0, 50 * WAD, 20 * WAD, 0), 100 * WAD)
    assert bid(offer, (0.0, 0.0, 3.0, 0.0), SURE, PURSE).outcome == 2
    assert bid(offer, (0.0, -8.0, 0.0, 0.1), SURE, PURSE).outcome == 3
    assert bid(Offer((0, 0, 0, 0), 100 * WAD), (3.0, 0.0, 0.0, 2.5), SURE, PURSE).outcome == 0


def test_room_limits_the_shares():
    assert bid(replace(EVEN, room=WAD), LEANING, SURE, PURSE).shares == WAD
    assert bid(replace(EVEN, room=0), LEANING, SURE, PURSE) == Pass("the bid would be smaller than the market takes")


@pytest.mark.parametrize(
    ("offer", "evidence", "purse", "reason"),
    [
        (EVEN, (0.0, 0.0), PURSE, "does not beat the price"),
        (Offer((0, 100 * WAD), 100 * WAD, 0), (0.0, 1.0), PURSE, "does not beat the price"),  # the belief is the price
        (EVEN, (nan, 0.0), PURSE, "not a finite number"),
        (EVEN, (0.0, -inf), PURSE, "not a finite number"),
        (EVEN, (inf, 0.0), PURSE, "not a finite number"),
        (EVEN, None, PURSE, "not a finite number"),
        (EVEN, LEANING, Purse(0), "tenth of the bankroll"),
        (EVEN, LEANING, Purse(-WAD), "tenth of the bankroll"),
        (EVEN, LEANING, Purse(WAD // 10 - 10), "tenth of the bankroll"),
        (Offer((1400 * WAD, 0), 100 * WAD), (0.0, 9.0), PURSE, "edge"),  # p = 1 - 8e-7
        (Offer((0, 1400 * WAD), 100 * WAD), (9.0, 0.0), PURSE, "edge"),
        (Offer((0, 10**30), WAD), (9.0, 0.0), PURSE, "edge"),
        (Offer((1300 * WAD, 1300 * WAD, 0), 100 * WAD), (60.0, 0.0, 0.0), Purse(10**6 * WAD), "out of what the market allows"),
        (Offer((0, 0), 10**6, 0), LEANING, PURSE, "smaller than the market takes"),
    ],
)
def test_no_bid_has_its_reason(offer, evidence, purse, reason):
    found = bid(offer, evidence, SURE, purse)
    assert isinstance(found, Pass) and reason in found.reason


def test_a_belief_about_other_labels_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="3 labels"):
        bid(EVEN, (0.0, 1.0, 2.0), SURE, PURSE)


@examples(
    st.lists(st.integers(0, 300 * WAD), min_size=2, max_size=6),
    st.integers(1, 300),
    st.integers(0, 500),
    st.integers(0, 10**24),
    st.integers(0, 10**22),
    st.floats(0.2, 20),
    st.floats(0.1, 0.9),
    st.data(),
    n=300,
)
def test_whatever_the_market_a_bid_keeps_to_its_limits(liabilities, credits, fee, bankroll, spent, temperature, trust, data):
    offer = Offer(tuple(liabilities), credits * WAD, fee)
    evidence = data.draw(st.lists(st.floats(-50, 50), min_size=len(liabilities), max_size=len(liabilities)))
    purse = Purse(bankroll, min(spent, bankroll))
    found = bid(offer, evidence, Calibration(temperature, trust), purse)
    if isinstance(found, Pass):
        return
    net = lmsr.buy_cost(offer.liabilities, offer.b, found.outcome, found.shares)
    charge = -(-found.max_gross * fee // 10**4)
    assert found.shares >= 10**6 and 10**16 <= found.max_gross <= bankroll // 10 - purse.spent
    assert net <= found.max_gross - charge  # the order can be executed at the prices it was made for
    prices = [price / WAD for price in lmsr.prices(offer.liabilities, offer.b)]
    chance = (1 - trust) * prices[found.outcome] + trust * belief(evidence, temperature)[found.outcome]
    assert found.max_gross <= chance * found.shares * (1 + 1e-9) + 10**6  # and never loses by the node's own belief
    after = list(liabilities)
    after[found.outcome] += found.shares
    assert all(10**12 <= price <= WAD - 10**12 for price in lmsr.prices(after, offer.b))


# ---- belief


def test_log_odds_take_out_what_the_label_gets_anyway():
    assert log_odds([-1.0, -3.0], [-1.5, -2.0]) == (0.5, -1.0)
    assert belief(log_odds([-9.0, -2.0], [-9.0, -2.0])) == (0.5, 0.5)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_log_probs_that_are_no_numbers_give_no_belief(bad):
    assert log_odds([bad, -1.0], [-1.0, -1.0]) is None and log_odds([-1.0, -1.0], [bad, -1.0]) is None
    assert log_odds([bad, -1.0], [bad, -1.0]) is None
    assert log_odds([-1.0], [-1.0]) is None
    assert log_odds([-1e308, 0.0], [1e308, 0.0]) is None
    with pytest.raises(ValueError):
        log_odds([-1.0, -2.0], [-1.0])


@examples(st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=20), st.floats(0.2, 20))
def test_a_belief_is_a_distribution_and_so_is_its_forecast(evidence, temperature):
    found = belief(evidence, temperature)
    assert sum(found) == pytest.approx(1) and all(0 <= chance <= 1 for chance in found)
    signed = trader.forecast(found)
    assert sum(signed) == WAD and min(signed) >= 1
    assert all(abs(whole / WAD - chance) < 1e-12 for whole, chance in zip(signed, found, strict=True))


def test_a_higher_temperature_is_a_flatter_belief():
    cold, start, hot = (belief((1.0, 0.0), temperature)[0] for temperature in (0.2, 1.0, 10.0))
    assert cold > start > hot > 0.5 and start == pytest.approx(1 / (1 + exp(-1)))


# ---- calibration


def past(markets: int, seed: int, temperature: float = 1.0, priced_well: bool = False) -> list[Resolved]:
    """Markets of three labels whose winner is drawn by softmax(evidence / temperature); prices say nothing, or all of it."""
    chance = random.Random(seed)
    made = []
    for _ in range(markets):
        evidence = tuple(chance.gauss(0, 2) for _ in range(3))
        truth = belief(evidence, temperature)
        prices = truth if priced_well else (1 / 3, 1 / 3, 1 / 3)
        made.append(Resolved(evidence, prices, chance.choices(range(3), truth)[0]))
    return made


def loss(history: list[Resolved], temperature: float) -> float:
    return -sum(log(belief(market.evidence, temperature)[market.winner]) for market in history)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_the_past_is_found(temperature):
    history = past(200, 3, temperature)
    found = calibrate(history)
    assert found.temperature == pytest.approx(temperature, rel=0.35)
    assert all(loss(history, found.temperature) <= loss(history, found.temperature * factor) + 1e-9 for factor in (0.5, 0.99, 1.01, 2))


def test_only_the_last_two_hundred_markets_count():
    assert calibrate(past(500, 1, 5.0) + past(200, 3, 0.5)) == calibrate(past(200, 3, 0.5))


def test_a_short_past_leaves_the_start():
    assert calibrate([]) == Calibration(1.0, 0.1, 0, 0)
    assert calibrate(past(19, 1, 3.0)) == Calibration(1.0, 0.1, 19, 0)
    assert calibrate(past(20, 1, 3.0)).temperature != 1.0


def test_the_bounds_hold_for_oracles_and_fools():
    oracle = [Resolved((5.0, 0.0), (0.5, 0.5), 0)] * 50
    fool = [Resolved((5.0, 0.0), (0.5, 0.5), 1)] * 50
    assert calibrate(oracle) == Calibration(pytest.approx(0.2), pytest.approx(0.9), 50, 0)
    assert calibrate(fool) == Calibration(pytest.approx(20), pytest.approx(0.1), 50, 0)


def test_trust_follows_what_the_node_knows_beyond_the_price():
    assert calibrate(past(200, 5)).trust > 0.7
    knowing = [replace(market, evidence=tuple(-value for value in market.evidence)) for market in past(200, 6, priced_well=True)]
    assert calibrate(knowing).trust == pytest.approx(0.1)


def test_markets_without_numbers_are_dropped_and_counted():
    history = past(50, 7)
    bad = [replace(history[0], evidence=(nan, 0.0, 0.0)), replace(history[0], prices=(0.0, 0.5, 0.5)), replace(history[0], evidence=(0.0, inf, 0.0))]
    assert calibrate(history + bad) == replace(calibrate(history), dropped=3)


def test_huge_evidence_is_no_trouble():
    found = calibrate([Resolved((1e308, -1e308), (0.5, 0.5), place % 2) for place in range(40)])
    assert found.temperature == pytest.approx(20) and 0.1 <= found.trust <= 0.9
