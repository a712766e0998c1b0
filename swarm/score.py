"""The participation score of an operator in an epoch, out of the chain, public blobs and the judge market's pages alone (judge-spec.md 2.2).

    P = 1000 (0.50 W + 0.20 J + 0.15 F + 0.10 E + 0.05 U), rounded down to thousandths

W  work units that were verified (their case closed clean and was settled) over the swarm's units per epoch, at most 1;
   the units of an operator's peers add up before that, so several peers earn what one would
J  judging: what its hit rate on checked panels is at least, x the seats that it revealed, x seats / 8 (at most 1); 0 below 8 checked votes
F  forecasts: how much better than the price without its own trades, in nats, over the markets settled in the epoch; 0 below 10
E  evidence: the accepted qualities of its five best pieces, over five
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
from judge.tally import Tally
from swarm.assessment import Assessment, Judged
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
    final: bool  # the window is over, every commitment and every market has its end: nothing can change any more
    tally: Tally = Tally()
    judged: Judged = Judged()  # how much is known of J, F and E

    @property
    def score(self) -> int | None:
        """Thousandths of a point; None while it is not final. What is not known counts 0 in it."""
        return self.parts.score if self.final else None

    @property
    def at_most(self) -> int | None:
        """What `score` would be if all that is not known were as good as can be: the same where everything is known."""
        whole = dict.fromkeys("JFE", Fraction(1)) if self.judged.unknown else {}
        return replace(self.parts, U=self.hearing.most, **whole).score if self.final else None


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


def of_epoch(book: Book, epoch: int, blobs: Blobs, market: Assessment | None = None) -> list[Score]:
    """The scores of everyone who committed an epoch, was heard or judged in it, in the order in which they came. `market` None: there is none."""
    own: dict[bytes, list[Commitment]] = {}
    for made in book.of(epoch):
        own.setdefault(made.member.operator, []).append(made)
    witnesses, judged = Witnesses(book, epoch, blobs), market.of(epoch) if market is not None else Judged()
    found = [_score(book, epoch, operator, tuple(own.get(operator, ())), witnesses.hearing(operator), judged) for operator in book.operators]
    return [score for score in found if score.commitments or score.hearing.by or score.tally.active]


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


def _score(book: Book, epoch: int, operator: bytes, own: tuple[Commitment, ...], seen: Hearing, judged: Judged) -> Score:
    units = sum(made.ending.units for made in own if made.ending is not None)
    final = book.now > book.closes(epoch) and judged.final and all(made.late or made.ending is not None for made in own)
    tally = judged.tallies.get(operator, Tally())
    parts = Parts(W=work(units, book.terms.maxUnits), J=tally.J, F=tally.F, E=tally.E, U=seen.share)
    return Score(operator, epoch, own, seen, parts, units, final, tally, judged)
