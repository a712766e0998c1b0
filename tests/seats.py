"""A judge at the terminal, to test with: a market of people and a hand-moved clock (`courts`), one of them with a ballot box and the screens."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from courts import Court, address, key

from judge import events, plain
from judge.ballots import Ballots
from judge.court import LocalCourt
from judge.market import Market
from judge.terms import CREDIT, WAD, Durations, Terms
from judge.tui.app import JudgeApp

SLOW = Durations(600_000, 1, 600_000, 300_000, 48_000)  # milliseconds: minutes, so that the screens have something to count down
PEOPLE = tuple(f"p{number}" for number in range(8))
QUESTION = 'Which answer solves "chain_sum #8812"?'
ANSWER = "The sum is 1189.\nIt follows from the terms 585 and 604."
VECTORS = Path(__file__).parent / "vectors" / "tui"


def terms(**changes) -> Terms:
    return Terms(machine=SLOW, human=SLOW, **changes)


def court_of(people=PEOPLE, **changes) -> Court:
    return Court(people, terms=terms(**changes))


def labelled(*labels: str, texts: dict[str, str] | None = None, authors: dict[str, tuple[str, ...]] | None = None) -> tuple:
    """Outcomes; `texts`: the full answer behind a label."""
    digest = {label: hashlib.sha256(text.encode()).digest() for label, text in (texts or {}).items()}
    return tuple((label, digest.get(label, b""), tuple(address(name) for name in (authors or {}).get(label, ()))) for label in labels)


LIBRARY = {hashlib.sha256(ANSWER.encode()).digest(): ANSWER}
THREE = labelled("1189", "1198", "none of these", texts={"1189": ANSWER}, authors={"1198": ("p1",)})


def voting(court: Court, evidence: bool = True, **fields) -> Market:
    """A market in VOTE, opened by p0, with an answer by p1, evidence by p2 and a trade of p3."""
    market = court.market("p0", **{"question": QUESTION, "outcomes": THREE, **fields})
    if evidence:
        court.evidence(market, "p2", "the second term is 604, not 640", mark=62 * WAD // 100)
        court.evidence(market, "p2", "a unit check that fails on the third line", mark=31 * WAD // 100)
    court.trade(market, "p3", 0, 10 * CREDIT)
    court.to_panel(market)
    return market


def judges(market: Market) -> list[str]:
    """Names of who sits in the present panel, the one with most seats first."""
    seats = market.panel.seats
    return sorted((name for name in PEOPLE if address(name) in seats), key=lambda name: (-seats[address(name)], name))


def local(court: Court, name: str, **more) -> LocalCourt:
    """A person's window on the market."""
    given = {"now": lambda: court.t, "library": dict(LIBRARY), **more}
    secret = given.pop("secret", key(name)[0])
    return LocalCourt(court.log, address(name), secret, **given)


def with_names(mine: LocalCourt) -> LocalCourt:
    """The same court, with names as a shell gives them."""
    people = {address("p4"): "swift-owl-7f3a", address("p2"): "keen-fox", address("p1"): "calm-elk"}
    mine._name = lambda one: people.get(one, plain.short(one))
    return mine


def heard(court: Court, market: Market, choices: dict[str, int] | int) -> None:
    """All judges commit and reveal, in the order of their names: the log, and so every later draw, is the same in every run."""
    votes = {name: choices if isinstance(choices, int) else choices[name] for name in sorted(judges(market))}
    for name, choice in votes.items():
        court.commit(market, name, choice)
    court.wait(market)
    court.due(events.Close, market=market.id)
    for name, choice in votes.items():
        court.reveal(market, name, choice)
    court.wait(market)
    court.due(events.Tally, market=market.id)


def several(court: Court) -> tuple:
    """Markets of all phases for p4: (vote, settled with a claim)."""
    old = court.market("p0", question="Best answer for q-75", outcomes=labelled("A", "B"))
    court.trade(old, "p4", 1, 5 * CREDIT)
    court.end_rounds(old)
    court.draw(old)
    heard(court, old, 1)
    court.expire(old)
    court.settle(old)
    vote = voting(court)
    court.market("p0", question="Will checkpoint c-19 beat c-18?", outcomes=labelled("yes", "no"))
    return vote, old


def judged(court: Court) -> tuple:
    """A market in CHALLENGE in which p4 voted otherwise than the panel. (market, p4's number of what the panel said)"""
    market = voting(court)
    others = [name for name in judges(market) if name != "p4"]
    heard(court, market, {**dict.fromkeys(others, 1), "p4": 0})
    return market


class Desk:
    """The screens of one person, driven by keys. Nothing is refreshed unless asked."""

    def __init__(self, court: LocalCourt, home: Path):
        self.court, self.home = court, home
        self.app = JudgeApp(lambda: court, home / "votes", key_file="$SWARM_HOME/key.json", period=0)
        self.pilot = None

    @property
    def ballots(self) -> Ballots:
        return self.app.ballots

    @property
    def screen(self) -> str:
        """What is on the screen."""
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return "\n".join(strip.text.rstrip() for strip in strips)

    @staticmethod
    def flat(screen: str) -> str:
        """A screen as one line, to find sentences that were wrapped."""
        return " ".join(screen.split())

    async def rest(self) -> None:
        """Until nothing is going on any more, people being waited for aside."""
        for _ in range(3):
            await self.pilot.pause()
            while any(worker.is_running and worker.group in ("look", "read") for worker in self.app.workers):
                await asyncio.sleep(0.005)
            await self.app.clerk(int)  # what was asked of the clerk before is done
        await self.pilot.pause()

    async def keys(self, *keys: str) -> str:
        """Press keys, one after the other, each seen before the next."""
        for one in keys:
            await self.pilot.press(one)
            await self.rest()
        return self.screen

    async def type(self, text: str) -> str:
        await self.pilot.press(*["space" if one == " " else "minus" if one == "-" else one for one in text])
        await self.rest()
        return self.screen

    async def look(self) -> str:
        """As the clock does once a second."""
        await self.app.look()
        await self.rest()
        return self.screen

    async def read_all(self) -> str:
        """Open every answer and piece of evidence of the market on the screen."""
        rows = self.app.screen.query_one("Rows").rows
        keys = [row.key for row in rows if row.key and row.key != "question"]
        for place in range(len(keys)):
            await self.keys("enter", "escape", *(["down"] if place + 1 < len(keys) else []))
        return self.screen


def at_desk(court: LocalCourt, home: Path, script: Callable[[Desk], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> Desk:
    """Run a script of keys at a person's terminal."""
    desk = Desk(court, home)

    async def session() -> None:
        async with desk.app.run_test(size=size) as desk.pilot:
            await desk.rest()
            await script(desk)

    asyncio.run(session())
    return desk


def same(name: str, screen: str) -> None:
    """Compare a screen with the stored one, cell by cell; every line fits 80 columns of ASCII."""
    lines = screen.split("\n")
    assert len(lines) == 24 and max(map(len, lines)) <= 80 and screen.isascii(), screen
    stored = VECTORS / f"{name}.txt"
    if not stored.exists():
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(screen + "\n")
        raise AssertionError(f"{stored} was not there: look at it, and keep it")
    assert screen + "\n" == stored.read_text(), f"{stored} differs; now it is:\n{screen}"
