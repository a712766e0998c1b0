"""Rewards, prices without one operator, participation parts: by hand values, by property, and by small simulations."""

from __future__ import annotations

import ast
import decimal
from dataclasses import replace
from fractions import Fraction
from math import e
from pathlib import Path

import pytest
from hypothesis import strategies as st
from judges import examples

from judge import lmsr, scores
from judge.scores import (
    WAD,
    Completion,
    Parts,
    Ruling,
    forecast_score,
    gold_bound,
    judging,
    loo_prices,
    own_shares,
    reward,
)
from judge.terms import PUSH

FULL = Ruling(weights=(7 * WAD, 0), invalid=0, panel=7 * WAD, seats=7, revealed=7)
SEED = b"\x05" * 32

shares = st.integers(0, 999_983).map(lambda part: Fraction(part, 999_983))  # a prime: no rounding comes out even
weights = st.lists(st.integers(0, 31 * WAD), min_size=2, max_size=20)


# ---- the reward of a completion


def test_a_clear_verdict_gives_one_to_the_winner_and_its_least_to_the_others():
    two, four = FULL, replace(FULL, weights=(0, 7 * WAD, 0, 0))
    assert [reward(Completion("P", outcome), two) for outcome in (0, 1)] == [WAD, 0]
    assert [reward(Completion("H", outcome), four) for outcome in (0, 1)] == [WAD // 3, WAD]  # 1/2 - 1/(2 (C - 1))


def test_an_even_split_and_a_silent_panel_say_nothing():
    assert reward(Completion("P", 0), replace(FULL, weights=(3 * WAD, 3 * WAD))) == WAD // 2
    half = replace(FULL, weights=(WAD // 2, 0))  # a fourteenth of the panel's weight spoke
    assert reward(Completion("P", 0), half) == WAD // 2 + WAD // 28
    assert reward(Completion("P", 0), replace(FULL, weights=(5 * WAD, 0), revealed=7)) == int(WAD * Fraction(12, 14))  # two abstained


def test_votes_for_invalid_lower_every_share():
    assert reward(Completion("P", 0), replace(FULL, weights=(4 * WAD, 0), invalid=3 * WAD)) == int(WAD * Fraction(4, 7))


@examples(weights, st.integers(0, 31 * WAD), st.integers(0, 31 * WAD))
def test_a_judged_reward_is_bounded_and_grows_with_the_share(by_outcome, invalid, silent):
    spoken = sum(by_outcome) + invalid
    ruling = Ruling(tuple(by_outcome), invalid, spoken + silent, 7, 7)
    found = [reward(Completion("P", outcome), ruling) for outcome in range(len(by_outcome))]
    if not spoken:
        assert found == [None] * len(found)
        return
    assert all(0 <= r <= WAD for r in found)
    order = sorted(range(len(found)), key=lambda outcome: by_outcome[outcome])
    assert [found[outcome] for outcome in order] == sorted(found)


def test_a_panel_that_outweighs_itself_is_clipped():
    assert reward(Completion("P", 0), replace(FULL, panel=WAD)) == WAD
    assert reward(Completion("P", 1), replace(FULL, panel=WAD)) == 0
    assert reward(Completion("P", 0), replace(FULL, weights=(4 * WAD, 3 * WAD), panel=WAD)) == int(WAD * Fraction(4, 7))


@pytest.mark.parametrize(
    "change",
    [dict(void=True), dict(final=False), dict(revealed=4), dict(weights=(0, 0))],
    ids=["void", "still disputable", "below quorum", "all abstained"],
)
def test_without_a_verdict_the_sample_is_left_out(change):
    assert reward(Completion("P", 0), replace(FULL, **change)) is None
    assert reward(Completion("P", 0), replace(FULL, **change), price=WAD, soft_bps=2000) is None
    assert reward(Completion("P", 0), None) is None


@pytest.mark.parametrize(("seats", "quorum"), [(7, 5), (15, 10), (31, 21), (2, 2)])
def test_two_thirds_of_the_seats_are_a_quorum(seats, quorum):
    panel = replace(FULL, seats=seats)
    assert reward(Completion("P", 0), replace(panel, revealed=quorum)) == WAD
    assert reward(Completion("P", 0), replace(panel, revealed=quorum - 1)) is None


@examples(
    st.integers(0, WAD),
    st.booleans(),
    st.none() | st.builds(Ruling, weights.map(tuple), st.integers(0, WAD), st.integers(0, WAD), st.integers(0, 31), st.integers(0, 31)),
    st.integers(0, WAD),
    st.integers(0, 2000),
)
def test_no_judge_and_no_price_has_a_say_where_a_scorer_has(value, formatted, ruling, price, soft):
    assert reward(Completion("V", 0, value, formatted), ruling, price, soft) == value + (WAD // 10 if formatted else 0)


def test_the_scorer_has_no_say_where_a_panel_decides():
    assert reward(Completion("P", 1, value=WAD, formatted=True), FULL) == 0


def test_a_soft_label_is_at_most_a_fifth():
    assert reward(Completion("P", 1), FULL, price=WAD // 2, soft_bps=2000) == WAD // 10
    assert reward(Completion("P", 0), FULL, price=WAD // 2, soft_bps=1000) == WAD * 95 // 100
    with pytest.raises(ValueError, match="soft label"):
        reward(Completion("P", 0), FULL, price=WAD, soft_bps=2001)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: reward(Completion("V", 0, WAD + 1)),
        lambda: reward(Completion("V", 0, -1)),
        lambda: reward(Completion("P", 2), FULL),
        lambda: reward(Completion("P", -1), FULL),
        lambda: reward(Completion("P", 0), FULL, price=WAD + 1),
        lambda: reward(Completion("Q", 0), FULL),
        lambda: scores.critique_reward(WAD + 1),
    ],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()


def test_a_critique_earns_the_quality_it_was_accepted_with():
    assert scores.critique_reward(62 * WAD // 100) == 62 * WAD // 100


# ---- the price without one operator

quantity = st.integers(10**6, 200 * WAD)


def pushed(*trades: tuple[int, int, int], outcomes: int = 2) -> list[int]:
    """What a ledger keeps of an operator's trades (outcome, shares, b)."""
    found = [0] * outcomes
    for outcome, shares, b in trades:
        found[outcome] += shares * PUSH // b if shares >= 0 else -(-shares * PUSH // b)
    return found


def lower(liabilities: tuple[int, ...], b: int, less: int) -> tuple[tuple[int, ...], int]:
    """Accepted evidence: the liquidity falls and the prices stay."""
    return tuple(own + minted for own, minted in zip(liabilities, lmsr.bundle(liabilities, b, less), strict=True)), less


def test_the_price_shown_and_without_the_own_bet():
    liabilities, b = [100 * WAD, 0], 100 * WAD
    assert lmsr.prices(liabilities, b)[0] // 10**14 == 7310  # 0.7310586
    assert loo_prices(liabilities, b, own_shares(pushed((0, b, b)), b))[0] == WAD // 2


@examples(st.lists(quantity, min_size=2, max_size=5), st.lists(st.tuples(st.integers(0, 4), quantity), max_size=4), st.integers(1, 500))
def test_no_own_bet_moves_the_price_without_it(others, bets, credits):
    b = credits * WAD
    trades = [(outcome % len(others), bought, b) for outcome, bought in bets]
    own = own_shares(pushed(*trades, outcomes=len(others)), b)
    assert own == tuple(sum(bought for place, bought, _ in trades if place == outcome) for outcome in range(len(others)))
    assert loo_prices([a + q for a, q in zip(others, own, strict=True)], b, own) == lmsr.prices(others, b)


@examples(quantity, quantity, st.lists(st.integers(25, 99), min_size=1, max_size=3, unique=True), n=200)
def test_nor_does_a_bet_before_evidence(foreign, bet, steps):
    """An own bet at b = 100, then others' evidence lowers b. The bet counts b/100; the plain number of shares would leave its trace."""

    def closed(own: int) -> tuple[tuple[int, ...], int]:
        liabilities, b = (foreign, own), 100 * WAD
        for less in sorted(steps, reverse=True):
            liabilities, b = lower(liabilities, b, less * WAD)
        return liabilities, b

    without = lmsr.prices(*closed(0))
    liabilities, b = closed(bet)
    found = loo_prices(liabilities, b, own_shares(pushed((1, bet, 100 * WAD)), b))
    assert all(abs(a - c) <= 2 for a, c in zip(found, without, strict=True))


def test_counting_shares_bought_before_evidence_in_full_would_let_a_bet_move_the_price():
    liabilities, b = lower((0, 100 * WAD), 100 * WAD, 25 * WAD)
    plain = loo_prices(liabilities, b, [0, 100 * WAD])
    scaled = loo_prices(liabilities, b, own_shares(pushed((1, 100 * WAD, 100 * WAD)), b))
    assert abs(scaled[0] - WAD // 2) <= 1 and plain[0] > 95 * WAD // 100  # betting against oneself would have made the price


def test_what_was_bought_and_sold_again_is_nothing():
    b = 3 * WAD
    assert own_shares(pushed((1, 10**18, 7 * WAD), (1, -(10**18), 7 * WAD), outcomes=3), b) == (0, 0, 0)
    assert loo_prices([0, 5 * WAD], b, (10 * WAD, 5 * WAD)) == lmsr.prices([0, 10 * WAD], b)  # a bundle sold before: only differences count


# ---- forecasts


def test_a_forecast_scores_its_log_over_the_price():
    assert forecast_score([8, 2], [WAD // 2, WAD // 2], 0) == 470003629245735553  # ln 1.6 = 0.4700036292457355536...
    assert forecast_score([8, 2], [WAD // 2, WAD // 2], 1) == -916290731874155066  # ln 0.4 = -0.9162907318741550651...
    assert forecast_score([3, 1], [75, 25], 1) == 0


def test_a_forecast_is_clipped_at_one_nat():
    most = [int(WAD * (0.25 * e) * 1.000001), WAD]  # just beyond e times 1/4, where they add up
    assert forecast_score([most[0], WAD - most[0]], [1, 3], 0) == WAD
    assert forecast_score([99, 1], [1, 99], 0) == WAD and forecast_score([1, 99], [99, 1], 0) == -WAD
    assert forecast_score([0, 1], [1, 1], 0) == -WAD
    assert forecast_score([1, 1], [0, WAD], 0) == WAD


@examples(st.lists(st.integers(1, WAD), min_size=2, max_size=6), st.data())
def test_a_forecast_equal_to_the_price_scores_nothing_and_all_stay_bounded(prices, data):
    winner = data.draw(st.integers(0, len(prices) - 1))
    other = data.draw(st.lists(st.integers(0, WAD), min_size=len(prices), max_size=len(prices)).filter(any))
    assert forecast_score(prices, prices, winner) == 0
    assert -WAD <= forecast_score(other, prices, winner) <= WAD
    assert forecast_score(other, prices, winner) == forecast_score([7 * f for f in other], [3 * p for p in prices], winner)


@examples(st.lists(st.integers(20, 30), min_size=2, max_size=5), st.data(), n=300)
def test_saying_what_one_believes_scores_best(truth, data):
    """Numbers close enough together that no clip binds."""
    lie, prices = (data.draw(st.lists(st.integers(20, 30), min_size=len(truth), max_size=len(truth))) for _ in range(2))
    honest, lied = (sum(t * forecast_score(f, prices, w) for w, t in enumerate(truth)) for f in (truth, lie))
    assert honest >= lied - len(truth) * sum(truth)  # a wei per rounding


@pytest.mark.parametrize(
    ("forecast", "prices", "winner"),
    [([1], [1, 1], 0), ([0, 0], [1, 1], 0), ([-1, 2], [1, 1], 0), ([1, 1], [0, 0], 0), ([1, 1], [1, 1], 2)],
)
def test_what_is_no_forecast_is_refused(forecast, prices, winner):
    with pytest.raises(ValueError):
        forecast_score(forecast, prices, winner)


# ---- participation


@examples(st.builds(Parts, shares, shares, shares, shares, shares))
def test_a_score_is_exact_bounded_and_rounded_down_once(parts):
    by_hand = 500 * parts.W + 200 * parts.J + 150 * parts.F + 100 * parts.E + 50 * parts.U
    assert parts.exact == by_hand and 0 <= parts.score <= 1_000_000
    assert Fraction(parts.score, 1000) <= by_hand < Fraction(parts.score + 1, 1000)


@examples(shares, shares, shares, shares)
def test_owning_every_judge_market_and_piece_of_evidence_gives_at_most_450(j, f, e, u):
    assert Parts(J=j, F=f, E=e).score <= Parts(J=Fraction(1), F=Fraction(1), E=Fraction(1)).score == 450_000
    assert Parts(J=j, F=f, E=e, U=u).score <= 500_000  # fifty more where others hear it
    assert Parts(J=j, F=f, E=e, U=u).payout_weight(units=0) == 0


@examples(st.builds(Parts, shares, shares, shares, shares, shares), st.lists(st.integers(0, 10**15), min_size=1, max_size=8))
def test_units_spread_over_identities_of_the_same_parts_weigh_the_same(parts, split):
    assert sum(parts.payout_weight(units) for units in split) == parts.payout_weight(sum(split))


@examples(st.integers(1, 8), st.integers(1, 50), st.data())
def test_an_operator_split_in_k_identities_gains_nothing(k, assigned, data):
    """Each identity has the same part of everything: rounds, units, gold votes, seats, forecasts and evidence."""
    accepted, drawn = data.draw(st.integers(0, assigned)), data.draw(st.integers(1, 8))
    votes = data.draw(st.integers(0, 12))
    hits = data.draw(st.integers((votes + 1) // 2, votes))  # no worse than a coin: whoever is gains by being new, and has next to nothing
    qualities = data.draw(st.lists(st.integers(0, WAD), max_size=3))
    forecasts = data.draw(st.lists(st.integers(-WAD, WAD), max_size=10))
    units = accepted * 1000

    def parts(times: int) -> Parts:
        return Parts(
            Fraction(accepted, assigned),
            judging(gold_bound(times * hits * WAD, times * votes * WAD, 2), times * votes, times * drawn, times * drawn),
            scores.forecasting(forecasts * times),
            scores.evidence(qualities * times),
            scores.uptime(3, 5),
        )

    assert k * parts(1).payout_weight(units) <= parts(k).payout_weight(k * units)


@pytest.mark.parametrize(
    ("hits", "votes", "outcomes", "bound"),  # scipy.stats.beta.ppf(0.1, floor(hits + 4/C), ceil(misses + 4 - 4/C))
    [
        (0, 0, 2, "0.195800105659"),
        (8, 8, 4, "0.584843068274"),
        (21, 26, 2, "0.665053642620"),
        (60, 72, 4, "0.742776660757"),
        (30, 40, 3, "0.614912883688"),
        (5, 8, 20, "0.240532768019"),
        (0, 30, 20, "0.000000000000"),
        (40, 72, 5, "0.452923401913"),
    ],
)
def test_the_bound_on_a_hit_rate_is_the_tenth_percentile_of_its_posterior(hits, votes, outcomes, bound):
    found = gold_bound(hits * WAD, votes * WAD, outcomes)
    assert abs(found - Fraction(bound)) < Fraction(2, 10**12)


def test_the_bound_is_exact_to_the_last_of_18_digits():
    """Beta(2, 2) has the distribution function 3 x^2 - 2 x^3, Beta(10, 2) has 11 x^10 - 10 x^11."""
    for bound, function in (
        (gold_bound(0, 0, 2), lambda x: 3 * x**2 - 2 * x**3),
        (gold_bound(8 * WAD, 8 * WAD, 2), lambda x: 11 * x**10 - 10 * x**11),
    ):
        assert function(bound) <= Fraction(1, 10) < function(bound + Fraction(1, WAD))


@examples(st.integers(0, 40 * WAD), st.integers(0, 40 * WAD), st.integers(2, 20), n=100)
def test_parts_of_votes_are_rounded_against_the_judge(hits, misses, outcomes):
    found = gold_bound(hits, hits + misses, outcomes)
    assert 0 <= found < Fraction(hits * outcomes + 4 * WAD, (hits + misses + 4 * WAD) * outcomes)  # below the posterior's mean
    assert gold_bound(hits // WAD * WAD, hits // WAD * WAD + misses, outcomes) <= found <= gold_bound(hits + WAD, hits + WAD + misses, outcomes)


def test_a_longer_record_of_the_same_rate_is_worth_more_and_has_its_end():
    assert gold_bound(8 * WAD, 10 * WAD, 2) < gold_bound(40 * WAD, 50 * WAD, 2) < Fraction(8, 10)
    with pytest.raises(ValueError, match="gold votes"):
        gold_bound(0, 1001 * WAD, 2)
    with pytest.raises(ValueError, match="gold hits"):
        gold_bound(WAD + 1, WAD, 2)


@examples(shares, st.integers(0, 20), st.integers(0, 20), st.data())
def test_judging_needs_eight_gold_votes_and_eight_seats(bound, votes, drawn, data):
    revealed = data.draw(st.integers(0, drawn))
    found = judging(bound, votes, drawn, revealed)
    assert 0 <= found <= 1
    if votes < 8 or drawn == 0:
        assert found == 0
    else:
        assert found == bound * revealed / max(drawn, 8)  # rate x drawn/8 below eight seats is revealed/8


def test_the_eighth_gold_vote_counts():
    assert judging(Fraction(1, 2), 7, 8, 8) == 0 < judging(Fraction(1, 2), 8, 8, 8) == Fraction(1, 2)
    with pytest.raises(ValueError):
        judging(Fraction(1, 2), 8, 8, 9)


def test_forecasting_is_the_mean_over_ten_markets():
    assert scores.forecasting([WAD] * 9) == 0 and scores.forecasting([WAD] * 10) == 1
    assert scores.forecasting([WAD] * 5 + [0] * 5) == Fraction(1, 2)
    assert scores.forecasting([-WAD] * 6 + [WAD] * 4) == 0
    assert scores.forecasting([50 * WAD] + [-WAD] * 9) == 0  # one wild score weighs no more than another


def test_evidence_counts_the_five_best_pieces():
    assert scores.evidence([]) == 0 and scores.evidence([WAD] * 9) == 1
    assert scores.evidence([WAD // 2] * 100) == Fraction(1, 2)
    assert scores.evidence([0, WAD, 0, 0, 0, 0, WAD]) == Fraction(2, 5)
    with pytest.raises(ValueError):
        scores.evidence([WAD + 1])


def test_uptime_needs_three_others_or_all_there_are():
    assert [scores.uptime(by, 5) for by in range(5)] == [0, Fraction(1, 3), Fraction(2, 3), 1, 1]
    assert scores.uptime(1, 1) == 1 and scores.uptime(1, 2) == Fraction(1, 2) and scores.uptime(0, 0) == 0
    with pytest.raises(ValueError):
        scores.uptime(3, 2)


# ---- the digits


def test_no_float_takes_part():
    tree = ast.parse(Path(scores.__file__).read_text())
    floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    assert not floats and not names & {"float", "math", "random", "log", "exp", "round", "sqrt"}


def test_the_decimal_context_of_the_process_changes_nothing():
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)):
        assert forecast_score([8, 2], [WAD // 2, WAD // 2], 0) == 470003629245735553
