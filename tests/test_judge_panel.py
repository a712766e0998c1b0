"""Panels: who is drawn and who is not, what binds a commitment, what the weights say, and small swarms, in which every market ends."""

from __future__ import annotations

from courts import Court, a_panel, address, refused, salt
from hypothesis import strategies as st
from judges import examples

from judge import events, keys, panel
from judge.events import ABSTAIN
from judge.market import quorum_of
from judge.panel import cap_of, commitment, seats_of, size_of, walk
from judge.terms import CREDIT, WAD, terms_of

PEOPLE = [f"p{i}" for i in range(12)]


# ---- the draw


@examples(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 30), st.data())
def test_splitting_an_identity_leaves_the_chance_of_a_seat_as_it_was(others, units, data):
    parts = []
    while sum(parts) < units:
        parts.append(data.draw(st.integers(1, units - sum(parts))))
    names = data.draw(st.permutations([bytes([i]) * 20 for i in range(len(others) + len(parts))]))
    crowd = dict(zip(names, others, strict=False))
    whole = {**crowd, names[len(others)]: units}
    split = {**crowd, **dict(zip(names[len(others) :], parts, strict=True))}
    sybils = set(names[len(others) :])
    total = sum(whole.values())
    assert sum(split.values()) == total
    for table in (whole, split):
        assert sum(walk(table, number) in sybils for number in range(total)) == units  # of `total` equally likely numbers
        for name in crowd:
            assert sum(walk(table, number) == name for number in range(total)) == crowd[name]


UNITS = st.dictionaries(st.binary(min_size=20, max_size=20), st.integers(0, 12), min_size=1, max_size=9)


@examples(UNITS, st.sampled_from([7, 15, 31]), st.booleans())
def test_a_panel_is_as_large_as_its_caps_and_units_allow(units, most, small):
    size = size_of(list(units.values()), most, small)
    room = {name: min(cap_of(size, small), many) for name, many in units.items()}
    seats = seats_of(keys.keccak(b"x"), units, room, size)
    assert sum(seats.values()) == size <= most
    assert all(count <= room[name] for name, count in seats.items())
    if size:
        assert all(count < quorum_of(size) for count in seats.values())  # nobody decides alone
        assert len(seats) >= (3 if most == size and not small else 2)
    for larger in range(max(2, size + 1), most + 1):
        cap = cap_of(larger, small)
        assert sum(min(cap, many) for many in units.values()) < larger or cap >= quorum_of(larger)


def test_the_draw_follows_the_stake():
    units = {bytes([i]) * 20: many for i, many in enumerate((1, 2, 4, 8, 16))}
    counts = dict.fromkeys(units, 0)
    for number in range(2000):
        for name, many in seats_of(keys.keccak(number.to_bytes(4, "big")), units, dict.fromkeys(units, 99), 1).items():
            counts[name] += many
    for name, many in units.items():
        assert abs(counts[name] / 2000 - many / 31) < 0.04
    assert seats_of(b"s" * 32, units, dict.fromkeys(units, 99), 7) == seats_of(b"s" * 32, dict(reversed(units.items())), dict.fromkeys(units, 99), 7)


def test_level_roll_and_market_have_their_own_seeds():
    court = Court([f"p{i}" for i in range(60)], terms_of("test", seed="beacon"), stake=20)
    markets = [court.market("p0") for _ in range(2)]
    people, drawn = [address(name) for name in court.people[1:]], []
    for market, level, roll in ((markets[0], 0, 0), (markets[1], 0, 0), (markets[0], 1, 0), (markets[0], 0, 1), (markets[0], 0, 0)):
        market.phase, market.roll = "COMMIT", roll
        blank = panel.Panel(level, size=7)
        drawn.append(panel._drawn(court.state, market, blank, people, False, b"one seed for all".ljust(32)))
    assert drawn[0] == drawn[4]
    assert all(drawn[i] != drawn[j] for i in range(4) for j in range(i))


def test_parties_are_not_drawn():
    court = Court([f"p{i}" for i in range(14)])
    market = court.market("p0", authors={0: ("p1", "p2")})
    court.trade(market, "p3", 0, CREDIT)
    court.trade(market, "p4", 0, CREDIT)
    court.trade(market, "p4", 0, CREDIT, side="sell")  # holds nothing any more
    court.evidence(market, "p5", "why")
    court.due(events.Standing, operator=address("p6"), jailed=1)
    court.say(events.Leave, "p7")
    court.say(events.Unstake, "p8", amount=100 * CREDIT - 20 * CREDIT + 1)
    court.end_rounds(market)
    people, small = panel.pool(court.state, market, panel.Panel(0))
    assert (set(people), small) == ({address(f"p{i}") for i in range(9, 14)}, False)
    court.draw(market)
    assert set(market.panel.seats) <= set(people) and sum(market.panel.seats.values()) == 7 and max(market.panel.seats.values()) <= 3
    why = {name: panel.conflict(market, address(name)) for name in court.people}
    assert [why[f"p{i}"] for i in (0, 1, 2, 3, 4, 5)] == [
        "opened it", "wrote an answer that it shows", "wrote an answer that it shows", "traded in it", "traded in it", "brought evidence to it",
    ]  # fmt: skip
    for name in ("p1", "p4"):
        assert "has no seat" in refused(court, "seat", court.commit, market, name, 0)


