"""The life of a market: every row of table 1.3, and what bad input gets. The pairs outside the table are in test_judge_table."""

from __future__ import annotations

import pytest
from courts import START, Court, address, court_at, refused

from judge import events, ledger, lmsr
from judge.events import BROKEN
from judge.terms import CREDIT, PROFILES, WAD, Durations, Terms, terms_of

PEOPLE = [f"p{i}" for i in range(12)]
TWO_ROUNDS = {"machine": Durations(2000, 2, 2000, 2000, 2000)}

# ---- the rows


def test_row_1_funding_locks_subsidy_and_bond():
    court = Court(["p0"])
    market = court.draft("p0", n=4)
    free = court.free("p0")
    court.say(events.Fund, "p0", market=market.id)
    assert market.pot == market.subsidy == lmsr.subsidy(4, 100 * CREDIT) == 138629436111989061884
    assert market.bond == court.terms.bond and court.free("p0") == free - market.pot - market.bond
    assert (market.place, market.deadline, market.ends) == ("OPEN(1)", court.t + 2000, court.t + 4 * 8000)
    assert market.held() == market.pot + market.bond
    court.balanced()


def test_row_1_needs_its_creator_and_its_credits_and_its_time():
    court = Court(["p0", "p1"], credits=100)
    market = court.draft("p0", n=4)
    assert "148629436111989061884" in refused(court, "credits", court.say, events.Fund, "p0", market=market.id)
    refused(court, "conflict", court.say, events.Fund, "p1", market=market.id)
    court.mint(["p0"], 1000)
    court.t = market.ends
    refused(court, "deadline", court.say, events.Fund, "p0", market=market.id)
    court.due(events.Timeout, market=market.id)
    court.settle(market)
    assert market.phase == "SETTLED" and court.state.operators[address("p0")].open == 0
    court.balanced()


def test_row_2_a_trade_at_the_deadline_is_too_late():
    court, market = court_at("OPEN")
    court.t = market.deadline - 1
    court.trade(market, "p1", 0, CREDIT)
    court.t = market.deadline
    assert "too late" in refused(court, "deadline", court.trade, market, "p1", 0, CREDIT)
    assert "too late" in refused(court, "deadline", court.evidence, market, "p4", "late")
    refused(court, "deadline", court.say, events.Forecast, "p4", market=market.id, chances=(1, 9999, 0))


def test_row_4_rounds_follow_each_other():
    court = Court(PEOPLE, terms_of("test", **TWO_ROUNDS))
    market = court.market("p0")
    begun = market.since
    court.t = market.deadline - 1
    assert "wait" in refused(court, "early", court.due, events.RoundEnd, market=market.id, seed=court.state.head)
    court.t += 1
    refused(court, "mismatch", court.due, events.RoundEnd, market=market.id, seed=bytes(32))
    court.end_round(market)
    assert (market.place, market.since, market.deadline) == ("OPEN(2)", begun + 2000, begun + 4000)
    court.t = market.since
    old = events.Trade(actor=address("p1"), t=market.since - 1, market=market.id, nonce=0, side="buy", outcome=0, amount=CREDIT)
    assert "sign it again" in refused(court, "deadline", court.take, old, "p1")
    court.end_round(market)
    assert market.place == "CLOSED" and len(market.round_seeds) == 2


def test_row_5_code_resolves_and_only_kind_v():
    court, market = court_at("CLOSED", "V")
    refused(court, "phase", court.draw, market)
    refused(court, "malformed", court.due, events.Resolve, market=market.id, outcome=3)
    refused(court, "early", court.take, events.Resolve(t=market.since - 1, market=market.id, outcome=1))
    court.due(events.Resolve, market=market.id, outcome=1)
    assert (market.place, market.verdict.choice, market.verdict.by) == ("CHALLENGE(0)", 1, "code")
    court.expire(market)
    court.settle(market)
    assert market.payout == (0, WAD, 0)
    court, market = court_at("CLOSED", "P")
    assert "panel" in refused(court, "phase", court.due, events.Resolve, market=market.id, outcome=1)


def test_row_5_a_broken_verifier_sends_the_market_to_a_panel():
    court, market = court_at("CLOSED", "V")
    court.due(events.Resolve, market=market.id, outcome=BROKEN)
    refused(court, "phase", court.due, events.Resolve, market=market.id, outcome=1)
    court.draw(market)
    court.vote(market, 2)
    assert (market.place, market.verdict.by) == ("CHALLENGE(0)", "panel")
    court.run_out(market)
    court.balanced()


