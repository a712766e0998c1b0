"""How a node bids in a market by its model's belief (judge-spec.md 1.9). It decides only the node's own bids, so it may use floats;
no other peer computes them again. What leaves this file for the ledger is in int wei.

    belief(log-probs)  ->  shrunk(belief, prices)  ->  bid(...)  ->  Bid(outcome, shares, max_gross) or Pass(reason)

`calibrate` fits from the node's last resolved markets how sharp its log-probs are (temperature) and how far it knows better than
the price (trust, the spec's lambda). Sizing is a quarter of Kelly's bet (1956) at the rising price of LMSR, fee included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, expm1, isfinite, log, log1p

from judge import lmsr

WAD = 10**18
BPS = 10**4
HISTORY = 200  # resolved markets that count
HISTORY_LEAST = 20  # below these a fit would follow chance: temperature 1, least trust
TEMPERATURES = (0.2, 20.0)
TRUSTS = (0.1, 0.9)
KELLY = 0.25
ROUND_SHARE = 10  # a round's bids take at most one part in ROUND_SHARE of the bankroll
SLACK = 100  # bps by which the price may have moved before the order is executed
GROSS_LEAST = WAD // 100  # limits of the market, 1.4; this much buys more than the least number of shares
PRICE_LEAST = 1e-6
_STEPS = 200  # a double has no more halvings between two bounds


@dataclass(frozen=True)
class Resolved:
    """A past market: the evidence for each label (`log_odds`), the prices the node saw (0 to 1), and the outcome that won."""

    evidence: tuple[float, ...]
    prices: tuple[float, ...]
    winner: int


@dataclass(frozen=True)
class Calibration:
    """What the node's past says of its beliefs. `dropped`: markets of the last 200 with a number that is not finite, or a price of 0."""

    temperature: float = 1.0
    trust: float = TRUSTS[0]
    markets: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class Offer:
    """A market as it stands: liabilities and liquidity in wei, the fee, and how many shares the operator may still take (None: no limit)."""

    liabilities: tuple[int, ...]
    b: int
    fee_bps: int = 100
    room: int | None = None


@dataclass(frozen=True)
class Purse:
    """Credits in wei that were free when the round began, and what bids of this round have taken since (in any market)."""

    bankroll: int
    spent: int = 0

    @property
    def limit(self) -> int:
        return self.bankroll // ROUND_SHARE - self.spent


@dataclass(frozen=True)
class Bid:
    """Buy `shares` of `outcome` for at most `max_gross`, fee included; wei."""

    outcome: int
    shares: int
    max_gross: int


@dataclass(frozen=True)
class Pass:
    """No bid, and why."""

    reason: str


# ---- belief


def log_odds(prompted: Sequence[float], empty: Sequence[float]) -> tuple[float, ...] | None:
    """Per label: its log-prob after the prompt less that after an empty question, which takes length and habit out.

    None where one of them is not a finite number.
    """
    found = tuple(asked - habit for asked, habit in zip(prompted, empty, strict=True))
    return found if len(found) > 1 and all(map(isfinite, found)) else None


def belief(evidence: Sequence[float], temperature: float = 1.0) -> tuple[float, ...]:
    """softmax(evidence / temperature): probabilities, one per label."""
    top = max(evidence)
    parts = [exp((value - top) / temperature) for value in evidence]
    return tuple(part / sum(parts) for part in parts)


def shrunk(own: Sequence[float], prices: Sequence[float], trust: float) -> tuple[float, ...]:
    """r = (1 - trust) price + trust belief."""
    return tuple((1 - trust) * price + trust * mine for price, mine in zip(prices, own, strict=True))


def forecast(probabilities: Sequence[float]) -> tuple[int, ...]:
    """Probabilities as a signed forecast carries them: WAD, at least 1 each, exactly one together (the largest takes the difference)."""
    whole = [max(1, int(value * WAD)) for value in probabilities]
    whole[whole.index(max(whole))] += WAD - sum(whole)
    return tuple(whole)


# ---- calibration


def calibrate(history: Sequence[Resolved]) -> Calibration:
    """Temperature and trust from the last 200 markets of `history` (oldest first).

    The temperature minimises the log loss; the trust maximises the log score of the shrunk belief beyond the price. Each is a search
    for the zero of a falling slope, so that there is one answer within its bounds.
    """
    recent = history[-HISTORY:]
    usable = [market for market in recent if all(map(isfinite, market.evidence)) and all(0 < price <= 1 for price in market.prices)]
    dropped = len(recent) - len(usable)
    if len(usable) < HISTORY_LEAST:
        return Calibration(markets=len(usable), dropped=dropped)
    sharpness = _zero(lambda beta: sum(_pull(market, beta) for market in usable), 1 / TEMPERATURES[1], 1 / TEMPERATURES[0])
    odds = [belief(market.evidence, 1 / sharpness)[market.winner] / market.prices[market.winner] - 1 for market in usable]
    trust = _zero(lambda share: sum(odd / (1 + share * odd) for odd in odds), *TRUSTS)
    return Calibration(1 / sharpness, trust, len(usable), dropped)


def _pull(market: Resolved, beta: float) -> float:
    """How the log score of softmax(beta evidence) changes with beta: the winner's evidence less the mean one."""
    chances = belief(market.evidence, 1 / beta)
    return market.evidence[market.winner] - sum(chance * value for chance, value in zip(chances, market.evidence, strict=True))