def test_jurors_of_earlier_levels_and_disputers_are_not_drawn():
    court = Court([f"p{i}" for i in range(40)])
    market = court.market("p0")
    court.to_panel(market)
    first = set(market.panel.seats)
    court.vote(market, 0)
    court.dispute(market, "p1", 1)
    court.draw(market)
    second = set(market.panel.seats)
    assert not second & (first | {address("p1"), address("p0")})
    assert panel.conflict(market, address("p1")) == panel.conflict(market, address("p1"), small=True) == "disputes its verdict"
    assert {panel.conflict(market, judge) for judge in first} <= {"sat in an earlier panel of it", "disputes its verdict"}


def test_a_panel_waits_for_stake_that_other_panels_hold():
    court = Court([f"p{i}" for i in range(5)], stake=20)
    markets = [court.market("p0") for _ in range(3)]
    court.t = max(market.deadline for market in markets)
    for market in markets:
        court.end_rounds(market)
    court.draw(markets[0])
    assert markets[0].panel.size == 7 and not markets[0].panel.small
    court.draw(markets[1])
    assert "other panels" in refused(court, "early", court.draw, markets[2])
    court.vote(markets[0], 0)
    court.vote(markets[1], 0)
    court.run_out(markets[0])
    court.run_out(markets[1])
    court.draw(markets[2])
    court.run_out(markets[2])
    assert [market.void_reason for market in markets] == ["", "", ""]
    court.balanced()


