"""The pages that one tape has, in groups that are bounded: what somebody publishes without end pushes out its own, and nobody else's.

Where a group is full the smallest digests stay, whoever saw which first; what is closed or voted on (`shut`) gives way to nothing. Two pages
of one phase by one key are both kept, since they prove a fault: `faults`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from judge.errors import Refused, require
from judge.market import CHALLENGE, OPEN
from judge.terms import Terms
from swarm.market.page import Account, Opening, Page, Phase, Stage

BUCKET_MS = 600_000
GROUP = 256  # openings, and account pages, of one operator in BUCKET_MS
PAGES = 2  # of one phase by one key: as many as prove a fault


class Binder:
    """Not safe for use by two threads."""

    def __init__(self, terms: Terms):
        self.terms = terms
        self.faults: dict[Stage, tuple[str, bytes, bytes]] = {}  # what this node could prove: arguments of a Fault
        self._pages: dict[bytes, Page] = {}
        self._groups: dict[tuple, list[bytes]] = {}  # digests, ascending
        self._openings: dict[bytes, list[Opening]] = {}  # by market

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._pages

    def __iter__(self):
        return iter(self._pages.values())

    def room(self, page: Page, shut: Callable[[Page], bool]) -> list[bytes]:
        """Digests of what has to give way to a new page. Raises Refused: of an unknown market, of a full group, by another key."""
        if isinstance(page, Phase):
            self._check(page)
        group, most = _group(page)
        digests = self._groups.get(group, [])
        if len(digests) < most:
            return []
        gone = next((digest for digest in reversed(digests) if not shut(self._pages[digest])), None)
        if gone is None or page.digest > gone:
            raise Refused("limit", f"{most} pages of this kind have their place already")
        return [gone]

    def add(self, page: Page) -> None:
        """Take a page for which there is room."""
        insort(self._groups.setdefault(_group(page)[0], []), page.digest)
        self._pages[page.digest] = page
        if isinstance(page, Opening):
            self._openings.setdefault(page.market, []).append(page)
        elif isinstance(page, Phase):
            self._compare(page)

    def remove(self, digest: bytes) -> Page:
        """Take a page away, and return it."""
        page = self._pages.pop(digest)
        self._groups[_group(page)[0]].remove(digest)
        if isinstance(page, Opening):
            self._openings[page.market].remove(page)
        return page

    def opening(self, market: bytes) -> Opening | None:
        """The page that opened a market."""
        return min(self._openings.get(market, ()), key=lambda page: (page.t, page.digest), default=None)

    def phases(self, stage: Stage, host: bytes) -> list[Phase]:
        """The pages of one phase by one key, the smallest digest first."""
        return [page for digest in self._groups.get((*stage, host), []) if isinstance(page := self._pages[digest], Phase)]

    def _check(self, page: Phase) -> None:
        hosts = {opening.fund.signer for opening in self._openings.get(page.stage[0], ())}
        require(hosts, "unknown", "a page of a market whose opening is not here")
        require(page.signer in hosts, "signature", "a page that is not signed by the host of its market")
        levels, rolls = len(self.terms.seats), self.terms.rolls
        rounds = max(self.terms.machine.rounds, self.terms.human.rounds)
        most = {OPEN: rounds, CHALLENGE: levels - 1}.get(page.stage[1], levels * rolls - 1)
        require(page.stage[2] <= most, "limit", "a page of a phase that no market has")

    def _compare(self, page: Phase) -> None:
        for other in self.phases(page.stage, page.signer):
            if other.manifest.ids != page.manifest.ids:
                first, second = sorted((page.said, other.said))
                self.faults[page.stage] = ("twice", first, second)


def _group(page: Page) -> tuple[tuple, int]:
    """What a page counts among, and how many of that are kept."""
    if isinstance(page, Phase):
        return (*page.stage, page.signer), PAGES
    assert isinstance(page, Opening | Account)
    actor = page.open.event.actor if isinstance(page, Opening) else page.actor
    return (type(page).__name__, actor, page.t // BUCKET_MS), GROUP
