"""The participation score of an operator in an epoch, out of the chain and public blobs alone (judge-spec.md 2.2).

    P = 1000 (0.50 W + 0.20 J + 0.15 F + 0.10 E + 0.05 U), rounded down to thousandths

W  work units that were verified (their case closed clean and was settled) over the swarm's units per epoch, at most 1;
   the units of an operator's peers add up before that, so several peers earn what one would
J  judging, F forecasts, E evidence: 0 until the judge market exists
U  1 if three other operators (all, where fewer committed) name one of the operator's peers as heard in the epoch, else the share of them

All arithmetic is in fractions, so whoever computes it gets the same digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from judge.scores import POINTS as POINTS  # these four are this module's face too
from judge.scores import UNIT as UNIT
from judge.scores import WEIGHTS as WEIGHTS
from judge.scores import Parts as Parts
from swarm.chain.book import Book, Commitment
from swarm.witness import Blobs, Hearing, Witnesses


@dataclass(frozen=True)
class Score:
    """One operator's score in one epoch and everything it follows from."""

    operator: bytes
    epoch: int
    commitments: tuple[Commitment, ...]
    hearing: Hearing
    parts: Parts
    units: int  # verified
    final: bool  # the window is over and every commitment has its end: nothing can change any more

    @property
    def score(self) -> int | None:
        """Thousandths of a point; None while it is not final."""
        return self.parts.score if self.final else None

    @property
    def at_most(self) -> int | None:
        """What `score` would be if the records that could not be had all named this operator; the same where none is missing."""
        return replace(self.parts, U=self.hearing.most).score if self.final else None


@dataclass(frozen=True)
class Total:
    """An operator's final scores put together. `score` and `at_most` in thousandths of a point, `units` verified, in MFLOP."""

    operator: bytes
    epochs: int
    score: int
    units: int
    at_most: int = 0


def work(units: int, most: int) -> Fraction:
    """W of `units` verified in an epoch that pays for at most `most` of them."""
    return min(Fraction(1), Fraction(units, most))


def of_epoch(book: Book, epoch: int, blobs: Blobs) -> list[Score]:
    """The scores of everyone who committed an epoch or was heard in it, in the order in which the operators came."""
    own: dict[bytes, list[Commitment]] = {}
    for made in book.of(epoch):
        own.setdefault(made.member.operator, []).append(made)
    witnesses = Witnesses(book, epoch, blobs)
    found = [_score(book, epoch, operator, tuple(own.get(operator, ())), witnesses.hearing(operator)) for operator in book.operators]
    return [score for score in found if score.commitments or score.hearing.by]


def totals(scores: list[Score]) -> list[Total]:
    """Final scores by operator, the largest first."""
    by: dict[bytes, list[Score]] = {}
    for score in scores:
        by.setdefault(score.operator, []).extend([score] if score.final else [])
    found = [
        Total(operator, len(own), sum(s.score or 0 for s in own), sum(s.units for s in own), sum(s.at_most or 0 for s in own))
        for operator, own in by.items()
    ]
    return sorted(found, key=lambda total: (-total.score, -total.units, total.operator))


def points(thousandths: int) -> str:
    """`434987` as points: `434.987`."""
    return f"{thousandths // UNIT}.{thousandths % UNIT:03d}"


def _score(book: Book, epoch: int, operator: bytes, own: tuple[Commitment, ...], seen: Hearing) -> Score:
    units = sum(made.ending.units for made in own if made.ending is not None)
    final = book.now > book.closes(epoch) and all(made.late or made.ending is not None for made in own)
    return Score(operator, epoch, own, seen, Parts(W=work(units, book.terms.maxUnits), U=seen.share), units, final)
