"""An audit: what the chain says of an epoch, which of its steps are looked at and why, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm.proof.epoch import Epoch


@dataclass(frozen=True)
class Commitment:
    """What the chain says of an epoch that is to be audited. Roots and digests are 32 bytes."""

    key: bytes
    swarm: bytes
    peer: bytes
    operator: bytes
    epoch: int
    steps: int
    units: int
    root: bytes
    first: bytes
    last: bytes
    data: bytes
    cap: int = 2**64  # work units that an epoch can earn
    earlier: tuple[tuple[int, bytes], ...] = ()  # steps and `data` of the member's commitments of epochs whose seeds it may still use
    base: bytes = b""  # the swarm's first state root


@dataclass
class Audit:
    """One audit. `verdict` is None until it is done; then `told` says what the replay said."""

    commitment: Commitment
    drawn: list[int]  # steps
    deadline: float  # chain time by which a verdict is needed
    level: int = 0
    disputed: list[int] = field(default_factory=list)  # steps that a jury looks at too: a charge can be about them, `value` is not
    beacon: bytes = b""  # draws the rollouts of a step, where the recipe has not all of them looked at; the same at every level
    do: str = "replay"  # or "derive": look at the own rollouts of the steps only
    machine: bytes = b""  # class that the steps must be of; empty: this machine's
    verdict: str | None = None
    step: int = 0
    value: bytes = bytes(32)
    missing: bytes = bytes(32)  # digest of what could not be had
    told: dict[str, Any] = field(default_factory=dict)
    epoch: Epoch | None = None  # its records, once they were fetched
    folder: Path | None = None  # where its blobs lie, as long as they are needed
