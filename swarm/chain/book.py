"""What the events of the contracts tell of one swarm: members, commitments, who audited them, and what became of them.

Read from the first block on each time it is asked for and kept nowhere, so two readers of one chain have the same book.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from swarm.chain.abi import Event
from swarm.chain.client import Chain, Swarm
from swarm.chain.logs import Scanner
from swarm.chain.values import Reason, Verdict

Place = tuple[int, int]  # block, index of the log in it


@dataclass(frozen=True)
class Member:
    """One peer (32 bytes) of one operator (20 bytes). `entered` is where the ledger first says so."""

    key: bytes
    operator: bytes
    peer: bytes
    entered: Place


@dataclass(frozen=True)
class Ending:
    """What a commitment brought: `units`, or none for a `reason`; `tx` is the transaction (32 bytes) that says so."""

    tx: bytes
    units: int = 0
    reason: Reason = Reason.NONE


@dataclass(frozen=True)
class Vote:
    """What one seat of a panel said. NONE: nothing, or nothing yet; `sealed` then tells whether a verdict was committed."""

    level: int
    roll: int
    auditor: bytes  # member key
    sealed: bool = False
    verdict: Verdict = Verdict.NONE
    step: int = 0


@dataclass
class Commitment:
    """A commitment with all that followed from it. Roots and digests are 32 bytes; `late` ones are not audited and earn nothing."""

    member: Member
    epoch: int
    steps: int
    units: int  # claimed
    root: bytes
    first: bytes
    last: bytes
    data: bytes
    late: bool
    tx: bytes
    place: Place
    ending: Ending | None = None
    votes: dict[tuple[int, int, bytes], Vote] = field(default_factory=dict)  # by level, roll and auditor
    challenges: int = 0
    small_panel: bool = False
    _rolls: dict[int, int] = field(default_factory=dict)  # newest roll of each level

    def take(self, event: Event) -> None:
        """An event about this commitment."""
        said, level = event.values, event.values.get("level", 0)
        if event.name == "Settled":
            self.ending = Ending(event.tx, said["units"])
        elif event.name == "Unscored":
            self.ending = Ending(event.tx, 0, Reason(said["reason"]))
        elif event.name == "PanelDrawn":
            self._rolls[level] = said["roll"]
            for auditor in said["panel"]:
                self.votes.setdefault((level, said["roll"], auditor), Vote(level, said["roll"], auditor))
        elif event.name == "VerdictCommitted":
            self._vote(level, said["auditorKey"], sealed=True)
        elif event.name == "VerdictRevealed":
            self._vote(level, said["auditorKey"], sealed=True, verdict=Verdict(said["verdict"]), step=said["step"])
        elif event.name == "Challenged":
            self.challenges += 1
        elif event.name == "Finalized":
            self.small_panel = said["smallPanel"]

    def _vote(self, level: int, auditor: bytes, **said: Any) -> None:
        roll = self._rolls.get(level, 0)
        self.votes[level, roll, auditor] = Vote(level, roll, auditor, **said)


class Book:
    """The book of one swarm. `members` by key, `commitments` by key and epoch; `now` is the chain's time when it was read."""

    def __init__(self, chain: Chain, swarm: bytes):
        """Raises ChainError where the chain cannot be read, ChainRefused where the swarm is not on it."""
        self.swarm = Swarm(chain, swarm)
        self.terms: SimpleNamespace = self.swarm.terms
        self.now = chain.head().time
        self.members: dict[bytes, Member] = {}
        self.commitments: dict[tuple[bytes, int], Commitment] = {}
        self._epochs: dict[int, list[Commitment]] = {}
        scanner = Scanner(chain, ("ledger", "court"))
        while new := scanner.scan().new:
            for event in new:
                self._take(event)

    def of(self, epoch: int) -> list[Commitment]:
        """The commitments of an epoch, in the chain's order."""
        return self._epochs.get(epoch, [])

    def in_time(self, epoch: int) -> list[Commitment]:
        """Those that were made in its window, which are the only ones that can earn."""
        return [made for made in self.of(epoch) if not made.late]

    def closes(self, epoch: int) -> int:
        """Chain time at which the commit window of an epoch is over."""
        return self.swarm.end(epoch) + self.terms.grace

    @property
    def epochs(self) -> list[int]:
        """Epochs that anyone committed, in order."""
        return sorted(self._epochs)

    @cached_property
    def operators(self) -> dict[bytes, list[Member]]:
        """The members behind each operator, in the order in which they came."""
        found: dict[bytes, list[Member]] = {}
        for member in self.members.values():
            found.setdefault(member.operator, []).append(member)
        return found

    def _take(self, event: Event) -> None:
        said, place = event.values, (event.block, event.index)
        if event.name == "Entered" and said["swarm"] == self.swarm.id:
            self.members.setdefault(said["key"], Member(said["key"], said["operator"], said["peer"], place))
        elif event.name == "Committed" and said["key"] in self.members:
            fields = {name: said[name] for name in ("epoch", "steps", "units", "root", "first", "last", "data", "late")}
            made = Commitment(self.members[said["key"]], **fields, tx=event.tx, place=place)
            self.commitments[said["key"], made.epoch] = made
            self._epochs.setdefault(made.epoch, []).append(made)
        elif (made := self.commitments.get((said.get("key", b""), said.get("epoch", -1)))) is not None:
            made.take(event)
