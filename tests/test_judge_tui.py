"""The screens of the judge market, driven by keys against a LocalCourt with a hand-moved clock, and compared with stored ones."""

from __future__ import annotations

import hashlib
import re
import time

import pytest
from courts import Court, address
from seats import (
    ANSWER,
    LIBRARY,
    PEOPLE,
    QUESTION,
    THREE,
    Desk,
    at_desk,
    court_of,
    judged,
    judges,
    labelled,
    local,
    same,
    several,
    voting,
    with_names,
)

from judge.ballots import Ballots
from judge.court import place_of
from judge.market import COMMIT
from judge.terms import CREDIT, terms_of
from judge.tui.record import table

VOTE_2 = ("2", "tab", "right", "right", "right", "right", "right", "tab", "right", "right", "right")  # choice 2, 80 % sure, 30 % agree


@pytest.fixture(autouse=True)
def _zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("NO_COLOR", "1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# ---- S1


def test_s1_lists_markets_with_what_waits_for_this_person_first(tmp_path):
    court = court_of()
    several(court)

    async def script(desk: Desk) -> None:
        same("s1_markets", desk.screen)
        assert re.search(r"VOTE .* seat x\d +!", desk.screen) and re.search(r"SETTLED .*\+5\.00 claim", desk.screen)
        assert "OPEN 1/1" in desk.screen and " 1 need you (!)" in desk.screen

    at_desk(with_names(local(court, "p4")), tmp_path, script)


def test_s1_moves_filters_and_claims(tmp_path):
    court = court_of()
    several(court)

    async def script(desk: Desk) -> None:
        assert "> m-" in desk.screen
        marked = [next(line for line in (await desk.keys(one)).split("\n") if " > " in line) for one in ("j", "j", "k", "down")]
        assert marked[1] != marked[0] and marked[2] == marked[0] and marked[3] == marked[1]
        assert "[mine markets]" in await desk.keys("f") and "c-19" not in desk.screen
        assert "[open markets]" in await desk.keys("f") and "q-75" not in desk.screen
        assert "[settled markets]" in await desk.keys("f") and "c-19" not in desk.screen
        await desk.keys("escape")
        free = court.free("p4")
        screen = await desk.keys("c")
        assert "Claimed +5.00 in 1 market." in screen and court.free("p4") == free + 5 * CREDIT
        assert "No market owes you anything" in await desk.keys("c")

    at_desk(local(court, "p4"), tmp_path, script)


# ---- S2, the pager, S3


def test_s2_shows_answers_and_evidence_and_hides_prices(tmp_path):
    court = court_of()
    market = voting(court)
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        same("s2_market", await desk.keys("enter"))
        assert "hidden until you commit" in desk.screen and not re.search(r"0\.\d\d +[+-]0", desk.screen)

    at_desk(with_names(local(court, me)), tmp_path, script)


def test_the_pager_shows_an_answer_in_full_and_long_ones_in_pages(tmp_path):
    court = court_of()
    long = "".join(f"line {number} of the long answer\n" for number in range(400))
    market = voting(court, outcomes=labelled("1189", "long", texts={"1189": ANSWER, "long": long}))
    me = judges(market)[0]
    library = {**LIBRARY, hashlib.sha256(long.encode()).digest(): long}

    async def script(desk: Desk) -> None:
        await desk.keys("enter")
        screens = [await desk.keys("enter"), await desk.keys("escape", "down", "enter")]
        short, paged = sorted(screens, key=lambda screen: "line 0 of" in screen)
        if desk.screen == short:
            await desk.keys("escape", "up", "enter")
        same("pager", short)
        assert "It follows from the terms 585 and 604." in short and "page" not in short.split("\n")[-2]
        assert "page 1 of 3" in paged and "page 2 of 3" in await desk.keys("n") and "page 1 of 3" in await desk.keys("p")
        assert "line 25 of" not in desk.screen and "line 25 of" in await desk.keys("space")
        assert "seat" in await desk.keys("escape", "escape")

    at_desk(local(court, me, library=library), tmp_path, script)


def test_s3_opens_for_voting_only_after_everything_was_opened(tmp_path):
    court = court_of()
    market = voting(court)
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        same("s3_unread", await desk.keys("v"))
        count = court.state.count
        screen = await desk.keys(*VOTE_2, "enter")
        assert "Voting opens after all" in screen and "[2]" not in screen and court.state.count == count
        await desk.keys("escape", "enter")
        assert "*" in desk.screen and "*" not in (await desk.read_all()).replace("* unread", "")
        same("s3_ballot", await desk.keys("v", *VOTE_2))
        assert "[2]" in desk.screen and "[80]" in desk.screen and "[30]" in desk.screen and "You sign: 2" in desk.screen

    at_desk(with_names(local(court, me)), tmp_path, script)


def test_a_rejected_piece_need_not_be_read_and_a_ballot_says_what_lacks(tmp_path):
    court = court_of()
    market = court.market("p0", question=QUESTION, outcomes=THREE)
    court.evidence(market, "p2", "spam", mark=0)
    court.to_panel(market)

    async def script(desk: Desk) -> None:
        await desk.keys("enter")
        for _ in range(3):
            await desk.keys("enter", "escape", "down")
        assert "0 of 0 evidence" in await desk.keys("v")
        assert "Choose first" in await desk.keys("enter")
        assert "Say how sure" in await desk.keys("1", "enter")
        assert court.state.markets[market.id].panel.ballots == {}
        assert "committed." in await desk.keys("0", "enter"), "who abstains is not asked how sure"

    at_desk(local(court, judges(market)[0]), tmp_path, script)


def test_a_draft_survives_a_crash_and_the_note_stays_here(tmp_path):
    court = court_of()
    market = voting(court)
    me = judges(market)[0]
    mine = local(court, me)

    async def first(desk: Desk) -> None:
        await desk.keys("enter")
        await desk.read_all()
        await desk.keys("v", *VOTE_2, "tab")
        await desk.type("the second term")

    async def second(desk: Desk) -> None:
        screen = await desk.keys("v")
        assert "[2]" in screen and "[80]" in screen and "Note (stays on this machine): the second term" in screen and "3 of 3" in screen

    at_desk(mine, tmp_path, first)
    draft = Ballots(tmp_path / "votes").load(place_of(mine, mine.view().find(market.id))).draft
    assert draft.note == "the second term" and draft.sure == 8000
    at_desk(local(court, me), tmp_path, second)
    assert not any(b'the second term"' in entry and b"604" not in entry for entry in court.log.entries)


def test_the_order_is_the_judges_own_and_is_mapped_back(tmp_path):
    court = court_of()
    labels = tuple(f"answer {letter}" for letter in "ABCDEFG")
    market = voting(court, evidence=False, outcomes=labelled(*labels))
    orders = set()
    for name in judges(market):
        case = local(court, name).view().find(market.id)
        assert sorted(one.outcome for one in case.options[:-1]) == list(range(7)) and [one.number for one in case.options] == list(range(1, 9))
        assert all(one.label == labels[one.outcome] and case.outcome(one.number) == one.outcome for one in case.options[:-1])
        assert case.options == local(court, name).view().find(market.id).options
        assert (case.outcome(8), case.outcome(0), case.outcome(9)) == (7, 255, None)
        orders.add(tuple(one.outcome for one in case.options))
    assert len(orders) > 1
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        await desk.keys("enter")
        await desk.read_all()
        await desk.keys("v", "3", "tab", "right", "enter")

    mine = local(court, me)
    at_desk(mine, tmp_path, script)
    case = mine.view().find(market.id)
    vote = Ballots(tmp_path / "votes").load(place_of(mine, case)).vote
    assert vote.choice == case.options[2].outcome and vote.commitment(place_of(mine, case)) == case.commitment


# ---- a whole session


def small(profile: str = "test") -> tuple:
    """Four operators: p2 trades, and may still judge. (court, market)"""
    court = Court(PEOPLE[:4], terms=terms_of(profile))
    market = court.market("p0", question=QUESTION, outcomes=labelled("1189", "1198", authors={"1198": ("p1",)}))
    court.trade(market, "p2", 0, 10 * CREDIT)
    court.t = market.deadline
    return court, market


@pytest.mark.parametrize("profile", ["test", "local"])
def test_vote_reveal_claim(tmp_path, profile):
    court, market = small(profile)
    me = "p2"

    async def script(desk: Desk) -> None:
        one = desk.app.view.find(market.id).number(0)
        await desk.keys("enter")
        await desk.read_all()
        screen = await desk.keys("v", str(one), "tab", "right", "right", "right", "enter")
        assert "committed." in screen and address(me) in market.panel.ballots
        for judge in court.seated(market):
            court.commit(market, judge, 0)
        await desk.keys("escape", "r", "A")
        assert "opens now" in await desk.look() and market.panel.ballots[address(me)].choice is None, "auto-reveal is off"
        assert "revealed." in await desk.keys("enter") and market.panel.ballots[address(me)].choice == 0
        for judge in market.panel.seats:
            if market.panel.ballots[judge].choice is None:
                court.reveal(market, next(name for name in PEOPLE if address(name) == judge), 0)
        await desk.keys("escape")
        assert f"voted {one} ok" in await desk.look() and "CHALLENGE" in desk.screen
        court.t = market.deadline
        assert "+10.00 claim" in await desk.look()
        free = court.free(me)
        assert "Claimed +10.00" in await desk.keys("c") and court.free(me) == free + 10 * CREDIT
        same(f"s6_record_{profile}", await desk.keys("e"))
        assert re.search(r"SEATS (\d+)  coherent \1  incoherent 0", desk.screen)

    at_desk(local(court, me), tmp_path, script)
    court.balanced()
    court.replayed()


def test_auto_reveal_needs_no_key(tmp_path):
    court, market = small()

    async def script(desk: Desk) -> None:
        await desk.keys("enter")
        await desk.read_all()
        await desk.keys("v", "1", "tab", "right", "enter")
        court.t = market.deadline
        await desk.look()
        assert market.panels[0].ballots[address("p2")].choice is not None

    at_desk(local(court, "p2"), tmp_path, script)


def test_s5_disputes_with_a_typed_id_up_to_the_second_panel(tmp_path):
    court = court_of()
    market = judged(court)
    mine = with_names(local(court, "p4"))

    async def script(desk: Desk) -> None:
        case = desk.app.view.find(market.id)
        same("s5_dispute", await desk.keys("d"))
        assert "panel said 1198" in desk.screen and "Bond: 12.00 (you have 1000.00 free)" in desk.screen and "(15 seats)" in desk.screen
        count = court.state.count
        await desk.keys("tab", "tab")
        assert f"That is not {case.name}" in await desk.keys("enter")
        await desk.type(case.name)
        assert "Say what you claim" in await desk.keys("enter")
        await desk.keys("shift+tab", "shift+tab", "right")
        while desk.app.screen.query_one("#claimed").value != 0:
            await desk.keys("right")
        assert "has a reason" in await desk.keys("tab", "tab", "enter")
        assert court.state.count == count, "nothing was sent so far"
        await desk.keys("shift+tab")
        await desk.type("the second term is 604")
        screen = await desk.keys("tab", "enter")
        assert "disputed.  Your bond of 12.00 is posted." in screen and court.free("p4") == 988 * CREDIT
        assert market.level == 1 and market.phase == COMMIT
        screen = await desk.look()
        assert "VOTE" in screen and desk.app.view.find(market.id).level == 1 and market.panel.drawn
        while market.level == 1 and market.phase == COMMIT:
            court.vote(market, 0)
            await desk.look()
        assert "CHALLENGE" in await desk.look() and market.verdict.level == 1 and market.verdict.choice == 0
        court.t = market.deadline
        await desk.look()
        assert market.challenges[0].outcome == "upheld" and court.free("p4") > 999 * CREDIT
        assert mine.library[market.challenges[0].reason] == "the second term is 604"

    at_desk(mine, tmp_path, script)
    court.balanced()


def test_a_dispute_goes_away_with_its_window(tmp_path):
    court = court_of()
    market = judged(court)

    async def script(desk: Desk) -> None:
        await desk.keys("d")
        court.t = market.deadline
        screen = await desk.look()
        assert "no longer in CHALLENGE" in screen and "no bond was posted" in screen and "ID     QUESTION" in screen
        assert "is in SETTLED: a verdict can be disputed in CHALLENGE" in await desk.keys("d")

    at_desk(local(court, "p4"), tmp_path, script)


# ---- S4


def test_s4_waits_reveals_and_imports_a_salt(tmp_path):
    court = court_of()
    markets = [court.market("p0", question=f"Best critique for q-{number}", outcomes=labelled("A", "B", "none")) for number in (76, 77)]
    for market in markets:
        court.to_panel(market)
    me = next(name for name in PEOPLE if all(address(name) in market.panel.seats for market in markets))
    mine, elsewhere = local(court, me), Ballots(tmp_path / "elsewhere")
    place = place_of(mine, mine.view().find(markets[0].id))
    vote = elsewhere.sign(place, 1, 8000, 0)
    mine.commit(markets[0].id, 0, 0, vote.commitment(place))

    async def script(desk: Desk) -> None:
        await desk.keys("enter")
        await desk.read_all()
        await desk.keys("v", "1", "tab", "right", "enter", "escape", "r", "A")
        same("s4_queue", desk.screen)
        assert "SALT FILE MISSING" in desk.screen and "opens in" in desk.screen and "waiting" in desk.screen
        assert "votes are revealed in REVEAL" in await desk.keys("enter")
        assert "Nothing is open now" in await desk.keys("r")
        court.t = max(market.deadline for market in markets)
        same("s4_open", await desk.look())
        assert "opens now" in desk.screen and "[reveal]" in desk.screen
        assert "import" in desk.flat(await desk.keys("r")), "one is revealed, the other one's salt is missing"
        assert markets[1].panel.ballots[address(me)].choice is not None
        await desk.keys("i")
        await desk.type(str(tmp_path / "none"))
        assert "is no salt file of this vote" in desk.flat(await desk.keys("enter"))
        await desk.keys("i")
        await desk.type(str(elsewhere.path(place)))
        assert "opens the commitment" in desk.flat(await desk.keys("enter"))
        assert "revealed." in await desk.keys("enter") and markets[0].panel.ballots[address(me)].choice == 1
        assert "nothing is committed" in desk.screen

    at_desk(mine, tmp_path, script)


# ---- S6


def test_s6_exports_votes_that_no_spreadsheet_runs(tmp_path):
    court = court_of()
    market = court.market("p0", outcomes=labelled('=HYPERLINK("x")', "B"))
    court.to_panel(market)
    me = judges(market)[0]
    court.vote(market, 0)
    court.expire(market)
    mine = local(court, me)

    async def script(desk: Desk) -> None:
        assert "MY RECORD (epoch 1)" in await desk.keys("e") and "80-90% 1/1" in desk.screen
        screen = await desk.keys("x")
        assert "Written to" in screen

    at_desk(mine, tmp_path, script)
    text = (tmp_path / "judge-record-epoch-1.csv").read_text()
    assert text == table(mine.view().record) and f"1,{market.id.hex()},0," in text and "'=HYPERLINK" in text and ",coherent" in text