def test_a_higher_panel_leaves_the_lower_one_what_it_can_lose():
    court, market = a_panel()
    court.vote(market, 0)
    court.dispute(market, "p1", 1)
    seats = market.panels[0].seats
    assert market.panels[0].locks == {judge: many * CREDIT // 2 for judge, many in seats.items()}
    court.balanced()


# ---- commit and reveal


def test_a_commitment_is_abi_encoded():
    words = [7, b"m" * 32, 1, 2, b"j" * 20, 3, 8000, 6000, b"s" * 32]
    packed = b"".join(word.rjust(32, b"\0") if isinstance(word, bytes) else word.to_bytes(32, "big") for word in words)
    assert commitment(*words) == keys.keccak(keys.keccak(b"openswarm/1/judge/vote"), packed)
    others = [9 if isinstance(word, int) else b"x" * len(word) for word in words]
    assert len({commitment(*words), *(commitment(*words[:i], others[i], *words[i + 1 :]) for i in range(9))}) == 10


def test_a_copied_commitment_cannot_be_revealed():
    court, market = a_panel()
    honest, thief, *others = court.seated(market)
    copied = court.commit(market, honest, 2).event.commit
    court.say(events.Commit, thief, market=market.id, level=0, roll=0, commit=copied)
    for judge in others:
        court.commit(market, judge, 2)
    court.due(events.Close, market=market.id)
    court.reveal(market, honest, 2)
    assert "salt" in refused(court, "mismatch", court.reveal, market, thief, 2, salt=salt(honest))
    refused(court, "mismatch", court.reveal, market, thief, 2)
    for judge in others:
        court.reveal(market, judge, 2)
    court.wait(market)
    court.due(events.Tally, market=market.id)
    assert address(thief) in market.panel.dropped  # counts as not revealed


def test_what_was_committed_is_revealed_to_the_letter():
    court, market = a_panel()
    judge, *others = court.seated(market)
    for name in (judge, *others):
        court.commit(market, name, 1)
    court.due(events.Close, market=market.id)
    for change in ({"choice": 0}, {"sure": 8001}, {"agree": 0}, {"salt": bytes(32)}):
        refused(court, "mismatch", lambda c=change: court.reveal(market, judge, **{"choice": 1, **c}))
    for change in ({"level": 1}, {"roll": 1}):
        refused(court, "phase", court.reveal, market, judge, 1, **change)
    refused(court, "malformed", court.reveal, market, judge, 4)
    court.reveal(market, judge, 1, by="p0")  # anyone may carry it
    refused(court, "duplicate", court.reveal, market, judge, 1)
    refused(court, "seat", court.reveal, market, "p0", 1)


def test_a_vote_fits_one_market_level_roll_and_chain():
    court = Court(PEOPLE)
    markets = [court.market("p0") for _ in range(2)]
    for market in markets:
        court.end_rounds(market)
        court.draw(market)
    both = [name for name in court.seated(markets[0]) if name in court.seated(markets[1])]
    judge = both[0]
    copied = court.commit(markets[0], judge, 1)
    moved = events.Commit(**{**copied.event.__dict__, "market": markets[1].id})
    forged = events.Entry(moved, moved.body(), copied.signature, court.terms.chain_id)
    refused(court, "signature", court.log.extend, forged)
    other_chain = events.write(copied.event, court.terms.chain_id + 1, b"\x01" * 32)
    refused(court, "signature", court.log.extend, events.read(other_chain.data, court.terms.chain_id))
    court.take(moved, judge)  # its own words on another market: the hash says which market was meant
    for market in markets:
        for name in court.seated(market):
            court.commit(market, name, 1)
        court.due(events.Close, market=market.id)
    court.reveal(markets[0], judge, 1)
    refused(court, "mismatch", court.reveal, markets[1], judge, 1)
    said = commitment(court.terms.chain_id + 1, markets[1].id, 0, 0, address(judge), 1, 8000, 6000, salt(judge))
    assert said != copied.event.commit
    for level, roll in ((1, 0), (0, 1)):
        refused(court, "phase", court.reveal, markets[1], judge, 1, level=level, roll=roll)


def test_a_later_commitment_replaces_the_earlier_one_and_neither_is_replayed():
    court, market = a_panel()
    judge, *others = court.seated(market)
    first = court.commit(market, judge, 0)
    second = commitment(court.terms.chain_id, market.id, 0, 0, address(judge), 1, 8000, 6000, salt("second"))
    court.say(events.Commit, judge, market=market.id, level=0, roll=0, commit=second)
    assert "already" in refused(court, "duplicate", court.log.extend, first)  # a host cannot bring the first one back
    for name in others:
        court.commit(market, name, 1)
    refused(court, "phase", court.commit, market, judge, 1, level=1)
    refused(court, "phase", court.commit, market, judge, 1, roll=1)
    court.due(events.Close, market=market.id)
    assert "last vote" in refused(court, "mismatch", court.reveal, market, judge, 0)
    court.reveal(market, judge, 1, salt=salt("second"))


def test_the_later_commitment_counts_whichever_comes_first():
    """A host's page lists votes by their ids, so the last one that was signed may well be the first one there."""
    court, market = a_panel()
    judge = court.seated(market)[0]
    said = dict(actor=address(judge), market=market.id, level=0, roll=0)
    later = commitment(court.terms.chain_id, market.id, 0, 0, address(judge), 1, 8000, 6000, salt("later"))
    court.log.extend(court.entry(events.Commit(t=court.t + 2, commit=later, **said), judge))
    earlier = court.entry(events.Commit(t=court.t + 1, commit=bytes(32), **said), judge)
    assert "the later one counts" in refused(court, "duplicate", court.log.extend, earlier)
    assert market.panel.ballots[address(judge)].commit == later


def test_no_reveal_without_a_commitment():
    court, market = a_panel()
    judge, *others = court.seated(market)
    for name in others:
        court.commit(market, name, 1)
    court.wait(market)
    court.due(events.Close, market=market.id)
    assert "nothing to reveal" in refused(court, "seat", court.reveal, market, judge, 1)


def test_abstaining_counts_for_the_quorum_and_not_for_the_weight():
    court, market = a_panel()
    judges = court.seated(market)
    court.vote(market, {judge: ABSTAIN if judge != judges[0] else 1 for judge in judges})
    assert (market.phase, market.verdict.choice, market.verdict.revealed) == ("CHALLENGE", 1, 7)
    assert sum(market.verdict.weights) == market.verdict.weights[1] == market.panel.seats[address(judges[0])] * WAD // 50
    court.expire(market)
    court.balanced()


def test_all_abstain_is_no_majority():
    court, market = a_panel()
    court.vote(market, ABSTAIN)
    assert market.place == "COMMIT(1,0)"


def test_a_roll_keeps_the_votes_that_were_revealed():
    court = Court([f"p{i}" for i in range(20)])
    market = court.market("p0")
    court.to_panel(market)
    judges = court.seated(market)
    kept = 1
    loud = [judge for judge in judges if market.panel.seats[address(judge)] == kept][:1]
    court.vote(market, dict.fromkeys(loud, 1))
    assert market.place == "COMMIT(0,1)" and [address(judge) for judge in loud] == list(market.panel.seats)
    court.draw(market)
    assert sum(market.panel.seats.values()) == market.panel.size == 7
    assert market.panel.seats[address(loud[0])] == kept  # the missing seats go to others
    assert loud[0] not in court.seated(market)
    assert "stands" in refused(court, "duplicate", court.commit, market, loud[0], 0)
    court.vote(market, 1)
    assert market.phase == "CHALLENGE" and market.verdict.revealed == 7
    court.expire(market)
    court.balanced()
    court.replayed()
