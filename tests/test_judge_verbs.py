"""The headless verbs: what they print, what they cost, and their exit codes. And what a view lets out before a vote."""

from __future__ import annotations

import json

import pytest
from courts import Court, address, key
from seats import PEOPLE, QUESTION, THREE, court_of, judges, labelled, local, voting

from judge import verbs
from judge.ballots import Ballots
from judge.court import Offline, place_of
from judge.errors import Refused
from judge.events import ABSTAIN, read
from judge.market import CHALLENGE, COMMIT, OPEN, REVEAL, SETTLED
from judge.store import Store
from judge.terms import CREDIT, terms_of
from judge.views import View, named, order_for


def seat(tmp_path, **fields) -> tuple:
    """(court of all, market in VOTE, a judge's name, its court, its ballots)"""
    court = court_of()
    market = voting(court, **fields)
    me = judges(market)[0]
    return court, market, me, local(court, me), Ballots(tmp_path / "votes")


def test_vote_reveal_and_record_by_verbs(tmp_path):
    court, market, me, mine, box = seat(tmp_path)
    case = mine.view().find(market.id)
    listed = verbs.list_(mine)
    assert listed.code == 0 and case.name in listed.text and "seat x" in listed.text and "!" in listed.text
    shown = verbs.show(mine, case.name)
    assert shown.code == 0 and "The sum is 1189." in shown.text and "hidden until you commit" in shown.text
    number = case.number(0)
    done = verbs.vote(mine, box, f"{case.name}={number}", sure=80, agree=60, yes=True, note="n")
    assert done.code == 0 and str(box.path(place_of(mine, case))) in done.text
    vote = box.load(place_of(mine, case)).vote
    assert (vote.choice, vote.sure, vote.agree) == (0, 8000, 6000) and done.value["choice"] == 0
    assert verbs.reveal(mine, box).text == "nothing is to be revealed now" and verbs.reveal(mine, box, case.name).code == 3
    for judge in court.seated(market):
        court.commit(market, judge, 0)
    assert verbs.reveal(mine, box, case.name).text == f"revealed {case.name}"
    assert verbs.reveal(mine, box, case.name).text.endswith("revealed already")
    for judge in judges(market):
        if judge != me:
            court.reveal(market, judge, 0)
    court.t = max(court.t, market.deadline)
    mine.tick()
    assert market.phase == CHALLENGE
    court.t = market.deadline
    record = verbs.record(mine)
    assert record.code == 0 and record.value["coherent"] == case.seats and "80-90% 1/1" in record.text


def test_json_is_json_for_every_verb(tmp_path):
    _, market, _, mine, box = seat(tmp_path)
    name = mine.view().find(market.id).name
    listed = json.loads(verbs.said(verbs.list_(mine), as_json=True))
    assert [one["name"] for one in listed["markets"]] == [name] and listed["markets"][0]["need"] == "vote"
    shown = json.loads(verbs.said(verbs.show(mine, name), as_json=True))
    assert shown["question"] == QUESTION and len(shown["answers"]) == 4 and len(shown["evidence"]) == 2
    assert json.loads(verbs.said(verbs.vote(mine, box, f"{name}=0", yes=True), as_json=True))["choice"] == ABSTAIN
    for done in (verbs.reveal(mine, box), verbs.claim(mine), verbs.record(mine)):
        assert done.code == 0 and json.loads(verbs.said(done, as_json=True)) is not None
    assert json.loads(verbs.said(verbs.show(mine, "m-zz"), as_json=True))["code"] == 2


def test_claim_by_verb():
    court = court_of()
    market = court.market("p0", outcomes=labelled("A", "B"))
    court.trade(market, "p4", 1, 5 * CREDIT)
    court.run_out(market, choice=1)
    mine = local(court, "p4")
    name, free = mine.view().find(market.id).name, court.free("p4")
    assert "+5.00 claim" in verbs.list_(mine).text
    done = verbs.claim(mine, name)
    assert done.code == 0 and court.free("p4") == free + 5 * CREDIT and done.value["claimed"] == {market.id.hex(): 5 * CREDIT}
    assert verbs.claim(mine, name).code == 4 and verbs.claim(mine).text == "claimed 0.00 in 0 markets"
    assert name not in verbs.list_(mine).text and name in verbs.list_(mine, everything=True).text


def test_dispute_by_verb_to_the_second_panel():
    court = court_of()
    market = voting(court)
    court.vote(market, 1)
    mine = local(court, "p3")
    case = mine.view().find(market.id)
    right, same = str(case.number(0)), str(case.number(1))
    assert verbs.dispute(mine, case.name, right, "wrong sum").code == 2, "it costs: --yes"
    for claimed, reason in ((same, "x"), ("0", "x"), ("9", "x"), (right, " "), (right, "x" * 281)):
        assert verbs.dispute(mine, case.name, claimed, reason, yes=True).code == 2
    assert verbs.dispute(mine, case.name, right, "x", yes=True, bond=CREDIT).code == 2 and not market.challenges
    done = verbs.dispute(mine, case.name, right, "wrong sum", yes=True)
    assert done.code == 0 and done.value["bond"] == 12 * CREDIT and market.level == 1
    assert verbs.dispute(mine, case.name, right, "again", yes=True).code == 3
    mine.tick()
    court.vote(market, 0)
    assert market.verdict.level == 1 and market.verdict.choice == 0


