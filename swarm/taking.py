"""Taking a job of the compute market, from the side that holds keys: the stake it asks for, and the claim of a part.

A claim is the operator's transaction and takes a bond, so it is sent from the supervising process, after enrolment. A claim that nobody
can have is told to the node in `refused.txt`, which then waits for none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from swarm import disk
from swarm.chain import check
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import JobPhase, amount
from swarm.errors import ChainRefused
from swarm.settings import JobChoice
from swarm.stake import supplying

if TYPE_CHECKING:
    from swarm.identity import Identity

REFUSED = "refused.txt"
GONE = ("PartTaken", "PartFree", "PartComplete", "TooSoon")  # somebody was faster: look again

Say = Callable[[str], None]


@dataclass(frozen=True)
class Taking:
    """What a run does for one job (32-byte id). `stake` is the least that each of its members has to have staked, in wei."""

    job: bytes
    choice: JobChoice
    stake: int

    def bound_to(self, chain: Chain, say: Say) -> Callable[[Identity, Path], bool]:
        """What comes after a member's enrolment: a solver's claim; nothing for a verifier, whose node does the rest."""
        return Claim(chain, self.job, say) if self.choice.role == "solver" else lambda member, folder: True


class Claim:
    """Has an operator claim a part of job `job`, once that is open. Called again until it says that it is done."""

    def __init__(self, chain: Chain, job: bytes, say: Say):
        self.chain, self.job, self.say = chain, job, say
        self.offer: SimpleNamespace = chain.read("market", "offerOf", job)
        self._told = False

    def __call__(self, member: Identity, folder: Path) -> bool:
        key = Swarm(self.chain, self.job).key(member.address, member.peer)
        parts = [self.chain.read("market", "partOf", self.job, number) for number in range(self.offer.parts)]
        if any(part.key == key for part in parts):
            return True
        phase = JobPhase(self.chain.read("market", "phaseOf", self.job))
        if phase == JobPhase.SEEDING:
            self._wait("claims open when two operators of verifiers seed the job")
            return False
        had = [number for number, part in enumerate(parts) if can_be_had(part, self.offer, self.chain.head().time)]
        if phase != JobPhase.WORKING or not had:
            why = f"the job is in phase {phase.name.lower()}" if phase != JobPhase.WORKING else "every part has a solver or is complete"
            return self._refuse(folder, f"{member.name} can claim no part: {why}")
        return self._claim(member, folder, key, had[0], parts[had[0]].key != bytes(32))

    def _claim(self, member: Identity, folder: Path, key: bytes, part: int, expires: bool) -> bool:
        """Claim a part, after taking it from a solver that does not move any more (`expires`)."""
        bond, chain = self.chain.read("market", "bondOf", vars(self.offer)), self.chain
        free = chain.link.embedded and check.is_credit(chain.rpc, chain.link)
        try:
            if expires:
                chain.send(member.secret, "market", "expire", self.job, part)
                self.say(f"part {part} was taken back from a solver that had not moved for {self.offer.patience} s")
            for call in supplying(chain, member.address, bond, free, member.name, "market"):
                chain.send(member.secret, call.role, call.function, *call.args)
            chain.send(member.secret, "market", "claim", self.job, part, key)
        except ChainRefused as error:
            if error.name in GONE:
                return False
            return self._refuse(folder, f"{member.name} cannot claim part {part}: {error} ({error.hint})")
        self.say(f"{member.name} claimed part {part}: a bond of {amount(bond)} credits, which comes back with the part")
        return True

    def _wait(self, why: str) -> None:
        if not self._told:
            self._told = True
            self.say(why)

    def _refuse(self, folder: Path, why: str) -> bool:
        self.say(why)
        disk.replace(folder / REFUSED, why.encode())
        return True


def can_be_had(part: SimpleNamespace, offer: SimpleNamespace, now: int) -> bool:
    """Whether a part is free or has a solver that did not move for the offer's patience, has steps left, and a state to go on from."""
    idle = part.key == bytes(32) or now > part.moved + offer.patience
    begins = part.steps == 0 or part.checkpoint != bytes(32)  # handed in by a stranger, an epoch has no checkpoint
    return idle and begins and part.steps < offer.stepsEach


def refused(folder: Path) -> str:
    """Why a member's claim cannot be had; empty while it may."""
    try:
        return (folder / REFUSED).read_text()
    except FileNotFoundError:
        return ""
