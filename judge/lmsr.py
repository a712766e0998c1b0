"""Prices and costs of a market by the logarithmic market scoring rule (Hanson, 2003), in int wei (1e-18 credit).

A market is its `liabilities` L (the shares of each outcome that were sold and pay one credit each if it wins) and its liquidity b:

    C(L) = b ln sum_j exp(L_j/b)          what traders have paid in        p_i = exp((L_i - C)/b)          the price of outcome i

Every function is pure. What the market takes is rounded up and what it gives is rounded down. Decimals of 60 digits in a context
of this module are inside; `exp` and `ln` of the standard library are correctly rounded, so every peer gets the same wei.
A bad argument raises ValueError.

Seen from one outcome, the others count only by their sum. With g = L_i - max of the others, and R = sum exp((L_j - that max)/b):

    C = that max + h(g)      h(g) = b ln(R + e^{g/b}) = max(g, 0) + b ln T(g)      1 <= T(g) <= n

so no exponential overflows, and none is subtracted from where it matters. A trade is h at two gaps, or h solved for one of them.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

WAD = 10**18
OUTCOMES = (2, 20)
MOST = 10**30  # wei; up to here 60 digits are wrong by less than a thousandth of GUARD
GUARD = Decimal("1e-25")  # wei; added before rounding up, taken off before rounding down
CONTEXT = Context(
    prec=60,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=decimal.MIN_EMIN,
    Emax=decimal.MAX_EMAX,
    traps=[decimal.DivisionByZero, decimal.FloatOperation, decimal.InvalidOperation, decimal.Overflow],
)
ZERO, ONE = Decimal(0), Decimal(1)

Args = ParamSpec("Args")
Result = TypeVar("Result")


def _exact(function: Callable[Args, Result]) -> Callable[Args, Result]:
    """Run `function` with this module's precision, whatever the caller's is."""

    @wraps(function)
    def run(*args: Args.args, **named: Args.kwargs) -> Result:
        with localcontext(CONTEXT):
            return function(*args, **named)

    return run


# ---- the whole market


@_exact
def cost(liabilities: Sequence[int], b: int) -> int:
    """C(L), rounded up."""
    _check(liabilities, b)
    return max(liabilities) + _up(b * _total(liabilities, b).ln())


@_exact
def prices(liabilities: Sequence[int], b: int) -> tuple[int, ...]:
    """The price of each outcome; WAD together, exactly (largest remainder, the lower outcome first). One below 5e-19 can be 0."""
    _check(liabilities, b)
    unit = WAD / _total(liabilities, b)
    top = max(liabilities)
    exact = [unit * _weight(liability - top, b) for liability in liabilities]
    whole = [int(price) for price in exact]
    by_remainder = sorted(range(len(whole)), key=lambda outcome: whole[outcome] - exact[outcome])
    for outcome in by_remainder[: WAD - sum(whole)]:
        whole[outcome] += 1
    return tuple(whole)


@_exact
def price_at(liabilities: Sequence[int], b: int, outcome: int, digits: int = 36) -> int:
    """The price of `outcome` in units of 10^-digits, rounded down; at most 48 digits."""
    _check(liabilities, b, outcome)
    _whole(digits, "the number of digits", most=48)
    gap, rest = _seen_from(liabilities, b, outcome)
    top, level = _height(gap, rest, b)
    return int(_weight(gap - top, b) / level * 10**digits)


@_exact
def subsidy(outcomes: int, b: int) -> int:
    """b ln n, rounded up: what the sponsor of a market of `outcomes` outcomes puts in, and the most that it can lose."""
    return _up(_whole(b, "b", least=1) * Decimal(_whole(outcomes, "the number of outcomes", *OUTCOMES)).ln())


@_exact
def bundle(liabilities: Sequence[int], b: int, b_new: int) -> tuple[int, ...]:
    """The shares of each outcome that its author gets for evidence which lowers b to `b_new`: (b - b_new)(-ln p_i), rounded down.

    At `b_new` and with these shares added, the prices are what they were.
    """
    _check(liabilities, b)
    fall = b - _whole(b_new, "the new b", least=1, most=b)
    if not fall:
        return (0,) * len(liabilities)
    top, log = max(liabilities), _total(liabilities, b).ln()
    return tuple(_down(fall * (Decimal(top - liability) / b + log)) for liability in liabilities)


# ---- trades of one outcome


@_exact
def buy_cost(liabilities: Sequence[int], b: int, outcome: int, shares: int) -> int:
    """What `shares` of `outcome` cost, rounded up; at most `shares`."""
    _check(liabilities, b, outcome)
    if not _whole(shares, "the shares"):
        return 0
    gap, rest = _seen_from(liabilities, b, outcome)
    return min(shares, _up(_climb(gap, gap + shares, rest, b)))


@_exact
def sell_value(liabilities: Sequence[int], b: int, outcome: int, shares: int) -> int:
    """What the market pays for `shares` of `outcome`, rounded down. Whether the seller holds them is not asked here."""
    _check(liabilities, b, outcome)
    if not _whole(shares, "the shares"):
        return 0
    gap, rest = _seen_from(liabilities, b, outcome)
    return _down(_climb(gap - shares, gap, rest, b))


@_exact
def shares_for_spend(liabilities: Sequence[int], b: int, outcome: int, spend: int) -> int:
    """The most shares of `outcome` whose `buy_cost` is at most `spend`."""
    _check(liabilities, b, outcome)
    if not _whole(spend, "the spend"):
        return 0
    gap, rest = _seen_from(liabilities, b, outcome)
    # Two guards less than `spend`, so that the cost of the result, to which one is added, cannot come out above it.
    net = spend - 2 * GUARD
    top = max(gap, 0)
    moved = _weight(gap - top, b) + rest * _weight(-top, b) * (1 - (-net / b).exp())
    return max(spend, _down(net + top - gap + b * moved.ln()))


@_exact
def shares_for_proceeds(liabilities: Sequence[int], b: int, outcome: int, proceeds: int) -> int:
    """The fewest shares of `outcome` whose `sell_value` is at least `proceeds`, which must be less than any number of them gives."""
    _check(liabilities, b, outcome)
    if not _whole(proceeds, "the proceeds"):
        return 0
    gap, rest = _seen_from(liabilities, b, outcome)
    net = proceeds + 2 * GUARD  # two guards more, as in shares_for_spend
    top = max(gap - net, ZERO)
    moved = ((gap - net - top) / b).exp() - rest * (-top / b).exp() * (1 - (-net / b).exp())
    if moved <= 0:
        raise ValueError(f"no number of shares of outcome {outcome} sells for {proceeds} wei")
    return _up(gap - top - b * moved.ln())


@_exact
def shares_to_belief(liabilities: Sequence[int], b: int, outcome: int, target: int) -> tuple[int, int]:
    """How many shares of `outcome` raise its price to `target` (in WAD), rounded down, and the cost b ln((1-p)/(1-t)), rounded up.

    (0, 0) where the price is there already.
    """
    _check(liabilities, b, outcome)
    odds = Decimal(_whole(target, "the target price", least=1, most=WAD - 1)) / (WAD - target)
    gap, rest = _seen_from(liabilities, b, outcome)
    shares = _down(b * (odds * rest).ln() - gap)
    if not shares:
        return 0, 0
    top, level = _height(gap, rest, b)
    return shares, _up(b * (rest / level * WAD / (WAD - target)).ln() - top)  # 1 - p = R e^{-top/b} / T


# ---- the curve


@lru_cache(maxsize=4096)
def _weight(gap: int, b: int) -> Decimal:
    """e^{gap/b} for gap <= 0. Kept, because a market is asked for quotes, costs and prices at one state, and a trade moves one gap."""
    return (Decimal(gap) / b).exp() if gap else ONE


def _total(liabilities: Sequence[int], b: int) -> Decimal:
    """sum_j exp((L_j - max L)/b), from 1 to n."""
    top = max(liabilities)
    return sum((_weight(liability - top, b) for liability in liabilities), ZERO)


def _seen_from(liabilities: Sequence[int], b: int, outcome: int) -> tuple[int, Decimal]:
    """(g, R) of `outcome`."""
    others = [*liabilities[:outcome], *liabilities[outcome + 1 :]]
    return liabilities[outcome] - max(others), _total(others, b)


def _height(gap: int, rest: Decimal, b: int) -> tuple[int, Decimal]:
    """h(gap) as (top, T): top + b ln T, where top = max(gap, 0)."""
    if gap <= 0:
        return 0, rest + _weight(gap, b)
    return gap, rest * _weight(-gap, b) + 1


def _climb(low: int, high: int, rest: Decimal, b: int) -> Decimal:
    """h(high) - h(low), wei."""
    (top_low, level_low), (top_high, level_high) = _height(low, rest, b), _height(high, rest, b)
    return top_high - top_low + b * (level_high / level_low).ln()


# ---- whole numbers


def _up(wei: Decimal) -> int:
    return int((wei + GUARD).to_integral_value(decimal.ROUND_CEILING))


def _down(wei: Decimal) -> int:
    return max(0, int((wei - GUARD).to_integral_value(decimal.ROUND_FLOOR)))


def _check(liabilities: Sequence[int], b: int, outcome: int = 0) -> None:
    _whole(len(liabilities), "the number of outcomes", *OUTCOMES)
    _whole(b, "b", least=1)
    for liability in liabilities:
        _whole(liability, "a liability", least=-MOST)
    _whole(outcome, "the outcome's number", most=len(liabilities) - 1)


def _whole(amount: int, name: str, least: int = 0, most: int = MOST) -> int:
    if type(amount) is not int or not least <= amount <= most:
        raise ValueError(f"{name} is an int from {least} to {most}, not {amount!r}")
    return amount
