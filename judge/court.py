"""Between a person and the judge market: `Court` is all that screens and verbs know, `LocalCourt` the market on a single machine.

    court = LocalCourt(Store(path, terms), me, secret)      or a ledger.Log
    court.view()                                            what to show; cheap, immutable
    commit_due(court, ballots); reveal_due(court, ballots)  what a node does by itself, with or without a screen

A court is used from one thread and its methods return within about a second: one that is backed by a network queues what it sends.
Whatever was taken, or will be, shows up in a later `view()`; a vote is on disk before `commit` is called (see `judge.ballots`), so
`commit_due` can send it again after a crash.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from typing import Protocol

from judge import events, plain
from judge.ballots import Ballots, Place, SaltMissing, Vote
from judge.errors import Refused
from judge.ledger import Log, State
from judge.market import CHALLENGE, CLOSED, COMMIT, FINAL, OPEN, REVEAL, RUNNING, SETTLED, VOID, Market
from judge.record import Follower, Record
from judge.store import Store
from judge.views import Case, View, cases_of, you_of


class Offline(Exception):
    """What was said did not leave this machine. The text says what happens now."""


class Locked(Exception):
    """The key is locked: ask for its passphrase and call `unlock`."""


@dataclass(frozen=True)
class Texts:
    """A market's texts as their authors wrote them, not cleaned: by outcome, and by piece."""

    question: str
    answers: tuple[str, ...]
    evidence: dict[bytes, str]


class Court(Protocol):
    """A judge's window on the market. Methods raise Refused, Offline or Locked; `view`, `texts` and `unlock` raise nothing."""

    me: bytes
    chain_id: int

    def view(self) -> View:
        """What is known now. `view().stale_since` says since when nothing new was heard."""

    def texts(self, market: bytes) -> Texts:
        """Question, answers and evidence in full."""

    def commit(self, market: bytes, level: int, roll: int, commit: bytes) -> None:
        """Send a commitment. The vote behind it is on disk."""

    def reveal(self, market: bytes, level: int, roll: int, vote: Vote) -> None:
        """Send what was committed to."""

    def dispute(self, market: bytes, level: int, claimed: int, bond: int, reason: str) -> None:
        """Put up a bond against a verdict. The reason is public."""

    def claim(self, market: bytes) -> None:
        """Take what one's shares pay."""

    def derive(self, message: bytes) -> bytes:
        """HMAC-SHA256 of a message under the judge's key: salts that can be found again."""

    def unlock(self, passphrase: str) -> bool:
        """Whether the key is open now."""


# ---- what needs nobody to look


@dataclass(frozen=True)
class Sent:
    """What became of one vote: `done`, or a sentence on why not. `case` is its market."""

    case: Case
    done: bool
    sentence: str = ""
    missing: bool = False  # its salt


def place_of(court: Court, case: Case) -> Place:
    """Where this judge's vote on a market belongs now."""
    return Place(court.chain_id, case.id, case.level, case.roll, court.me)


def commit_due(court: Court, ballots: Ballots) -> list[Sent]:
    """Send every vote that was signed and that the ledger does not show: after a crash, or when the network is back."""
    sent = []
    for case in court.view().cases:
        place = place_of(court, case)
        vote = ballots.load(place).vote if case.voting else None
        if vote is None or vote.commitment(place) == case.commitment:
            continue
        sent.append(_tried(case, send_commit, court, ballots, place, vote))
    return sent


def reveal_due(court: Court, ballots: Ballots) -> list[Sent]:
    """Reveal every vote that is due. Needs no screen, so a node calls it too."""
    return [_tried(case, send_reveal, court, ballots, case) for case in court.view().cases if case.need == "reveal"]


def send_commit(court: Court, ballots: Ballots, place: Place, vote: Vote) -> None:
    """Send a vote that is on disk, unless the ledger has it."""
    case, commit = court.view().find(place.market), vote.commitment(place)
    if case is None or (case.level, case.roll, case.commitment) != (place.level, place.roll, commit):
        court.commit(place.market, place.level, place.roll, commit)
    ballots.mark(place, committed=True)


def send_reveal(court: Court, ballots: Ballots, case: Case) -> None:
    """Reveal a vote. Raises SaltMissing where nothing on this machine opens the commitment."""
    place = place_of(court, case)
    derive = None if court.view().you.locked else court.derive
    vote = ballots.opening(place, case.commitment, case.n, derive)
    court.reveal(case.id, case.level, case.roll, vote)
    ballots.mark(place, revealed=True)


def _tried(case: Case, send: Callable[..., None], *args: object) -> Sent:
    try:
        send(*args)
    except SaltMissing as why:
        return Sent(case, False, str(why), missing=True)
    except Refused as why:
        return Sent(case, False, why.sentence)
    except (Offline, Locked) as why:
        return Sent(case, False, str(why))
    return Sent(case, True)


# ---- the market on a single machine


