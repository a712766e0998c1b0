"""The money of verdicts: disputes, fees, slashes, VOID, and what holders are paid (judge-spec.md 1.7 and 1.8). Exact to the wei.

Where the specification is silent:
- The judges' part of the fees is 60 %, rounded down; a fifth of it, rounded down, goes to the peer bonus pool; the rest is split over the
  seats of all panels of the market: two parts a coherent seat, one part an abstention. A coherent seat
  above level 0 gets `seat_fee` at least, as far as the treasury can pay: half of a lost bond, which the treasury gets, is as much. 20 %
  is the creator's, and all else, with every remainder, the treasury's.
- Slashes are split equally over the coherent seats of all panels; where an upheld dispute hit a panel, 60 % of the slash of that panel's
  incoherent seats goes to those who paid its bond, in proportion. Remainders go to the treasury.
- A dispute is upheld where FINAL is what it claimed, lost where FINAL is what it was against, and otherwise gets its bond back. Half of a
  lost bond is split over the coherent seats of the panels after it. In VOID, bonds come back and slashes of silent seats go to the treasury.
- INVALID settles seats and disputes like any verdict; the fees stay, and are refunded by the VOID that follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.errors import Refused, require
from judge.events import ABSTAIN, Entry
from judge.market import ARCHIVED, COMMIT, FINAL, OPEN, SETTLED, VOID, Challenge, Market, Panel, due, in_time
from judge.terms import BPS, WAD

if TYPE_CHECKING:
    from judge.accounts import Operator
    from judge.ledger import State


# ---- disputes and FINAL


def dispute(state: State, market: Market, entry: Entry) -> None:
    """Row 14; and, within the same window, more bond for the first dispute."""
    event, challenger = entry.event, state.operators[entry.event.actor]
    if market.phase == COMMIT:
        _join(state, market, entry)
        return
    verdict = market.verdict
    require(event.level == market.level, "phase", f"the verdict of {market.name} is of level {market.level}, not {event.level}")
    if event.t >= market.deadline:
        raise Refused("deadline", f"the verdict of {market.name} could be disputed until {market.deadline}, and this was signed for {event.t}")
    if market.level + 1 >= len(state.terms.seats):
        raise Refused("limit", f"the verdict of {market.name} is of the last level and stands")
    require(event.claimed != verdict.choice, "malformed", f"you claim {event.claimed}, which is what the verdict of {market.name} says")
    require(event.claimed <= market.n, "malformed", f"{market.name} has the choices 0 to {market.n}, not {event.claimed}")
    least = state.terms.dispute_bond(market.level)
    if event.bond < least:
        raise Refused("limit", f"a dispute of {market.name} takes a bond of {least} wei at least, not {event.bond}")
    _post(challenger, event.bond, market)
    market.challenges.append(Challenge(market.level, verdict.choice, event.claimed, market.deadline, event.reason, {event.actor: event.bond}))
    call_higher(state, market, event.t)


def _join(state: State, market: Market, entry: Entry) -> None:
    event = entry.event
    first = market.challenges[-1] if market.challenges else None
    if first is None or first.level != event.level or market.level != event.level + 1:
        raise Refused("phase", f"{market.name} is in {market.place}: there is no verdict of level {event.level} to dispute")
    if event.t >= first.until:
        raise Refused("deadline", f"that dispute of {market.name} could be joined until {first.until}, and this was signed for {event.t}")
    if event.claimed != first.claimed:
        raise Refused("conflict", f"{market.name} is disputed already, for choice {first.claimed}: you can add to that bond, for no other choice")
    require(event.actor not in market.panel.seats, "conflict", f"you have a seat in {market.name}: a judge does not pay for a side")
    _post(state.operators[event.actor], event.bond, market)
    first.bonds[event.actor] = first.bonds.get(event.actor, 0) + event.bond


def _post(challenger: Operator, bond: int, market: Market) -> None:
    if challenger.free < bond:
        raise Refused("credits", f"the bond for {market.name} is {bond} wei, and {challenger.free} are free")
    challenger.free -= bond


def expire(state: State, market: Market, entry: Entry) -> None:
    """Row 15. At the last level nobody can dispute, so it need not wait."""
    in_time(market, entry.event.t)
    if market.level + 1 < len(state.terms.seats):
        due(market, entry.event.t)
    finish(state, market, entry.event.t)


def finish(state: State, market: Market, t: int) -> None:
    """FINAL: the panels' money, and the fees unless they are to be refunded."""
    final = market.verdict.choice
    slashes = {panel.level: _slash(state, panel, final) for panel in market.panels}
    for one in market.challenges:
        _judge_challenge(state, market, one, final, slashes)
    everyone = _coherent(market.panels, final)
    _split(state, sum(slashes.values()) + market.slashed, everyone)
    market.slashed = 0
    for panel in market.panels:
        for judge in list(panel.locks):
            release(state, panel, judge)
    if final < market.n:
        _pay_fees(state, market, final)
    market.enter(FINAL, t)


