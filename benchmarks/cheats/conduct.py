"""What a peer does in a play. `Honest` does its duties; every cheat is an `Honest` with one thing replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

from swarm.chain.values import Verdict
from swarm.proof.audit import Audit
from swarm.proof.epoch import Epoch

if TYPE_CHECKING:
    from benchmarks.cheats.ground import Call
    from benchmarks.cheats.play import Member, Play
    from benchmarks.cheats.recorded import Own, Recorded

PROVER, AUDITOR = "prover", "auditor"
KINDS = {"ok": Verdict.OK, "fault": Verdict.FAULT, "unavailable": Verdict.UNAVAILABLE, "cannot": Verdict.CANNOT}


@dataclass(frozen=True)
class Work:
    """An epoch to be committed: its records, blobs beside those of the honest epoch, and which of its steps were not worked."""

    epoch: Epoch
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    forged: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Opinion:
    """A verdict. `replayed`: whether the steps were really done again for it."""

    kind: Verdict
    step: int = 0
    value: bytes = bytes(32)
    replayed: bool = True


class Honest:
    """An honest peer."""

    name, role, epochs = "honest", PROVER, 1
    recipe = "local"  # under which it is played
    often = 1  # how many times as many plays it takes to see its mean
    note = ""  # what else there is to say of a play
    peer = b""  # the peer id it goes by, where that is not its own
    earns = True  # whether an auditor's fees are the cheat's, not those of honest work beside it

    def __init__(self, recorded: Recorded, steps: int):
        """`steps`: how many of its steps a cheat forges."""
        self.recorded, self.steps = recorded, steps

    def prepare(self, play: Play, me: Member) -> list[Call]:
        """Transactions before epoch 0 ends."""
        return []

    def work(self, play: Play, own: Own, number: int) -> Work | None:
        """The records of an epoch; None where it has nothing to commit."""
        return Work(own.epoch) if number == 0 else None

    def before_commit(self, play: Play, me: Member, number: int) -> list[Call]:
        """Transactions just before the commitment of an epoch."""
        return []

    def online(self, play: Play) -> bool:
        """Whether it reveals randomness and audits."""
        return True

    def drawn(self, play: Play, work: Work, steps: list[int]) -> set[bytes]:
        """Digests that it does not serve, now that it knows what was drawn."""
        return set()

    def opinion(self, play: Play, me: Member, case: SimpleNamespace, find: Honestly) -> Opinion:
        """Its verdict about a commitment; `find()` replays."""
        return find()

    def contest(self, play: Play, me: Member, case: SimpleNamespace) -> list[Call]:
        """What it does as the prover when the verdicts of its case are open."""
        return []

    def after(self, play: Play, me: Member) -> None:
        """What it does when everything is over."""


class Honestly:
    """Replays when called, and tells what was found, as a node's duties do."""

    def __init__(self, audit: Callable[[], Audit]):
        self._audit = audit

    def __call__(self) -> Opinion:
        audit = self._audit()
        kind = KINDS[audit.verdict]
        value = audit.value if kind == Verdict.OK else audit.missing if kind == Verdict.UNAVAILABLE else bytes(32)
        return Opinion(kind, audit.step if kind in (Verdict.FAULT, Verdict.UNAVAILABLE) else 0, value)
