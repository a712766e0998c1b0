"""Evidence: pieces of text with a stake, that are graded, deduplicated and paid in shares when their round is over (judge-spec.md 1.5).

Accepted quality r lowers b and mints shares to the author so that no price moves: x = b - b', and x (-ln p_i) shares of each outcome.
Splitting a piece gains nothing (the sums telescope), and the order in which pieces came in does not matter: within a round they are
taken in the order of keccak256(id || seed), with the seed fixed after the round.

Where the specification is silent:
- Texts are compared lower-cased up to U+052F (Latin, Greek, Cyrillic), since case tables beyond differ between Python versions, and
  with ASCII white space folded. The 5-grams are of characters.
- "At most half of all R from one operator" would leave a lone author nothing: an operator may bring 1.0 by itself, and beyond that at
  most as much as all others together. A piece above that counts in part.
- A piece without a mark at the end of its round waits for the next; after the last one its stake comes back and it counts nothing.
- The stake comes from free credits. It is lost to the treasury.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from judge import lmsr
from judge.errors import Refused, require
from judge.events import SILENT, Entry
from judge.keys import keccak
from judge.market import CLOSED, Market, Piece, begin_round, due, in_time
from judge.terms import WAD

if TYPE_CHECKING:
    from judge.ledger import State

GRAM = 5  # characters
_SPACE = re.compile("[\t\n\x0b\x0c\r ]+")


def folded(text: str) -> str:
    """The text as it is compared."""
    lowered = "".join(letter.lower() if letter < "\u0530" else letter for letter in text)
    return _SPACE.sub(" ", lowered).strip(" ")


def key_of(text: str) -> bytes:
    """sha256 of a folded text: equal for texts that differ in case and white space only."""
    return hashlib.sha256(text.encode()).digest()


@lru_cache(maxsize=512)
def grams(text: str) -> frozenset[str]:
    """The 5-grams of a folded text; a shorter one is its own."""
    return frozenset(text[start : start + GRAM] for start in range(max(1, len(text) - GRAM + 1)))


def similar(one: str, other: str, percent: int) -> bool:
    """Whether the Jaccard index of the 5-grams of two folded texts is above `percent`."""
    left, right = grams(one), grams(other)
    common = len(left & right)
    return 100 * common > percent * (len(left) + len(right) - common)


def submit(state: State, market: Market, entry: Entry) -> None:
    """Row 3."""
    event, terms, author = entry.event, state.terms, state.operators[entry.event.actor]
    mine = sum(piece.author == event.actor for piece in market.pieces.values())
    if mine >= terms.pieces_each:
        raise Refused("limit", f"you have brought {mine} pieces of evidence to {market.name}, and {terms.pieces_each} are allowed")
    if len(market.pieces) >= terms.pieces_most:
        raise Refused("limit", f"{market.name} has its {terms.pieces_most} pieces of evidence")
    if event.about >= market.n and event.about != SILENT:
        raise Refused("malformed", f"{market.name} has the outcomes 0 to {market.n - 1}, and this piece is about {event.about}")
    text = folded(event.text)
    require(text, "malformed", "a piece of evidence has at least one character that is not space")
    key = key_of(text)
    if any(piece.key == key and (piece.status == "accepted" or piece.author == event.actor) for piece in market.pieces.values()):
        raise Refused("duplicate", f"{market.name} has this piece of evidence already: bring another one")
    if author.free < terms.piece_stake:
        raise Refused("credits", f"a piece of evidence stakes {terms.piece_stake} wei, and {author.free} are free")
    author.free -= terms.piece_stake
    market.pieces[entry.id] = Piece(event.actor, market.round, key, terms.piece_stake, text)


def grade(state: State, market: Market, entry: Entry) -> None:
    """The marks of a pending piece. They may come after the round's deadline, until the round is ended."""
    event = entry.event
    in_time(market, event.t)
    piece = market.pieces.get(event.piece)
    require(piece is not None, "unknown", f"{market.name} has no piece of evidence {event.piece.hex()[:8]}")
    if piece.status != "pending" or piece.marks:
        raise Refused("duplicate", f"piece {event.piece.hex()[:8]} of {market.name} has its marks")
    if market.kind == "V" and (len(event.marks) != 1 or event.marks[0] not in (0, WAD)):
        raise Refused("malformed", f"a piece of {market.name} has one mark, of its scorer: 0, or {WAD} where it turned a wrong answer")
    if market.kind != "V" and len(event.marks) != 3:
        raise Refused("malformed", f"a piece of {market.name} has three marks, of the model judges, not {len(event.marks)}")
    piece.marks, piece.flags = event.marks, event.flags


def round_end(state: State, market: Market, entry: Entry) -> None:
    """Row 4."""
    event, durations = entry.event, state.terms.durations(market.kind)
    due(market, event.t)
    state.check_seed(event.seed)
    market.pass_time(market.deadline)
    market.round_seeds.append(event.seed)
    accept(state, market, event.seed)
    if market.round < durations.rounds:
        begin_round(market, event.t, durations.evidence)
        return
    for piece in market.pieces.values():
        if piece.status == "pending":
            _decide(state, market, piece, 0)
        piece.text = ""
    market.enter(CLOSED, event.t)


def accept(state: State, market: Market, seed: bytes) -> None:
    """Take the graded pieces of the round: each by its quality, in an order that nobody knew before the seed."""
    graded = [id for id, piece in market.pieces.items() if piece.status == "pending" and piece.marks]
    accepted = [piece for piece in market.pieces.values() if piece.status == "accepted"]
    for id in sorted(graded, key=lambda id: keccak(id, seed)):
        piece = market.pieces[id]
        quality = sorted(piece.marks)[len(piece.marks) // 2]
        if any(piece.key == other.key or similar(piece.text, other.text, state.terms.similar_percent) for other in accepted):
            quality = 0
        _decide(state, market, piece, min(quality, room(state, market, piece.author)))
        if piece.status == "accepted":
            accepted.append(piece)


def room(state: State, market: Market, author: bytes) -> int:
    """How much more quality (WAD) an operator can bring: up to one whole piece, or as much as all the others together."""
    mine = market.quality_by.get(author, 0)
    return max(state.terms.alone, market.quality - mine) - mine


def liquidity(b0: int, b_min: int, kappa: int, quality: int) -> int:
    """b after evidence of this quality: from b0 down towards b_min, rounded up."""
    return b_min + -(-(b0 - b_min) * kappa // (kappa + quality))


def mint(market: Market, author: bytes, quality: int, kappa: int) -> list[int]:
    """Lower b by evidence of this quality and mint its shares to the author. Returns the shares per outcome."""
    market.quality += quality
    market.quality_by[author] = market.quality_by.get(author, 0) + quality
    b = liquidity(market.b0, market.b_min, kappa, market.quality)
    shares = list(lmsr.bundle(market.liabilities, market.b, b))
    position = market.position(author)
    for outcome, more in enumerate(shares):
        market.liabilities[outcome] += more
        position.shares[outcome] += more
    market.b = b
    market.moved()
    return shares


def _decide(state: State, market: Market, piece: Piece, quality: int) -> None:
    piece.quality = quality
    piece.status = "accepted" if quality else "rejected"
    if quality:
        piece.shares = mint(market, piece.author, quality, state.terms.kappa)
    if not quality and piece.flags >= 2 and market.kind != "V":
        state.treasury += piece.stake
    else:
        state.operators[piece.author].free += piece.stake
    piece.stake = 0
