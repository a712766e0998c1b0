"""How a person's judge opens: an operator of this machine, with a node or without, a network that only dials, and a room that hosts nothing.

    with voting.opened(voting.of_run(run, 0), say) as court: ...        a `swarm.market.voter.RoomCourt`
    with voting.opened(voting.of_seat(run), say) as court: ...          of an operator that has no node (`swarm.seat`)

The room signs with the session key of the operator's peer, which can judge and can move nothing on the chain. The network has an identity
made for the moment: the node itself may be on. What the room keeps lies in `$SWARM_HOME/judge/<swarm>/`, votes in `$SWARM_HOME/votes/`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm import enrolment, heartbeat, runs, settings
from swarm.errors import IdentityError, InputError
from swarm.identity import Identity
from swarm.judging import CREDIT, VOTES
from swarm.names import name_of
from swarm.recipe import Recipe
from swarm.runs import Run
from swarm.session import Session
from swarm.stages import Stages

if TYPE_CHECKING:
    from swarm.market.facts import Facts
    from swarm.market.room import Room
    from swarm.market.voter import RoomCourt
    from swarm.tasks.mix import Mix

SESSION_S = 86_400
BOOT_S = 10.0
CATCH_UP_S = 60.0
PLACES = 8  # judges of one swarm that may be open at once


@dataclass(frozen=True)
class Voter:
    """Whose judge it is and where its swarm is. `folder` is its peer's, `boot` members to dial, `stake` wei that its room stakes (0: a node does)."""

    folder: Path
    rules: Recipe
    swarm: bytes
    boot: tuple[str, ...]
    chain: Path  # folder with chain.json and schedule.json
    trusted: bool
    allow_code: str | None = None
    recipe_folder: Path | None = None
    stake: int = 0


class Unmanned(Stages):
    """What a market's scorer needs of the stages: questions and scores, no model."""

    def __init__(self, rules: Recipe, mix: Mix):
        self.recipe, self.mix = rules, mix


def votes() -> Path:
    """The folder of all ballots of this home."""
    return runs.home() / VOTES


def of_run(run: Run, peer: int = 0) -> Voter:
    """The operator of a run's peer. Raises InputError: no market, not on, no such peer."""
    rules = run.recipe()
    if not rules.has_market:
        what = f"the run in {run.folder} has no judge market: its recipe's judge.profile or proof.profile is none"
        raise InputError(what, "start one that has: `swarm up local`, or name its run with --run-dir")
    if not run.on:
        raise InputError(f"the run in {run.folder} is not on", "start it again with the same command, or name another with --run-dir")
    if not 0 <= peer < len(run.peers):
        raise InputError(f"--peer {peer}: the run in {run.folder} has {len(run.peers)} peers", "they count from 0")
    folder = run.peers[peer]
    beats = [heartbeat.read(each / heartbeat.FILE) for each in run.peers]
    boot = [address for beat in beats if beat is not None for address in beat.addresses]
    if not boot or enrolment.read_schedule(run.chain) is None or not (folder / "session.bin").exists():
        raise InputError(f"the run in {run.folder} is still starting", "try again in a minute; `swarm status` says where it is")
    return Voter(folder, rules, bytes.fromhex(run.info.swarm), tuple([*boot, *run.info.boot]), run.chain, **code_of(folder))


def of_seat(run: Run) -> Voter:
    """The operator of a seat that was taken. Raises InputError where it was not taken to the end, or its session is over."""
    folder = run.peer(0)
    try:
        Session.load(folder / "session.bin")
        known = run.recipe_path.exists() and enrolment.read_schedule(run.chain) is not None
    except IdentityError as error:
        raise InputError(str(error), "give --invite again: that signs a new session") from None
    if not known:
        raise InputError(f"the seat in {run.folder} was not taken to the end", "give --invite again: it goes on from there")
    rules = run.recipe()
    where = (folder, rules, bytes.fromhex(run.info.swarm), tuple(run.info.boot), run.chain)
    return Voter(*where, **code_of(folder), stake=rules.judge.stake * CREDIT)


def code_of(folder: Path) -> dict[str, Any]:
    """What a peer may run of its recipe."""
    chosen = settings.load(folder)
    return dict(trusted=chosen.trusted, allow_code=chosen.allow_code, recipe_folder=chosen.recipe_folder)


