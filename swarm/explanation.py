"""A score explained: its inputs, the formula with the numbers in it, transactions, audits, or why there is no score yet.

Everything is one plain value per operator, printed as JSON or as text (`swarm.ui.scores`), so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from swarm import sittings
from swarm.chain.book import Book, Commitment, Vote
from swarm.chain.values import Outcome, Phase, Reason
from swarm.errors import InputError
from swarm.keys import checksum
from swarm.names import name_of
from swarm.proof import odds
from swarm.score import POINTS, UNIT, WEIGHTS, Score, points, totals
from swarm.witness import UNAVAILABLE

FORMULA = f"P = {POINTS} × (" + " + ".join(f"{weight / 100:.2f} {name}" for name, weight in WEIGHTS.items()) + "), rounded down to thousandths"

WHY = {
    Reason.NONE: "",
    Reason.UNAUDITED: "no drawn auditor replayed it (each was silent, or said it cannot), so nothing was proved: no score, and nothing lost",
    Reason.FAULTY: "a panel found that a drawn step does not follow from its records: no score, and this peer's stake is lost",
    Reason.WITHHELD: "a panel could not get the data of a drawn step: no score, and the price of an absence; stay online until a case is closed",
    Reason.CONCEDED: "its operator gave the epoch up before the verdicts: no score, and a fee",
    Reason.TIED: "the last panel came to no majority: no score, and nobody's stake is lost",
    Reason.PLANTED: "it was a planted fault that tests the auditors: paid by the treasury, not by score",
    Reason.LONELY_CLASS: "too few other operators have a machine of this class, so too few could have audited it: no score for the work",
    Reason.VOIDED: "it continues an epoch that was lost or given up: no score; later epochs start from the last accepted state",
}
JUDGED = "JFE"  # parts that follow from the judge market's log
LATE = "committed after its window: that keeps the chain of states whole, is not audited and earns nothing; be online when an epoch ends"
PHASES = {
    Phase.COMMIT: "the commit window is open",
    Phase.BEACON: "the randomness for the draws is being revealed",
    Phase.AUDIT: "its drawn auditors are at work",
    Phase.REVEAL: "its auditors open their verdicts",
    Phase.CHALLENGE: "its verdicts can be challenged",
}


def require_over(book: Book, epoch: int) -> None:
    """Raises InputError where an epoch has not ended, or nobody committed it."""
    running = book.swarm.epoch_at(book.now)
    if epoch > running:
        raise InputError(f"there is no epoch {epoch} yet: epoch {running} runs now", _known(book))
    if (left := book.swarm.end(epoch) - book.now) > 0:
        raise InputError(f"epoch {epoch} is not over yet: it runs for another {left} s", f"commitments come after its end; {_known(book)}")
    if not book.of(epoch):
        left = book.closes(epoch) - book.now
        open_for = f": its commit window is open for another {left} s" if left > 0 else ""
        raise InputError(f"nobody has committed epoch {epoch}{open_for}", _known(book))


def operator_of(book: Book, text: str) -> bytes:
    """The operator (20 bytes) that an address or a peer's two-word name stands for. Raises InputError."""
    found = {checksum(operator).lower(): operator for operator in book.operators}
    found |= {name_of(member.operator, member.peer): member.operator for member in book.members.values()}
    if (operator := found.get(text.lower())) is None:
        known = ", ".join(title(book, operator) for operator in list(book.operators)[:8]) or "nobody yet"
        raise InputError(f"no operator of this swarm is {text!r}", f"known: {known}")
    return operator


def title(book: Book, operator: bytes) -> str:
    """The name of an operator's first peer, and how many more it has."""
    members = book.operators[operator]
    return name_of(operator, members[0].peer) + (f" +{len(members) - 1}" if len(members) > 1 else "")


def board(book: Book, found: list[Score]) -> list[dict[str, Any]]:
    """Final scores and verified units of every operator added up, the largest total first. Scores are in points."""
    return [
        {
            "operator": checksum(each.operator),
            "name": title(book, each.operator),
            "score": each.score / UNIT,
            "at_most": each.at_most / UNIT,
            "epochs": each.epochs,
            "units": each.units,
        }
        for each in totals(found)
    ]


def row(book: Book, score: Score) -> dict[str, Any]:
    """A score in short. Parts are exact fractions, None where they are not known; `score` is in points, None while it is open; `at_most` what it
    can be at most, where something is not known."""
    return {
        "operator": checksum(score.operator),
        "name": title(book, score.operator),
        "epoch": score.epoch,
        "score": None if score.score is None else score.score / UNIT,
        "at_most": None if score.at_most is None else score.at_most / UNIT,
        "parts": {name: None if name in JUDGED and score.judged.unknown else str(getattr(score.parts, name)) for name in WEIGHTS},
        "units": score.units,
        "transactions": [_hex(made.ending.tx) for made in score.commitments if made.ending is not None],
        "why": [why for made in score.commitments if (why := why_not(book, made))] or ([] if score.commitments else ["it committed nothing"]),
    }


def of(book: Book, score: Score) -> dict[str, Any]:
    """A score with everything it follows from."""
    seen = score.hearing
    return {
        **row(book, score),
        "formula": formula(score, book.terms.maxUnits),
        "exact": str(score.parts.exact),
        "most_units": book.terms.maxUnits,
        "heard": {"by": [title(book, who) for who in seen.by], "needed": seen.needed, "others": seen.others},
        "unread": [
            {"name": _name(each.made), "digest": each.made.data.hex(), "transaction": _hex(each.made.tx), "why": each.why} for each in seen.silent
        ],
        "judge": sittings.of(score),
        "commitments": [_commitment(book, made) for made in score.commitments],
    }


