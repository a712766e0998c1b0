"""Trades of a market in its evidence rounds, at LMSR prices (judge-spec.md 1.4), and forecasts, which cost nothing.

The fee is taken on the gross amount, rounded up: net + fee = gross, and only net enters or leaves the pot. What rounding leaves over
stays in the pot.

Where the specification is silent: an operator's liability is what its shares of one outcome may pay. It is checked when it buys; shares that
are minted for evidence count, but are not refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from judge import lmsr
from judge.errors import Refused
from judge.events import BUY, SELL, SELL_FOR, SPEND, Entry
from judge.market import Belief, Market
from judge.terms import BPS, PUSH, WAD

if TYPE_CHECKING:
    from judge.ledger import State
    from judge.terms import Terms


@dataclass(frozen=True)
class Quote:
    """What a trade does. A buyer pays `gross`, of which `net` enters the pot; a seller's shares give `gross` out of the pot, and it gets `net`."""

    side: str
    outcome: int
    shares: int
    gross: int
    fee: int
    net: int
    before: int  # WAD, price of the outcome
    after: tuple[int, ...]  # WAD, all prices
    seq: int

    @property
    def buys(self) -> bool:
        return self.side in (BUY, SPEND)

    @property
    def average(self) -> int:
        """WAD: credits in or out of the pot per share."""
        return (self.net if self.buys else self.gross) * WAD // self.shares if self.shares else 0

    @property
    def slippage_bps(self) -> int:
        """How far the average lies from the price before, towards the trader's loss."""
        worse = self.average - self.before if self.buys else self.before - self.average
        return worse * BPS // self.before if self.before else 0


def quote(market: Market, side: str, outcome: int, amount: int) -> Quote:
    """What `amount` (see `events.Trade`) would do now. Raises Refused where no number of shares does it."""
    liabilities, b, bps = market.liabilities, market.b, market.fee_bps
    if outcome >= market.n:
        raise Refused("malformed", f"{market.name} has the outcomes 0 to {market.n - 1}, not {outcome}")
    if side == SPEND:
        shares, gross, fee = 0, amount, fee_on(amount, bps)
        shares = lmsr.shares_for_spend(liabilities, b, outcome, gross - fee)
    elif side == BUY:
        shares, gross = amount, gross_of(lmsr.buy_cost(liabilities, b, outcome, amount), bps)
        fee = fee_on(gross, bps)
    elif side == SELL:
        shares, gross = amount, lmsr.sell_value(liabilities, b, outcome, amount)
        fee = fee_on(gross, bps)
    else:
        shares, gross, fee = _shares_for(market, outcome, amount), amount, fee_on(amount, bps)
    moved = list(liabilities)
    moved[outcome] += shares if side in (BUY, SPEND) else -shares
    before = market.prices()[outcome]
    return Quote(side, outcome, shares, gross, fee, gross - fee, before, lmsr.prices(moved, b), market.seq)