def test_row_6_a_draw_needs_its_seed_and_its_time_and_comes_once():
    court, market = court_at("CLOSED")
    refused(court, "mismatch", court.due, events.Draw, market=market.id, seed=bytes(32))
    refused(court, "early", court.take, events.Draw(t=market.since - 1, market=market.id, seed=court.state.head))
    stakes = {name: court.state.operators[address(name)].stake for name in PEOPLE}
    court.draw(market)
    assert (market.place, market.deadline) == ("COMMIT(0,0)", court.t + 2000)
    for judge, seats in market.panel.seats.items():
        name = next(one for one in PEOPLE if address(one) == judge)
        assert market.panel.locks[judge] == seats * 5 * CREDIT == stakes[name] - court.state.operators[judge].stake
    refused(court, "phase", court.draw, market)


def test_rows_7_to_10_commit_reveal_tally():
    court, market = court_at("COMMIT")
    judges = court.seated(market)
    refused(court, "early", court.due, events.Close, market=market.id)
    for judge in judges:
        court.commit(market, judge, 2)
    court.due(events.Close, market=market.id)  # all committed: no need to wait
    assert market.place == "REVEAL(0,0)" and market.deadline == court.t + 2000
    for judge in judges[:-1]:
        court.reveal(market, judge, 2)
    refused(court, "early", court.due, events.Tally, market=market.id)
    court.reveal(market, judges[-1], 2)
    court.due(events.Tally, market=market.id)
    assert market.place == "CHALLENGE(0)" and market.deadline == court.t + 2000
    assert (market.verdict.choice, market.verdict.seats, market.verdict.revealed, market.verdict.confidence) == (2, 7, 7, WAD)


def test_rows_7_and_9_end_at_their_deadline():
    court, market = court_at("COMMIT")
    first, second = court.seated(market)[:2]
    court.t = market.deadline - 1
    court.commit(market, first, 0)
    court.t = market.deadline
    refused(court, "deadline", court.commit, market, second, 0)
    court.due(events.Close, market=market.id)
    court.t = market.deadline
    refused(court, "deadline", court.reveal, market, first, 0)


def test_rows_8_and_11_nobody_commits_and_the_seats_roll_at_once():
    court, market = court_at("COMMIT")
    silent = dict(market.panel.seats)
    stakes = {judge: court.state.operators[judge].stake + court.state.operators[judge].locked for judge in silent}
    court.vote(market, {})
    assert market.place == "COMMIT(0,1)" and not market.panel.drawn and market.panel.seats == {} and market.panel.dropped == silent
    for judge, seats in silent.items():
        operator = court.state.operators[judge]
        assert operator.locked == 0 and operator.stake == stakes[judge] - seats * CREDIT // 4  # 5 % of 5 credits
    assert market.slashed == 7 * CREDIT // 4
    assert "not drawn" in refused(court, "early", court.commit, market, "p9", 0)
    refused(court, "early", court.due, events.Close, market=market.id)
    court.draw(market)
    assert not set(market.panel.seats) & set(silent)
    court.balanced()


def test_rows_12_and_13_a_market_without_votes_goes_through_every_panel_to_void():
    court = Court([f"p{i}" for i in range(60)], credits=200)
    market = court.market("p0")
    places = []
    while market.phase not in ("VOID", "SETTLED"):
        if market.phase == "COMMIT" and market.panel.drawn and not market.panel.ballots:
            places.append((market.place, market.panel.size))
        court.step(market, None)
    assert places == [(f"COMMIT({level},{roll})", size) for level, size in enumerate((7, 15, 31)) for roll in range(3)]
    court.run_out(market)
    assert market.void_reason == "its judges came to no verdict"
    assert court.state.treasury == (7 + 15 + 31) * 3 * CREDIT // 4
    court.balanced()
    court.replayed()


