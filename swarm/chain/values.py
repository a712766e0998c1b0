"""Names of what the contracts count: the enums of contracts/src/interfaces, and an amount as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

WEI = 10**18
HEADER = ("key", "epoch", "steps", "units", "root", "first", "last", "data")  # of IParticipationLedger.Header


class Verdict(IntEnum):
    NONE, OK, FAULT, UNAVAILABLE, CANNOT = range(5)


class Phase(IntEnum):
    COMMIT, BEACON, AUDIT, REVEAL, CHALLENGE, CLOSED = range(6)


class Outcome(IntEnum):
    OPEN, CLEAN, UNAUDITED, FAULT, WITHHELD, CONCEDED, TIED, PLANTED = range(8)


class Reason(IntEnum):
    NONE, UNAUDITED, FAULTY, WITHHELD, CONCEDED, TIED, PLANTED, LONELY_CLASS, VOIDED = range(9)


class JobPhase(IntEnum):
    UNKNOWN, SEEDING, WORKING, OPENING, SCORING, REVEALING, OVER, SETTLED = range(8)


class Stage(IntEnum):
    """Of a match of the dispute court."""

    NONE, ANSWER, EQUAL, VALUES, ENTRY, PROGRAMS, PROGRAM, INSTRUCTION, ELEMENTS, RUNS, RUN, SETTLE, STATE, CLOSED = range(14)


class Ruling(IntEnum):
    """How it ended."""

    NONE, PROVER_LOST, CHALLENGER_LOST, STRUCTURE, LATE = range(5)


class Kind(IntEnum):
    """What a registered model came out of: a peer's epoch, or a job of the compute market."""

    EPOCH, JOB = range(2)


def amount(wei: int) -> str:
    """Wei in units of 10^18, exact: 1500000000000000000 is 1.5."""
    whole, part = divmod(abs(wei), WEI)
    text = f"{whole}.{part:018d}".rstrip("0").rstrip(".")
    return f"-{text}" if wei < 0 else text


def header_of(values: Mapping[str, Any]) -> SimpleNamespace:
    """The header of a commitment out of its event `Committed`."""
    return SimpleNamespace(**{name: values[name] for name in HEADER})
