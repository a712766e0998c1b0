"""Judging on a live swarm by real commands: the screens in a real terminal (tmux), with six voters whose programs judge.

    python -m pytest -m slow tests/test_judge_live.py                  about seven minutes on two cores
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time

import live
import pytest
from test_swarm import wait_for

VOTERS = [f"v{number}" for number in range(6)]
TRADE = """
import dataclasses, sys, time
from judge import events
from judge.terms import CREDIT
from swarm import seat, voting
with voting.opened(dataclasses.replace(voting.of_seat(seat.newest()), stake=0)) as court:
    room, bought = court.room, []
    print("connected", flush=True)
    end = time.monotonic() + 100
    while not bought and time.monotonic() < end:
        time.sleep(0.2)
        with room.reading() as state:
            found = [one.id for one in state.markets.values() if one.phase == "OPEN" and room.now() + 1000 < one.deadline]
        for market in found:
            bought.append(room.send(room.sign(events.Trade, market=market, nonce=1, side="buy", outcome=0, amount=CREDIT)))
    while bought and room.sent(bought[0]).state == "waiting" and time.monotonic() < end:
        time.sleep(0.1)
    sys.exit(not bought or room.sent(bought[0]).state != "receipt")
"""


def staked(swarm: live.Swarm, name: str) -> bool:
    """Whether a voter can be drawn: its program has nothing to wait for."""
    return any(row["event"] == "ready" for row in swarm.told(name))


def rows(swarm: live.Swarm, names: list[str], event: str, market: str) -> list[str]:
    return [name for name in names if any(row["event"] == event and row.get("market") == market for row in swarm.told(name))]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_a_person_without_a_node_judges_on_the_screens_through_a_claim_and_a_dispute(tmp_path):
    with live.swarm(tmp_path, "live", VOTERS) as swarm:
        person = live.Terminal(tmp_path / "ann", *swarm.first("ann"))
        try:
            person.until(r"swarm judge   you: [a-z]+-[a-z]+", 90)
            person.has("No markets need you.", "auto-reveal is ON and a bell rings when you are drawn.", "e epoch record")
            person.until(r"stake 100\.00", 60)
            wait_for(lambda: all(staked(swarm, name) for name in VOTERS), swarm.commands, 90)

            bought = _bought(swarm)
            name = _commit(swarm, person)
            doubtful = swarm.ask("Which of these is right? You are wrong at first")
            _reveal(swarm, person, name)
            _claim(person, bought)
            _dispute(swarm, person, doubtful)
            person.keys("q")
            person.until(r"ended with 0", 40)
        finally:
            (tmp_path / "frames.txt").write_text("\n\n".join(person.frames))
            person.close()


def _bought(swarm: live.Swarm) -> str:
    """A market in which the person has a share of what is right; there is no verb for it."""
    trader = subprocess.Popen([sys.executable, "-c", TRADE], env=os.environ | {"SWARM_HOME": str(swarm.folder / "ann")}, stdout=subprocess.PIPE)
    assert trader.stdout.readline() == b"connected\n"
    name = swarm.ask("Which of these is right, for a trader?")
    assert trader.wait(120) == 0
    return name


def _claim(person: live.Terminal, name: str) -> None:
    """The panel has found right what was bought: it pays."""
    person.keys("o")
    person.until(rf"{name} +Which of these.*SETTLED +- +\+1\.00 claim", 60)
    person.has("c claim all")
    person.keys("c")
    person.until(r"Claimed \+1\.00 in 1 market\.", 30)
    person.keys("Escape")


def _commit(swarm: live.Swarm, person: live.Terminal) -> str:
    """List, read, vote and commit, on a market that drew the person; its name."""
    asked = [swarm.ask(f"Which of these is right, number {number}?") for number in range(3)]
    name = person.until(r"^ [> ] (m-[0-9a-f]{4,}) .*VOTE +\d\d:\d\d +seat x[1-3] *!", 120)[1]
    assert name in asked
    person.has(" ID     QUESTION", "PHASE", "ENDS IN", "need you (!).", "Unrevealed votes lose 5% of the seat stake.")
    person.keys(*["k"] * 9, "Enter")
    name = person.until(r"^ (m-[0-9a-f]{4,})  phase VOTE  ends in \d\d:\d\d", 10)[1]
    person.has("Q: Which of these is right, number", "OUTCOME (order shuffled for you)", "hidden until you commit")
    person.has("INVALID question", "EVIDENCE 0 accepted")
    number = re.search(r'^ [> ](\d) +"this one is r', person.frames[-1], re.MULTILINE)[1]
    for _ in range(3):
        person.keys("Enter")
        person.until(rf"^ ?{name}: answer [1-3]", 10)
        person.keys("Escape")
        person.until(r"OUTCOME \(order shuffled for you\)", 10)
        person.keys("j")
    person.keys("v")
    person.until(rf"^ VOTE on {name} ", 10)
    person.until(r"Read 3 of 3 answers, 0 of 0 evidence\.", 10)
    person.has("How sure are you?", "At risk:", "Wrong -10%, not revealed -5%.", "Enter sign and commit")
    person.keys(number)
    person.until(rf"You sign: {number} this one is right", 10)
    person.keys("Tab", *["Right"] * 5)
    person.until(r"\[80\] 90 95", 10)
    person.keys("Enter")
    person.until(rf"{name}: committed\.  The vote and its salt are in", 15)
    person.keys("Escape", "Escape", "r")
    person.until(r"^ REVEAL +auto-reveal: ON \(this process\)", 10)
    person.until(rf'{name} L0  committed {number} "this one', 10)
    return name


def _reveal(swarm: live.Swarm, person: live.Terminal, name: str) -> None:
    """It opens by itself, with the queue on the screen."""
    number = re.search(rf"{name} L0  committed (\d)", person.frames[-1])[1]
    person.until(r"nothing is committed and unrevealed", 90)
    person.keys("Escape")
    person.until(rf"{name} .*CHALLENGE +\d\d:\d\d +voted {number} ok", 60)
    person.until(rf"{name} .*SETTLED +- +voted {number} ok", 90)
    (vote,) = [each for each in (swarm.folder / "ann" / "votes").glob("*.json") if each.name.startswith(name[2:])]
    assert json.loads(vote.read_text())["revealed"]


def _dispute(swarm: live.Swarm, person: live.Terminal, name: str) -> None:
    """The voters are wrong at first; the person puts up a bond, and the second panel agrees with the person."""
    person.keys("o")
    person.until(rf"{name} .*CHALLENGE +\d\d:\d\d", 300)
    at = [line[3:].split()[0] for line in person.frames[-1].splitlines() if re.match(r" [> ] m-", line)].index(name)
    person.keys(*["k"] * 9, *["j"] * at, "d")
    person.until(rf"DISPUTE {name}: panel said this one is w", 10)
    person.has("Bond: 12.00 (you have", "If the next panel (15 seats) agrees: bond back + 60% of slashed seat stake.")
    person.has("If it does not: you lose the bond.", f"The id is {name}")
    claims = re.search(r"You claim: +(.*)", person.frames[-1])[1]
    place = next(place for place, one in enumerate(re.findall(r"[(\[]([^)\]]+)[)\]]", claims)) if "this one" in one)
    person.keys(*["Right"] * (place + 1), "Tab")
    person.keys("it says so itself", "Enter", name, "Enter")
    person.until(rf"{name}: disputed\.  Your bond of 12\.00 is posted\.", 15)
    asked_again = lambda row: (row["event"], row.get("market"), row.get("level")) == ("asked", name, 1)  # noqa: E731
    wait_for(lambda: any(asked_again(row) for voter in VOTERS for row in swarm.told(voter)), swarm.commands, 120)
    person.until(rf"{name} .*SETTLED", 240)
    said = swarm.value("v0", "judge", "show", name)
    assert (said["verdict"]["level"], said["verdict"]["choice"]) == (1, 0), "the second panel overturned the first one's verdict"

# ---- verbs and programs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_person_without_a_node_judges_by_verbs_with_their_exit_codes(tmp_path):
    with live.swarm(tmp_path, "live", VOTERS[:5]) as swarm:
        code, out, err = swarm.do("bea", *swarm.first("bea"), "list", "--json")
        assert code == 0 and json.loads(out)["markets"] == [], err
        do = lambda *words: swarm.do("bea", "judge", *words)  # noqa: E731 no invite from now on
        assert do("vote", "m-0000=1", "--sure", "80", "--yes")[0] == 2
        until(lambda: "you wait for" not in do("list")[2] and "on its way" not in do("list")[2], 120)
        wait_for(lambda: all(staked(swarm, name) for name in VOTERS[:5]), swarm.commands, 90)

        asked = {swarm.ask(f"Which of these is right, number {number}?") for number in range(3)}
        seen = until(lambda: {one["name"]: one for one in swarm.value("bea", "judge", "list")["markets"] if one["phase"] == "VOTE"}, 120)
        mine, others = [one for one in seen.values() if one["need"] == "vote"], [name for name, one in seen.items() if not one["seats"]]
        name = mine[0]["name"]
        said = swarm.value("bea", "judge", "show", name)
        right, other = (next(number for number, text in said["answers"].items() if word in text) for word in ("right", "neither"))
        assert do("vote", f"{name}={right}", "--sure", "80")[0] == 2, "nothing is signed without --yes"
        assert swarm.value("bea", "judge", "vote", f"{name}={right}", "--sure", "80", "--yes")["choice"] == 0
        if others:
            assert do("vote", f"{others[0]}=1", "--sure", "80", "--yes")[0] in (3, 4), "no seat, or too late by now"
        assert do("claim", name)[0] == 3 and set(seen) <= asked

        revealed = until(lambda: swarm.value("bea", "judge", "reveal")["revealed"], 90)
        assert [one[:4] for one in revealed] == [name[2:6]]
        phase = lambda: swarm.value("bea", "judge", "show", name)["phase"]  # noqa: E731
        dispute = ("dispute", name, "--claim", other, "--reason", "to see", "--yes", "--json")
        code, out, err = until(lambda: (done := do(*dispute))[0] != 3 and done, 90)  # 3: there is no verdict yet
        assert code == 0 and json.loads(out)["bond"] == 12 * 10**18, (out, err)
        until(lambda: phase() == "SETTLED", 240)
        assert swarm.value("bea", "judge", "show", name)["verdict"]["choice"] == 0, "the second panel agrees with the first one"
        assert do("claim", name)[0] == 4 and do("claim")[:2] == (0, "claimed 0.00 in 0 markets\n")
        assert "coherent" in swarm.value("bea", "judge", "record"), "of the epoch that runs now: this verdict may be of an earlier one"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_programs_judge_by_themselves_at_the_pace_of_machines(tmp_path):
    with live.swarm(tmp_path, "local", VOTERS) as swarm:
        wait_for(lambda: all(staked(swarm, name) for name in VOTERS), swarm.commands, 120)
        name = swarm.ask("Which of these is right?")
        said = until(lambda: (one := swarm.value("host", "judge", "show", name))["phase"] in ("SETTLED", "VOID") and one, 150)
        assert said["phase"] == "SETTLED" and said["verdict"]["choice"] == 0
        voted = rows(swarm, VOTERS, "voted", name)
        assert voted and rows(swarm, voted, "revealed", name), "who voted has opened it"
        assert [command.stop() for command in swarm.commands[1:]] == [0] * len(VOTERS), "Ctrl-C is a good end"


def until(condition, seconds: float):
    """What a condition is, once it is something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.5)
    return found
