"""The judge market's part of an explanation: what J, F and E of an operator follow from, as values and as sentences."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from judge import scores
from judge.terms import CREDIT, WAD

if TYPE_CHECKING:
    from judge.tally import Tally
    from swarm.score import Score


def of(score: Score) -> dict[str, Any]:
    """Inputs and formula of the three parts. Fractions are exact, credits decimal; `state` is final, so far or unknown."""
    one, judged = score.tally, score.judged
    if judged.unknown:
        return {"state": "unknown", "why": judged.unknown, "sentences": [f"not known here: {judged.unknown}"]}
    waiting = [f"so far: {judged.waits} markets opened in this epoch or before are not settled"] if judged.waits else []
    waiting += ["the log up to this epoch's end is the one whose root is final on the chain"] if judged.anchored else []
    return {
        "state": "final" if judged.final else "so far",
        "waits": judged.waits,
        "anchored": judged.anchored,
        "seats": {"decided": one.seats, "revealed": one.revealed, "full": scores.SEATS_FULL},
        "gold": {
            "votes": one.gold_votes,
            "right": one.gold_right,
            "hits_fading": str(Fraction(one.gold_hits, WAD)),
            "votes_fading": str(Fraction(one.gold_n, WAD)),
            "answers": one.choices,
            "at_least": str(one.bound),
            "needed": scores.GOLD_LEAST,
        },
        "forecasts": {market.hex(): str(Fraction(each, WAD)) for market, each in one.forecasts},
        "evidence": {piece.hex(): str(Fraction(each, WAD)) for piece, each in one.pieces},
        "credits": {"earned": str(Fraction(one.earned, CREDIT)), "slashed": str(Fraction(one.slashed, CREDIT))},
        "sentences": [judging(one), forecasting(one), evidence(one), *waiting],
    }


def judging(one: Tally) -> str:
    """J in words."""
    if not one.seats:
        return "J = 0: no seat in a panel whose market was settled in this epoch"
    seats = f"{one.revealed} of {one.seats} seats revealed"
    if one.gold_votes < scores.GOLD_LEAST:
        return f"J = 0: {seats}, but a task's own scorer could check {one.gold_votes} of its votes so far; {scores.GOLD_LEAST} are needed"
    bound = f"gold {one.gold_right}/{one.gold_votes} (at least {short(one.bound)} with 90 %, older votes fading)"
    few = f", {one.seats} of the {scores.SEATS_FULL} seats that make it whole" if one.seats < scores.SEATS_FULL else ""
    return f"J = {short(one.J)}: {bound}, {seats}{few}"


def forecasting(one: Tally) -> str:
    """F in words."""
    if len(one.forecasts) < scores.FORECASTS_LEAST:
        return f"F = 0: {len(one.forecasts)} of its forecasts were decided in this epoch; {scores.FORECASTS_LEAST} are needed"
    against = f"{short(abs(one.mean))} nats {'worse' if one.mean < 0 else 'better'} than the price without its own trades"
    return f"F = {short(one.F)}: {len(one.forecasts)} forecasts, on average {against}"


def evidence(one: Tally) -> str:
    """E in words."""
    if not one.pieces:
        return "E = 0: no accepted evidence in a market of others that was settled in this epoch"
    best = sorted((quality for _, quality in one.pieces), reverse=True)[: scores.PIECES_MOST]
    return f"E = {short(one.E)}: qualities {' + '.join(short(Fraction(each, WAD)) for each in best)} of the best {scores.PIECES_MOST}, over 5"


def short(value: Fraction) -> str:
    """A fraction from 0 on, rounded down to two decimals; `0` where it is nothing."""
    hundredths = int(value * 100)
    return f"{hundredths // 100}.{hundredths % 100:02d}" if value else "0"
