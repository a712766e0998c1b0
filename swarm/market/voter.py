"""What a person's screens and verbs, and their node, see of a room of the judge market: `RoomCourt`, a `judge.court.Court`.

    court = RoomCourt(room, secret, Ballots(home / "votes"), folder / "reasons")
    court.view()                        see `judge.court.Court`
    court.undelivered(10.0)             what is still on this machine only, before the process ends

What was sent shows in a view at once, though the ledger has it only with its phase's page.
The record, and the texts of evidence, are there for a `Visit` only: a node's own court has no use for them.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from judge import events, plain
from judge.ballots import Ballots, Place, Vote, durable
from judge.court import Texts
from judge.errors import Refused
from judge.ledger import State
from judge.market import ARCHIVED, CHALLENGE, COMMIT, REVEAL, SETTLED, Market
from judge.record import Follower, Record
from judge.terms import Terms
from judge.views import Case, View, cases_of, you_of
from swarm.market.room import OFFLINE_MS, Room
from swarm.market.visit import Visit

SILENT_MS = 15_000  # without an answer of any peer: what is shown is old
REPLAY_MS = 10_000  # between two replays of a log that was played again from an earlier place
AGAIN_MS = 5_000  # before what a host refused is sent again
OVER = 48  # markets that are over and owe nothing, in a view
ON_ITS_WAY = ("waiting", "receipt", "included")

Key = tuple[type, bytes, int, int]  # kind of entry, market, level, roll


@dataclass
class Chronicle:
    """Follows a tape's log, which may be played again from an earlier place: then it begins anew, now and then."""

    terms: Terms
    me: bytes

    def __post_init__(self) -> None:
        self.follower, self._log, self._replayed = Follower(self.terms, self.me), [], 0

    def follow(self, log: list[bytes], now: int) -> None:
        """Take the log as it is now (`now` in ms)."""
        same = log[: len(self._log)] == self._log
        if not same:
            if now - self._replayed < REPLAY_MS:
                return
            self.follower, self._log, self._replayed = Follower(self.terms, self.me), [], now
        self.follower.follow(log[len(self._log) :])
        self._log = log


