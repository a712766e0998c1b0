"""What one peer says about itself, as a small JSON file: written whole by the node, read by everything that shows or watches.

The file is the only channel from a node process to the supervisor, the dashboard, `swarm status` and `swarm doctor`.
It is replaced by rename, so a reader sees the last one or the next one, never a half. All texts in it may come from
other peers: whoever shows one passes it through `records.plain` first.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm.errors import StateError

FILE = "heartbeat.json"
MAX_BYTES = 65_536
WARNINGS = 5
NOTES = 12

State = Literal["starting", "running", "evaluating", "waiting", "paused", "done", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Warned(_Part):
    """One warning: what happened, what follows from it, and when (unix seconds)."""

    text: str = Field(max_length=400)
    consequence: str = Field("", max_length=400)
    at: float = 0.0


class GroupCounts(_Part):
    """Groups since the start: own ones made, foreign ones trained on, dropped ones by reason."""

    own: int = 0
    used: int = 0
    dropped: dict[str, int] = {}


class Reach(_Part):
    """The network as this peer sees it."""

    reachable: str = Field("unknown", max_length=20, description="direct, relayed, no or unknown")
    why: str = Field("", max_length=400)
    restarts: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: dict[str, int] = {}


class Proved(_Part):
    """What became of the steps on the chain, since the process began."""

    epoch: int = Field(0, description="epoch by the chain's clock")
    commitments: int = 0
    audits: int = Field(0, description="audits of others done")
    agreed: int = Field(0, description="of them: reproduced")
    settled: int = Field(0, description="own epochs whose case is closed")
    units: int = Field(0, description="verified work units of those, MFLOP")
    audit_cpu_s: float = Field(0.0, description="processor seconds of the replayer")
    disk: int = Field(0, description="bytes kept for openings")
    trouble: str = Field("", max_length=400, description="why the chain cannot be used now")


class Judged(_Part):
    """The judge market as this peer sees it. Counts of markets are of now; `bids` since the process began."""

    open: int = Field(0, description="markets whose verdict is not final")
    settled: int = Field(0, description="settled ones whose winners can still claim")
    hosted: int = Field(0, description="own ones that are running")
    traded: int = Field(0, description="markets in which this operator holds shares")
    bids: int = 0
    credits: float = Field(0.0, description="free ones")
    stake: float = Field(0.0, description="credits staked")
    final: int = Field(-1, description="newest epoch whose root is final on the chain and the same here; -1: none")
    votes: int = Field(0, description="seats in which the frozen judge voted, since the process began")
    watched: int = Field(0, description="verdicts of panels that this node judged again; of them disputed: `disputed`")
    disputed: int = 0
    evidence: int = Field(0, description="critiques brought as evidence")
    wrong: int = Field(0, description="verdicts of panels, anybody's, that a scorer calls wrong; of them disputed: `wrong_disputed`")
    wrong_disputed: int = 0
    right: int = Field(0, description="those that it calls right")
    right_disputed: int = 0
    trouble: str = Field("", max_length=400, description="why markets wait")


class Heartbeat(_Part):
    """State of one peer. Times are unix seconds, `stage_eta_s` seconds, `memory_mb` MiB of resident memory."""

    pid: int = 0
    name: str = Field("", max_length=80)
    peer: str = Field("", max_length=80, description="libp2p peer id, base58")
    state: State = "starting"
    round: int = Field(0, description="last round done")
    rounds: int = Field(0, description="rounds until the node stops by itself")
    stage: str = Field("", max_length=40)
    stage_done: float = Field(0.0, description="0..1")
    stage_eta_s: float | None = None
    waits_for: str = Field("", max_length=200)
    peers_heard: int = 0
    groups: GroupCounts = GroupCounts()
    tokens_per_s: float | None = None
    reward: float | None = None
    accuracy: dict[str, float] = {}
    accuracy_before: dict[str, float] = {}
    accuracy_constant: dict[str, float] = Field({}, description="of the answer that is right most often, on the same held-out questions")
    loss: float | None = None
    memory_mb: float | None = None
    cpu_s: float | None = Field(None, description="processor seconds used by this peer so far, children included")
    addresses: list[str] = Field([], description="multiaddresses under which others can dial this peer")
    network: Reach = Reach()
    proved: Proved | None = None
    judged: Judged | None = None
    notes: list[Warned] = []
    warnings: list[Warned] = []
    updated: float = 0.0

    def warn(self, text: str, consequence: str = "") -> None:
        """Add a warning; the last five are kept."""
        self.warnings = [*self.warnings, Warned(text=text[:400], consequence=consequence[:400], at=time.time())][-WARNINGS:]

    def note(self, text: str) -> None:
        """Add something that happened and is no trouble; the last ones are kept."""
        self.notes = [*self.notes, Warned(text=text[:400], at=time.time())][-NOTES:]

    def write(self, path: Path) -> None:
        """Replace the file at `path` whole; sets `updated`. No fsync: a heartbeat lost in a power cut is no loss."""
        self.updated = time.time()
        part = path.with_suffix(".part")
        part.write_text(self.model_dump_json())
        os.replace(part, path)

    @property
    def age_s(self) -> float:
        """Seconds since the file was written, by this machine's clock."""
        return max(0.0, time.time() - self.updated)


def read(path: Path) -> Heartbeat | None:
    """The heartbeat at `path`, or None where there is none yet. Raises StateError where it is too large or damaged."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > MAX_BYTES:
        raise StateError(f"{path} has more than {MAX_BYTES} bytes", "delete it: the node writes a new one")
    try:
        return Heartbeat.model_validate_json(data)
    except ValidationError as error:
        raise StateError(f"{path} is damaged: {error.errors()[0]['msg']}", "delete it: the node writes a new one") from None
