"""Who was there: the peers that the committed epoch blobs of others name, from public blobs checked against the chain.

A blob is found by the digest in its commitment, so it does not matter who hands it over. One that cannot be had, or that is not
what its header says, names nobody, and which one that is gets told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from judge.scores import WITNESSES, uptime
from swarm.chain.book import Book, Commitment, Member
from swarm.errors import NetworkError, Refused
from swarm.network.store import digest_of
from swarm.proof import audit, coherence, desk
from swarm.proof import epoch as epochs

UNAVAILABLE = "unavailable"

Blobs = Callable[[bytes, int], bytes | None]  # digest, most bytes -> the blob, None where it cannot be had


@dataclass(frozen=True)
class Testimony:
    """The peers that one commitment's blob names; none and a sentence in `why` where the blob is unavailable or wrong."""

    made: Commitment
    heard: frozenset[bytes] = frozenset()
    why: str = ""


@dataclass(frozen=True)
class Hearing:
    """Whom of the other operators (20 bytes each) an operator was heard by. `silent` are the testimonies that could not be read."""

    others: int  # other operators that committed in the epoch's window
    by: tuple[bytes, ...]
    silent: tuple[Testimony, ...] = ()

    @property
    def needed(self) -> int:
        """How many have to have heard it for all of the uptime part."""
        return min(WITNESSES, self.others)

    @property
    def share(self) -> Fraction:
        """The uptime part, 0 to 1; 0 where nobody else was there to hear it."""
        return self._share(len(self.by))

    @property
    def most(self) -> Fraction:
        """The same if every record that could not be had should turn up and name it."""
        missing = {each.made.member.operator for each in self.silent if each.why == UNAVAILABLE}
        return self._share(len(missing.union(self.by)))

    def _share(self, count: int) -> Fraction:
        return uptime(count, self.others)


class Witnesses:
    """What the commitments of an epoch's window say about who was heard in it.

    Anyone can enter a foreign peer id under an operator of their own. A peer id that several operators claim (before the epoch's last
    commitment, so that later claims change nothing) counts only for those whose work under it was verified in this epoch.
    """

    def __init__(self, book: Book, epoch: int, blobs: Blobs):
        self.said = [_testimony(book, made, blobs) for made in book.in_time(epoch)]
        self._names = _names(book, epoch)
        self._heard: dict[bytes, set[bytes]] = {}  # peer -> operators that heard it
        for each in self.said:
            for peer in each.heard:
                self._heard.setdefault(peer, set()).add(each.made.member.operator)

    def hearing(self, operator: bytes) -> Hearing:
        """Who heard `operator`; what it says of itself does not count."""
        by = set().union(*(self._heard.get(peer, ()) for peer in self._names.get(operator, ()))) - {operator}
        others = {each.made.member.operator for each in self.said} - {operator}
        silent = tuple(each for each in self.said if each.why and each.made.member.operator != operator)
        return Hearing(len(others), tuple(sorted(by)), silent)


def wanted(book: Book, numbers: Iterable[int]) -> list[tuple[bytes, int]]:
    """Digests of all that testify about these epochs, with the most bytes that each may have."""
    return [(made.data, epochs.max_bytes(made.steps)) for number in numbers for made in book.in_time(number)]


def in_folders(folders: list[Path]) -> Blobs:
    """Blobs out of folders that hold them by name, the digest in hex. Files of other content are passed over."""

    def find(digest: bytes, limit: int) -> bytes | None:
        for folder in folders:
            try:
                with open(folder / digest.hex(), "rb") as file:
                    data = file.read(limit + 1)
            except FileNotFoundError:
                continue
            if len(data) <= limit and digest_of(data) == digest:
                return data
        return None

    return find


def over_network(network: desk.Fetcher, timeout_s: float = 10.0) -> Blobs:
    """Blobs from whichever member serves them; `network.fetch` checks the digest."""

    def fetch(digest: bytes, limit: int) -> bytes | None:
        try:
            return network.fetch(digest, limit, None, timeout_s)
        except (NetworkError, Refused):
            return None

    return fetch


def either(*sources: Blobs) -> Blobs:
    """The first of several sources that has a blob."""
    return lambda digest, limit: next((data for source in sources if (data := source(digest, limit)) is not None), None)


def _testimony(book: Book, made: Commitment, blobs: Blobs) -> Testimony:
    data = blobs(made.data, epochs.max_bytes(made.steps))
    if data is None or digest_of(data) != made.data:
        return Testimony(made, why=UNAVAILABLE)
    try:
        epoch = epochs.unpack(data, made.steps)
        coherence.check_header(epoch, _said(book, made))
    except Refused as error:
        return Testimony(made, why=f"refused: {error}")
    return Testimony(made, frozenset(epoch.heard))


def _said(book: Book, made: Commitment) -> audit.Commitment:
    who = made.member
    head = (who.key, book.swarm.id, who.peer, who.operator, made.epoch, made.steps, made.units)
    return audit.Commitment(*head, made.root, made.first, made.last, made.data, book.terms.maxUnits)


def _names(book: Book, epoch: int) -> dict[bytes, set[bytes]]:
    """The peer ids under which each operator counts as heard in an epoch."""
    last = max((made.place for made in book.in_time(epoch)), default=(0, 0))
    claims: dict[bytes, list[Member]] = {}
    for member in book.members.values():
        if member.entered < last:
            claims.setdefault(member.peer, []).append(member)
    found: dict[bytes, set[bytes]] = {}
    for peer, claimed in claims.items():
        for member in claimed:
            if len(claimed) == 1 or _verified(book, member.key, epoch):
                found.setdefault(member.operator, set()).add(peer)
    return found


def _verified(book: Book, key: bytes, epoch: int) -> bool:
    made = book.commitments.get((key, epoch))
    return made is not None and made.ending is not None and made.ending.units > 0