def test_rows_14_and_15_a_dispute_calls_a_bigger_panel():
    court = Court([f"p{i}" for i in range(40)])
    market = court.market("p0")
    court.to_panel(market)
    court.vote(market, 0)
    court.t = market.deadline
    refused(court, "deadline", court.dispute, market, "p1", 1)
    court.t = market.deadline - 1
    refused(court, "early", court.due, events.Expire, market=market.id)
    refused(court, "malformed", court.dispute, market, "p1", 0)
    refused(court, "malformed", court.dispute, market, "p1", 4)
    refused(court, "phase", court.dispute, market, "p1", 1, level=1, bond=50 * CREDIT)
    assert "12000000000000000000" in refused(court, "limit", court.dispute, market, "p1", 1, bond=12 * CREDIT - 1)
    refused(court, "credits", court.dispute, market, "p1", 1, bond=10**6 * CREDIT)
    court.dispute(market, "p1", 1)
    assert market.place == "COMMIT(1,0)" and market.challenges[0].bond == 12 * CREDIT
    court.draw(market)
    assert market.panel.size == 15
    court.vote(market, 1)
    assert market.place == "CHALLENGE(1)" and court.terms.dispute_bond(1) == 2 * 31 * CREDIT * 4 // 10
    court.dispute(market, "p2", 0)
    court.draw(market)
    assert market.panel.size == 31
    court.vote(market, 1)
    refused(court, "limit", lambda: court.take(
        events.Dispute(actor=address("p3"), t=court.t, market=market.id, level=2, claimed=0, bond=99 * CREDIT, reason=bytes(32)), "p3"
    ))
    court.due(events.Expire, market=market.id)  # at the last level nobody can dispute: at once
    assert market.phase == "FINAL" and [one.outcome for one in market.challenges] == ["upheld", "lost"]
    court.balanced()


def test_a_dispute_is_not_replayed_and_others_may_add_to_it():
    court, market = court_at("CHALLENGE")
    entry = court.dispute(market, "p1", 1)
    until = market.challenges[0].until
    refused(court, "duplicate", court.log.extend, entry)
    refused(court, "conflict", court.dispute, market, "p2", 2, level=0)
    refused(court, "phase", court.dispute, market, "p2", 1, level=1, bond=CREDIT)
    refused(court, "credits", court.dispute, market, "p2", 1, level=0, bond=10**5 * CREDIT)
    court.dispute(market, "p2", 1, level=0, bond=CREDIT)
    court.draw(market)
    judge = court.seated(market)[0]
    refused(court, "conflict", court.dispute, market, judge, 1, level=0, bond=CREDIT)
    court.t = until
    refused(court, "deadline", court.dispute, market, "p1", 1, level=0, bond=CREDIT)
    assert market.challenges[0].bonds == {address("p1"): 12 * CREDIT, address("p2"): CREDIT}


def test_nobody_disputes_a_panel_that_was_not_disputed():
    court, market = court_at("COMMIT")
    refused(court, "phase", court.dispute, market, "p1", 1, bond=50 * CREDIT)


def test_row_16_the_sponsor_gets_what_no_holder_is_owed():
    court, market = court_at("FINAL")
    pot, owed, sponsor = market.pot, market.positions[address("p1")].shares[0] + market.positions[address("p3")].shares[0], court.free("p0")
    refused(court, "early", court.take, events.Settle(t=market.since - 1, market=market.id))
    court.settle(market)
    assert market.pot == owed == market.liabilities[0] and court.free("p0") == sponsor + pot - owed + court.terms.bond
    court.balanced()


def test_row_16_a_winner_without_holders_leaves_everything_to_the_sponsor():
    court = Court(PEOPLE)
    market = court.market("p0")
    court.trade(market, "p1", 0, 10 * CREDIT)
    court.to_panel(market)
    court.vote(market, 2)
    court.expire(market)
    court.settle(market)
    assert market.pot == 0
    refused(court, "credits", court.say, events.Claim, "p1", market=market.id)


def test_row_17_invalid_is_void_and_costs_the_creator_its_bond():
    court, market = court_at("COMMIT")
    court.vote(market, 3)
    court.expire(market)
    treasury, fees = court.state.treasury, market.fee_pot
    assert market.phase == "FINAL" and fees > 0
    free = court.free("p1")
    court.settle(market)
    assert (market.phase, market.void_reason) == ("VOID", "its question is invalid")
    assert court.state.treasury == treasury + court.terms.bond and market.fee_pot == 0
    assert court.free("p1") == free + market.fees[address("p1")]
    court.settle(market)
    assert market.phase == "SETTLED"
    court.balanced()


@pytest.mark.parametrize("phase", ["DRAFT", "OPEN", "CLOSED", "COMMIT", "REVEAL", "CHALLENGE"])
def test_row_18_nothing_stays_locked_for_ever(phase):
    court, market = court_at(phase)
    court.t = market.ends - 1
    refused(court, "early", court.due, events.Timeout, market=market.id)
    court.t = market.ends
    court.due(events.Timeout, market=market.id)
    assert market.phase == "VOID" and market.held() == market.pot
    court.settle(market)
    court.claim_all(market)
    assert market.held() == 0
    court.balanced()


