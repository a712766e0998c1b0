"""The events of the judge market: one frozen class each. `judge.wire` says how they travel.

    entry = write(Trade(actor=..., t=..., ...), chain_id, secret)      an event of one's own, signed; a clock event takes no secret
    entry = read(data, chain_id)                                       a foreign one, or Refused
    entry.event, entry.id, entry.signer, entry.data

Times `t` are milliseconds since 1970, amounts int wei. A Clock event says what whoever has the log can compute to be due, and
`ledger.apply` refuses it when it is not; what comes from elsewhere (mints, standings, seeds, marks, a scorer's result) is computed
again by every node's shell before it lets the event into its log. Register, Session and Leave take the operator's own key only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgpack

from judge import keys
from judge.fields import Address, Amount, Between, Blob, Bps, Credits, Hash, MaybeHash, Nonce, OneOf, Row, Rows, Seat, Size, Text, Wei
from judge.terms import WAD
from judge.wire import Clock, Signed, codecs_of
from judge.wire import Entry as Entry  # this module is where events come from: how they are read and written belongs to its face
from judge.wire import Event as Event
from judge.wire import read as read
from judge.wire import write as write

ABSTAIN = 255  # as a choice
BROKEN = 255  # as the outcome of a verifier that failed or that peers disagree about
WRONG, RIGHT, SILENT = 0, 1, 255  # what a piece of evidence says of an outcome; as the outcome it is about, 255 is none
BUY, SPEND, SELL, SELL_FOR = "buy", "spend", "sell", "sell for"
QUESTION = 4000  # characters
PIECE = 4000

Outcomes = Annotated[tuple, Rows(Row((Text(200), Size(32, empty=True), Rows(Size(20), 16))), 20, least=2)]
Mints = Annotated[tuple, Rows(Row((Size(20), Amount())), 1024)]
Weights = Annotated[tuple, Rows(Row((Size(20), Between(0, WAD))), 1024)]


# ---- accounts


@dataclass(frozen=True, kw_only=True)
class Register(Signed):
    """An operator comes, or comes back. `session` may sign for it; empty for none."""

    KIND = 1
    OPERATOR_KEY = True
    session: Annotated[bytes, Size(20, empty=True)] = b""


@dataclass(frozen=True, kw_only=True)
class Session(Signed):
    """The operator names another session key, or none."""

    KIND = 2
    OPERATOR_KEY = True
    session: Annotated[bytes, Size(20, empty=True)] = b""


@dataclass(frozen=True, kw_only=True)
class Leave(Signed):
    """The operator goes: its stake becomes free credits. Refused while a seat, or a market that it created, holds something of it."""

    KIND = 3
    OPERATOR_KEY = True


@dataclass(frozen=True, kw_only=True)
class Stake(Signed):
    """Free credits become stake."""

    KIND = 4
    amount: Credits


@dataclass(frozen=True, kw_only=True)
class Unstake(Signed):
    """Stake that no seat holds becomes free credits."""

    KIND = 5
    amount: Credits


@dataclass(frozen=True, kw_only=True)
class Standing(Clock):
    """The chain jailed an operator, or let it out."""

    KIND = 6
    operator: Address
    jailed: Annotated[int, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class Epoch(Clock):
    """Epoch `number` begins; these credits are minted to these operators, by the recipe and the chain."""

    KIND = 7
    MAX_BYTES = 65_536
    number: Nonce
    mints: Mints = ()


@dataclass(frozen=True, kw_only=True)
class Bonus(Clock):
    """The peer bonus pool is split by these weights (`scores` computes them from the log), once an epoch."""

    KIND = 8
    MAX_BYTES = 65_536
    number: Nonce
    weights: Weights = ()


@dataclass(frozen=True, kw_only=True)
class GoldRoot(Clock):
    """The Merkle root of an epoch's gold answers, before the epoch begins."""

    KIND = 9
    number: Nonce
    root: Hash
    count: Annotated[int, Between(1, 2**20)]


@dataclass(frozen=True, kw_only=True)
class GoldOpen(Clock):
    """One entry of a past epoch's gold answers, with its proof. Counts for every judge who revealed a vote on that market."""

    KIND = 10
    MAX_BYTES = 2048
    number: Nonce
    market: Hash
    answer: Seat
    salt: Hash
    index: Annotated[int, Between(0, 2**20)]
    path: Annotated[tuple, Rows(Size(32), 32)] = ()


@dataclass(frozen=True, kw_only=True)
class Enter(Clock):
    """The chain knows an operator, and the session key that may sign for it: its registration there stands for a signature here."""

    KIND = 11
    operator: Address
    session: Annotated[bytes, Size(20, empty=True)] = b""


# ---- markets


@dataclass(frozen=True, kw_only=True)
class Open(Signed):
    """A question is drafted. An outcome is (label, sha256 of the answer's full text or empty, its authors).

    `scorer`: the digest of the program that resolves kind V; with it a P or H market without a panel can still end.
    """

    KIND = 20
    MAX_BYTES = 65_536
    nonce: Nonce
    kind: Annotated[str, OneOf(("V", "P", "H"))]
    question: Annotated[str, Text(QUESTION, lines=True)]
    outcomes: Outcomes
    b0: Credits
    fee_bps: Bps = 100
    scorer: MaybeHash = b""

    def market(self, chain_id: int) -> bytes:
        """The id of the market that this opens. It does not depend on `t`, so gold answers can name it before."""
        codecs = dict(codecs_of(Open))
        spec = [codecs[name].pack(getattr(self, name)) for name in ("kind", "question", "outcomes", "b0", "fee_bps", "scorer")]
        nonce = self.nonce.to_bytes(8, "big")
        return keys.digest_of(self.actor + nonce + keys.keccak(msgpack.packb(spec)), chain_id, b"/market")