def test_exit_codes(tmp_path):
    court, market, me, mine, box = seat(tmp_path)
    case = mine.view().find(market.id)
    vote = f"{case.name}={case.number(0)}"
    # 2: usage, and nothing without --yes
    for what in ("", "m-zz=1", vote.split("=")[0], f"{vote}x", "=1", f"{case.name}=99"):
        assert verbs.vote(mine, box, what, sure=80, yes=True).code == 2, what
    assert verbs.vote(mine, box, vote, sure=101, yes=True).code == verbs.vote(mine, box, vote, sure=80, agree=65, yes=True).code == 2
    assert verbs.vote(mine, box, vote, yes=True).code == 2, "how sure?"
    assert "--yes" in verbs.vote(mine, box, vote, sure=80).text and not market.panel.ballots
    assert verbs.vote(mine, box, "m-ffffffff=1", sure=80, yes=True).code == 2
    assert verbs.reveal(mine, box, salt_file=tmp_path).code == 2
    # 4: not drawn, or in conflict
    others = {name: verbs.vote(local(court, name), box, vote, sure=80, yes=True) for name in ("p0", "p1", "p2", "p3")}
    assert {done.code for done in others.values()} == {4} and "wrote answer" in others["p1"].text and "traded" in others["p3"].text
    assert verbs.claim(mine, case.name).code == 3
    # 6: locked
    assert verbs.vote(local(court, me, secret=None), box, vote, sure=80, yes=True).code == 6
    assert box.load(place_of(mine, case)).vote is None
    # 5: offline, and the vote is kept
    commit = mine.commit
    mine.commit = lambda *args: (_ for _ in ()).throw(Offline("no peers"))
    done = verbs.vote(mine, box, vote, sure=80, yes=True)
    assert done.code == 5 and "kept" in done.text and box.load(place_of(mine, case)).vote.choice == 0
    mine.commit = commit
    assert verbs.vote(mine, box, vote, sure=80, yes=True).code == 0
    # 3: wrong phase
    court.t = market.deadline
    assert verbs.vote(mine, box, vote, sure=80, yes=True).code == 3
    assert verbs.dispute(mine, case.name, "1", "x", yes=True).code == 3
    # 7: the salt is nowhere
    elsewhere = Ballots(tmp_path / "elsewhere")
    locked = local(court, me, secret=None)
    assert verbs.reveal(locked, elsewhere).code == verbs.reveal(locked, elsewhere, case.name).code == 7
    assert verbs.reveal(mine, elsewhere, case.name, salt_file=box.path(place_of(mine, case))).code == 0
    # E6
    assert verbs.no_terminal().code == 2 and "--json" in verbs.no_terminal().text


@pytest.mark.parametrize(
    "reason, code",
    [("phase", 3), ("deadline", 3), ("early", 3), ("conflict", 4), ("seat", 4), ("standing", 4), ("credits", 2), ("limit", 2), ("malformed", 2)],
)
def test_refusals_of_the_market_have_exit_codes(reason, code):
    assert verbs.code_of(Refused(reason, "a sentence")) == code


# ---- what a view lets out


def stages(court: Court, market, me: str) -> tuple[dict[str, tuple[bool, bool]], bool]:
    """Through a market's life: whether the judge sees prices, and a verdict. And whether it was drawn."""
    mine, seen = local(court, me), {}

    def look(name: str) -> None:
        case = mine.view().find(market.id)
        prices = {option.price is not None for option in case.options[:-1]}
        assert len(prices) == 1 and prices == {case.shown} and (case.ruling is None or case.shown)
        assert {option.volume is None for option in case.options[:-1]} == {not case.shown}
        assert ("hidden" in verbs.show(mine, case.name).text) == (not case.shown)
        seen[name] = (case.shown, case.ruling is not None)

    look(market.phase)
    court.to_panel(market)
    look("drawn")
    drawn = address(me) in market.panel.seats
    if drawn:
        court.commit(market, me, 1)
    look("committed")
    court.wait(market)
    mine.tick()
    look(market.phase)
    return seen, drawn


def test_prices_stay_inside_until_the_judge_has_committed():
    for me in ("p4", "p5", "p6", "p7"):
        court = court_of()
        market = court.market("p0", question=QUESTION, outcomes=THREE)
        court.trade(market, "p3", 0, 10 * CREDIT)
        seen, drawn = stages(court, market, me)
        assert seen[OPEN] == seen["drawn"] == (False, False)
        assert seen["committed"] == (drawn, False)


