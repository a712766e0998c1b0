"""Panels of judges: who is drawn, what is committed and revealed, and what the revealed votes say (judge-spec.md 1.6).

    seed = keccak256(fresh seed || market || level || roll)       seats are drawn by units of unlocked stake, with replacement
    commit = keccak256(abi.encode(DOMAIN, chain, market, level, roll, judge, choice, sure, agree, salt))

Where the specification is silent:
- A seat locks one unit of its judge's stake, and a judge has at most as many seats as units. With fewer units than seats the panel is
  smaller, and says so. A draw for which the judges exist but have their stake in other panels waits; T_max ends the waiting.
- Who disputes a verdict does not sit in judgement on it. A seat that was not revealed is slashed, released and dropped when its roll ends.
- When a higher panel is called, the locks of the one before shrink to the most that they can still lose.
- Weights are fixed at the draw. In a roll the seats that have revealed stay with their votes, and only the missing ones are drawn anew.
- Rows 13 and 14 meet where the last panel has no majority about a disputed verdict: it stands, and the dispute is lost. VOID would give
  everybody a way to undo a verdict for nothing (`python -m benchmarks.judges` shows what it costs).
- A panel that cannot be seated: at level 0 a market that names a scorer, and was not sent here by it, is resolved by code; a disputed
  verdict stands; otherwise VOID.
- `all revealed` means all that committed. A panel whose revealed weight is nought (all abstain) has no majority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import gold, settlement
from judge.errors import Refused, require
from judge.events import ABSTAIN, Entry
from judge.keys import keccak
from judge.market import CHALLENGE, CLOSED, COMMIT, REVEAL, Ballot, Market, Panel, Verdict, in_time, quorum_of
from judge.terms import BPS

if TYPE_CHECKING:
    from judge.events import Reveal
    from judge.ledger import State
    from judge.terms import Terms

DOMAIN = keccak(b"openswarm/1/judge/vote")


def commitment(chain_id: int, market: bytes, level: int, roll: int, judge: bytes, choice: int, sure: int, agree: int, salt: bytes) -> bytes:
    """The 32 bytes of `Commit.commit`. With the judge, the place and the chain inside, a copied commitment cannot be revealed."""
    words = [chain_id, market, level, roll, judge, choice, sure, agree, salt]
    return keccak(DOMAIN, *(word.rjust(32, b"\0") if isinstance(word, bytes) else word.to_bytes(32, "big") for word in words))


# ---- the draw


def walk(units: dict[bytes, int], number: int) -> bytes:
    """The operator in whose units `number` falls, operators in the order of their addresses."""
    for operator in sorted(units):
        if number < units[operator]:
            return operator
        number -= units[operator]
    raise ValueError("the number is not below the sum of the units")


def seats_of(seed: bytes, units: dict[bytes, int], room: dict[bytes, int], count: int) -> dict[bytes, int]:
    """`count` seats, or as many as there is room: with replacement by units; who has no more room is drawn no more."""
    units = {operator: many for operator, many in units.items() if many and room[operator] > 0}
    seats: dict[bytes, int] = {}
    for number in range(count):
        whole = sum(units.values())
        if not whole:
            break
        judge = walk(units, int.from_bytes(keccak(seed, number.to_bytes(4, "big")), "big") % whole)
        seats[judge] = seats.get(judge, 0) + 1
        if seats[judge] == room[judge]:
            del units[judge]
    return seats


def cap_of(size: int, small: bool) -> int:
    """The most seats of one operator: a third of the panel, or half of it in a small swarm; rounded up."""
    return -(-size // (2 if small else 3))


def size_of(units: list[int], most: int, small: bool) -> int:
    """The largest panel up to `most` seats that these units can fill within the cap, and where no operator alone is a quorum; 0 if none."""
    for size in range(most, 1, -1):
        cap = cap_of(size, small)
        if cap < quorum_of(size) and sum(min(cap, many) for many in units) >= size:
            return size
    return 0


def conflict(market: Market, operator: bytes, small: bool = False) -> str:
    """Why an operator cannot judge this market, in words; empty where it can. Jail and stake are not asked here."""
    if operator in market.authors:
        return "wrote an answer that it shows"
    if any(operator in one.bonds for one in market.challenges):
        return "disputes its verdict"
    if small:
        return ""
    if operator == market.creator:
        return "opened it"
    if any(piece.author == operator for piece in market.pieces.values()):
        return "brought evidence to it"
    if operator in market.traders:
        return "traded in it"
    if any(operator in one.seats or operator in one.dropped for one in market.panels[:-1]):
        return "sat in an earlier panel of it"
    return ""


def pool(state: State, market: Market, panel: Panel) -> tuple[list[bytes], bool]:
    """Who can be drawn now, and whether it is by the rule for small swarms. Empty where there are too few, whatever their locks."""
    terms, first = state.terms, not panel.seats and not panel.dropped
    able = [address for address, one in state.operators.items() if one.status == "active" and one.stake + one.locked >= terms.stake_least]
    able = [address for address in sorted(able) if address not in panel.dropped]
    strict = [address for address in able if not conflict(market, address) and address not in panel.seats]
    if len(strict) >= (terms.small_below if first else 1):
        return strict, False
    small = [address for address in able if not conflict(market, address, small=True)]
    return (small, True) if len(small) >= (terms.small_least if first else 1) else ([], True)


def draw(state: State, market: Market, entry: Entry) -> None:
    """Row 6, and the seats of a later panel or roll."""
    event, terms = entry.event, state.terms
    if market.phase == CLOSED and market.kind == "V" and not market.by_panel:
        raise Refused("phase", f"{market.name} is resolved by its scorer, not by a panel")
    if market.phase == COMMIT and market.panel.drawn:
        raise Refused("phase", f"the seats of {market.name} are drawn for {market.place}")
    in_time(market, event.t)
    state.check_seed(event.seed)
    panel = Panel(0) if market.phase == CLOSED else market.panel
    people, small = pool(state, market, panel)
    added = _drawn(state, market, panel, people, small, event.seed)
    if market.phase == CLOSED:
        market.panels.append(panel)
    if not added:
        _unseatable(state, market, panel, event.t)
        return
    _seat(state, market, panel, added, small)
    market.enter(COMMIT, event.t, event.t + terms.durations(market.kind).commit)


def _drawn(state: State, market: Market, panel: Panel, people: list[bytes], small: bool, seed: bytes) -> dict[bytes, int]:
    """New seats. Raises Refused where the people are there, and their stake is in other panels."""
    terms = state.terms
    units = {address: state.operators[address].stake // terms.unit for address in people}
    first = not panel.seats and not panel.dropped
    need = (terms.small_least if small else terms.small_below) if first else 1
    if people and sum(many > 0 for many in units.values()) < need:
        raise Refused("early", f"the judges for {market.name} have their stake in other panels: draw again when one has ended")
    size = panel.size or size_of(list(units.values()), terms.seats[panel.level], small)
    room = {address: min(cap_of(size, small) - panel.seats.get(address, 0), units[address]) for address in people}
    seed = keccak(seed, market.id, bytes([panel.level, market.roll if market.phase == COMMIT else 0]))
    return seats_of(seed, units, room, size - sum(panel.seats.values()))


def _seat(state: State, market: Market, panel: Panel, added: dict[bytes, int], small: bool) -> None:
    if not panel.size:
        panel.size = sum(added.values())
        panel.small = panel.size < state.terms.seats[panel.level]
    panel.small = panel.small or small
    panel.drawn = True
    for address, seats in added.items():
        judge, lock = state.operators[address], seats * state.terms.unit
        judge.stake -= lock
        judge.locked += lock
        panel.seats[address] = panel.seats.get(address, 0) + seats
        panel.locks[address] = panel.locks.get(address, 0) + lock
        panel.weights.setdefault(address, gold.weight(judge, market.n, state.terms))


def _unseatable(state: State, market: Market, panel: Panel, t: int) -> None:
    if panel.seats or panel.dropped:  # a roll: the missing seats cannot be filled
        _no_verdict(state, market, t)
    elif panel.level == 0 and market.scorer and not market.by_panel:
        market.panels.pop()
        market.kind = "V"
        market.enter(CLOSED, t)
    elif market.challenges and market.challenges[-1].level == panel.level - 1:
        market.panels.pop()
        market.challenges[-1].heard = False
        settlement.finish(state, market, t)
    else:
        settlement.void(state, market, t, "there are too few judges")


# ---- commit and reveal


def commit(state: State, market: Market, entry: Entry) -> None:
    """Row 7. A later commitment replaces an earlier one until the phase ends; which is later is what their author signed, not how they came."""
    event = entry.event
    _here(market, event.level, event.roll)
    panel = market.panel
    require(panel.drawn, "early", f"the seats of {market.name} are not drawn yet")
    _seated(market, event.actor)
    ballot = panel.ballots.get(event.actor)
    if ballot is not None and ballot.choice is not None:
        raise Refused("duplicate", f"your vote in {market.name} was revealed in an earlier roll and stands")
    if ballot is not None and event.t < ballot.t:
        raise Refused("duplicate", f"you committed again in {market.name}, at {ballot.t}, and this was signed at {event.t}: the later one counts")
    panel.ballots[event.actor] = Ballot(event.commit, event.t)


def close(state: State, market: Market, entry: Entry) -> None:
    """Row 8."""
    t, panel = entry.event.t, market.panel
    require(panel.drawn, "early", f"the seats of {market.name} are not drawn yet")
    in_time(market, t)
    if t < market.deadline and any(judge not in panel.ballots for judge in panel.seats):
        raise Refused("early", f"{market.name} takes commitments until {market.deadline}, and this says {t}: wait")
    waiting = any(ballot.choice is None for ballot in panel.ballots.values())
    if waiting or panel.revealed >= panel.quorum:
        market.enter(REVEAL, t, t + state.terms.durations(market.kind).reveal)
    else:
        _drop_silent(state, market)
        _next_roll(state, market, t)


def reveal(state: State, market: Market, entry: Entry) -> None:
    """Row 9."""
    event = entry.event
    _here(market, event.level, event.roll)
    _seated(market, event.judge)
    ballot = market.panel.ballots.get(event.judge)
    require(ballot is not None, "seat", f"{event.judge.hex()[:8]}... committed to nothing in {market.name}: there is nothing to reveal")
    require(ballot.choice is None, "duplicate", f"the vote of {event.judge.hex()[:8]}... in {market.name} is revealed")
    if event.choice > market.n and event.choice != ABSTAIN:
        raise Refused("malformed", f"{market.name} has the choices 0 to {market.n} and {ABSTAIN} to abstain, not {event.choice}")
    if _committed(state.terms, event) != ballot.commit:
        raise Refused("mismatch", f"this is not what {event.judge.hex()[:8]}... committed to in {market.name}: reveal its last vote with its salt")
    ballot.choice, ballot.sure, ballot.agree = event.choice, event.sure, event.agree


def _committed(terms: Terms, event: Reveal) -> bytes:
    said = event.choice, event.sure, event.agree, event.salt
    return commitment(terms.chain_id, event.market, event.level, event.roll, event.judge, *said)


def _here(market: Market, level: int, roll: int) -> None:
    if (level, roll) != (market.level, market.roll):
        raise Refused("phase", f"{market.name} is at level {market.level}, roll {market.roll}; this is for level {level}, roll {roll}")


def _seated(market: Market, operator: bytes) -> None:
    if operator not in market.panel.seats:
        why = conflict(market, operator, market.panel.small)
        raise Refused("seat", f"{operator.hex()[:8]}... has no seat in {market.name}{f': it {why}' if why else ', it was not drawn'}")


# ---- the tally


def tally(state: State, market: Market, entry: Entry) -> None:
    """Rows 10 to 13."""
    t, panel = entry.event.t, market.panel
    in_time(market, t)
    if t < market.deadline and any(ballot.choice is None for ballot in panel.ballots.values()):
        raise Refused("early", f"{market.name} takes reveals until {market.deadline}, and this says {t}: wait")
    revealed, panel_weight = panel.revealed, sum(panel.weights[judge] * seats for judge, seats in panel.seats.items())
    _drop_silent(state, market)
    if revealed < panel.quorum:
        _next_roll(state, market, t)
        return
    weights = weights_of(panel, market.n)
    choice = majority(weights)
    if choice is None:
        _no_verdict(state, market, t)
        return
    said = Verdict(panel.level, choice, "panel", weights, panel_weight, panel.size, revealed, panel.small)
    said.digest = keccak(market.id, bytes([panel.level, market.roll, choice]), *(one.to_bytes(16, "big") for one in weights))
    market.verdicts.append(said)
    market.enter(CHALLENGE, t, t + state.terms.durations(market.kind).challenge)


def weights_of(panel: Panel, n: int) -> tuple[int, ...]:
    """WAD: the revealed weight behind each choice 0 to n, abstentions aside."""
    weights = [0] * (n + 1)
    for judge, ballot in panel.ballots.items():
        if ballot.choice not in (None, ABSTAIN):
            weights[ballot.choice] += panel.weights[judge] * panel.seats[judge]
    return tuple(weights)


def majority(weights: tuple[int, ...]) -> int | None:
    """The choice with more than half of the weight, or None: no majority, or a tie to a billionth of the whole."""
    whole = sum(weights)
    second, top = sorted(weights)[-2:]
    if 2 * top <= whole or (top - second) * 10**9 <= whole:
        return None
    return weights.index(top)


def _drop_silent(state: State, market: Market) -> None:
    """Slash and release the seats that did not reveal."""
    panel = market.panel
    for judge in sorted(panel.seats):
        ballot = panel.ballots.get(judge)
        if ballot is not None and ballot.choice is not None:
            continue
        seats = panel.seats.pop(judge)
        panel.ballots.pop(judge, None)
        panel.dropped[judge] = panel.dropped.get(judge, 0) + seats
        slash = seats * state.terms.unit * state.terms.unrevealed_bps // BPS
        market.slashed += settlement.take(state, panel, judge, slash)
        settlement.release(state, panel, judge)


def _next_roll(state: State, market: Market, t: int) -> None:
    """Rows 11 and 12: the missing seats are drawn again, twice."""
    if market.roll + 1 >= state.terms.rolls:
        _no_verdict(state, market, t)
        return
    market.roll += 1
    market.panel.drawn = False
    market.enter(COMMIT, t)


def _no_verdict(state: State, market: Market, t: int) -> None:
    """Rows 12 to 14: a bigger panel; at the last level a verdict that was disputed stands, since nobody overturned it; else VOID."""
    if market.level + 1 < len(state.terms.seats):
        settlement.call_higher(state, market, t)
    elif market.verdict is not None:
        settlement.finish(state, market, t)
    else:
        settlement.void(state, market, t, "its judges came to no verdict")
