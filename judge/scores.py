"""What a completion, a forecast and an operator's epoch are worth once markets are FINAL (judge-spec.md 2.1 and 2.2).

Owns the reward of a completion, the price without one operator's own trades, the score of a forecast, the five parts of the
participation score and the peer bonus of judges. Pure functions on plain data, which the caller reads out of the log: nobody's own
word about a score is an input.

Values are int: amounts in wei, and prices, probabilities, weights, rewards and scores in WAD (10**18 is one) unless said. There is no
float. Sums are exact fractions; logarithms are taken with 60 digits, correctly rounded, and then rounded down to WAD. So whoever
computes a score gets the same digits.

Formulas: the log score is Good's (1952); the peer bonus is correlated agreement (Shnayder, Agarwal, Frongillo and Parkes, "Informed
truthfulness in multi-task peer prediction", EC 2016); the bound on a judge's hit rate is a quantile of a Beta distribution, computed
as the tail of a binomial one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context
from fractions import Fraction
from functools import lru_cache
from math import comb

from eth_utils import keccak

from judge import lmsr
from judge.terms import PUSH

WAD = 10**18
BPS = 10**4
FORMAT = WAD // 10  # w_f f of an answer in the asked form
SOFT_MOST = 2000  # bps of a reward that may come from a price

POINTS = 1000
UNIT = 1000  # a participation score is counted in thousandths of a point
WEIGHTS = {"W": 50, "J": 20, "F": 15, "E": 10, "U": 5}  # per cent
GOLD_LEAST = 8  # gold votes below which a judge has no J
SEATS_FULL = 8  # seats drawn from which J is whole
FORECASTS_LEAST = 10  # markets
PIECES_MOST = 5  # of evidence that count
WITNESSES = 3
PRIOR = 4  # pseudo-votes of 1.6, centred on a guess
TAIL = 10  # the posterior's lower bound leaves out one part in TAIL
GOLD_MOST = 1000  # votes; decayed counts stay below 73, and the tail of a longer record would take seconds

SHARED_LEAST = 8  # markets shared with a peer below which there is no peer bonus
AGREEMENT_MOST = Fraction(1, 2)
INVALID = -1  # the label of an INVALID vote among reports: its number in the tally differs from market to market

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)  # Decimal.ln is correctly rounded in it, whatever the machine
_PEER, _MARKET, _STRANGER = range(3)  # counters of the three random choices per judge and market


# ---- the reward of a completion (2.1)


@dataclass(frozen=True)
class Ruling:
    """What a market's last panel said, at FINAL.

    weights   revealed weight per outcome; abstentions have none
    invalid   revealed weight that called the question invalid
    panel     weight of all seats drawn, revealed or not
    seats     drawn
    revealed  seats that revealed, abstentions included
    final     the challenge window is over; False for a verdict (level 0 or later) that can still be disputed, or is
    void      no verdict stands
    """

    weights: tuple[int, ...]
    invalid: int
    panel: int
    seats: int
    revealed: int
    final: bool = True
    void: bool = False

    @property
    def spoken(self) -> int:
        """Revealed weight, without abstentions."""
        return sum(self.weights) + self.invalid

    @property
    def usable(self) -> bool:
        """Whether rewards may follow: a constant instead would only shrink the advantages of the group."""
        quorum = -(-2 * self.seats // 3)
        return self.final and not self.void and self.revealed >= quorum and self.spoken > 0


@dataclass(frozen=True)
class Completion:
    """An answer that takes part in a market of `kind` V, P or H as its `outcome`. `value` (the scorer's) and `formatted` count in V only."""

    kind: str
    outcome: int
    value: int = 0
    formatted: bool = False


def reward(completion: Completion, ruling: Ruling | None = None, price: int = 0, soft_bps: int = 0) -> int | None:
    """R of a completion: 0 to 1.1 in kind V, 0 to 1 in P and H; None: leave the sample out of its group.

    `ruling` None where the panel has not come to one. `soft_bps` of R (at most 2000) come from `price`, which must be the price
    without the trades of the answer's operator (`loo_prices`). In kind V neither counts: a judge or a price never out-votes a scorer.
    """
    _within(soft_bps, SOFT_MOST, "the soft label's weight (bps)")
    _within(price, WAD, "the price")
    if completion.kind == "V":
        return _within(completion.value, WAD, "the scorer's value") + FORMAT * completion.formatted
    if completion.kind not in ("P", "H"):
        raise ValueError(f"a market is of kind V, P or H, not {completion.kind!r}")
    if ruling is None or not ruling.usable:
        return None
    return int(((BPS - soft_bps) * _judged(ruling, completion.outcome) * WAD + soft_bps * price) / BPS)


def _judged(ruling: Ruling, outcome: int) -> Fraction:
    """s = 1/2 + conf (share - 1/C) / (2 (1 - 1/C)) of a usable ruling."""
    _within(outcome, len(ruling.weights) - 1, "the answer's outcome")
    share = Fraction(ruling.weights[outcome], ruling.spoken)
    confidence = min(Fraction(1), Fraction(ruling.spoken, ruling.panel))
    guess = Fraction(1, len(ruling.weights))
    s = Fraction(1, 2) + confidence * (share - guess) / (2 * (1 - guess))
    return min(Fraction(1), max(Fraction(0), s))


def critique_reward(quality: int) -> int:
    """R of a critique: the quality r that the market accepted it with, 0 to 1."""
    return _within(quality, WAD, "the quality of a piece")


# ---- the price without one operator, and forecasts


def own_shares(pushed: Sequence[int], b: int) -> tuple[int, ...]:
    """Q of an operator per outcome, in shares at today's liquidity `b`, from `Position.pushed`.

    A trade moves L/b by shares/b, and evidence keeps L/b while it lowers b: shares bought at liquidity b' have the effect of
    shares b/b' today. Where b never changed these are the operator's shares. Bundles minted for evidence are no trade: they
    moved no price.
    """
    return tuple((moved * b + PUSH // 2) // PUSH for moved in pushed)


def loo_prices(liabilities: Sequence[int], b: int, own: Sequence[int]) -> tuple[int, ...]:
    """The prices without the shares `own`: softmax((L - Q)/b). `liabilities` at CLOSED."""
    return lmsr.prices([total - mine for total, mine in zip(liabilities, own, strict=True)], b)


def forecast_score(forecast: Sequence[int], prices: Sequence[int], winner: int) -> int:
    """How much better `forecast` was than `prices` (without the forecaster's own trades): ln f_w - ln p_w, clipped to [-1, 1].

    Both are normalised first, so the forecast's unit is free.
    """
    for name, given in (("forecast", forecast), ("prices", prices)):
        if len(given) != len(prices) or min(given) < 0 or sum(given) == 0:
            raise ValueError(f"the {name} must be one number of at least 0 per outcome, not all 0: {list(given)}")
    _within(winner, len(prices) - 1, "the winner")
    if forecast[winner] == 0:
        return -WAD
    price = max(1, prices[winner])  # a price below 1 wei is printed as 0
    ratio = _CONTEXT.divide(forecast[winner] * sum(prices), sum(forecast) * price)
    excess = _CONTEXT.multiply(_CONTEXT.ln(ratio), WAD)
    return max(-WAD, min(WAD, int(excess.to_integral_value(ROUND_FLOOR))))


# ---- the participation score (2.2)


@dataclass(frozen=True)
class Parts:
    """What a participation score is made of, each 0 to 1 and exact."""

    W: Fraction = Fraction(0)  # work: verified by proof of learning, so it comes from outside
    J: Fraction = Fraction(0)  # judging
    F: Fraction = Fraction(0)  # forecasts
    E: Fraction = Fraction(0)  # evidence
    U: Fraction = Fraction(0)  # uptime

    @property
    def exact(self) -> Fraction:
        """P in points, 0 to 1000, before rounding."""
        return sum((getattr(self, name) * weight for name, weight in WEIGHTS.items()), Fraction(0)) * POINTS / 100

    @property
    def score(self) -> int:
        """P in thousandths of a point, 0 to 1,000,000, rounded down."""
        return int(self.exact * UNIT)

    def payout_weight(self, units: int) -> int:
        """P x verified work units: linear, so that units spread over several identities of the same parts weigh the same."""
        return self.score * units


def judging(bound: Fraction, gold_votes: int, drawn: int, revealed: int) -> Fraction:
    """J: `bound` (of `gold_bound`) x reveal rate x seats drawn / 8, at most 1; 0 below 8 gold votes. `gold_votes` is a plain count."""
    _within(revealed, drawn, "revealed seats")
    if gold_votes < GOLD_LEAST or not drawn:
        return Fraction(0)
    return bound * Fraction(revealed, drawn) * min(Fraction(1), Fraction(drawn, SEATS_FULL))


def gold_bound(hits: int, votes: int, outcomes: int) -> Fraction:
    """What a judge's hit rate on gold is at least, with 90 % posterior probability. `hits` and `votes`: decayed counts in WAD.

    The prior is that of the weight formula of 1.6: 4 votes that hit as often as a guess among `outcomes` labels (take the largest
    number where gold markets differ). The posterior is Beta(hits + 4/C, misses + 4 - 4/C) with both rounded to whole votes against
    the judge, since then its distribution function is a binomial sum and the quantile, to 18 digits and rounded down, is exact.
    """
    _within(hits, votes, "gold hits")
    _within(votes, GOLD_MOST * WAD, "gold votes")
    whole = outcomes * WAD
    good = (hits * outcomes + PRIOR * WAD) // whole
    bad = -(-((votes - hits) * outcomes + PRIOR * WAD * (outcomes - 1)) // whole)
    return Fraction(_beta_quantile(good, bad), WAD)


def forecasting(scores: Sequence[int]) -> Fraction:
    """F: the mean of the `forecast_score` of one epoch's markets, 0 if negative or below 10 markets. One nat above the price is 1."""
    if len(scores) < FORECASTS_LEAST:
        return Fraction(0)
    return max(Fraction(0), Fraction(sum(max(-WAD, min(WAD, score)) for score in scores), len(scores) * WAD))


def evidence(qualities: Sequence[int]) -> Fraction:
    """E: the accepted qualities r of the five best pieces, over five. Only pieces that are good fill it, many poor ones do not."""
    best = sorted((_within(quality, WAD, "the quality of a piece") for quality in qualities), reverse=True)[:PIECES_MOST]
    return Fraction(sum(best), PIECES_MOST * WAD)


def uptime(heard_by: int, others: int) -> Fraction:
    """U: whether three other operators (all, where there are fewer) heard this one, else the share of them; 0 with nobody else there."""
    _within(heard_by, others, "witnesses")
    needed = min(WITNESSES, others)
    return min(Fraction(1), Fraction(heard_by, needed)) if needed else Fraction(0)


# ---- the peer bonus (2.2)

Reports = Mapping[bytes, Mapping[bytes, int]]  # market id -> operator -> choice, abstentions left out; ids of fixed length


def correlated(reports: Reports) -> frozenset[tuple[int, int]]:
    """The pairs of labels that two judges of one market gave more often than judges of two markets would: S is 1 on them, else 0.

    Every report counts once, whatever the size of its panel.
    """
    joint: Counter[tuple[int, int]] = Counter()
    margin: Counter[int] = Counter()
    for given in reports.values():
        counts = Counter(given.values())
        if len(given) < 2:
            continue
        margin.update(counts)
        for a, of_a in counts.items():
            for b, of_b in counts.items():
                joint[a, b] += Fraction(of_a * (of_b - (a == b)), len(given) - 1)
    total = margin.total()
    return frozenset(pair for pair, seen in joint.items() if seen * total > margin[pair[0]] * margin[pair[1]])


def agreement(judge: bytes, reports: Reports, pairs: Collection[tuple[int, int]], seed: bytes) -> Fraction | None:
    """CA of one judge, -1 to 1/2: the mean over shared markets of S[own, a peer's] - S[own, a stranger's of another market].

    `pairs` from `correlated`. `seed` (32 bytes) must have been unknown while votes could be chosen. None below 8 shared markets.
    """
    others = {market: peers for market, given in sorted(reports.items()) if (peers := sorted(set(given) - {judge}))}
    markets = list(others)
    shared = [place for place, market in enumerate(markets) if judge in reports[market]]
    if len(shared) < SHARED_LEAST:
        return None
    total = 0
    for place in shared:
        market = markets[place]
        elsewhere = markets[(place + 1 + _pick(seed, judge, market, _MARKET, len(markets) - 1)) % len(markets)]
        peer = others[market][_pick(seed, judge, market, _PEER, len(others[market]))]
        stranger = others[elsewhere][_pick(seed, judge, market, _STRANGER, len(others[elsewhere]))]
        own = reports[market][judge]
        total += ((own, reports[market][peer]) in pairs) - ((own, reports[elsewhere][stranger]) in pairs)
    return min(AGREEMENT_MOST, Fraction(total, len(shared)))


def peer_bonus(pool: int, reports: Reports, gates: Mapping[bytes, int], seed: bytes) -> dict[bytes, int]:
    """`pool` wei among the judges in `reports`, by max(0, CA) x gold gate, rounded down; what is left over stays with the payer.

    `gates`: the weight w of 1.6 per operator; an operator without one gets nothing.
    """
    pairs = correlated(reports)
    shares: dict[bytes, Fraction] = {}
    for judge in sorted({judge for given in reports.values() for judge in given}):
        found = agreement(judge, reports, pairs, seed)
        shares[judge] = max(Fraction(0), found or Fraction(0)) * gates.get(judge, 0)
    total = sum(shares.values())
    return {judge: int(pool * share / total) for judge, share in shares.items() if share > 0}


def _pick(seed: bytes, judge: bytes, market: bytes, counter: int, among: int) -> int:
    # Stateless: a judge's choices in a market do not depend on who else is asked first. The bias of the remainder is below 2**-240.
    return int.from_bytes(keccak(seed + judge + market + bytes([counter])), "big") % among


@lru_cache(maxsize=4096)
def _beta_quantile(good: int, bad: int) -> int:
    """The largest x in WAD with I_x(good, bad) <= 1/10: bisection over integers, 60 steps."""
    low, high = 0, WAD
    while high - low > 1:
        middle = (low + high) // 2
        if _binomial_tail(good, good + bad - 1, middle) * TAIL <= WAD ** (good + bad - 1):
            low = middle
        else:
            high = middle
    return low


def _binomial_tail(least: int, tries: int, chance: int) -> int:
    """P(at least `least` hits in `tries` of `chance` WAD each) times WAD**tries, exact; it is I_chance(least, tries - least + 1)."""
    miss, power, total = WAD - chance, 1, 0
    for hits in range(tries, least - 1, -1):
        total = total * chance + comb(tries, hits) * power
        power *= miss
    return total * chance**least


def _within(value: int, most: int, what: str) -> int:
    if not 0 <= value <= most:
        raise ValueError(f"{what} must be from 0 to {most}, not {value}")
    return value
