"""The one error of the judge market: an event that is not taken, with a sentence for the person who sent it.

`reason` is one of `REASONS`, for programs and counters. `sentence` says what was refused, where, and what to do about it.
A refusal leaves the state as it was, to the byte.
"""

from __future__ import annotations

REASONS = (
    "oversize",  # more bytes than an event of its kind may have
    "malformed",  # no event: wrong form, a field out of range, text with control characters
    "signature",  # nobody's, or not the actor's
    "unknown",  # no such market, operator, piece or panel
    "standing",  # jailed, gone, or not registered
    "phase",  # the market is elsewhere in its life
    "deadline",  # too late
    "early",  # not due yet
    "limit",  # above or below what the terms allow
    "credits",  # the actor cannot pay it
    "slippage",  # the price moved past the order's guard
    "conflict",  # the actor is a party to this market
    "seat",  # the actor holds no seat here
    "mismatch",  # a reveal, seed or proof that does not fit what was committed
    "duplicate",  # it was taken before
    "late",  # its place lies in a part of the log that is closed
)


class Refused(Exception):
    """An event that is not taken. The state is unchanged."""

    def __init__(self, reason: str, sentence: str):
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is not a reason of judge.errors.REASONS")
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


def require(condition: object, reason: str, sentence: str) -> None:
    """Raise Refused(reason, sentence) unless `condition` holds. For sentences that cost nothing to build."""
    if not condition:
        raise Refused(reason, sentence)
