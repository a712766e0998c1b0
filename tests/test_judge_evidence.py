"""Evidence: what repeats counts nothing, what is split or reordered gains nothing, and no price moves."""

from __future__ import annotations

import random

import pytest
from courts import Court, address, refused
from hypothesis import assume
from hypothesis import strategies as st
from judges import examples

from judge import events, evidence, lmsr
from judge.errors import Refused
from judge.market import Market
from judge.terms import CREDIT, WAD, Durations, terms_of

PEOPLE = [f"p{i}" for i in range(8)]
TWO_ROUNDS = {"machine": Durations(2000, 2, 2000, 2000, 2000)}
TEXT = "The second term of the sum is 604 and not 640, so the total that answer B gives is off by 36 in the end."


def a_market(kind: str = "P", **terms) -> tuple[Court, Market]:
    court = Court(PEOPLE, terms_of("test", **terms))
    return court, court.market("p0", kind=kind)


def in_hand(liabilities: list[int], b0: int = 100 * CREDIT) -> Market:
    """A bare market to mint in."""
    outcomes = tuple((f"{i}", b"", ()) for i in range(len(liabilities)))
    return Market(b"m" * 32, b"c" * 20, "P", b"", outcomes, b"", b0, 100, b=b0, b_min=b0 // 4, liabilities=liabilities)


# ---- comparing texts


@pytest.mark.parametrize(
    ("one", "other"),
    [("A  b", "a b"), (" a\n\tb ", "A B"), ("ÉTÉ", "été"), ("ДОМ", "дом"), ("ΣΑΣ", "σασ"), ("a\r\nb", "a b")],
)
def test_case_and_white_space_do_not_make_another_text(one, other):
    assert evidence.folded(one) == evidence.folded(other)


def test_letters_whose_case_depends_on_the_version_of_unicode_stay_as_they_are():
    assert evidence.folded("\u1c90\U00010570") == "\u1c90\U00010570"  # Georgian of Unicode 11, Vithkuqi of Unicode 14


def test_similar_texts_share_more_than_85_percent_of_their_5_grams():
    text = evidence.folded(TEXT)
    assert evidence.similar(text, text, 85)
    assert evidence.similar(text, text.replace("in the end", "at the end"), 85)
    assert not evidence.similar(text, evidence.folded("The first term is right, and what is wrong is the sign of the last one."), 85)
    assert evidence.similar("abc", "abc", 85) and not evidence.similar("abc", "abd", 85)
    one, other = "".join(chr(0x4E00 + i) for i in range(104)), "".join(chr(0x4E00 + i) for i in range(96))  # 100 grams, and the first 92 of them
    assert evidence.similar(one, other, 91) and not evidence.similar(one, other, 92)


# ---- submitting


def test_row_3_a_piece_locks_its_stake_and_waits():
    court, market = a_market()
    free = court.free("p1")
    piece = court.evidence(market, "p1", TEXT)
    assert court.free("p1") == free - CREDIT and market.pieces[piece].stake == CREDIT and market.pieces[piece].status == "pending"
    court.balanced()


def test_what_is_not_taken_as_evidence():
    court, market = a_market()
    court.evidence(market, "p1", "one")
    refused(court, "duplicate", court.evidence, market, "p1", " ONE ")
    court.evidence(market, "p2", "one")  # another's: who is first is seen at the round's end
    refused(court, "malformed", court.evidence, market, "p1", " \n ")
    said = {"market": market.id, "text": "about what is not there"}
    assert "outcomes 0 to" in refused(court, "malformed", court.say, events.Evidence, "p3", about=market.n, says=events.WRONG, **said)
    court.evidence(market, "p1", "two")
    court.evidence(market, "p1", "three")
    assert "3 are allowed" in refused(court, "limit", court.evidence, market, "p1", "four")
    poor = Court(["p0", "p1"], credits=200, stake=0)
    market = poor.market("p0")
    poor.say(events.Stake, "p1", amount=poor.free("p1") - CREDIT + 1)
    assert "stakes" in refused(poor, "credits", poor.evidence, market, "p1", "one")


def test_a_market_takes_so_many_pieces_and_no_more():
    court, market = a_market(pieces_most=2)
    court.evidence(market, "p1", "one")
    court.evidence(market, "p2", "two")
    refused(court, "limit", court.evidence, market, "p3", "three")


def test_marks_come_from_the_scorer_or_from_three_judges_and_once():
    court, market = a_market()
    piece = court.evidence(market, "p1", TEXT)
    refused(court, "unknown", court.due, events.Grade, market=market.id, piece=bytes(32), marks=(0, 0, 0))
    refused(court, "malformed", court.due, events.Grade, market=market.id, piece=piece, marks=(0,))
    refused(court, "early", court.take, events.Grade(t=market.since - 1, market=market.id, piece=piece, marks=(0, 0, 0)))
    court.due(events.Grade, market=market.id, piece=piece, marks=(WAD, 0, WAD // 4))
    refused(court, "duplicate", court.due, events.Grade, market=market.id, piece=piece, marks=(WAD, WAD, WAD))
    court.end_rounds(market)
    assert market.pieces[piece].quality == WAD // 4  # the median
    court, market = a_market("V")
    piece = court.evidence(market, "p1", TEXT)
    for marks in ((WAD // 2,), (WAD, WAD, WAD)):
        refused(court, "malformed", court.due, events.Grade, market=market.id, piece=piece, marks=marks)
    court.due(events.Grade, market=market.id, piece=piece, marks=(WAD,))


# ---- the end of a round


def test_duplicates_and_rewordings_count_nothing():
    court, market = a_market(**TWO_ROUNDS)
    pieces = [court.evidence(market, f"p{i}", text, WAD // 2) for i, text in enumerate((TEXT, TEXT.upper(), TEXT + "!", "Quite another point."), 1)]
    court.end_round(market)
    told = [market.pieces[piece].status for piece in pieces]
    assert told.count("accepted") == 2 and told[3] == "accepted" and market.quality == WAD
    refused(court, "duplicate", court.evidence, market, "p5", "quite  another POINT.")  # accepted in an earlier round
    late = court.evidence(market, "p6", TEXT.replace("36", "37"), WAD)
    court.end_round(market)
    assert market.pieces[late].status == "rejected" and market.quality == WAD


def test_the_stake_is_lost_where_a_worthless_piece_was_flagged_by_two():
    for kind, flags, mark, lost in (("P", 2, 0, True), ("P", 1, 0, False), ("P", 3, WAD // 9, False), ("V", 3, 0, False)):
        court, market = a_market(kind)
        free = court.free("p1")
        court.evidence(market, "p1", TEXT, WAD if kind == "V" and mark else mark, flags=flags)
        court.end_rounds(market)
        assert court.free("p1") == free - CREDIT * lost and court.state.treasury == CREDIT * lost
        court.balanced()


def test_a_piece_without_marks_waits_a_round_and_gets_its_stake_back_in_the_end():
    court, market = a_market(**TWO_ROUNDS)
    free = court.free("p1")
    slow = court.evidence(market, "p1", TEXT)
    never = court.evidence(market, "p1", "Nobody reads this.")
    court.end_round(market)
    assert market.pieces[slow].status == "pending"
    court.due(events.Grade, market=market.id, piece=slow, marks=(WAD,) * 3)
    court.end_round(market)
    assert (market.pieces[slow].status, market.pieces[never].status) == ("accepted", "rejected")
    assert court.free("p1") == free and all(piece.text == "" for piece in market.pieces.values())


def test_marks_may_come_after_the_deadline_and_not_after_the_round():
    court, market = a_market()
    piece = court.evidence(market, "p1", TEXT)
    court.t = market.deadline + 5
    court.due(events.Grade, market=market.id, piece=piece, marks=(WAD,) * 3)
    court.end_rounds(market)
    assert market.pieces[piece].status == "accepted"


def test_one_operator_brings_one_whole_piece_or_as_much_as_all_others():
    court, market = a_market(**TWO_ROUNDS)
    lone = [court.evidence(market, "p1", text, WAD * 3 // 4) for text in ("First of all, this.", "Then that as well.", "And something else.")]
    court.end_round(market)
    assert sorted(market.pieces[piece].quality for piece in lone) == [0, WAD // 4, WAD * 3 // 4]
    assert market.quality_by == {address("p1"): WAD} and market.quality == WAD
    others = [court.evidence(market, f"p{i}", f"Point number {i}: {i * 'x'}", WAD) for i in (2, 3, 4)]
    assert evidence.room(court.state, market, address("p1")) == 0
    court.end_round(market)
    assert [market.pieces[piece].quality for piece in others] == [WAD] * 3
    assert evidence.room(court.state, market, address("p1")) == 2 * WAD
    court.balanced()


@examples(st.integers(0, 10**9))
def test_the_order_in_which_pieces_come_does_not_matter(seed):
    rng = random.Random(seed)
    texts = [(f"p{rng.randrange(1, 5)}", rng.choice([TEXT, TEXT + "?", f"Point {i} is different.", f"{i * 7} apples"]) + "." * i) for i in range(5)]
    given = [(i, name, text, rng.randrange(0, WAD + 1), rng.randrange(4)) for i, (name, text) in enumerate(texts)]
    ends = []
    for _ in range(2):
        rng.shuffle(given)
        court = Court(PEOPLE, terms_of("test", seed="beacon", pieces_each=5), signed=False)
        market = court.market("p0")
        court.trade(market, "p6", 0, 20 * CREDIT)
        begun = court.t
        for i, name, text, mark, flags in given:
            court.t = begun + i
            try:
                court.evidence(market, name, text, mark, flags)
            except Refused:  # a copy of one's own text
                assume(False)
        court.t = market.deadline
        court.due(events.RoundEnd, market=market.id, seed=b"\x42" * 32)
        market.pieces = dict(sorted(market.pieces.items()))
        court.balanced()
        ends.append((market.liabilities, market.b, market.quality, market.pieces, sorted(court.wealth().items()), court.state.treasury))
    assert ends[0] == ends[1]


# ---- minting


@examples(st.lists(st.integers(0, 300 * CREDIT), min_size=2, max_size=6), st.integers(1, 3 * WAD))
def test_p12_evidence_leaves_the_prices(liabilities, quality):
    market = in_hand(list(liabilities))
    before, spent = lmsr.prices(market.liabilities, market.b), lmsr.cost(market.liabilities, market.b)
    shares = evidence.mint(market, b"a" * 20, quality, 2 * WAD)
    after = lmsr.prices(market.liabilities, market.b)
    assert all(abs(one - other) <= 2 for one, other in zip(before, after, strict=True))
    assert lmsr.cost(market.liabilities, market.b) <= spent + 1  # M >= C(L) stays true, to the wei of rounding up
    assert min(shares) >= 0 and market.b >= market.b_min and market.position(b"a" * 20).shares == shares
    assert market.b == market.b_min + -(-(market.b0 - market.b_min) * 2 * WAD // (2 * WAD + quality))


@examples(st.lists(st.integers(0, 300 * CREDIT), min_size=2, max_size=5), st.lists(st.integers(1, WAD), min_size=2, max_size=5))
def test_splitting_a_piece_gains_nothing(liabilities, parts):
    whole, split = in_hand(list(liabilities)), in_hand(list(liabilities))
    once = evidence.mint(whole, b"a" * 20, sum(parts), 2 * WAD)
    for part in parts:
        evidence.mint(split, b"a" * 20, part, 2 * WAD)
    assert (whole.b, whole.quality) == (split.b, split.quality)
    for one, other in zip(once, split.positions[b"a" * 20].shares, strict=True):
        assert one - 2 * len(parts) <= other <= one + 2  # each piece is rounded down


def test_pushing_the_price_away_first_gains_nothing():
    for push in (0, 40 * CREDIT):
        market = in_hand([120 * CREDIT, 30 * CREDIT, 0])
        paid = lmsr.buy_cost(market.liabilities, market.b, 1, push)
        market.liabilities[1] += push
        shares = evidence.mint(market, b"a" * 20, WAD, 2 * WAD)
        shares[1] += push
        b = market.b
        back = lmsr.shares_for_proceeds(market.liabilities, b, 1, 0) if not push else round_trip(market, b)
        got = lmsr.sell_value(market.liabilities, b, 1, back)
        shares[1] -= back
        ends = [share + got - paid for share in shares]
        if not push:
            plain = ends
        assert lmsr.prices([liability - (back if i == 1 else 0) for i, liability in enumerate(market.liabilities)], b)[1] == pytest.approx(
            lmsr.prices([120 * CREDIT, 30 * CREDIT, 0], 100 * CREDIT)[1], abs=10
        )
    assert ends == pytest.approx(plain, abs=10**4)


def round_trip(market: Market, b: int) -> int:
    """The shares of outcome 1 to sell so that the price is back at that of (120, 30, 0) and b = 100."""
    low, high = 0, 100 * CREDIT
    target = lmsr.price_at([120 * CREDIT, 30 * CREDIT, 0], 100 * CREDIT, 1)
    while low < high:
        middle = (low + high) // 2
        moved = [market.liabilities[0], market.liabilities[1] - middle, market.liabilities[2]]
        if lmsr.price_at(moved, b, 1) > target:
            low = middle + 1
        else:
            high = middle
    return low


def test_the_author_never_loses():
    market = in_hand([120 * CREDIT, 30 * CREDIT, 0])
    market.b_min = 60 * CREDIT  # b falls to 80 with kappa = 2 and R = 2
    assert evidence.mint(market, b"a" * 20, 2 * WAD, 2 * WAD) == [10703696747246860778, 28703696747246860778, 34703696747246860778]
    assert market.b == 80 * CREDIT
