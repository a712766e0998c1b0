"""The judge market's screens when something is wrong, small, hostile or locked; and that no key costs anything by itself."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from courts import address, key, refused
from seats import (
    LIBRARY,
    PEOPLE,
    QUESTION,
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

from judge import plain
from judge.court import LocalCourt, Offline
from judge.tui import notices
from judge.tui.app import JudgeApp, run


@pytest.fixture(autouse=True)
def _zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("NO_COLOR", "1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# ---- E1 to E7


def test_e1_says_when_the_next_panel_is_drawn(tmp_path):
    court = court_of()
    court.market("p0", question="Best answer for q-80")

    async def script(desk: Desk) -> None:
        same("e1_empty", desk.screen)
        assert "No markets need you.  Next panel draw in 10:00 (0 of your 20 units" in desk.screen
        assert "q-80" in await desk.keys("o") and "No markets need you." in await desk.keys("escape")

    at_desk(with_names(local(court, "p4")), tmp_path, script)


def test_the_bell_rings_once_when_one_is_drawn(tmp_path):
    court = court_of()
    market = court.market("p0", question=QUESTION)
    rung = []

    async def script(desk: Desk) -> None:
        desk.app.bell = lambda: rung.append(court.t)
        await desk.look()
        assert not rung
        court.end_rounds(market)
        for _ in range(3):
            await desk.look()
        assert len(rung) == 1 and "!" in desk.screen

    at_desk(local(court, "p4"), tmp_path, script)


class Away(LocalCourt):
    """A court whose network is gone since `since`."""

    since: int | None = None

    def view(self):
        view = super().view()
        return view if self.since is None else replace(view, stale_since=self.since, taken=self.since, peers=0)

    def commit(self, *args):
        if self.since is not None:
            raise Offline("no peers: the vote is signed and goes out when they are back")
        super().commit(*args)


def test_e2_offline_keeps_the_vote_and_sends_it_later(tmp_path):
    court = court_of()
    market = voting(court)
    me = judges(market)[0]
    mine = Away(court.log, address(me), key(me)[0], now=lambda: court.t, library=dict(LIBRARY))

    async def script(desk: Desk) -> None:
        await desk.keys("enter")
        await desk.read_all()
        mine.since = court.t
        court.t += 40_000
        await desk.look()
        screen = await desk.keys("v", "1", "tab", "right", "enter")
        assert "goes out when they are back" in screen and address(me) not in market.panel.ballots
        same("e2_offline", await desk.keys("escape", "escape"))
        assert (
            "No peers for 40 s." in desk.screen
            and "(stale)" in desk.screen
            and f"commit for {desk.app.view.find(market.id).name} must" in desk.screen
        )
        mine.since = None
        screen = await desk.keys("R")
        assert "No peers" not in screen and address(me) in market.panel.ballots

    at_desk(with_names(mine), tmp_path, script)


def test_e3_a_ballot_whose_market_moved_on(tmp_path):
    court = court_of()
    market = voting(court)
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        await desk.keys("v")
        for judge in court.seated(market):
            if judge != me:
                court.commit(market, judge, 0)
        court.t = market.deadline
        mine.tick()
        court.t += 6000
        same("e3_wrong_phase", await desk.look())
        assert "moved to REVEAL 6 s ago. Your draft was not committed; your seats lose 5%." in desk.flat(desk.screen)
        assert "is in REVEAL: votes are taken in VOTE only" in await desk.keys("v")

    mine = with_names(local(court, me))
    at_desk(mine, tmp_path, script)
    case = mine.view().find(market.id)
    assert "no penalty" in notices.wrong_phase(local(court, "p5").view(), local(court, "p0").view().find(market.id)) and case.you == "too late"


def test_e4_a_locked_key_has_three_tries(tmp_path):
    court = court_of()
    voting(court)

    async def right(desk: Desk) -> None:
        same("e4_locked", desk.screen)
        assert "Passphrase: *****" in await desk.type("wrong")
        assert "Wrong.  2 tries left" in await desk.keys("enter") and "wrong" not in desk.screen
        await desk.type("right")
        assert "ID     QUESTION" in await desk.keys("enter")

    def locked() -> LocalCourt:
        return local(court, "p4", secret=None, open_key=lambda passphrase: key("p4")[0] if passphrase == "right" else None)

    at_desk(locked(), tmp_path, right)
    desk = Desk(locked(), tmp_path)

    async def session() -> None:
        async with desk.app.run_test(size=(80, 24)) as desk.pilot:
            await desk.pilot.pause()
            for _ in range(3):
                await desk.pilot.press("x", "enter")
                await desk.pilot.pause(0.05)

    asyncio.run(session())
    assert desk.app.return_code == 6


def test_a_locked_key_is_asked_for_again_when_something_is_signed(tmp_path):
    court = court_of()
    market = voting(court, evidence=False)
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        await desk.keys("escape", "enter")
        await desk.read_all()
        await desk.keys("v", "1", "tab", "right", "enter")
        assert "is locked" in desk.screen and address(me) not in market.panel.ballots
        assert "nothing was signed" in await desk.keys("escape")
        await desk.keys("enter")
        await desk.type("right")
        assert "committed." in await desk.keys("enter") and address(me) in market.panel.ballots

    at_desk(local(court, me, secret=None, open_key=lambda text: key(me)[0] if text == "right" else None), tmp_path, script)


def test_e5_who_is_in_conflict_or_was_not_drawn_cannot_vote(tmp_path):
    court = court_of()
    market = voting(court)
    screens = {}

    def script_of(name: str):
        async def script(desk: Desk) -> None:
            await desk.keys("o")
            screens[name] = desk.flat(await desk.keys("v"))
            if name == "p3":
                same("e5_conflict", desk.screen)

        return script

    spare = next((name for name in PEOPLE[4:] if name not in judges(market)), None)
    for name in filter(None, ("p0", "p1", "p2", "p3", spare)):
        at_desk(local(court, name), tmp_path / name, script_of(name))
    assert "opened it" in screens["p0"] and "traded in it" in screens["p3"] and "brought evidence" in screens["p2"]
    assert re.search(r"You cannot judge m-\w+: 0x\w+\.\. wrote answer [123]\.", screens["p1"])
    assert market.panel.ballots == {}


def test_e7_too_small_and_back_again_and_every_size_above(tmp_path):
    court = court_of()
    several(court)

    async def script(desk: Desk) -> None:
        wide = await desk.keys("enter")
        await desk.pilot.resize_terminal(64, 20)
        await desk.rest()
        assert "judge needs 80x24 (now 64x20).  Make the window" in desk.screen
        await desk.pilot.resize_terminal(60, 10)
        await desk.rest()
        assert "(now 60x10)" in desk.screen
        await desk.pilot.resize_terminal(80, 24)
        await desk.rest()
        assert desk.screen == wide
        for size in ((81, 25), (120, 40), (240, 70)):
            await desk.pilot.resize_terminal(*size)
            await desk.rest()
            lines = desk.screen.split("\n")
            assert len(lines) == size[1] and len(lines[2]) == size[0] - 1 and "Esc back" in lines[-1]

    at_desk(local(court, "p4"), tmp_path, script)


def test_e6_without_a_terminal(capsys):
    assert run(lambda: pytest.fail("the court is not even opened"), Path("/nonexistent")) == 2
    assert "no terminal; use `--vote m-0412=3 --sure 80 --yes` or `--json`" in capsys.readouterr().err


# ---- safety


KEYS = [*(chr(code) for code in range(33, 127)), "enter", "tab", "space", "up", "left", "backspace", "delete", "f1", "home", "ctrl+a"]


@pytest.mark.parametrize("way", [(), ("enter",), ("d",), ("r",), ("e",)], ids=["S1", "S2", "S5", "S4", "S6"])
def test_no_single_key_costs_anything(tmp_path, way):
    court = court_of()
    market = judged(court)
    before, leaves = court.state.count, {"q"} if way != ("d",) else set()

    async def script(desk: Desk) -> None:
        await desk.keys(*way)
        for one in KEYS:
            if one in leaves:
                continue
            await desk.pilot.press(one)
            await desk.pilot.pause()
            while len(desk.app.screen_stack) > 2 + len(way):
                desk.app.pop_screen()
                await desk.pilot.pause()
        await desk.rest()

    at_desk(local(court, "p4"), tmp_path, script)
    assert court.state.count == before and not market.challenges


HOSTILE = "[red]owned[/red] [@click=app.quit]x[/] \x1b[31mred\x1b]0;title\x07 \u202eabc\u202c \u200bzero \x9b2J end\ud800"


def test_hostile_text_is_plain_text(tmp_path):
    court = court_of()
    bad = HOSTILE.replace("\ud800", "")
    market = voting(
        court,
        question="[bold]Which[/bold] $(rm -rf) {answer}?",
        outcomes=labelled("[red]1[/red]", "[@click=app.quit]2[/]", texts={"[red]1[/red]": bad}),
    )
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        assert "[bold]Which[/bold] $(rm -rf) {answer}?" in desk.screen
        screen = await desk.keys("enter")
        assert '"[red]1[/red]"' in screen and '"[@click=app.q' in screen
        shown = []
        for _ in range(2):
            shown.append(await desk.keys("enter"))
            await desk.keys("escape", "down")
        shown = next(screen for screen in shown if "owned" in screen)
        assert "[red]owned[/red] [@click=app.quit]x[/] [31mred]0;title abc zero 2J end" in shown
        for screen in (desk.screen, *shown):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b\ud800-\udfff]", screen)

    mine = local(court, me, library={hashlib.sha256(bad.encode()).digest(): bad})
    mine._name = lambda one: HOSTILE
    at_desk(mine, tmp_path, script)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u200b\ud800]", plain.clean(HOSTILE)) and plain.line("a\tb\n c") == "a b c"


@pytest.mark.parametrize(
    "question",
    ["x" * 2**20, "\x1b[31mred", "right \u202e to left", "zero\u200bwidth", "nul\x00"],
    ids=["1 MB", "escape", "bidi", "zero width", "nul"],
)
def test_the_core_refuses_what_no_screen_should_see(question):
    court = court_of()
    refused(court, "malformed", court.market, "p0", question=question)
    market = court.market("p0")
    refused(court, "malformed", court.evidence, market, "p2", question)


def test_a_wide_or_stacked_text_keeps_the_columns(tmp_path):
    court = court_of()
    market = voting(court, evidence=False, question="\u4f60\u597d" * 60, outcomes=labelled("\u4f60" * 40, "a" + "\u0301" * 60))
    me = judges(market)[0]

    async def script(desk: Desk) -> None:
        row = next(line for line in desk.screen.split("\n") if "> m-" in line)
        assert plain.cell_len(row) <= 80 and "VOTE      10:00     seat" in row
        screen = await desk.keys("enter")
        assert all(plain.cell_len(line) <= 80 for line in screen.split("\n")) and "\u0301" * 4 not in screen

    at_desk(local(court, me), tmp_path, script)


def test_help_names_every_key(tmp_path):
    court = court_of()

    async def script(desk: Desk) -> None:
        same("help", await desk.keys("question_mark"))
        assert "Claim what all settled markets owe you" in desk.screen

    at_desk(local(court, "p4"), tmp_path, script)
    for screen in JudgeApp.__mro__:
        for binding in vars(screen).get("BINDINGS", ()) if screen.__module__.startswith("judge") else ():
            assert binding.tooltip


CRASH = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from seats import court_of, local
from judge.tui.app import run
court = local(court_of(), "p4")
view, looks = court.view, []
def broken():
    looks.append(1)
    if len(looks) > 3:
        raise RuntimeError("the court fell down")
    return view()
court.view = broken
raise SystemExit(run(lambda: court, Path({home!r})))
"""


def test_the_terminal_is_restored_after_an_exception(tmp_path):
    code = CRASH.format(tests=str(Path(__file__).parent), home=str(tmp_path / "votes"))
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    written = b""
    try:
        while True:
            written += os.read(master, 65536)
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(master)
        child.kill() if child.poll() is None and child.wait(20) is None else None
    assert child.wait(20) == 1
    assert b"\x1b[?1049h" in written and written.rindex(b"\x1b[?1049l") > written.rindex(b"\x1b[?1049h"), "the alternate screen was left"
    assert written.rindex(b"\x1b[?25h") > written.rindex(b"\x1b[?25l"), "the cursor is back"
    assert b"the court fell down" in written[written.rindex(b"\x1b[?1049l") :]