def fee_on(gross: int, bps: int) -> int:
    """The fee on a gross amount, rounded up."""
    return -(-gross * bps // BPS)


def gross_of(net: int, bps: int) -> int:
    """The smallest gross amount that leaves exactly `net` after the fee."""
    return -(-net * BPS // (BPS - bps))


def trade(state: State, market: Market, entry: Entry) -> None:
    """Row 2."""
    event, terms, trader = entry.event, state.terms, state.operators[entry.event.actor]
    if event.actor == market.creator:
        raise Refused("conflict", f"you opened {market.name}: its creator does not trade in it")
    if event.seq not in (-1, market.seq):
        raise Refused("slippage", f"{market.name} has moved since you read its price ({event.seq}, now {market.seq}): look again")
    said = quote(market, event.side, event.outcome, event.amount)
    _check_sizes(terms, market, said)
    _check_guard(event.guard, market, said)
    position = market.positions.get(event.actor)
    held = position.shares[event.outcome] if position else 0
    if said.buys:
        _check_exposure(terms, market, held + said.shares)
        if said.gross > trader.free:
            raise Refused("credits", f"this costs {said.gross} wei, fee included, and {trader.free} are free")
    elif said.shares > held:
        raise Refused("credits", f"you hold {held} share-wei of outcome {event.outcome} of {market.name}, and this sells {said.shares}")
    market.pass_time(event.t)
    _book(state, market, event.actor, said)


def forecast(state: State, market: Market, entry: Entry) -> None:
    """A belief without a bet. The operator's last one counts: what it signed last, not how it came."""
    event = entry.event
    if len(event.chances) != market.n or sum(event.chances) != BPS:
        raise Refused("malformed", f"a forecast of {market.name} is {market.n} numbers of basis points, {BPS} together")
    known = market.forecasts.get(event.actor)
    if known is not None and event.t < known.t:
        raise Refused("duplicate", f"you forecast {market.name} again at {known.t}, and this was signed at {event.t}: the later one counts")
    market.forecasts[event.actor] = Belief(event.t, event.chances)


def _shares_for(market: Market, outcome: int, proceeds: int) -> int:
    if proceeds > max(market.pot, 1):  # no more than everything; keeps the argument in the range of the formula
        raise Refused("limit", f"{proceeds} wei are more than {market.name} holds: sell for less")
    try:
        return lmsr.shares_for_proceeds(market.liabilities, market.b, outcome, proceeds)
    except ValueError:
        raise Refused("limit", f"no number of shares of outcome {outcome} sells for {proceeds} wei in {market.name}: sell for less") from None


def _check_sizes(terms: Terms, market: Market, said: Quote) -> None:
    if said.gross < terms.gross_least:
        raise Refused("limit", f"a trade of {said.gross} wei: at least {terms.gross_least} are traded at once")
    if said.shares < terms.shares_least:
        raise Refused("limit", f"a trade of {said.shares} share-wei: at least {terms.shares_least} are traded at once")
    if min(said.after) < terms.band:  # then no price is above 1 - band either, unless one is below
        raise Refused("limit", f"a price of {market.name} would fall below {terms.band} wei: trade fewer shares")
    moved = list(market.liabilities)
    moved[said.outcome] += said.shares if said.buys else -said.shares
    if max(moved) - min(moved) > terms.spread_most * market.b:
        raise Refused("limit", f"the outcomes of {market.name} would lie more than {terms.spread_most} b apart: trade fewer shares")


def _check_guard(guard: int, market: Market, said: Quote) -> None:
    if not guard:
        return
    if said.side == BUY and said.gross > guard:
        raise Refused("slippage", f"{market.name}: these shares cost {said.gross} wei now, and you would pay {guard}: look again")
    if said.side == SPEND and said.shares < guard:
        raise Refused("slippage", f"{market.name}: this buys {said.shares} share-wei now, and you asked for {guard}: look again")
    if said.side == SELL and said.net < guard:
        raise Refused("slippage", f"{market.name}: these shares give {said.net} wei now, and you asked for {guard}: look again")
    if said.side == SELL_FOR and said.shares > guard:
        raise Refused("slippage", f"{market.name}: this takes {said.shares} share-wei now, and you would give {guard}: look again")


def _check_exposure(terms: Terms, market: Market, shares: int) -> None:
    most = market.subsidy * market.n * terms.exposure_percent // 100
    if shares > most:
        raise Refused("limit", f"you would hold {shares} share-wei of one outcome of {market.name}; {most} are allowed per operator: buy fewer")


def _book(state: State, market: Market, actor: bytes, said: Quote) -> None:
    trader, position, outcome = state.operators[actor], market.position(actor), said.outcome
    if said.buys:
        trader.free -= said.gross
        market.pot += said.net
        market.liabilities[outcome] += said.shares
        position.shares[outcome] += said.shares
        position.cost[outcome] += said.gross
        position.pushed[outcome] += said.shares * PUSH // market.b
    else:
        market.pot -= said.gross
        trader.free += said.net
        market.liabilities[outcome] -= said.shares
        position.cost[outcome] -= position.cost[outcome] * said.shares // position.shares[outcome]
        position.shares[outcome] -= said.shares
        position.pushed[outcome] -= said.shares * PUSH // market.b
    market.fee_pot += said.fee
    market.fees[actor] = market.fees.get(actor, 0) + said.fee
    market.traders.add(actor)
    market.moved(said.after)
