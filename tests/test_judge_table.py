"""P16: each phase takes the events of its rows of table 1.3, and refuses every other one with the state unchanged."""

from __future__ import annotations

import pytest
from courts import Court, address, court_at, refused, salt

from judge import events, ledger
from judge.market import PHASES
from judge.terms import CREDIT

PEOPLE = [f"p{i}" for i in range(12)]
SALT = salt("gold")

# Table 1.3 in our events: which phases take what. Written down again here, so that a change of `ledger.TABLE` alone shows.
RUNNING = {"DRAFT", "OPEN", "CLOSED", "COMMIT", "REVEAL", "CHALLENGE"}
TAKEN = {
    "Fund": {"DRAFT"},  # 1
    "Trade": {"OPEN"},  # 2
    "Evidence": {"OPEN"},  # 3
    "Forecast": {"OPEN"},
    "Grade": {"OPEN"},
    "RoundEnd": {"OPEN"},  # 4
    "Resolve": {"CLOSED"},  # 5
    "Draw": {"CLOSED", "COMMIT"},  # 6, 11, 12, 14
    "Commit": {"COMMIT"},  # 7
    "Close": {"COMMIT"},  # 8
    "Reveal": {"REVEAL"},  # 9
    "Tally": {"REVEAL"},  # 10 to 13
    "Dispute": {"CHALLENGE", "COMMIT"},  # 14; in COMMIT it adds to a bond
    "Expire": {"CHALLENGE"},  # 15
    "Settle": {"FINAL", "VOID"},  # 16, 17
    "Timeout": RUNNING,  # 18
    "Claim": {"SETTLED"},  # 19
    "Sweep": {"SETTLED"},  # 19
    "Fault": RUNNING - {"DRAFT"},
    "GoldOpen": {"FINAL", "SETTLED", "ARCHIVED", "VOID"},
    "Check": {"SETTLED"},
}


def event_for(court: Court, market, name: str) -> tuple[events.Event, str | None]:
    """An event of each kind for this market that is as good as it can be, and who signs it."""
    id, t = market.id, court.t
    judge = next(iter(court.seated(market)), "p9") if market.panel else "p9"
    level, roll = market.level, market.roll
    commit = ledger.panel.commitment(court.terms.chain_id, id, level, roll, address(judge), 0, 8000, 6000, salt(judge))
    signed = {
        "Fund": ("p0", {}),
        "Trade": ("p1", {"nonce": 10**6, "side": "buy", "outcome": 0, "amount": CREDIT}),
        "Evidence": ("p4", {"text": "another thing"}),
        "Forecast": ("p4", {"chances": (1, 9000, 999)}),
        "Commit": (judge, {"level": level, "roll": roll, "commit": commit}),
        "Reveal": ("p1", {"level": level, "roll": roll, "judge": address(judge), "choice": 0, "sure": 8000, "agree": 6000, "salt": salt(judge)}),
        "Dispute": ("p2", {"level": level, "claimed": 1, "bond": 100 * CREDIT, "reason": bytes(32)}),
        "Claim": ("p1", {}),
        "Fault": ("p1", {"fault": "twice", "first": b"", "second": b""}),
    }
    clock = {
        "Grade": {"piece": next(iter(market.pieces), bytes(32)), "marks": (0, 0, 0)},
        "RoundEnd": {"seed": court.state.head},
        "Draw": {"seed": court.state.head},
        "Resolve": {"outcome": 0},
        "GoldOpen": {"number": 2, "answer": 0, "salt": SALT, "index": 0, "path": ()},
        "Check": {"answer": 0},
    }
    kind = getattr(events, name)
    if name in signed:
        by, fields = signed[name]
        return kind(actor=address(by), t=t, market=id, **fields), by
    return kind(t=t, market=id, **clock.get(name, {})), None


def test_the_table_names_every_event_of_a_market_and_every_phase():
    assert {kind.__name__: set(phases) for kind, (phases, _) in ledger.TABLE.items()} == TAKEN
    assert set().union(*TAKEN.values()) == set(PHASES)
    kinds = {kind.__name__ for kind in ledger.TABLE} | {kind.__name__ for kind in ledger.ACCOUNTS}
    assert kinds == {kind.__name__ for kind in events.Event.__subclasses__()[0].__subclasses__() + events.Event.__subclasses__()[1].__subclasses__()}


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_refuses_every_event_that_is_not_in_its_rows(phase):
    court, market = court_at(phase)
    assert market.phase == phase
    for name, phases in TAKEN.items():
        if phase not in phases:
            event, by = event_for(court, market, name)
            sentence = refused(court, "phase", court.take, event, by)
            assert market.place in sentence and market.name in sentence


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_takes_the_events_of_its_rows(phase, name):
    if phase not in TAKEN[name]:
        return
    court, market = court_at(phase, "V" if name == "Resolve" else "P")
    if name == "Grade":
        court.say(events.Evidence, "p5", market=market.id, text="one more")
    if name in ("RoundEnd", "Expire", "Sweep"):
        court.wait(market)
    if name == "Close":
        court.wait(market)
    if name == "Tally":
        for judge in court.seated(market) or [j for j in PEOPLE if address(j) in market.panel.seats]:
            court.reveal(market, judge, 0)
    if name == "Reveal":
        judge = next(j for j in PEOPLE if address(j) in market.panel.seats)
        court.reveal(market, judge, 0, by="p1")
        court.balanced()
        return
    if name == "Timeout":
        court.t = market.ends
    if name in ("Draw", "Dispute") and phase == "COMMIT":
        court.vote(market, 0)
        if name == "Draw":
            court.dispute(market, "p1", 1)
        else:
            court.dispute(market, "p1", 1)
            court.dispute(market, "p2", 1, level=0, bond=court.terms.dispute_bond(0))
            assert market.challenges[0].bond == 2 * court.terms.dispute_bond(0)
            return court.balanced()
    if name == "GoldOpen":
        court.mint([], 0)
    if name == "Fault":
        return  # proofs are in test_judge_manifest
    event, by = event_for(court, market, name)
    if name == "Grade":
        event = events.Grade(t=court.t, market=market.id, piece=list(market.pieces)[-1], marks=(0, 0, 0))
    court.take(event, by)
    court.balanced()
    court.replayed()


