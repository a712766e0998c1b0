"""Accounts of the judge market: what epochs mint, who comes by the chain's word, what is staked and taken out."""

from __future__ import annotations

from dataclasses import replace

from courts import Court, address, court_at, key, refused

from judge import events
from judge.terms import CREDIT, terms_of


def test_epochs_mint_in_order_and_for_those_who_are_there():
    court = Court(["p0"])
    refused(court, "duplicate", court.due, events.Epoch, number=1)
    refused(court, "early", court.due, events.Epoch, number=3)
    refused(court, "unknown", court.due, events.Epoch, number=2, mints=((address("p0"), 1), (address("eve"), 1)))
    court.due(events.Epoch, number=2, mints=((address("p0"), 7), (address("p0"), 1)))
    assert court.state.minted == 1100 * CREDIT + 8
    court.balanced()


def test_the_chain_enters_operators_with_their_session_keys_where_there_is_one():
    court = Court(terms=terms_of("test", seed="beacon"))
    court.due(events.Enter, operator=address("p0"), session=address("phone"))
    refused(court, "duplicate", court.due, events.Enter, operator=address("p0"), session=address("phone"))
    court.mint(["p0"], 50)
    stake = events.Stake(actor=address("p0"), t=court.t, amount=CREDIT)
    court.log.extend(events.write(stake, court.terms.chain_id, key("phone")[0]))
    court.due(events.Enter, operator=address("p0"), session=address("other phone"))
    again = events.write(replace(stake, t=court.t + 1), court.terms.chain_id, key("phone")[0])
    refused(court, "signature", court.log.extend, again)
    court.say(events.Leave, "p0")
    court.due(events.Enter, operator=address("p0"), session=address("phone"))
    assert court.state.operators[address("p0")].status == "active" and court.free("p0") == 50 * CREDIT
    court.due(events.Standing, operator=address("p0"), jailed=1)
    court.due(events.Enter, operator=address("p0"), session=address("third phone"))
    assert court.state.operators[address("p0")].status == "jailed", "another key lets nobody out"
    court.balanced()


def test_without_a_chain_nobody_is_entered_without_a_signature():
    court = Court()
    refused(court, "standing", court.due, events.Enter, operator=address("p0"))


def test_stake_is_paid_from_free_credits_and_unstaked_where_no_seat_holds_it():
    court, market = court_at("COMMIT")
    judge = court.seated(market)[0]
    operator = court.state.operators[address(judge)]
    refused(court, "credits", court.say, events.Stake, judge, amount=operator.free + 1)
    assert "locked in seats" in refused(court, "credits", court.say, events.Unstake, judge, amount=operator.stake + 1)
    court.say(events.Unstake, judge, amount=operator.stake)
    assert operator.stake == 0 and operator.locked > 0
    court.vote(market, 0)
    court.expire(market)
    assert operator.stake > 0 and operator.locked == 0
    court.balanced()