@dataclass(frozen=True, kw_only=True)
class Fund(Signed):
    """Row 1: the creator pays the subsidy F and posts its bond; trading begins."""

    KIND = 21
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Trade(Signed):
    """Row 2. `side` says what `amount` and `guard` are, in wei:

    buy       amount shares for at most `guard` credits, fee included       spend     amount credits, fee included, for at least `guard` shares
    sell      amount shares for at least `guard` credits, fee off           sell for  amount credits before the fee, for at most `guard` shares
    A guard of 0 is none. `seq` is the market's `seq` that the price was read at, or -1 for any.
    """

    KIND = 22
    market: Hash
    nonce: Nonce
    side: Annotated[str, OneOf((BUY, SPEND, SELL, SELL_FOR))]
    outcome: Seat
    amount: Credits
    guard: Wei = 0
    seq: Annotated[int, Between(-1, 2**62)] = -1


@dataclass(frozen=True, kw_only=True)
class Evidence(Signed):
    """Row 3: a piece of evidence, with a stake. The event's id is the piece's id. What it claims is in its fields, and never read out of its text."""

    KIND = 23
    MAX_BYTES = 20_000
    market: Hash
    text: Annotated[str, Text(PIECE, lines=True)]
    about: Seat = SILENT
    says: Annotated[int, OneOf((WRONG, RIGHT, SILENT))] = SILENT


@dataclass(frozen=True, kw_only=True)
class Forecast(Signed):
    """What an operator believes, in basis points per outcome, 10,000 together. No bet; the one that was signed last counts."""

    KIND = 24
    market: Hash
    chances: Annotated[tuple, Rows(Between(0, 10**4), 20, least=2)]


@dataclass(frozen=True, kw_only=True)
class Grade(Clock):
    """The quality of a pending piece in WAD: one mark of the scorer (kind V) or three of the model judges, and how many flagged it."""

    KIND = 25
    market: Hash
    piece: Hash
    marks: Annotated[tuple, Rows(Between(0, WAD), 3, least=1)]
    flags: Annotated[int, Between(0, 3)] = 0


@dataclass(frozen=True, kw_only=True)
class RoundEnd(Clock):
    """Row 4: an evidence round is over. `seed` was fixed after its deadline."""

    KIND = 26
    market: Hash
    seed: Hash


@dataclass(frozen=True, kw_only=True)
class Resolve(Clock):
    """Row 5: what the scorer says; BROKEN where it failed or where peers disagree about its result."""

    KIND = 27
    market: Hash
    outcome: Seat


@dataclass(frozen=True, kw_only=True)
class Draw(Clock):
    """Row 6, and the seats of every later panel and roll. `seed`: fresh randomness."""

    KIND = 28
    market: Hash
    seed: Hash


@dataclass(frozen=True, kw_only=True)
class Commit(Signed):
    """Row 7: a judge's commitment, for all its seats. See `panel.commitment`."""

    KIND = 29
    market: Hash
    level: Annotated[int, Between(0, 2)]
    roll: Annotated[int, Between(0, 2)]
    commit: Hash


@dataclass(frozen=True, kw_only=True)
class Close(Clock):
    """Row 8: no more commitments."""

    KIND = 30
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Reveal(Signed):
    """Row 9: what was committed. Anyone may carry it: `actor` sends, `judge` voted."""

    KIND = 31
    market: Hash
    level: Annotated[int, Between(0, 2)]
    roll: Annotated[int, Between(0, 2)]
    judge: Address
    choice: Seat
    sure: Bps
    agree: Bps
    salt: Hash


@dataclass(frozen=True, kw_only=True)
class Tally(Clock):
    """Rows 10 to 13."""

    KIND = 32
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Dispute(Signed):
    """Row 14: the verdict of `level` is wrong, `claimed` is right. Within the same window others may add to the first one's bond."""

    KIND = 33
    market: Hash
    level: Annotated[int, Between(0, 2)]
    claimed: Seat
    bond: Credits
    reason: Hash


@dataclass(frozen=True, kw_only=True)
class Expire(Clock):
    """Row 15: nobody disputed."""

    KIND = 34
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Settle(Clock):
    """Rows 16 and 17, and VOID to SETTLED."""

    KIND = 35
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Timeout(Clock):
    """Row 18: T_max is over."""

    KIND = 36
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Claim(Signed):
    """Row 19: a holder takes what its shares pay."""

    KIND = 37
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Sweep(Clock):
    """Row 19: the claim window is over; the rest goes to the treasury."""

    KIND = 38
    market: Hash


@dataclass(frozen=True, kw_only=True)
class Fault(Signed):
    """The market's host left out an order it gave a receipt for, published two manifests, or reordered one. See `manifest`."""

    KIND = 39
    MAX_BYTES = 300_000
    market: Hash
    fault: Annotated[str, OneOf(("omitted", "twice", "order"))]
    first: Annotated[bytes, Blob(140_000)]
    second: Annotated[bytes, Blob(140_000)] = b""


@dataclass(frozen=True, kw_only=True)
class Check(Clock):
    """The task's own program knows that exactly this outcome of a market that a panel settled is right: it counts like an opened gold answer."""

    KIND = 40
    market: Hash
    answer: Seat