class RoomCourt:
    """A court over the room of an operator; `secret` is what the room signs with, `reasons` where reasons of disputes are kept."""

    def __init__(self, room: Room, secret: bytes, ballots: Ballots, reasons: Path, name: Callable[[bytes], str] | None = None):
        self.room, self.me, self.chain_id = room, room.actor, room.terms.chain_id
        self._secret, self.ballots, self._reasons, self._name = secret, ballots, reasons, name or plain.short
        self._chronicle = Chronicle(room.terms, self.me) if isinstance(room, Visit) else None
        self._said: dict[Key, tuple[bytes, events.Signed]] = {}
        for data in room.on_its_way() if isinstance(room, Visit) else ():
            self._remember(events.read(data, self.chain_id))
        self._shown: tuple[int, int] = (-1, -1)
        self._cases: tuple[Case, ...] = ()
        self._fresh = room.now()

    # -- looking

    def view(self) -> View:
        self.room.require_alive()
        now = self.room.now()
        if self._chronicle is not None:
            self._chronicle.follow(self.room.entries(), now)
        with self.room.reading() as state:
            mark = (state.count, self.room.told.rewinds)
            if mark != self._shown:
                self._cases, self._shown = cases_of(_shown(state, self.me), self.me, self, self._name), mark
            you, epoch = you_of(state, self.me, self._name, locked=False), state.epoch
        cases = tuple(self._with_sent(case, now) for case in self._cases)
        stale = self._stale_since(now)
        record = self._chronicle.follower.record() if self._chronicle is not None else Record(epoch)
        peers = len(self.room.network.status().heard)
        cases = tuple(sorted(cases, key=lambda case: not case.need))
        return View(now, now if stale is None else stale, you, cases, record, epoch, peers, stale)

    def texts(self, market: bytes) -> Texts:
        found = self.room.texts(market)
        with self.room.reading() as state:
            pieces = tuple(state.markets[market].pieces) if market in state.markets else ()
        evidence = {id: self.piece(id) or "" for id in pieces}
        if found is None:
            return Texts("", (), evidence)
        said, texts = found
        answers = tuple(text or label for text, (label, _, _) in zip(texts, said.outcomes, strict=True))
        return Texts(said.question, answers, evidence)

    def question(self, market: bytes) -> str | None:
        found = self.room.texts(market)
        return found[0].question if found is not None else None

    def piece(self, piece: bytes) -> str | None:
        return self._chronicle.follower.pieces.get(piece) if self._chronicle is not None else None

    def text(self, digest: bytes) -> str | None:
        """A reason of an own dispute."""
        path = self._reasons / f"{digest.hex()}.txt"
        return path.read_text() if path.exists() else None

    # -- saying

    def commit(self, market: bytes, level: int, roll: int, commit: bytes) -> None:
        self._say(events.Commit, market=market, level=level, roll=roll, commit=commit)

    def reveal(self, market: bytes, level: int, roll: int, vote: Vote) -> None:
        said = {"choice": vote.choice, "sure": vote.sure, "agree": vote.agree, "salt": vote.salt}
        self._say(events.Reveal, market=market, level=level, roll=roll, judge=self.me, **said)

    def dispute(self, market: bytes, level: int, claimed: int, bond: int, reason: str) -> None:
        digest = hashlib.sha256(reason.encode()).digest()
        self._reasons.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable(self._reasons / f"{digest.hex()}.txt", reason.encode())
        self._say(events.Dispute, market=market, level=level, claimed=claimed, bond=bond, reason=digest)

    def claim(self, market: bytes) -> None:
        self._say(events.Claim, market=market)

    def derive(self, message: bytes) -> bytes:
        return hmac.digest(self._secret, b"openswarm/1/judge/salt|" + message, "sha256")

    def unlock(self, passphrase: str) -> bool:
        return True  # a session's key lies open beside its node's: it can judge, and move nothing on the chain

    def undelivered(self, timeout_s: float) -> list[str]:
        """Why what was said here is still on this machine only, after waiting for it."""
        end = time.monotonic() + timeout_s
        while True:
            sent = [(event, self.room.sent(id)) for id, event in self._said.values()]
            waiting = [(event, one) for event, one in sent if one is not None and one.state == "waiting"]
            own = isinstance(self.room, Visit) and self.room.has_own_waiting  # stake of a voter without a node
            if not (waiting or own) or time.monotonic() >= end:
                break
            time.sleep(0.1)
        left = [f"{type(event).__name__.lower()} of m-{event.market.hex()[:4]}: {one.sentence or 'nobody answers'}" for event, one in waiting]
        reached = left or not isinstance(self.room, Visit) or self.room.reaches_others(max(1.0, end - time.monotonic()))
        if not reached and any(key[0] is events.Claim for key in self._said):
            left = ["nobody has fetched the claim so far: it goes out with the next `swarm judge`"]
        return left

    def refusals(self) -> list[str]:
        """What hosts said no to, of what was said here."""
        sent = [self.room.sent(id) for id, _ in self._said.values()]
        return [one.sentence for one in sent if one is not None and one.state in ("refused", "late")]

    # -- inside

    def _say(self, kind: type[events.Signed], /, **said: object) -> None:
        key = (kind, said["market"], said.get("level", 0), said.get("roll", 0))
        known = self._said.get(key)
        last = self.room.sent(known[0]) if known is not None else None
        if last is not None and last.state == "refused" and self.room.now() - known[1].t < AGAIN_MS:
            raise Refused("limit", last.sentence or "its host refused this a moment ago")
        with self.room.reading() as state:
            one = state.markets.get(said["market"])
            since = one.since if one is not None else 0
        if known is not None:
            since = max(since, known[1].t + 1)  # of two votes the one that was signed later counts
        entry = self.room.sign(kind, t=max(self.room.now(), since), **said)
        self.room.send(entry)
        self._said[key] = (entry.id, entry.event)

    def _remember(self, entry: events.Entry) -> None:
        event = entry.event
        if isinstance(event, events.Commit | events.Reveal | events.Dispute | events.Claim):
            self._said[type(event), event.market, getattr(event, "level", 0), getattr(event, "roll", 0)] = (entry.id, event)

    def _sent(self, kind: type, market: bytes, level: int = 0, roll: int = 0) -> events.Signed | None:
        """What was said and is on its way, or has its page."""
        known = self._said.get((kind, market, level, roll))
        one = self.room.sent(known[0]) if known is not None else None
        return known[1] if one is not None and one.state in ON_ITS_WAY else None

    def _with_sent(self, case: Case, now: int) -> Case:
        """The case as it will be when what was sent is in the log."""
        if not self._said:
            return case
        if case.state == COMMIT and (said := self._sent(events.Commit, case.id, case.level, case.roll)) is not None:
            return replace(case, commitment=said.commit)
        if case.state == REVEAL and (said := self._sent(events.Reveal, case.id, case.level, case.roll)) is not None:
            return replace(case, choice=said.choice)
        if case.state == CHALLENGE and self._sent(events.Dispute, case.id, case.level) is not None:
            return replace(case, disputed=True)
        if case.state == SETTLED and case.owed and (said := self._sent(events.Claim, case.id)) is not None:
            return replace(case, owed=0) if now - said.t < OFFLINE_MS else case
        return case

    def _stale_since(self, now: int) -> int | None:
        """Since when nothing new can have been heard; None where all is well."""
        room, since = self.room, now
        if isinstance(room, Visit) and now - room.answered > SILENT_MS:
            since = min(since, room.answered or self._fresh)
        if not isinstance(room, Visit) and not room.network.status().heard:
            since = min(since, self._fresh)
        if room.told.trouble or now - room.facts.seen > OFFLINE_MS + room.lag:
            since = min(since, max(room.facts.seen, 1))
        if since == now:
            self._fresh = now
            return None
        return since


@dataclass(frozen=True)
class _Shown:
    """As much of a state as `cases_of` looks at."""

    terms: Terms
    markets: dict[bytes, Market]


def _shown(state: State, me: bytes) -> _Shown:
    """What a person may want to see: all that runs or owes them something, and the latest of what is over. A swarm of machines opens thousands."""
    over = [one for one in state.markets.values() if one.phase in (SETTLED, ARCHIVED) and not one.owed(me)]
    old = {one.id for one in sorted(over, key=lambda one: one.since)[:-OVER]}
    return _Shown(state.terms, {id: one for id, one in state.markets.items() if id not in old})


def waits(state: State, me: bytes) -> list[Place]:
    """Where a vote of this operator, or its opening, would be taken now."""
    found = []
    for one in state.markets.values():
        panel = one.panel if one.phase in (COMMIT, REVEAL) else None
        if panel is not None and panel.drawn and me in panel.seats:
            ballot = panel.ballots.get(me)
            if one.phase == COMMIT or (ballot is not None and ballot.choice is None):
                found.append(Place(state.terms.chain_id, one.id, one.level, one.roll, me))
    return found
