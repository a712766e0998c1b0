"""Freezing a snapshot: units and tiers as the chain had them at the snapshot's moment, scores out of chain and public records.

Whoever computes a snapshot gets the same root. Where anything could still change, or a record cannot be had, there is none yet, rather than
another one. Used by `swarm snapshot`.
"""

from __future__ import annotations

from swarm import explanation
from swarm import score as scores
from swarm.assessment import Assessment
from swarm.chain.book import Book, Commitment
from swarm.chain.client import Chain
from swarm.errors import InputError
from swarm.pioneer import Program
from swarm.snapshot import Leaf, Snapshot
from swarm.witness import UNAVAILABLE, Blobs


def take(chain: Chain, book: Book, program: Program, epoch: int, blobs: Blobs, market: Assessment) -> Snapshot:
    """The snapshot of an epoch. Raises InputError where the moment has not come, a score is not final, a record is missing, or nobody is in it."""
    moment = chain.read("pioneer", "frozenAt", program.id, epoch)
    if book.now <= moment:
        left = moment - book.now + 1
        what = f"the snapshot of epoch {epoch} is taken in {left} s, when all cases about it are over (chain time {moment})"
        raise InputError(what, "run the same command after that, or name an earlier epoch")
    found = [each for number in book.epochs if number <= epoch for each in scores.of_epoch(book, number, blobs, market)]
    _require_final(book, found, market)
    summed: dict[bytes, int] = {}
    for each in found:
        summed[each.operator] = summed.get(each.operator, 0) + each.parts.score
    leaves = [_leaf(chain, book, program, epoch, moment, operator, summed.get(operator, 0)) for operator in book.operators]
    leaves = [leaf for leaf in leaves if leaf.units or leaf.score]
    if not leaves:
        raise InputError(f"nobody had done anything by the end of epoch {epoch}", "name a later epoch")
    return Snapshot(program.id, epoch, leaves)


def _leaf(chain: Chain, book: Book, program: Program, epoch: int, moment: int, operator: bytes, score: int) -> Leaf:
    units = {member.key: chain.read("ledger", "unitsAt", member.key, moment) for member in book.operators[operator]}
    tier = chain.read("pioneer", "frozenTier", program.id, epoch, operator)
    return Leaf(operator, score, sum(units.values()), tier, tuple(sorted(key for key, each in units.items() if each)))


def _require_final(book: Book, found: list[scores.Score], market: Assessment) -> None:
    """Scores that can still change, or that lack a record, make no root that others would get too."""
    for each in found:
        who = f"{explanation.title(book, each.operator)} in epoch {each.epoch}"
        if each.judged.unknown or (market.tallies is not None and not each.judged.anchored):
            why = each.judged.unknown or "no root of the judge market that is final on the chain covers it yet"
            raise InputError(f"the score of {who} is not known for good: {why}", "try again later, or with --wait or --invite to ask more members")
        if any(silent.why == UNAVAILABLE for silent in each.hearing.silent):
            lost = ", ".join(sorted({explanation.title(book, silent.made.member.operator) for silent in each.hearing.silent}))
            raise InputError(f"the score of {who} lacks records of {lost}", "ask members for them with --invite and a longer --wait")
        if waits := [made for made in each.commitments if made.ending is None and _can_end(book, made)]:
            raise InputError(f"the score of {who} is open: {explanation.why_not(book, waits[0])}", "try again once it is settled")
        if not each.judged.final:
            raise InputError(f"the score of {who} is open: {each.judged.waits} markets of it can still change something", "try again later")


def _can_end(book: Book, made: Commitment) -> bool:
    """Whether a commitment may still bring something: a late one does not, nor one so old that the ledger has forgotten its header."""
    return not made.late and made.epoch + book.terms.ring > book.swarm.epoch_at(book.now)
