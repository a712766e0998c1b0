"""What an epoch's parts of the participation score are made of: seats, gold, forecasts, evidence and money, out of the log alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from courts import Court, address
from hypothesis import strategies as st
from judges import examples

from judge import events, scores
from judge.events import ABSTAIN
from judge.market import Market
from judge.tally import Tallies, Tally
from judge.terms import BPS, CREDIT, WAD, terms_of

PEOPLE = [f"p{i}" for i in range(12)]


def tallied(court: Court) -> Tallies:
    found = Tallies(court.terms)
    found.follow(court.log.entries)
    assert found.state.root() == court.state.root()
    return found


def of(court: Court, name: str, epoch: int = 1) -> Tally:
    return tallied(court).of(epoch).get(address(name), Tally())


def believe(court: Court, market: Market, name: str, *chances: int, **fields) -> None:
    court.say(events.Forecast, name, market=market.id, chances=chances, **fields)


def judged(court: Court, choices: dict[str, int | None] | int = 0, **fields) -> Market:
    """A market of p0 that a panel settled."""
    market = court.market("p0", **fields)
    court.to_panel(market)
    court.vote(market, choices)
    court.run_out(market)
    return market


def test_seats_count_when_their_market_is_settled_and_gold_as_it_stands_at_the_end():
    court = Court(PEOPLE)
    market = court.market("p0")
    court.to_panel(market)
    silent, wrong, *others = court.seated(market)
    seats = {name: market.panel.seats[address(name)] for name in (silent, wrong, others[0])}
    court.vote(market, {silent: None, wrong: 1, **dict.fromkeys(others, 0)})
    assert tallied(court).of(1) == {address(silent): Tally(slashed=seats[silent] * court.terms.unit * court.terms.unrevealed_bps // BPS)}
    assert tallied(court).running(1) == 1 and tallied(court).running(0) == 0
    court.run_out(market)
    court.due(events.Check, market=market.id, answer=0)
    assert tallied(court).running(1) == 0
    court.mint([], 0)
    told = tallied(court)
    mine = told.of(1)
    assert (mine[address(silent)].seats, mine[address(silent)].revealed, mine[address(silent)].gold_votes) == (seats[silent], 0, 0)
    assert (mine[address(wrong)].gold_votes, mine[address(wrong)].gold_right, mine[address(wrong)].choices) == (1, 0, 3)
    one = mine[address(others[0])]
    assert (one.seats, one.revealed, one.gold_right, one.gold_hits, one.gold_n) == (seats[others[0]], seats[others[0]], 1, WAD, WAD)
    assert mine[address(wrong)].slashed == seats[wrong] * court.terms.unit * court.terms.incoherent_bps // BPS
    assert told.ended[1].count == len(court.log.entries) - 1 and told.ended[1].t == court.t
    assert set(told.of(2)) == {address(name) for name in (wrong, *others)} and all(not one.seats for one in told.of(2).values())


def test_a_seat_whose_host_published_nothing_is_not_held_against_the_judge():
    court = Court(PEOPLE)
    market = court.market("p0")
    court.to_panel(market)
    court.t = market.ends
    court.due(events.Timeout, market=market.id)
    court.settle(market)
    assert tallied(court).of(1) == {}


def test_judging_by_the_formula_of_the_specification():
    court = Court(PEOPLE)
    while not any(one.gold_votes >= 8 for one in court.state.operators.values()):
        market = judged(court, 1)
        court.due(events.Check, market=market.id, answer=1)
    name = max(PEOPLE, key=lambda name: court.state.operators[address(name)].gold_votes)
    one, account = of(court, name), court.state.operators[address(name)]
    bound = scores.gold_bound(account.gold_hits, account.gold_n, 3)
    assert one.J == bound * min(1, Fraction(one.seats, 8)) > Fraction(1, 2) and one.revealed == one.seats
    assert all(other.J == 0 for who, other in tallied(court).of(1).items() if court.state.operators[who].gold_votes < 8)


def test_forecasts_are_scored_at_the_end_against_the_price_without_the_own_trades():
    court = Court(PEOPLE)
    market = court.market("p0")
    court.trade(market, "p1", 1, 40 * CREDIT)
    court.trade(market, "p2", 0, 10 * CREDIT)
    believe(court, market, "p1", 1000, 8000, 1000)
    believe(court, market, "p3", 2500, 5000, 2500)
    believe(court, market, "p0", 0, 10_000, 0)  # it opened the market
    court.to_panel(market)
    court.vote(market, 1)
    court.run_out(market)
    without = scores.loo_prices(market.liabilities, market.b, (0, 40 * CREDIT, 0))
    assert of(court, "p1").forecasts == ((market.id, scores.forecast_score((1000, 8000, 1000), without, 1)),)
    assert of(court, "p3").forecasts == ((market.id, scores.forecast_score((2500, 5000, 2500), market.prices(), 1)),)
    assert of(court, "p0").forecasts == ()


def test_an_author_and_a_void_market_bring_no_forecast_and_no_evidence():
    court = Court(PEOPLE)
    shown = court.market("p0", authors={0: ("p1",)})
    void = court.market("p0")
    for market in (shown, void):
        for name in ("p1", "p2"):
            believe(court, market, name, 10_000, 0, 0)
            court.evidence(market, name, f"a reason of {name}", mark=WAD // 2)
    court.to_panel(shown)
    court.vote(shown, 0)
    court.run_out(shown)
    court.run_out(void, choice=None)
    assert void.void_reason and not of(court, "p1").forecasts and not of(court, "p1").pieces
    assert [market for market, _ in of(court, "p2").forecasts] == [shown.id]
    assert of(court, "p2").E * 10 == 1


def test_ten_good_forecasts_and_five_good_pieces_fill_their_parts():
    court = Court(PEOPLE)
    for _ in range(10):
        market = court.market("p0", kind="V")
        believe(court, market, "p1", 0, 10_000, 0)
        court.evidence(market, "p2", "it is the second", mark=WAD)
        court.run_out(market, scorer=1)
    assert of(court, "p1").F == 1 and of(court, "p2").E == 1  # ln 3 above the price is clipped to 1


@examples(st.integers(0, 2**32), n=100)
def test_own_trades_never_change_the_own_reference_price(seed):
    """P-like: whatever p1 trades, its own forecast is scored against the price of the others' trades alone."""
    rng = random.Random(seed)
    others = [(rng.choice(["p2", "p3"]), rng.randrange(3), rng.randint(1, 20) * CREDIT) for _ in range(4)]
    own = [(rng.randrange(3), rng.randint(1, 25) * CREDIT) for _ in range(3)]
    found = []
    for trades in ([], own):
        court = Court(PEOPLE)
        market = court.market("p0", kind="V")
        steps = [("p1", *one) for one in trades] + others
        random.Random(seed + 1).shuffle(steps)
        for name, outcome, amount in steps:
            court.trade(market, name, outcome, amount)
        believe(court, market, "p1", 6000, 3000, 1000)
        court.run_out(market, scorer=seed % 3)
        found.append(of(court, "p1").forecasts[0][1])
    assert found[0] == found[1]