def formula(score: Score, most: int) -> str:
    """The formula with an operator's numbers in it; `most` units count in an epoch."""
    seen, parts = score.hearing, score.parts
    shown = {"W": f"{min(score.units, most)}/{most}", "U": f"{min(len(seen.by), seen.needed)}/{seen.needed}" if seen.needed else "0"}
    shown |= {name: "?" if score.judged.unknown else sittings.short(getattr(parts, name)) for name in JUDGED}
    terms = " + ".join(f"{weight / 100:.2f} × {shown[name]}" for name, weight in WEIGHTS.items())
    least = "at least " if score.judged.unknown else ""
    return f"{POINTS} × ({terms}) = {least}{points(parts.score)}" + ("" if score.final else " so far")


def why_not(book: Book, made: Commitment) -> str:
    """Why a commitment has earned nothing (yet), empty where it has."""
    if made.late:
        return LATE
    if made.ending is not None:
        return WHY[made.ending.reason] or ("" if made.ending.units else "its steps hold no work units")
    case = book.swarm.case(made.member.key, made.epoch)
    if (phase := Phase(case.phase)) != Phase.CLOSED:
        level = f" (jury {case.level})" if case.level else ""
        return f"not closed: {PHASES[phase]}{level}, for another {max(0, case.phaseEnds - book.now)} s"
    outcome = Outcome(case.outcome).name.lower()
    return f"the case is closed ({outcome}) and waits to be settled: its operator's node does that, and anyone may"


def missing(scores: Iterable[Score], why: str) -> list[str]:
    """Whose records could not be had, why, and what that means for these scores; nothing where all were."""
    lost: dict[str, set[int]] = {}
    for score in scores:
        for each in score.hearing.silent:
            if each.why == UNAVAILABLE:
                lost.setdefault(_name(each.made), set()).add(each.made.epoch)
    if not lost:
        return []
    whose = "; ".join(f"{name} (epoch {_ranges(sorted(epochs))})" for name, epochs in lost.items())
    return [
        f"missing records: {whose}: {why}.",
        f"Whom they heard counts as not heard by them, so a score can be too low here, by up to {POINTS * WEIGHTS['U'] // 100} points of uptime (U) "
        "an epoch, never too high; `--json` has each one's `at_most`. W is from the chain alone and is not touched.",
    ]


def unjudged(scores: Iterable[Score]) -> list[str]:
    """Why J, F and E of some are not known, and what that means; nothing where they are."""
    lost: dict[str, set[int]] = {}
    for score in scores:
        if score.judged.unknown:
            lost.setdefault(score.judged.unknown, set()).add(score.epoch)
    most = POINTS * sum(WEIGHTS[name] for name in JUDGED) // 100
    return [
        f"J, F and E (judging, forecasts, evidence) of epoch {_ranges(sorted(epochs))} are not known here: {why}. They count 0, so a score can be "
        f"too low here, by up to {most} points an epoch, never too high."
        for why, epochs in lost.items()
    ]


def decimals(value: Fraction, places: int) -> str:
    """A fraction from 0 on, rounded down to `places` decimals."""
    whole, rest = divmod(int(value * 10**places), 10**places)
    return f"{whole}.{rest:0{places}d}"


def _commitment(book: Book, made: Commitment) -> dict[str, Any]:
    drawn = min(book.terms.segments, made.steps)
    known = not made.late and book.swarm.audit_beacon(made.epoch) is not None
    span = max(1, book.terms.unbonding // book.terms.epoch)
    return {
        "name": _name(made),
        "peer": made.member.peer.hex(),
        "key": made.member.key.hex(),
        "steps": made.steps,
        "drawn": 0 if made.late else drawn,
        "drawn_steps": book.swarm.drawn_steps(made.member.key, made.epoch, made.steps) if known else [],
        "odds": _odds(made.steps, 0 if made.late else drawn, span),
        "units_claimed": made.units,
        "units_verified": made.ending.units if made.ending else 0,
        "reason": made.ending.reason.name.lower() if made.ending else None,
        "audits": [_vote(book, vote) for _, vote in sorted(made.votes.items())],
        "challenges": made.challenges,
        "small_panel": made.small_panel,
        "blob": made.data.hex(),
        "committed": _hex(made.tx),
        "settled": _hex(made.ending.tx) if made.ending else None,
        "why": why_not(book, made),
    }


def _odds(steps: int, drawn: int, span: int) -> dict[str, Any]:
    shares = {f"{share:g}": odds.of_share(steps, drawn, share) for share in (0.01, 0.1, 1.0)}
    return {**shares, "one_step": odds.detection(steps, drawn, 1), "epochs": span, "sentence": odds.sentence(steps, drawn, span)}


def _vote(book: Book, vote: Vote) -> dict[str, Any]:
    said = vote.verdict.name.lower() if vote.verdict else "not opened" if vote.sealed else "silent"
    auditor = book.members.get(vote.auditor)
    name = name_of(auditor.operator, auditor.peer) if auditor else vote.auditor.hex()[:12]
    return {"auditor": name, "key": vote.auditor.hex(), "level": vote.level, "roll": vote.roll, "verdict": said, "step": vote.step}


def _name(made: Commitment) -> str:
    return name_of(made.member.operator, made.member.peer)


def _hex(tx: bytes) -> str:
    return "0x" + tx.hex()


def _known(book: Book) -> str:
    return f"epochs with commitments: {_ranges(book.epochs)}" if book.epochs else "no epoch has commitments yet"


def _ranges(numbers: Iterable[int]) -> str:
    """`0-3, 5` of 0, 1, 2, 3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)