class LocalCourt:
    """A market whose log is here, and whose clock events are made when they are due: the human continuous mode of judge-spec.md 1.3.

    log      a ledger.Log or a store.Store; others may extend it too
    secret   of the operator's key or its session key; None: locked
    now      milliseconds since 1970
    library  full texts by sha256: answers, and reasons of disputes
    resolve  the outcome of a market of kind V by its scorer, or None where it cannot be run here
    open_key the secret behind a passphrase, or None where it is wrong
    name     of an operator, for people
    """

    def __init__(
        self,
        log: Log | Store,
        me: bytes,
        secret: bytes | None = None,
        now: Callable[[], int] = plain.now,
        library: MutableMapping[bytes, str] | None = None,
        resolve: Callable[[Market], int | None] = lambda market: None,
        open_key: Callable[[str], bytes | None] = lambda passphrase: None,
        name: Callable[[bytes], str] = plain.short,
    ):
        self.me, self.chain_id = me, log.state.terms.chain_id
        self.log, self.now, self.library = log, now, {} if library is None else library
        self._secret, self._resolve, self._open_key, self._name = secret, resolve, open_key, name
        self._follower = Follower(log.state.terms, me)
        self._seen: tuple[int, bool] | None = None
        self._view: View | None = None

    @property
    def state(self) -> State:
        """The log's."""
        return self.log.state

    # -- looking

    def view(self) -> View:
        """After everything that is due now."""
        self.tick()
        t, mark = self.now(), (self.state.count, self._secret is None)
        if self._view is None or mark != self._seen:
            self._seen, self._view = mark, self._looked(t)
        return replace(self._view, at=t, taken=t)

    def texts(self, market: bytes) -> Texts:
        """Question, answers (in full where the library has them) and evidence."""
        one = self.state.markets[market]
        answers = tuple(self.text(digest) or label if digest else label for label, digest, _ in one.outcomes)
        return Texts(self.question(market) or "", answers, {id: self.piece(id) or "" for id in one.pieces})

    def question(self, market: bytes) -> str | None:
        return self._follower.questions.get(market)

    def piece(self, piece: bytes) -> str | None:
        return self._follower.pieces.get(piece)

    def text(self, digest: bytes) -> str | None:
        """A text of the library, if it is the one that its digest names."""
        text = self.library.get(digest)
        return text if text is not None and hashlib.sha256(text.encode()).digest() == digest else None

    def record(self) -> Record:
        """The operator's present epoch."""
        return self._follower.record()

    # -- saying

    def commit(self, market: bytes, level: int, roll: int, commit: bytes) -> None:
        self._say(events.Commit, market=market, level=level, roll=roll, commit=commit)

    def reveal(self, market: bytes, level: int, roll: int, vote: Vote) -> None:
        said = {"choice": vote.choice, "sure": vote.sure, "agree": vote.agree, "salt": vote.salt}
        self._say(events.Reveal, market=market, level=level, roll=roll, judge=self.me, **said)

    def dispute(self, market: bytes, level: int, claimed: int, bond: int, reason: str) -> None:
        digest = hashlib.sha256(reason.encode()).digest()
        self._say(events.Dispute, market=market, level=level, claimed=claimed, bond=bond, reason=digest)
        self.library[digest] = reason

    def claim(self, market: bytes) -> None:
        self._say(events.Claim, market=market)

    def derive(self, message: bytes) -> bytes:
        return hmac.digest(self._key(), b"openswarm/1/judge/salt|" + message, "sha256")

    def unlock(self, passphrase: str) -> bool:
        self._secret = self._secret or self._open_key(passphrase)
        return self._secret is not None

    # -- time

    def tick(self) -> None:
        """Make every clock event that is due, one after the other."""
        waiting: set[bytes] = set()  # draws that wait for stake
        while True:
            t = self.now()
            found = [(one.deadline, one.id, event) for one in self.state.markets.values() if (event := self._due(one, t))]
            found = [row for row in found if row[1] not in waiting]
            if not found:
                return
            _, market, event = min(found, key=lambda row: row[:2])
            try:
                self.log.extend(events.write(event, self.chain_id))
            except Refused as why:
                if why.reason != "early":
                    raise
                waiting.add(market)

    def _due(self, market: Market, t: int) -> events.Event | None:
        """The clock event that a market waits for."""
        about, over, phase = {"market": market.id, "t": max(t, market.since)}, t >= market.deadline, market.phase
        if phase in RUNNING and t >= market.ends:
            return events.Timeout(**about)
        if phase == OPEN and over:
            return events.RoundEnd(**about, seed=self.state.head)
        if phase == CLOSED and market.kind == "V" and not market.by_panel:
            outcome = self._resolve(market)
            return None if outcome is None else events.Resolve(**about, outcome=outcome)
        if phase == CLOSED or (phase == COMMIT and not market.panel.drawn):
            return events.Draw(**about, seed=self.state.head)
        if phase == COMMIT and (over or all(judge in market.panel.ballots for judge in market.panel.seats)):
            return events.Close(**about)
        if phase == REVEAL and (over or all(ballot.choice is not None for ballot in market.panel.ballots.values())):
            return events.Tally(**about)
        if phase == CHALLENGE and (over or market.level + 1 == len(self.state.terms.seats)):
            return events.Expire(**about)
        if phase in (FINAL, VOID):
            return events.Settle(**about)
        return events.Sweep(**about) if phase == SETTLED and over else None

    # -- inside

    def _say(self, kind: type[events.Signed], market: bytes, **said: object) -> None:
        secret = self._key()
        self.tick()
        one = self.state.markets.get(market)
        event = kind(actor=self.me, t=max(self.now(), one.since if one else 0), market=market, **said)
        self.log.extend(events.write(event, self.chain_id, secret))

    def _key(self) -> bytes:
        if self._secret is None:
            raise Locked("the key is locked: its passphrase is needed to sign")
        return self._secret

    def _looked(self, t: int) -> View:
        self._follower.follow(self._entries(self._follower.state.count))
        you = you_of(self.state, self.me, self._name, self._secret is None)
        cases = cases_of(self.state, self.me, self, self._name)
        return View(at=t, taken=t, you=you, cases=cases, record=self.record(), epoch=self.state.epoch)

    def _entries(self, after: int) -> Iterator[bytes]:
        if isinstance(self.log, Store):
            yield from (data for _, _, data in self.log.entries(after))
        else:
            yield from self.log.entries[after:]
