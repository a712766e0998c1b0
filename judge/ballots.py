"""A judge's own votes on disk: what was chosen, and the salt without which no commitment can be revealed.

    ballots = Ballots(home / "votes")
    ballots.draft(place, Draft(choice=2))                  kept while the person makes up their mind
    ballots.sign(place, vote, key)                         on disk and synced when it returns; only then may the commitment be sent

One file per market, level, roll and judge (several may share a home), mode 0600: written beside, fsynced, renamed. A vote that
replaces another one keeps it under `earlier`, since the ledger may only ever see the first.

Where the specification is silent: the salt is 32 random bytes; with a `derive` (HMAC of the judge's key) it is
HMAC(key, market | level | roll), and a lost file can be found again by trying all votes, sure in whole per cents and agree in tens
(`recover`). A later vote of the same place appends its number to what is hashed, so that no salt is used twice. `agree` 0 means that
nothing was said about it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from judge.events import ABSTAIN
from judge.panel import commitment

Derive = Callable[[bytes], bytes]

NOTE = 2000  # characters
FILE_MOST = 2**20
PERCENT = 100  # bps
USUAL = (80, 70, 60, 90, 95, 50, 40)  # what people are sure of, in per cent, in the order that recovery tries
AGREES = tuple(range(0, 101, 10))  # the share that will agree, in per cent: no finer, or recovery would take minutes


class SaltMissing(Exception):
    """There is a commitment, and no file that opens it. The text says what to do."""


class Place(NamedTuple):
    """Where a vote belongs."""

    chain_id: int
    market: bytes
    level: int
    roll: int
    judge: bytes

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.market.hex()}.{self.level}.{self.roll}.{self.judge[:4].hex()}.json"


@dataclass(frozen=True)
class Vote:
    """What is committed to: a choice of the ledger (n: INVALID, 255: abstain), how sure, the share that will agree (bps), and the salt."""

    choice: int
    sure: int
    agree: int
    salt: bytes

    def commitment(self, place: Place) -> bytes:
        """The 32 bytes that go to the ledger."""
        return commitment(*place, self.choice, self.sure, self.agree, self.salt)


@dataclass(frozen=True)
class Draft:
    """A vote in the making. `read`: which answers and pieces of evidence were opened."""

    choice: int | None = None
    sure: int | None = None
    agree: int | None = None
    note: str = ""
    read: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ballot:
    """One file. `vote` is None until it was signed; the flags are notes for the reader, the ledger decides."""

    vote: Vote | None = None
    committed: bool = False
    revealed: bool = False
    draft: Draft = field(default_factory=Draft)
    earlier: tuple[Vote, ...] = ()

    @property
    def votes(self) -> tuple[Vote, ...]:
        """All that were signed, the last one first."""
        return ((self.vote,) if self.vote else ()) + self.earlier[::-1]


class Ballots:
    """The folder `votes/` of a judge's home."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lost: set[Place] = set()  # recovery was tried

    def path(self, place: Place) -> Path:
        """The file of a place."""
        return self.folder.joinpath(place.file)

    def load(self, place: Place) -> Ballot:
        """What is on disk; an empty ballot where nothing is, or what is there belongs to another judge or chain, or cannot be read."""
        return read(self.path(place), place) or Ballot()

    def draft(self, place: Place, draft: Draft) -> None:
        """Keep a draft. A signed vote beside it stays."""
        ballot = self.load(place)
        if draft != ballot.draft:
            self._write(place, replace(ballot, draft=draft))

    def sign(self, place: Place, choice: int, sure: int, agree: int, derive: Derive | None = None, note: str | None = None) -> Vote:
        """Put a vote on disk with its salt, and only then return it. The same vote again is the same vote."""
        ballot = self.load(place)
        if ballot.vote and (ballot.vote.choice, ballot.vote.sure, ballot.vote.agree) == (choice, sure, agree):
            return ballot.vote
        number = len(ballot.votes)
        salt = derive(_message(place, number)) if derive else secrets.token_bytes(32)
        vote = Vote(choice, sure, agree, salt)
        draft = replace(ballot.draft, choice=choice, sure=sure, agree=agree or None, note=ballot.draft.note if note is None else note)
        self._write(place, Ballot(vote, draft=draft, earlier=ballot.earlier + ((ballot.vote,) if ballot.vote else ())))
        return vote

    def mark(self, place: Place, committed: bool | None = None, revealed: bool | None = None) -> None:
        """Note what the ledger has taken."""
        ballot = self.load(place)
        marked = replace(
            ballot,
            committed=ballot.committed if committed is None else committed,
            revealed=ballot.revealed if revealed is None else revealed,
        )
        if ballot.vote and marked != ballot:
            self._write(place, marked)

    def opening(self, place: Place, commit: bytes, outcomes: int, derive: Derive | None = None) -> Vote:
        """The vote behind a commitment on the ledger. Raises SaltMissing."""
        for vote in self.load(place).votes:
            if vote.commitment(place) == commit:
                return vote
        vote = None
        if derive and place not in self._lost:
            vote = recover(place, commit, outcomes, derive)
        if vote is None:
            self._lost.add(place)
            raise SaltMissing(f"no file in {self.folder} opens this commitment: import {place.file} from where you voted")
        self._write(place, Ballot(vote, committed=True))
        return vote

    def take(self, file: Path, place: Place, commit: bytes) -> Vote:
        """Import a salt file from elsewhere. Raises SaltMissing where it does not open the commitment."""
        ballot = read(file, place)
        vote = next((vote for vote in (ballot.votes if ballot else ()) if vote.commitment(place) == commit), None)
        if vote is None:
            raise SaltMissing(f"{file} is no salt file of this vote: it should be a copy of {place.file}")
        mine = self.load(place)
        self._write(place, replace(mine, vote=vote, committed=True, earlier=mine.votes[::-1]))
        self._lost.discard(place)
        return vote

    def _write(self, place: Place, ballot: Ballot) -> None:
        vote, draft = ballot.vote, ballot.draft
        whole = {
            "market": place.market.hex(),
            "level": place.level,
            "roll": place.roll,
            "judge": place.judge.hex(),
            "chain_id": place.chain_id,
            **({**_packed(vote), "committed": ballot.committed, "revealed": ballot.revealed} if vote else {}),
            "note": draft.note[:NOTE],
            "draft": {"choice": draft.choice, "sure": draft.sure, "agree": draft.agree, "read": sorted(draft.read)},
            "earlier": [_packed(one) for one in ballot.earlier],
        }
        path = self.path(place)
        if path.exists() and read(path, place) is None:  # damaged: it may be all that is left of a vote
            rename(path, path.with_name(f"{path.name}.{path.stat().st_mtime_ns}"))
        durable(path, json.dumps(whole, indent=1).encode())


