"""What votes weigh and say, and gold, from which the weights come."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from courts import Court, a_panel, address, refused, salt
from hypothesis import strategies as st
from judges import examples

from judge import events, gold, panel, tree
from judge.accounts import Operator
from judge.events import ABSTAIN
from judge.panel import majority
from judge.terms import CREDIT, WAD, Terms

PEOPLE = [f"p{i}" for i in range(12)]


def test_a_new_judge_weighs_a_fiftieth_and_new_panels_are_equal():
    assert gold.weight(Operator(), 4, Terms()) == WAD // 50
    assert {gold.weight(Operator(gold_votes=0), n, Terms()) for n in range(2, 21)} == {WAD // 50}


@examples(st.integers(0, 73 * WAD), st.integers(0, 73 * WAD), st.integers(2, 20))
def test_the_weight_is_the_formula(hits, n, outcomes):
    hits = min(hits, n)
    g = (Fraction(hits) + Fraction(4 * WAD, outcomes)) / (n + 4 * WAD)
    share = max(Fraction(0), min(Fraction(1), (g - Fraction(1, outcomes)) / Fraction(3, 10)))
    exact = (Fraction(2, 100) + Fraction(98, 100) * share) * WAD
    got = gold.weight(Operator(gold_hits=hits, gold_n=n), outcomes, Terms())
    assert 0 <= exact - got < 2


def test_a_gold_vote_counts_half_after_fifty_more():
    judge = Operator()
    gold.count_vote(judge, True, Terms())
    for _ in range(50):
        gold.count_vote(judge, False, Terms())
    assert abs(judge.gold_hits - WAD // 2) < 10**3 and judge.gold_votes == 51
    for _ in range(2000):
        gold.count_vote(judge, False, Terms())
    assert judge.gold_n < 73 * WAD and judge.gold_hits < WAD // 10**6


def test_gold_is_opened_after_its_epoch_with_its_proof_and_once():
    court = Court(PEOPLE)
    event = court.opening("p0")
    id = event.market(court.terms.chain_id)
    leaves = [gold.leaf(bytes([i]) * 32, 1, bytes(32)) for i in range(4)]
    leaves[2] = gold.leaf(id, 1, salt("gold"))
    court.due(events.GoldRoot, number=2, root=tree.root(leaves), count=4)
    refused(court, "duplicate", court.due, events.GoldRoot, number=2, root=bytes(32), count=4)
    court.mint([], 0)
    refused(court, "deadline", court.due, events.GoldRoot, number=2, root=bytes(32), count=4)
    court.take(event, "p0")
    court.say(events.Fund, "p0", market=id)
    market = court.state.markets[id]
    court.to_panel(market)
    judges = court.seated(market)
    court.vote(market, {judges[0]: 1, judges[1]: ABSTAIN, **dict.fromkeys(judges[2:], 0)})
    court.run_out(market)
    opening = {"number": 2, "market": id, "answer": 1, "salt": salt("gold"), "index": 2, "path": tuple(tree.proof(leaves, 2))}
    assert "after it" in refused(court, "early", court.due, events.GoldOpen, **opening)
    court.mint([], 0)
    for change in ({"answer": 0}, {"salt": bytes(32)}, {"index": 1}, {"path": ()}, {"path": opening["path"][::-1]}):
        refused(court, "mismatch", lambda c=change: court.due(events.GoldOpen, **{**opening, **c}))
    refused(court, "unknown", court.due, events.GoldOpen, **{**opening, "number": 1})
    refused(court, "malformed", court.due, events.GoldOpen, **{**opening, "answer": 4})
    court.due(events.GoldOpen, **opening)
    refused(court, "duplicate", court.due, events.GoldOpen, **opening)
    told = {name: court.state.operators[address(name)] for name in judges}
    assert (told[judges[0]].gold_hits, told[judges[0]].gold_n) == (WAD, WAD)
    assert told[judges[1]].gold_votes == 0
    assert {(told[judge].gold_hits, told[judge].gold_n) for judge in judges[2:]} == {(0, WAD)}
    court.replayed()


def test_a_check_counts_every_vote_of_a_market_that_a_panel_settled_once_but_not_its_openers():
    court = Court(PEOPLE[:3])  # a small swarm, where whoever opened a market can have a seat in it
    market = court.market("p0")
    court.to_panel(market)
    judges = court.seated(market)
    assert "p0" in judges
    court.vote(market, {judge: 1 if judge == judges[0] else 0 for judge in judges})
    while market.phase != "SETTLED":
        refused(court, "phase", court.due, events.Check, market=market.id, answer=0)
        court.step(market, 0)
    refused(court, "malformed", court.due, events.Check, market=market.id, answer=market.n)
    court.t -= 1
    refused(court, "early", court.due, events.Check, market=market.id, answer=0)
    court.t += 1
    court.due(events.Check, market=market.id, answer=0)
    refused(court, "duplicate", court.due, events.Check, market=market.id, answer=1)
    told = {name: court.state.operators[address(name)] for name in judges if name != "p0"}
    assert {name: (one.gold_votes, one.gold_hits) for name, one in told.items()} == {name: (1, WAD * (name != judges[0])) for name in told}
    assert court.state.operators[address("p0")].gold_votes == 0
    court.replayed()


@pytest.mark.parametrize("kind", ["V", "P"])
def test_a_market_that_no_panel_settled_cannot_be_checked(kind):
    court = Court(PEOPLE)
    market = court.market("p0", kind=kind)
    court.run_out(market, choice=None)  # P: nobody votes, so it ends VOID
    assert market.void_reason or market.kind == "V"
    assert "no votes to compare" in refused(court, "phase", court.due, events.Check, market=market.id, answer=0)


def test_a_judge_with_a_record_outweighs_new_ones():
    court = Court(PEOPLE)
    court.state.operators[address("p1")].gold_hits = court.state.operators[address("p1")].gold_n = 50 * WAD
    market = court.market("p0")
    while True:
        court.to_panel(market)
        if address("p1") in market.panel.seats:
            break
        court.run_out(market)
        market = court.market("p0")
    assert market.panel.weights[address("p1")] == WAD
    court.vote(market, {judge: 2 if judge == "p1" else 1 for judge in court.seated(market)})
    assert market.verdict.choice == 2


@pytest.mark.parametrize(
    ("weights", "choice"),
    [
        ((0, 0, 0), None),
        ((1, 0, 0), 0),
        ((5, 5, 0), None),
        ((5, 4, 1), None),  # exactly half
        ((6, 4, 1), 0),
        ((0, 2, 3), 2),
        ((10**9 + 1, 10**9, 0), None),  # a tie to a billionth
        ((10**9 + 3, 10**9, 0), 0),
    ],
)
def test_the_majority(weights, choice):
    assert majority(weights) == choice


def test_a_tie_escalates():
    court, market = a_panel()
    judges = court.seated(market)
    seats = [market.panel.seats[address(judge)] for judge in judges]
    for votes in product((0, 1, ABSTAIN), repeat=len(judges)):
        counts = [sum(many for many, vote in zip(seats, votes, strict=True) if vote == choice) for choice in (0, 1)]
        if counts[0] == counts[1] > 0:
            break
    court.vote(market, dict(zip(judges, votes, strict=True)))
    assert market.place == "COMMIT(1,0)"
    assert "no verdict of level 0" in refused(court, "phase", court.dispute, market, "p1", 1, level=0, bond=50 * CREDIT)


def test_panels_without_a_majority_lead_to_void():
    court = Court([f"p{i}" for i in range(60)])
    market = court.market("p0")
    places = []
    while market.phase != "SETTLED":
        if market.phase == "COMMIT" and not market.panel.drawn:
            places.append(market.place)
        court.step(market, ABSTAIN)
    assert places == ["COMMIT(1,0)", "COMMIT(2,0)"] and market.void_reason == "its judges came to no verdict"
    assert court.state.treasury == 0  # who abstains loses nothing
    court.balanced()


def test_a_trade_by_a_session_key_is_its_operators():
    court = Court(PEOPLE)
    court.say(events.Session, "p1", session=address("phone"))
    market = court.market("p0")
    court.take(events.Trade(actor=address("p1"), t=court.t, market=market.id, nonce=1, side="buy", outcome=0, amount=CREDIT), "phone")
    assert panel.conflict(market, address("p1")) == "traded in it"


def test_a_disputed_verdict_stands_where_the_last_panel_has_no_majority_and_its_challenger_pays():
    """Else anybody could undo a verdict for nothing: the third panel here has a plurality and no majority."""
    court = Court([*(f"j{i}" for i in range(80)), "opener", "purse"], signed=False)
    market = court.market("opener", n=4)
    before = court.free("purse")
    court.to_panel(market)
    court.vote(market, 0)
    for _ in range(2):
        court.dispute(market, "purse", 1)
        court.draw(market)
        if market.level < 2:
            court.vote(market, 0)
    left, votes = {0: 15, 1: 8, 2: 8}, {}
    for judge in court.seated(market):
        choice = max(left, key=left.get)
        left[choice] -= market.panel.seats[address(judge)]
        votes[judge] = choice
    court.vote(market, votes)
    assert market.phase == "FINAL" and market.verdict.choice == 0 and market.verdict.level == 1
    assert [one.outcome for one in market.challenges] == ["lost", "lost"]
    assert before - court.free("purse") == court.terms.dispute_bond(0) + court.terms.dispute_bond(1)
    court.balanced()