def _slash(state: State, panel: Panel, final: int) -> int:
    """What the incoherent seats of a panel lose."""
    taken = 0
    for judge, ballot in sorted(panel.ballots.items()):
        if ballot.choice not in (None, ABSTAIN, final):
            taken += take(state, panel, judge, panel.seats[judge] * state.terms.unit * state.terms.incoherent_bps // BPS)
    return taken


def _judge_challenge(state: State, market: Market, one: Challenge, final: int, slashes: dict[int, int]) -> None:
    """Settle a dispute; a challenger's part is taken out of `slashes`."""
    bond, bonds = one.bond, one.bonds
    one.bonds = dict.fromkeys(bonds, 0)
    if one.heard and final == one.against:
        one.outcome = "lost"
        _split(state, bond // 2, _coherent([panel for panel in market.panels if panel.level > one.level], final))
        state.treasury += bond - bond // 2
        return
    one.outcome = "upheld" if one.heard and final == one.claimed else "neither"
    for who, amount in bonds.items():
        state.operators[who].free += amount
    if one.outcome == "upheld" and slashes.get(one.level):
        prize = slashes[one.level] * state.terms.challenger_percent // 100
        slashes[one.level] -= prize
        _split(state, prize, bonds)


def _coherent(panels: list[Panel], final: int) -> dict[bytes, int]:
    """Seats by judge that voted for what is FINAL."""
    seats: dict[bytes, int] = {}
    for panel in panels:
        for judge, ballot in panel.ballots.items():
            if ballot.choice == final:
                seats[judge] = seats.get(judge, 0) + panel.seats[judge]
    return seats


def _split(state: State, amount: int, parts: dict[bytes, int]) -> None:
    """Pay `amount` in proportion to `parts`; what no division gives, or nobody is there for, goes to the treasury."""
    whole, left = sum(parts.values()), amount
    for who, part in parts.items():
        share = amount * part // whole
        state.operators[who].free += share
        left -= share
    state.treasury += left


def _pay_fees(state: State, market: Market, final: int) -> None:
    terms, fees = state.terms, market.fee_pot
    parts = _fee_parts(market.panels, final)
    creator = fees * terms.creator_percent // 100
    judges = fees * terms.judge_percent // 100 if parts else 0
    bonus = judges * terms.bonus_percent // 100
    state.operators[market.creator].free += creator
    state.bonus += bonus
    state.treasury += fees - creator - judges
    _split(state, judges - bonus, parts)
    market.fee_pot = 0
    higher = _fee_parts([panel for panel in market.panels if panel.level], final)
    if higher:
        lacking = max(0, terms.seat_fee // 2 - (judges - bonus) // sum(parts.values()))
        _top_up(state, higher, lacking)


def _top_up(state: State, parts: dict[bytes, int], lacking: int) -> None:
    """Pay `lacking` for each half seat fee out of the treasury, or what it has, the same for each."""
    each = min(lacking, state.treasury // sum(parts.values()))
    for judge, halves in parts.items():
        state.operators[judge].free += each * halves
        state.treasury -= each * halves


def _fee_parts(panels: list[Panel], final: int) -> dict[bytes, int]:
    """Half seat fees by judge: two for a coherent seat, one for an abstention."""
    parts: dict[bytes, int] = {}
    for panel in panels:
        for judge, ballot in panel.ballots.items():
            halves = {final: 2, ABSTAIN: 1}.get(ballot.choice, 0) * panel.seats[judge]
            if halves:
                parts[judge] = parts.get(judge, 0) + halves
    return parts


# ---- seat locks


def take(state: State, panel: Panel, judge: bytes, amount: int) -> int:
    """Take a slash out of a lock, and return it."""
    taken = min(amount, panel.locks[judge])
    panel.locks[judge] -= taken
    state.operators[judge].locked -= taken
    return taken


def release(state: State, panel: Panel, judge: bytes, keep: int = 0) -> None:
    """Give a lock back to its judge's stake, down to `keep`."""
    back = max(0, panel.locks[judge] - keep)
    panel.locks[judge] -= back
    if not panel.locks[judge]:
        del panel.locks[judge]
    state.operators[judge].locked -= back
    state.operators[judge].stake += back


def shrink(state: State, panel: Panel) -> None:
    """Keep of a panel's locks what its seats can still lose."""
    for judge, seats in panel.seats.items():
        release(state, panel, judge, keep=seats * state.terms.unit * state.terms.incoherent_bps // BPS)


def call_higher(state: State, market: Market, t: int) -> None:
    """The next level's panel, with seats to be drawn."""
    for panel in market.panels:
        shrink(state, panel)
    market.level += 1
    market.roll = 0
    market.panels.append(Panel(market.level))
    market.enter(COMMIT, t)


# ---- the end


def void(state: State, market: Market, t: int, reason: str, bond_back: bool = True) -> None:
    """A dead end: everyone gets back what they put in, and shares pay the time-weighted price of the last round."""
    if market.phase == OPEN:
        market.pass_time(t)
    market.payout = market.mean_prices()
    market.void_reason = reason
    for panel in market.panels:
        for judge in list(panel.locks):
            release(state, panel, judge)
    for one in market.challenges:
        for who, amount in one.bonds.items():
            state.operators[who].free += amount
        one.bonds, one.outcome = dict.fromkeys(one.bonds, 0), one.outcome or "void"
    for piece in market.pieces.values():
        state.operators[piece.author].free += piece.stake
        piece.stake, piece.text = 0, ""
        piece.status = "rejected" if piece.status == "pending" else piece.status
    for who, fee in market.fees.items():
        state.operators[who].free += fee
    market.fee_pot = 0
    state.treasury += market.slashed
    market.slashed = 0
    if bond_back:
        state.operators[market.creator].free += market.bond
    else:
        state.treasury += market.bond
    market.bond = 0
    market.enter(VOID, t)


def timeout(state: State, market: Market, entry: Entry) -> None:
    """Row 18."""
    if entry.event.t < market.ends:
        raise Refused("early", f"{market.name} has until {market.ends}, and this says {entry.event.t}: wait")
    void(state, market, entry.event.t, "it did not end in time")


def settle(state: State, market: Market, entry: Entry) -> None:
    """Rows 16 and 17, and the settlement of VOID: what no holder is owed goes back to the sponsor, with its bond."""
    t = entry.event.t
    in_time(market, t)
    if market.phase == FINAL and market.verdict.choice == market.n:
        void(state, market, t, "its question is invalid", bond_back=False)
        return
    sponsor = state.operators[market.creator]
    if market.phase == FINAL:
        market.payout = tuple(WAD * (outcome == market.verdict.choice) for outcome in range(market.n))
    owed = sum(market.owed(holder) for holder in market.positions)
    sponsor.free += market.pot - owed + market.bond
    sponsor.open -= 1
    market.pot, market.bond, market.epoch = owed, 0, state.epoch
    market.enter(SETTLED, t, t + state.terms.claim_window)


def claim(state: State, market: Market, entry: Entry) -> None:
    """Row 19: what a holder's shares pay, once."""
    holder = entry.event.actor
    position = market.positions.get(holder)
    require(position is not None, "unknown", f"you hold nothing in {market.name}")
    require(not position.claimed, "duplicate", f"you have claimed what {market.name} pays you")
    owed = market.owed(holder)
    require(owed, "credits", f"your shares in {market.name} pay nothing")
    position.claimed = True
    market.pot -= owed
    state.operators[holder].free += owed


def sweep(state: State, market: Market, entry: Entry) -> None:
    """Row 19, after the claim window."""
    due(market, entry.event.t)
    state.treasury += market.pot
    market.pot = 0
    market.positions = {}
    market.forecasts = {}
    market.enter(ARCHIVED, entry.event.t)