# ---- size


def cost(price: float, b: float, shares: float) -> float:
    """What LMSR takes for `shares` of an outcome at `price`, in the unit of b."""
    if shares <= b:
        return b * log1p(price * expm1(shares / b))
    return shares + b * log(price + (1 - price) * exp(-shares / b))


def moved(price: float, b: float, shares: float) -> float:
    """The price after buying `shares`."""
    return price / (price + (1 - price) * exp(-shares / b))


def kelly(price: float, b: float, bankroll: float, chance: float, fee: float = 0.0) -> float:
    """The shares that maximise chance ln(w - c + d) + (1 - chance) ln(w - c), c their cost with `fee` (a share of the gross cost).

    The root of chance (1 - p')/(w - c + d) = (1 - chance) p'/(w - c); 0 where the first share already has no edge.
    """
    keep = 1 - fee

    def slope(shares: float) -> float:
        left = bankroll - cost(price, b, shares) / keep
        after = moved(price, b, shares) / keep
        return chance * (1 - after) * left - (1 - chance) * after * (left + shares)

    return _zero(slope, 0.0, _affordable(price, b, bankroll)) if slope(0.0) > 0 else 0.0


def growth(price: float, b: float, bankroll: float, chance: float, shares: float, fee: float = 0.0) -> float:
    """The expected log growth of the bankroll by holding `shares` to the end."""
    share = cost(price, b, shares) / (1 - fee) / bankroll
    return chance * log1p(shares / bankroll - share) + (1 - chance) * log1p(-share) if share < 1 else float("-inf")


def bid(offer: Offer, evidence: Sequence[float] | None, calibration: Calibration, purse: Purse) -> Bid | Pass:
    """A quarter of Kelly's bet on the outcome that promises the most growth, within a tenth of the bankroll a round.

    `evidence` of `log_odds`. The sizing takes what the node holds already for no part of its wealth.
    """
    prices = [price / WAD for price in lmsr.prices(offer.liabilities, offer.b)]
    if evidence is None or not all(map(isfinite, evidence)):
        return Pass("a label's log-probability is not a finite number")
    if len(evidence) != len(prices):
        raise ValueError(f"the belief is about {len(evidence)} labels and the market has {len(prices)}")
    if purse.limit < GROSS_LEAST:
        return Pass("the round's tenth of the bankroll is spent, or less than the smallest bid")
    if not all(PRICE_LEAST < price < 1 - PRICE_LEAST for price in prices):
        return Pass("a price is at the edge of what the market allows")
    chances = shrunk(belief(evidence, calibration.temperature), prices, calibration.trust)
    outcome, shares = _best(prices, chances, offer, purse)
    if shares <= 0:
        return Pass("the belief does not beat the price by more than the fee")
    return _order(offer, prices, outcome, chances[outcome], int(shares * WAD), purse)


def _best(prices: Sequence[float], chances: Sequence[float], offer: Offer, purse: Purse) -> tuple[int, float]:
    """The outcome of the most expected growth, and a quarter of Kelly's shares of it, in credits."""
    b, bankroll, fee = offer.b / WAD, purse.bankroll / WAD, offer.fee_bps / BPS
    best, most = (0, 0.0), 0.0
    for outcome, (price, chance) in enumerate(zip(prices, chances, strict=True)):
        shares = KELLY * kelly(price, b, bankroll, chance, fee)
        gain = growth(price, b, bankroll, chance, shares, fee)
        if gain > most:
            best, most = (outcome, shares), gain
    return best


def _order(offer: Offer, prices: Sequence[float], outcome: int, chance: float, shares: int, purse: Purse) -> Bid | Pass:
    """The order in wei that keeps to the round's limit, the market's limits and the belief itself."""
    if offer.room is not None:
        shares = min(shares, offer.room)
    if shares > 0 and _gross(offer, outcome, shares) > purse.limit:
        net = purse.limit - -(-purse.limit * offer.fee_bps // BPS)
        shares = min(shares, lmsr.shares_for_spend(offer.liabilities, offer.b, outcome, net))
    gross = _gross(offer, outcome, shares) if shares > 0 else 0
    if gross < GROSS_LEAST:
        return Pass("the bid would be smaller than the market takes")
    after = moved(prices[outcome], offer.b / WAD, shares / WAD)
    others = [price * (1 - after) / (1 - prices[outcome]) for place, price in enumerate(prices) if place != outcome]
    if min(others) <= PRICE_LEAST or after >= 1 - PRICE_LEAST:
        return Pass("the bid would move a price out of what the market allows")
    # Above chance x shares the order would lose money by the node's own belief.
    return Bid(outcome, shares, min(gross * (BPS + SLACK) // BPS, purse.limit, max(gross, int(chance * shares))))


def _gross(offer: Offer, outcome: int, shares: int) -> int:
    """The smallest gross amount that leaves the cost of `shares` after the fee, which is rounded up."""
    net = lmsr.buy_cost(offer.liabilities, offer.b, outcome, shares)
    return -(-net * BPS // (BPS - offer.fee_bps))


def _affordable(price: float, b: float, spend: float) -> float:
    """The shares that `spend` buys, before any fee."""
    if spend <= b:
        return b * log1p(expm1(spend / b) / price)
    return spend + b * log((1 - (1 - price) * exp(-spend / b)) / price)


def _zero(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where `falling` crosses 0 between the bounds; the bound itself where it does not."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