def test_row_19_claims_until_the_window_ends_then_the_sweep():
    court, market = court_at("SETTLED")
    assert market.deadline == court.t + 30 * 24 * 3600 * 1000
    refused(court, "unknown", court.say, events.Claim, "p8", market=market.id)
    free, owed = court.free("p1"), market.owed(address("p1"))
    court.say(events.Claim, "p1", market=market.id)
    assert court.free("p1") == free + owed == free + 20 * CREDIT
    court.t += 1
    refused(court, "duplicate", court.say, events.Claim, "p1", market=market.id)
    refused(court, "early", court.due, events.Sweep, market=market.id)
    court.t = market.deadline
    refused(court, "deadline", court.say, events.Claim, "p3", market=market.id)
    left, treasury = market.pot, court.state.treasury
    assert left == market.owed(address("p3")) > 0
    court.due(events.Sweep, market=market.id)
    assert market.phase == "ARCHIVED" and market.held() == 0 and court.state.treasury == treasury + left
    court.balanced()
    court.replayed()


# ---- opening


def test_what_a_market_may_be():
    court = Court(["p0"])
    refused(court, "limit", court.draft, "p0", fee_bps=501)
    court.draft("p0", fee_bps=500)
    refused(court, "limit", court.draft, "p0", b0=CREDIT - 1)
    refused(court, "limit", court.draft, "p0", b0=10**6 * CREDIT + 1)
    refused(court, "malformed", court.draft, "p0", kind="V", scorer=b"")
    refused(court, "malformed", court.draft, "p0", outcomes=(("a", b"", ()), ("a", b"", ())))
    court.nonce -= 1
    event = court.opening("p0")
    court.take(event, "p0")
    refused(court, "duplicate", court.take, event, "p0")


def test_eight_open_markets_are_enough():
    court = Court(["p0"], credits=10_000)
    markets = [court.market("p0", kind="V") for _ in range(8)]
    assert "settle one first" in refused(court, "limit", court.draft, "p0")
    court.run_out(markets[0])
    court.draft("p0")


def test_a_jailed_operator_votes_and_claims_and_nothing_else():
    court, market = court_at("COMMIT")
    judge = court.seated(market)[0]
    court.due(events.Standing, operator=address(judge), jailed=1)
    refused(court, "duplicate", court.due, events.Standing, operator=address(judge), jailed=1)
    refused(court, "unknown", court.due, events.Standing, operator=address("eve"), jailed=1)
    for attempt in (lambda: court.draft(judge), lambda: court.say(events.Stake, judge, amount=1)):
        refused(court, "standing", attempt)
    other = court.draft("p0")
    for kind, fields in ((events.Fund, {}), (events.Evidence, {"text": "x"}), (events.Unstake, {"amount": 1}), (events.Leave, {})):
        refused(court, "standing", lambda k=kind, f=fields: court.say(k, judge, **({"market": other.id} if k in ledger.TABLE else {}), **f))
    refused(court, "standing", court.trade, market, judge, 0, CREDIT)
    refused(court, "standing", court.dispute, market, judge, 1)
    court.commit(market, judge, 0)
    court.due(events.Standing, operator=address(judge), jailed=0)
    court.draft(judge)


def test_an_operator_leaves_when_nothing_holds_it_and_comes_back():
    court, market = court_at("COMMIT")
    judge = court.seated(market)[0]
    assert "seats" in refused(court, "conflict", court.say, events.Leave, judge)
    assert "1 of your markets" in refused(court, "conflict", court.say, events.Leave, "p0")
    whole = court.free("p1") + court.stake("p1")  # it traded, so it has no seat
    court.say(events.Leave, "p1")
    assert court.free("p1") == whole
    refused(court, "standing", court.say, events.Stake, "p1", amount=1)
    refused(court, "standing", court.due, events.Standing, operator=address("p1"), jailed=1)
    court.run_out(market)
    court.say(events.Claim, "p1", market=market.id)
    court.say(events.Register, "p1", session=address("phone"))
    court.say(events.Stake, "p1", amount=1)
    court.balanced()


def test_there_must_be_such_a_market():
    court = Court(["p0"])
    refused(court, "unknown", court.say, events.Fund, "p0", market=bytes(32))
    refused(court, "unknown", court.due, events.Settle, market=bytes(32))


def test_profiles():
    assert PROFILES["swarm"] == Durations(120_000, 3, 120_000, 60_000, 120_000)
    terms = Terms()
    assert terms.durations("P") is terms.durations("V") is PROFILES["swarm"] and terms.durations("H") is PROFILES["human"]
    court = Court(["p0"], Terms())
    human = court.market("p0", kind="H")
    assert human.deadline - human.since == 6 * 3_600_000 and human.ends - human.since == 4 * 96 * 3_600_000
    assert human.since >= START