def test_who_traded_asked_or_wrote_knows_the_prices_anyway():
    for me in ("p0", "p1", "p3"):
        court = court_of()
        market = court.market("p0", question=QUESTION, outcomes=THREE)
        court.trade(market, "p3", 0, 10 * CREDIT)
        assert stages(court, market, me)[0][OPEN] == (True, False)


def test_a_judge_of_the_second_panel_does_not_see_what_the_first_one_said():
    court = court_of()
    market = voting(court)
    court.vote(market, 1)
    court.dispute(market, "p3", 0)
    mine = {name: local(court, name) for name in PEOPLE}
    mine["p0"].tick()
    fresh = [name for name in PEOPLE if address(name) in market.panel.seats and address(name) not in market.panels[0].seats]
    assert market.level == 1 and market.panel.drawn and fresh
    for name in fresh:
        case = mine[name].view().find(market.id)
        assert case.ruling is None and not case.shown and "1198" not in verbs.list_(mine[name]).text
    assert mine["p3"].view().find(market.id).ruling.choice == 1


def test_a_view_is_a_picture_that_later_events_do_not_change():
    court = court_of()
    market = voting(court)
    mine = local(court, judges(market)[0])
    before = mine.view()
    kept = repr(before)
    assert mine.view().cases is before.cases, "cheap: nothing is made again where nothing happened"
    court.commit(market, judges(market)[0], 1)
    assert repr(before) == kept and mine.view().cases != before.cases
    with pytest.raises(AttributeError):
        before.at = 0
    assert isinstance(before, View)


def test_names_are_short_and_no_two_are_the_same():
    ids = [bytes.fromhex("5c1e" + "00" * 30), bytes.fromhex("5c1e" + "01" * 30), bytes.fromhex("5c1e01" + "02" * 29), bytes.fromhex("77" * 32)]
    names = named(ids)
    assert names == {ids[0]: "m-5c1e00", ids[1]: "m-5c1e0101", ids[2]: "m-5c1e0102", ids[3]: "m-7777"}
    assert sorted(order_for(ids[0], address("p4"), 20)) == list(range(20))


# ---- the market by itself, and the record


@pytest.mark.parametrize("profile", ["test", "local"])
def test_a_local_court_makes_what_is_due_by_itself(tmp_path, profile):
    people = Court(PEOPLE, terms=terms_of(profile))
    market = people.market("p0", outcomes=labelled("A", "B"))
    with Store(tmp_path / "log", people.terms) as store:
        for data in people.log.entries:
            store.extend(read(data, people.terms.chain_id))
        clock = [people.t]
        mine = {name: local(people, name) for name in PEOPLE}
        for one in mine.values():
            one.log, one.now = store, lambda: clock[0]
        phases, boxes = [], {name: Ballots(tmp_path / name) for name in PEOPLE}
        while not phases or phases[-1] != SETTLED:
            for name, one in mine.items():
                case = one.view().find(market.id)
                if case.need == "vote":
                    assert verbs.vote(one, boxes[name], f"{case.name}={case.number(1)}", sure=70, yes=True).code == 0
                verbs.reveal(one, boxes[name])
            state = store.state.markets[market.id].phase
            phases += [state] if not phases or phases[-1] != state else []
            clock[0] += 500
        assert phases == [OPEN, CHALLENGE, SETTLED] or set(phases) <= {OPEN, COMMIT, REVEAL, CHALLENGE, SETTLED}
        assert store.state.markets[market.id].verdict.choice == 1 and store.state.balance() == store.state.minted
    with Store(tmp_path / "log", people.terms) as again:
        assert again.state.markets[market.id].phase == SETTLED


def test_the_record_adds_up_to_what_everybody_won_and_lost():
    court = court_of()
    before = court.wealth()
    for number in range(3):
        market = voting(court)
        seated = judges(market)
        court.vote(market, {name: (place + number) % 2 for place, name in enumerate(seated)} if number else 1)
        if market.phase == CHALLENGE and number == 0:
            court.dispute(market, "p4", 0)
            mine = local(court, "p4")
            mine.tick()
        court.run_out(market, choice=0)
        court.claim_all(market)
    after = court.wealth()
    for name in PEOPLE[1:]:
        record = local(court, name).view().record
        assert record.net == after[name] - before[name], name
        assert record.seats == record.coherent + record.incoherent + record.abstain + record.unrevealed
    assert sum(local(court, name).view().record.coherent for name in PEOPLE) > 0
    assert local(court, "p2", secret=key("p2")[0]).view().record.epoch == 1


def test_a_silent_judge_finds_the_loss_in_the_record():
    court = court_of()
    market = voting(court)
    me = judges(market)[0]
    seats = market.panel.seats[address(me)]
    court.vote(market, {name: 1 for name in judges(market) if name != me})
    record = local(court, me).view().record
    assert record.unrevealed == seats and record.slashed == seats * CREDIT // 4 and record.reveals == (0, seats)