def random_court(rng: random.Random) -> Court:
    """Two epochs of markets of both kinds, in which everybody does something."""
    court = Court(PEOPLE, terms_of("test"))
    for _ in range(2):
        for _ in range(2):
            market = court.market("p0", kind=rng.choice("VP"))
            for name in rng.sample(PEOPLE[1:], 3):
                first = rng.randint(0, 8000)
                believe(court, market, name, first, 8000 - first, 2000)
                court.trade(market, name, rng.randrange(3), rng.randint(1, 9) * CREDIT)
            court.evidence(market, rng.choice(PEOPLE[1:]), f"because {rng.random()}", mark=WAD if market.kind == "V" else rng.randint(0, WAD))
            court.end_rounds(market)
            if market.kind == "P":
                court.draw(market)
                said = {judge: rng.choice([0, 0, 0, 1, ABSTAIN, None]) for judge in court.seated(market)}
                court.vote(market, said)
            court.run_out(market, scorer=rng.randrange(3))
            if market.kind == "P" and not market.void_reason:
                court.due(events.Check, market=market.id, answer=0)
        court.mint(PEOPLE, 10)
    return court


@examples(st.integers(0, 2**32), n=40)
def test_a_tally_is_bounded_and_the_same_however_the_log_is_cut(seed):
    court = random_court(random.Random(seed))
    whole, parts = tallied(court), Tallies(court.terms)
    for start in range(0, len(court.log.entries), 7):
        parts.follow(court.log.entries[start : start + 7])
    for epoch in (1, 2, 3):
        assert whole.of(epoch) == parts.of(epoch)
        for one in whole.of(epoch).values():
            assert all(0 <= part <= 1 for part in (one.J, one.F, one.E)) and one.revealed <= one.seats
            assert scores.Parts(J=one.J, F=one.F, E=one.E).score <= 450_000
    slashed = sum(one.slashed for epoch in (1, 2) for one in whole.of(epoch).values())
    stakes = sum(operator.stake + operator.locked for operator in court.state.operators.values())
    assert stakes == len(PEOPLE) * 100 * CREDIT - slashed


def test_who_owns_all_judges_markets_and_evidence_gets_at_most_450_points():
    assert scores.Parts(J=Fraction(1), F=Fraction(1), E=Fraction(1)).score == 450_000


def test_earned_is_what_final_and_the_bonus_bring_and_slashed_what_seats_lose():
    court = Court(PEOPLE)
    market = court.market("p0", fee_bps=500)
    court.trade(market, "p1", 0, 80 * CREDIT)
    court.to_panel(market)
    judges = court.seated(market)
    before = court.wealth()
    court.vote(market, {judge: 1 if judge == judges[0] else 0 for judge in judges})
    court.dispute(market, "p1", 1)
    court.draw(market)
    court.vote(market, 0)
    court.expire(market)
    told = tallied(court).of(1)
    for name in PEOPLE:
        one = told.get(address(name), Tally())
        bond = court.terms.dispute_bond(0) if name == "p1" else 0  # lost: neither earned nor slashed
        assert court.wealth()[name] - before[name] == one.earned - one.slashed - bond, name
    pool = court.state.bonus
    assert pool > 0
    court.mint([], 0)
    court.due(events.Bonus, number=1, weights=((address("p5"), 1),))
    assert of(court, "p5", 2).earned == pool


def test_two_processes_tally_one_log_to_the_same_digits(tmp_path):
    program = """
import random
from test_judge_epochs import random_court, tallied
told = tallied(random_court(random.Random(5)))
print({epoch: {who.hex(): (one, one.J, one.F, one.E) for who, one in sorted(told.of(epoch).items())} for epoch in (1, 2)})
"""
    path = os.pathsep.join((str(Path(scores.__file__).parents[1]), str(Path(__file__).parent)))
    runs = [
        subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": seed}, capture_output=True, text=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != "" and "Fraction" in runs[0].stdout
