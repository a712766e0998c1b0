"""Small swarms: who judges where everybody is a party, and that every market ends."""

from __future__ import annotations

from courts import Court, address, refused
from hypothesis import strategies as st
from judges import examples

from judge import events
from judge.terms import CREDIT


def test_a_swarm_of_three_has_a_small_panel():
    court = Court(["p0", "p1", "p2"])
    market = court.market("p0", authors={0: ("p1",)})
    court.trade(market, "p2", 0, CREDIT)
    court.to_panel(market)
    assert set(market.panel.seats) == {address("p0"), address("p2")}  # not the author of an answer
    assert market.panel.small and market.panel.size == 7 and max(market.panel.seats.values()) == 4
    assert "wrote an answer" in refused(court, "seat", court.commit, market, "p1", 0)
    court.vote(market, 1)
    assert market.verdict.small_panel
    court.dispute(market, "p1", 0)
    court.draw(market)
    assert market.panel.size > 1 and market.panel.small  # the same two may sit again
    court.vote(market, 1)
    court.expire(market)
    assert market.challenges[0].outcome == "lost"
    court.balanced()


def test_without_two_judges_a_market_goes_to_its_scorer_or_is_void():
    court = Court(["p0", "p1", "p2"])
    scored = court.market("p0", authors={0: ("p1",), 1: ("p2",)}, scorer=b"\x01" * 32)
    court.to_panel(scored)
    assert (scored.phase, scored.kind, scored.panels) == ("CLOSED", "V", [])
    court.due(events.Resolve, market=scored.id, outcome=1)
    court.dispute(scored, "p1", 0)
    court.draw(scored)  # nobody can hear it: the verdict stands, and the bond comes back
    assert scored.phase == "FINAL" and scored.verdict.choice == 1 and scored.challenges[0].outcome == "neither"
    broken = court.market("p0", authors={0: ("p1",), 1: ("p2",)}, kind="V")
    court.end_rounds(broken)
    court.due(events.Resolve, market=broken.id, outcome=255)
    court.draw(broken)
    assert broken.phase == "VOID" and broken.void_reason == "there are too few judges"
    bare = court.market("p0", authors={0: ("p1",), 1: ("p2",)})
    court.to_panel(bare)
    assert bare.phase == "VOID"
    court.balanced()
    court.replayed()


@examples(st.data())
def test_every_market_of_a_small_swarm_ends(data):
    people = [f"p{i}" for i in range(data.draw(st.integers(3, 5), "operators"))]
    court = Court(people, stake=data.draw(st.sampled_from([0, 20, 25, 100]), "stake"), signed=False)
    silent = data.draw(st.sets(st.sampled_from(people)), "silent")
    opener = people[0]
    authors = {outcome: tuple(data.draw(st.sets(st.sampled_from(people), max_size=2))) for outcome in range(3)}
    kind = data.draw(st.sampled_from(["V", "P", "P", "H"]), "kind")
    scorer = {"scorer": b"\x05" * 32} if data.draw(st.booleans(), "scorer") or kind == "V" else {}
    market = court.market(opener, kind=kind, authors=authors, **scorer)
    for trader in data.draw(st.sets(st.sampled_from(people[1:]), max_size=3), "traders"):
        court.trade(market, trader, data.draw(st.integers(0, 2)), CREDIT)
    steps = 0
    while market.phase != "SETTLED":
        steps += 1
        assert steps < 60
        if market.phase == "COMMIT" and market.panel.drawn:
            court.vote(market, {judge: data.draw(st.sampled_from([0, 1, 3, 255])) for judge in court.seated(market) if judge not in silent})
        elif market.phase == "CHALLENGE" and market.level < 2 and data.draw(st.booleans(), "dispute"):
            court.dispute(market, data.draw(st.sampled_from(people)), (market.verdict.choice + 1) % 4)
        else:
            court.step(market, None, scorer=data.draw(st.sampled_from([0, 1, 255])) if not market.by_panel else 0)
        court.balanced()
    court.claim_all(market)
    assert market.held() == 0
    assert all(operator.locked == 0 for operator in court.state.operators.values())