def durable(path: Path, data: bytes) -> None:
    """Write beside `path` with mode 0600, fsync, rename over it, and fsync the folder."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(file, "wb", closefd=False) as out:
            out.write(data)
        fsync(file)
    finally:
        os.close(file)
    rename(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fsync(folder)
    finally:
        os.close(folder)


fsync, rename = os.fsync, os.replace  # names of this module, so that a test can let the machine die here


def read(path: Path, place: Place) -> Ballot | None:
    """The ballot in a file; None where there is none for this place, or it is damaged."""
    try:
        if path.stat().st_size > FILE_MOST:
            return None
        whole = json.loads(path.read_bytes())
        head = (whole["chain_id"], bytes.fromhex(whole["market"]), whole["level"], whole["roll"], bytes.fromhex(whole["judge"]))
        if head != tuple(place):
            return None
        draft, vote = whole["draft"], _vote(whole) if "salt" in whole else None
        kept = Draft(draft["choice"], draft["sure"], draft["agree"], str(whole["note"]), frozenset(draft["read"]))
        return Ballot(vote, bool(whole.get("committed")), bool(whole.get("revealed")), kept, tuple(_vote(one) for one in whole["earlier"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def recover(place: Place, commit: bytes, outcomes: int, derive: Derive, votes: int = 3) -> Vote | None:
    """Find the vote behind a commitment whose file is lost, where its salt was derived. At most a second."""
    for number in range(votes):
        salt = derive(_message(place, number))
        for choice, sure, agree in _guesses(outcomes):
            if commitment(*place, choice, sure, agree, salt) == commit:
                return Vote(choice, sure, agree, salt)
    return None


def _guesses(outcomes: int) -> Iterator[tuple[int, int, int]]:
    sures = [*USUAL, *(one for one in range(101) if one not in USUAL)]
    for sure in sures:
        for agree in AGREES:
            for choice in (*range(outcomes + 1), ABSTAIN):
                yield choice, sure * PERCENT, agree * PERCENT


def _message(place: Place, number: int) -> bytes:
    again = f"|{number}".encode() if number else b""
    return b"%b|%d|%d" % (place.market, place.level, place.roll) + again


def _packed(vote: Vote) -> dict[str, int | str]:
    return {"choice": vote.choice, "sure": vote.sure, "agree": vote.agree, "salt": vote.salt.hex()}


def _vote(packed: dict) -> Vote:
    salt = bytes.fromhex(packed["salt"])
    numbers = packed["choice"], packed["sure"], packed["agree"]
    if len(salt) != 32 or not all(type(one) is int and 0 <= one <= 10**4 for one in numbers):
        raise ValueError("no vote")
    return Vote(*numbers, salt)
