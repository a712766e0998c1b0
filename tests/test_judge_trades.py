"""Trades: what a quote says is what is booked, limits and guards hold to the wei, and P8 to P11 and P15 through random markets."""

from __future__ import annotations

import random

import pytest
from courts import Court, address, refused, traded
from hypothesis import strategies as st
from judges import examples

from judge import events, lmsr, scores, trade
from judge.errors import Refused
from judge.market import Market
from judge.terms import BPS, CREDIT, PUSH, WAD, Durations, terms_of
from judge.trade import fee_on, gross_of, quote

PEOPLE = [f"p{i}" for i in range(12)]
SIDES = ("buy", "spend", "sell", "sell for")


@examples(st.integers(1, 10**24), st.integers(0, 500))
def test_p15_net_and_fee_are_gross(amount, bps):
    gross = gross_of(amount, bps)
    assert gross - fee_on(gross, bps) == amount and (gross - 1) - fee_on(gross - 1, bps) < amount
    assert fee_on(amount, bps) == -(-amount * bps // BPS)


@examples(st.integers(2, 6), st.sampled_from(SIDES), st.integers(0, 5), st.integers(10**16, 30 * CREDIT), st.integers(0, 500))
def test_a_quote_is_what_is_booked(n, side, outcome, amount, bps):
    outcome %= n
    market = Market(b"m" * 32, b"c" * 20, "P", b"", tuple((f"{i}", b"", ()) for i in range(n)), b"", 100 * CREDIT, bps)
    market.b, market.liabilities, market.pot = 100 * CREDIT, [60 * CREDIT] + [40 * CREDIT] * (n - 1), 10**21
    if side == "sell for" and amount >= lmsr.sell_value(market.liabilities, market.b, outcome, 10**24):
        with pytest.raises(Refused, match="sell for less"):
            quote(market, side, outcome, amount)
        return
    said = quote(market, side, outcome, amount)
    assert said.net + said.fee == said.gross and said.before == market.prices()[outcome]
    if side == "buy":
        assert (said.shares, said.net) == (amount, lmsr.buy_cost(market.liabilities, market.b, outcome, amount))
    elif side == "spend":
        assert said.gross == amount and lmsr.buy_cost(market.liabilities, market.b, outcome, said.shares) <= said.net
    elif side == "sell":
        assert (said.shares, said.gross) == (amount, lmsr.sell_value(market.liabilities, market.b, outcome, amount))
    else:
        assert said.gross == amount <= lmsr.sell_value(market.liabilities, market.b, outcome, said.shares)
    assert (said.after[outcome] > said.before) == said.buys and said.slippage_bps >= 0 and sum(said.after) == WAD


def test_what_a_trade_may_be():
    court, market = traded()
    assert "creator" in refused(court, "conflict", court.trade, market, "p0", 0, CREDIT)
    refused(court, "malformed", court.trade, market, "p1", 3, CREDIT)
    refused(court, "limit", court.trade, market, "p1", 0, 10**16 - 1, side="spend")
    court.trade(market, "p1", 0, 10**16, side="spend")
    refused(court, "limit", court.trade, market, "p1", 0, 10**15)
    refused(court, "limit", court.trade, market, "p1", 0, 10**16 - 1, side="sell for")
    assert "you hold" in refused(court, "credits", court.trade, market, "p1", 1, CREDIT, side="sell")
    refused(court, "limit", court.trade, market, "p1", 1, market.pot + 1, side="sell for")
    refused(court, "limit", court.trade, market, "p1", 1, market.pot - 1, side="sell for")
    refused(court, "slippage", court.trade, market, "p1", 0, CREDIT, seq=market.seq - 1)
    court.trade(market, "p1", 0, CREDIT, seq=market.seq)
    most = market.subsidy * 3 * 25 // 100
    held = market.positions[address("p1")].shares[0]
    assert f"{most} are allowed" in refused(court, "limit", court.trade, market, "p1", 0, most - held + 1)
    court.trade(market, "p1", 0, most - held)
    court.balanced()


def test_a_trade_needs_its_credits():
    court = Court(["p0", "p1"], credits=250, stake=0)
    market = court.market("p0")
    court.say(events.Stake, "p1", amount=court.free("p1") - CREDIT)
    said = quote(market, "buy", 0, 4 * CREDIT)
    assert said.gross > CREDIT and "1000000000000000000 are free" in refused(court, "credits", court.trade, market, "p1", 0, 4 * CREDIT)
    court.trade(market, "p1", 0, CREDIT, side="spend")
    assert court.free("p1") == 0


@pytest.mark.parametrize(("side", "amount", "better"), [("buy", CREDIT, -1), ("spend", CREDIT, 1), ("sell", CREDIT, 1), ("sell for", CREDIT, -1)])
def test_a_guard_is_the_last_wei_that_one_accepts(side, amount, better):
    court, market = traded()
    said = quote(market, side, 0, amount)
    limit = {"buy": said.gross, "spend": said.shares, "sell": said.net, "sell for": said.shares}[side]
    assert "look again" in refused(court, "slippage", court.trade, market, "p1", 0, amount, side=side, guard=limit + better)
    free, held = court.free("p1"), market.positions[address("p1")].shares[0]
    court.trade(market, "p1", 0, amount, side=side, guard=limit)
    sign = 1 if said.buys else -1
    assert court.free("p1") == free - (said.gross if said.buys else -said.net)
    assert market.positions[address("p1")].shares[0] == held + sign * said.shares


def test_a_trade_has_a_least_number_of_shares():
    court = Court(["p0", "p1"], terms_of("test", gross_least=0))
    market = court.market("p0")
    refused(court, "limit", court.trade, market, "p1", 0, 10**6 - 1)
    court.trade(market, "p1", 0, 10**6)


def test_prices_stay_in_their_band():
    court = Court([f"p{i}" for i in range(20)], terms_of("test", exposure_percent=10**6), credits=100_000)
    market = court.market("p0", n=2)
    assert "below" in refused(court, "limit", court.trade, market, "p1", 0, 1400 * CREDIT)
    court.trade(market, "p1", 0, 1380 * CREDIT)
    assert WAD // 10**6 <= market.prices()[1] < 2 * WAD // 10**6
    tight = Court(["p0", "p1"], terms_of("test", exposure_percent=10**6, spread_most=1), credits=10_000)
    market = tight.market("p0", n=2)
    assert "1 b apart" in refused(tight, "limit", tight.trade, market, "p1", 0, 100 * CREDIT + 1)
    tight.trade(market, "p1", 0, 100 * CREDIT)


def test_cost_basis_falls_with_the_shares():
    court, market = traded()
    position = market.positions[address("p1")]
    cost = position.cost[0]
    court.trade(market, "p1", 0, 5 * CREDIT, side="sell")
    assert position.shares[0] == 15 * CREDIT and position.cost[0] == cost - cost * 5 // 20


def test_what_an_operator_pushed_the_price_by_counts_each_trade_at_its_own_liquidity():
    court, market = traded()
    position, first = market.positions[address("p1")], market.b
    assert position.pushed == [20 * CREDIT * PUSH // first, 0, 0]
    market.b //= 2
    court.trade(market, "p1", 0, 5 * CREDIT, side="sell")
    assert position.pushed == [20 * CREDIT * PUSH // first - 5 * CREDIT * PUSH // market.b, 0, 0]
    assert scores.own_shares(position.pushed, market.b)[0] == 5 * CREDIT


def test_the_same_order_is_taken_once():
    court, market = traded()
    entry = court.trade(market, "p1", 0, CREDIT)
    assert "already" in refused(court, "duplicate", court.log.extend, entry)
    other = court.market("p0")
    moved = events.Trade(**{**entry.event.__dict__, "market": other.id})
    refused(court, "signature", court.log.extend, events.Entry(moved, moved.body(), entry.signature, court.terms.chain_id))


def test_a_forecast_costs_nothing_and_the_last_one_counts():
    court, market = traded()
    free = court.free("p5")
    court.say(events.Forecast, "p5", market=market.id, chances=(5000, 2500, 2500))
    for chances in ((5000, 5000), (5000, 2500, 2501)):
        refused(court, "malformed", court.say, events.Forecast, "p5", market=market.id, chances=chances)
    court.t += 1
    court.say(events.Forecast, "p5", market=market.id, chances=(0, 0, 10_000))
    assert market.forecasts[address("p5")].chances == (0, 0, 10_000) and court.free("p5") == free


def test_of_two_forecasts_the_one_that_was_signed_later_counts_in_whatever_order_they_come():
    for turned in (False, True):
        court, market = traded()
        first, second = ({"t": court.t + n, "market": market.id, "chances": chances} for n, chances in ((1, (10_000, 0, 0)), (2, (0, 10_000, 0))))
        court.t += 3
        court.say(events.Forecast, "p5", **(second if turned else first))
        if turned:
            assert "the later one counts" in refused(court, "duplicate", court.say, events.Forecast, "p5", **first)
        else:
            court.say(events.Forecast, "p5", **second)
        assert market.forecasts[address("p5")].chances == (0, 10_000, 0)


@examples(st.integers(0, 2**32))
def test_p8_to_p11_through_a_market_of_random_trades(seed):
    rng = random.Random(seed)
    n = rng.choice([2, 3, 5])
    court = Court(PEOPLE, terms_of("test", machine=Durations(2000, 2, 2000, 2000, 2000)), signed=False)
    market = court.market("p0", n=n, fee_bps=rng.choice([0, 100, 500]))
    paid_in = dust = 0
    for step in range(14):
        pot = market.pot
        try:
            if rng.random() < 0.15:
                court.evidence(market, rng.choice(PEOPLE[6:]), f"point {step} {step * 31}", rng.randrange(WAD))
            elif rng.random() < 0.15:
                court.end_round(market)
            else:
                amount = rng.randrange(10**16, 30 * CREDIT)
                court.trade(market, rng.choice(PEOPLE[1:5]), rng.randrange(n), amount, side=rng.choice(SIDES))
        except Refused:
            pass
        paid_in += market.pot - pot
        cost = lmsr.cost(market.liabilities, market.b)
        assert market.pot == market.subsidy + paid_in  # P8
        assert market.pot >= cost >= max(market.liabilities)  # P9, P11
        assert market.pot - cost >= dust - 1  # the cost is rounded up, so a fall of one wei is no fall
        dust = max(dust, market.pot - cost)
        assert market.liabilities == [sum(one.shares[i] for one in market.positions.values()) for i in range(n)]
        if market.phase != "OPEN":
            break
    court.end_rounds(market)
    winner = rng.randrange(n)
    court.run_out(market, winner)
    paid = market.pot
    assert paid == market.liabilities[winner] and paid - paid_in <= market.subsidy  # P8, P10
    court.claim_all(market)
    assert market.pot == 0
    court.balanced()


@examples(st.integers(0, 2**32))
def test_p15_void_pays_at_most_what_is_there(seed):
    rng = random.Random(seed)
    n = rng.choice([2, 4, 7])
    court = Court(PEOPLE[:6], signed=False)
    market = court.market("p0", n=n)
    paid = {name: court.free(name) for name in PEOPLE[:6]}
    fees = 0
    for _ in range(rng.randrange(6)):
        court.t = min(court.t + rng.randrange(900), market.deadline - 1)
        court.trade(market, rng.choice(PEOPLE[1:6]), rng.randrange(n), rng.randrange(10**17, 10 * CREDIT))
    fees = market.fee_pot
    assert fees == sum(market.fees.values())
    court.t = market.ends
    court.due(events.Timeout, market=market.id)
    assert 0 <= WAD - sum(market.payout) <= n
    owed = sum(market.owed(holder) for holder in market.positions)
    assert owed <= max(market.liabilities) <= market.pot
    court.settle(market)
    assert market.pot == owed
    court.claim_all(market)
    court.balanced()
    assert sum(court.free(name) for name in PEOPLE[:6]) == sum(paid.values()) + market.subsidy + court.terms.bond


def test_void_pays_the_time_weighted_price():
    court = Court(PEOPLE)
    market = court.market("p0", n=2)
    even = market.prices()
    court.t = market.since + 500
    court.trade(market, "p1", 0, 30 * CREDIT)
    after = market.prices()
    court.t = market.since + 400  # signed earlier, and executed later: no time passes
    court.trade(market, "p2", 0, CREDIT, side="spend")
    last = market.prices()
    court.end_rounds(market)
    court.t = market.ends
    court.due(events.Timeout, market=market.id)
    assert market.payout == tuple((one * 500 + other * 1500) // 2000 for one, other in zip(even, last, strict=True)) and after != last
    shares = market.positions[address("p1")].shares[0]
    assert market.owed(address("p1")) == shares * market.payout[0] // WAD


def test_the_trade_module_has_no_other_way_to_move_money():
    court, market = traded()
    before = court.state.balance()
    trade._book(court.state, market, address("p3"), quote(market, "buy", 2, CREDIT))
    assert court.state.balance() == before