@contextlib.contextmanager
def opened(voter: Voter, say: Callable[[str], None] = lambda text: None) -> Iterator[RoomCourt]:
    """The court, caught up with its peers as far as they answer. Raises ChainError, NetworkError, InputError."""
    from judge.ballots import Ballots
    from swarm.judging import FOLDER, facts_of, scorer_of
    from swarm.market.guest import Guest
    from swarm.market.visit import Visit, take_over
    from swarm.market.voter import RoomCourt
    from swarm.tasks.mix import Mix

    rules, session = voter.rules, Session.load(voter.folder / "session.bin")
    facts, terms = facts_of(rules, voter.chain, voter.swarm)
    facts.look()
    secret = enrolment.session_key(voter.folder)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_own_folder(voter.swarm))
        network = stack.enter_context(_dialled(voter, folder))
        mix = stack.enter_context(Mix(rules, allow_code=voter.allow_code, trusted=voter.trusted, folder=voter.recipe_folder))
        scorer = scorer_of(rules, Unmanned(rules, mix), facts)
        log = stack.enter_context(open(folder / "log.txt", "a", buffering=1))
        take_over(folder, voter.folder / FOLDER, session.peer, facts.domain)
        around = (network, facts, terms, session.operator, secret, folder, scorer, lambda text: print(text, file=log))
        room = Guest(voter.stake, *around) if voter.stake else Visit(*around)
        stack.enter_context(contextlib.closing(room))
        room.start()
        court = RoomCourt(room, secret, Ballots(votes()), folder / "reasons", lambda operator: title(facts, operator))
        catch_up(room, say)
        if isinstance(room, Guest):
            room.stake()  # at once: a verb's visit is over before its thread would look
        if waiting := waits_for(room):
            say(waiting)
        yield court


def catch_up(room: object, say: Callable[[str], None], timeout_s: float = CATCH_UP_S) -> None:
    """Wait until a room has read and played what its peers have, as far as they answer."""
    end, told = time.monotonic() + timeout_s, time.monotonic() + 3.0
    while not room.caught_up and time.monotonic() < end:
        room.require_alive()
        if time.monotonic() > told:
            say(f"reading the market's log: {room.told.pages} pages")
            told += 5.0
        time.sleep(0.05)


def waits_for(room: Room) -> str:
    """One sentence on what a voter without a node waits for before a panel can draw it; "" for nothing."""
    from swarm.market.guest import Guest

    if not isinstance(room, Guest) or not (what := room.waits_for):
        return ""
    if what == "stake":
        return "you have credits, and your stake is on its way: a panel that is drawn after it is there may have you in it"
    schedule, now = room.facts.schedule, room.now() // 1000
    left = schedule.start + (schedule.epoch_at(now) + 1) * schedule.epoch - now if now >= schedule.start else schedule.start + schedule.epoch - now
    return f"you wait for credits: an epoch gives them when it begins, the next one in {left} s; then they are staked, and panels can draw you"


def title(facts: Facts, operator: bytes) -> str:
    """An operator's two-word name, as `swarm leaderboard` shows it, or its address."""
    peers = facts.peers(operator)
    return name_of(operator, peers[-1]) if peers else f"0x{operator.hex()[:4]}.."


@contextlib.contextmanager
def _own_folder(swarm: bytes) -> Iterator[Path]:
    """A folder that no other process uses: what one reads of the feeds, another one would miss."""

    for number in range(PLACES):
        folder = runs.home() / "judge" / (swarm.hex()[:16] + (f"-{number + 1}" if number else ""))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (lock := runs.claim(folder / "lock")) is not None:
            break
    else:
        raise InputError(f"{PLACES} judges of this swarm are open in {runs.home() / 'judge'}", "close one of them")
    try:
        yield folder
    finally:
        os.close(lock)


@contextlib.contextmanager
def _dialled(voter: Voter, folder: Path) -> Iterator[object]:
    """A network that only dials, under an identity made for the moment."""
    from swarm.network import Network, NetworkSettings

    place = folder / "visit"
    shutil.rmtree(place, ignore_errors=True)
    session = Identity.open_or_create_local(place / "identity").session(voter.swarm, SESSION_S)
    terms = NetworkSettings(boot=voter.boot, client=True, boot_patience=BOOT_S)
    network = Network(session, place / "network", terms)
    try:
        network.start()
        yield network
    finally:
        network.close()
        shutil.rmtree(place, ignore_errors=True)
