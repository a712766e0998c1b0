"""How events travel: canonical, bounded, signed for one chain, and refused with a sentence otherwise."""

from __future__ import annotations

from dataclasses import replace

import msgpack
import pytest
from courts import START, Court, address, key, refused
from hypothesis import strategies as st
from judges import examples

from judge import events, keys, wire
from judge.errors import REASONS, Refused
from judge.fields import Amount, Bad, Text
from judge.ledger import Log, State, apply
from judge.terms import CREDIT, PROFILES, WAD, Terms, terms_of

ID = b"\x07" * 32
WHO = address("alice")
SAMPLES = [
    events.Register(actor=WHO, t=1, session=address("phone")),
    events.Session(actor=WHO, t=1),
    events.Leave(actor=WHO, t=1),
    events.Stake(actor=WHO, t=1, amount=1),
    events.Unstake(actor=WHO, t=1, amount=10**30),
    events.Standing(t=1, operator=WHO, jailed=1),
    events.Epoch(t=1, number=1, mints=((WHO, 0), (WHO, 10**20))),
    events.Bonus(t=1, number=1, weights=((WHO, WAD),)),
    events.GoldRoot(t=1, number=1, root=ID, count=4),
    events.GoldOpen(t=1, number=1, market=ID, answer=2, salt=ID, index=0, path=(ID,)),
    events.Open(actor=WHO, t=1, nonce=1, kind="P", question="Which?\n\tA?", outcomes=(("a", b"", (WHO,)), ("é", ID, ())), b0=CREDIT),
    events.Fund(actor=WHO, t=1, market=ID),
    events.Trade(actor=WHO, t=1, market=ID, nonce=2, side="sell for", outcome=1, amount=10**18, guard=3, seq=4),
    events.Evidence(actor=WHO, t=1, market=ID, text="because"),
    events.Evidence(actor=WHO, t=1, market=ID, text="because", about=2, says=events.WRONG),
    events.Forecast(actor=WHO, t=1, market=ID, chances=(1, 9999)),
    events.Grade(t=1, market=ID, piece=ID, marks=(0, WAD, 5), flags=3),
    events.RoundEnd(t=1, market=ID, seed=ID),
    events.Resolve(t=1, market=ID, outcome=255),
    events.Draw(t=1, market=ID, seed=ID),
    events.Commit(actor=WHO, t=1, market=ID, level=2, roll=2, commit=ID),
    events.Close(t=1, market=ID),
    events.Reveal(actor=WHO, t=1, market=ID, level=0, roll=0, judge=WHO, choice=255, sure=10_000, agree=0, salt=ID),
    events.Tally(t=1, market=ID),
    events.Dispute(actor=WHO, t=1, market=ID, level=0, claimed=1, bond=10**19, reason=ID),
    events.Expire(t=1, market=ID),
    events.Settle(t=1, market=ID),
    events.Timeout(t=1, market=ID),
    events.Claim(actor=WHO, t=1, market=ID),
    events.Sweep(t=1, market=ID),
    events.Check(t=1, market=ID, answer=2),
    events.Fault(actor=WHO, t=1, market=ID, fault="twice", first=b"a", second=b"b"),
    events.Enter(t=1, operator=WHO, session=address("phone")),
]


def written(event: events.Event, chain_id: int = 1, by: str = "alice") -> events.Entry:
    return events.write(event, chain_id, key(by)[0] if isinstance(event, events.Signed) else None)


def test_every_kind_of_event_is_among_the_samples():
    assert {type(event) for event in SAMPLES} == set(wire._CLASSES.values())


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was_written(event):
    entry = written(event)
    back = events.read(entry.data, 1)
    assert back.event == event and back.id == entry.id and back.data == entry.data
    assert back.signer == (WHO if isinstance(event, events.Signed) else None)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_cut_or_padded_bytes_are_refused(event):
    data = written(event).data
    for bad in (data[:-1], data + b"\0", data[:1], data[:1] + b"\x05" + data[2:], b""):
        with pytest.raises(Refused) as caught:
            events.read(bad, 1)
        assert caught.value.reason in REASONS


@examples(st.binary(max_size=300), st.sampled_from(sorted(wire._CLASSES)))
def test_any_bytes_are_an_event_or_refused(data, kind):
    for attempt in (data, bytes([kind]) + data, bytes([kind, 0]) + data, bytes([kind, 65]) + bytes(65) + data):
        try:
            entry = events.read(attempt, 1)
        except Refused as why:
            assert why.reason in ("malformed", "signature", "oversize")
        else:
            assert entry.data == attempt


WIRE = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=9)


@examples(st.recursive(WIRE, st.lists), st.data())
def test_a_field_of_another_type_is_refused_and_nothing_else_happens(value, data):
    event = data.draw(st.sampled_from(SAMPLES))
    entry = written(event)
    fields = msgpack.unpackb(entry.data[2 + len(entry.signature) :])
    fields[data.draw(st.integers(0, len(fields) - 1))] = value
    changed = entry.data[: 2 + len(entry.signature)] + msgpack.packb(fields)
    try:
        assert events.read(changed, 1).data == changed
    except Refused as why:
        assert why.reason in ("malformed", "oversize")


def test_a_body_that_is_not_canonical_is_refused():
    entry = written(SAMPLES[0])
    fields = entry.data[67:]
    assert fields[0] == 0x93
    wide = entry.data[:67] + b"\xdc\x00\x03" + fields[1:]  # the same list with a longer header
    with pytest.raises(Refused, match="canonical"):
        events.read(wide, 1)
    deep = entry.data[:67] + b"\x91" * 900
    with pytest.raises(Refused, match="canonical"):
        events.read(deep, 1)


def test_size_is_looked_at_before_anything_is_parsed():
    data = bytes([events.Open.KIND, 65]) + bytes(65) + b"\xff" * 1_000_000
    with pytest.raises(Refused) as caught:
        events.read(data, 1)
    assert caught.value.reason == "oversize" and "1000000" in caught.value.sentence and "shorter" in caught.value.sentence


def test_a_signature_is_for_one_chain():
    entry = written(SAMPLES[3], chain_id=1)
    assert events.read(entry.data, 1).signer == WHO
    assert events.read(entry.data, 2).signer != WHO


def test_a_signature_with_a_high_s_is_none():
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    signature = keys.sign(key("alice")[0], ID)
    high = signature[:32] + (order - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big") + bytes([55 - signature[64]])
    assert keys.recover(signature, ID) == WHO
    assert keys.recover(high, ID) is None
    assert keys.recover(signature[:-1], ID) is None
    assert keys.recover(bytes(65), ID) is None
    assert keys.recover(bytes(64) + b"\x1b", ID) is None


def test_who_signs_what():
    with pytest.raises(ValueError, match="signed by its actor"):
        events.write(SAMPLES[3], 1)
    with pytest.raises(ValueError, match="nobody signs"):
        events.write(SAMPLES[5], 1, key("alice")[0])


def test_the_actor_or_its_session_key_signs_and_nobody_else():
    court = Court(["alice", "bob"])
    assert "not signed by" in refused(court, "signature", court.take, events.Stake(actor=address("alice"), t=court.t + 1, amount=1), "bob")
    court.say(events.Session, "alice", session=address("phone"))
    court.take(events.Stake(actor=address("alice"), t=court.t + 1, amount=1), "phone")
    refused(court, "signature", court.take, events.Session(actor=address("alice"), t=court.t + 2), "phone")
    refused(court, "signature", court.take, events.Leave(actor=address("alice"), t=court.t + 2), "phone")
    court.t += 1
    court.say(events.Session, "alice")
    refused(court, "signature", court.take, events.Stake(actor=address("alice"), t=court.t + 3, amount=1), "phone")
    forged = court.entry(events.Stake(actor=address("bob"), t=court.t + 1, amount=1), "bob")
    broken = events.read(forged.data[:10] + bytes([forged.data[10] ^ 1]) + forged.data[11:], court.terms.chain_id)
    refused(court, "signature", court.log.extend, broken)
    unsigned = events.read(forged.data[:2] + bytes(65) + forged.data[67:], court.terms.chain_id)
    refused(court, "signature", court.log.extend, unsigned)


def test_who_is_not_registered_can_only_register():
    court = Court(["alice"])
    assert "register" in refused(court, "standing", court.say, events.Stake, "eve", amount=1)
    refused(court, "signature", court.take, events.Register(actor=address("eve"), t=1), "alice")


def test_account_events_are_not_replayed():
    court = Court(["alice"])
    entry = court.say(events.Stake, "alice", amount=5)
    assert "increasing times" in refused(court, "duplicate", court.log.extend, entry)
    refused(court, "duplicate", court.take, events.Unstake(actor=address("alice"), t=court.t, amount=1), "alice")
    refused(court, "duplicate", court.take, events.Session(actor=address("alice"), t=court.t), "alice")
    refused(court, "duplicate", court.take, events.Register(actor=address("alice"), t=court.t + 1), "alice")


@pytest.mark.parametrize("bad", ["\x1b[2J", "a\x00", "\u202eabc", "a\u200bb", "a\u2066", "\x9b1m", "\ufeffa", "\u2028", ""])
def test_text_that_a_terminal_would_obey_is_refused(bad):
    for change in ({"question": bad}, {"outcomes": ((bad, b"", ()), ("b", b"", ()))}):
        with pytest.raises(Refused) as caught:
            written(events.Open(**{**SAMPLES[10].__dict__, **change}))
        assert caught.value.reason == "malformed" and "Open." in caught.value.sentence
    with pytest.raises(Refused):
        written(events.Evidence(actor=WHO, t=1, market=ID, text=bad))


def test_a_line_break_is_text_in_a_question_and_not_in_a_label():
    assert Text(10, lines=True).pack("a\n\tb") == "a\n\tb"
    for bad in ("a\nb", "a\tb", "a" * 11, 5, b"a", "\ud800"):
        with pytest.raises(Bad):
            Text(10).pack(bad)


def test_an_amount_is_minimal_and_bounded():
    assert Amount().pack(0) == b"" and Amount().unpack(b"") == 0 and Amount().unpack(b"\x01\x00") == 256
    for bad in (-1, 10**30 + 1, True, 1.0, None):
        with pytest.raises(Bad):
            Amount().pack(bad)
    for bad in (b"\x00", b"\x00\x01", b"\xff" * 14, b"\xff" * 13, 5, None):
        with pytest.raises(Bad):
            Amount().unpack(bad)
    with pytest.raises(Bad):
        Amount(least=1).unpack(b"")


@pytest.mark.parametrize("count", [0, 1, 21])
def test_a_market_has_2_to_20_outcomes(count):
    with pytest.raises(Refused, match=f"2 to 20 entries, not {count}"):
        written(events.Open(**{**SAMPLES[10].__dict__, "outcomes": tuple((f"{i}", b"", ()) for i in range(count))}))


def test_a_question_of_a_megabyte_is_refused():
    with pytest.raises(Refused, match="1 to 4000 characters, not 1000000"):
        written(events.Open(**{**SAMPLES[10].__dict__, "question": "q" * 1_000_000}))


def test_an_event_that_is_too_long_is_refused_by_its_writer():
    mints = tuple((WHO, 10**29) for _ in range(1024))
    events.write(events.Epoch(t=1, number=1, mints=mints), 1)
    people = tuple(("x" * 200, b"", (WHO,) * 16) for _ in range(20))
    events.write(events.Open(**{**SAMPLES[10].__dict__, "outcomes": people, "question": "\U0001f600" * 4000}), 1, key("alice")[0])
    with pytest.raises(Refused, match="at most 140000"):
        events.write(events.Fault(**{**SAMPLES[-2].__dict__, "first": bytes(140_001)}), 1, key("alice")[0])


def test_the_id_of_a_market_depends_on_what_it_is_and_not_on_the_time():
    base = SAMPLES[10]
    ids = {base.market(1), base.market(2)}
    for change in ({"nonce": 2}, {"kind": "H"}, {"question": "x"}, {"b0": 2 * CREDIT}, {"fee_bps": 5}, {"scorer": ID}, {"actor": address("bob")}):
        ids.add(events.Open(**{**base.__dict__, **change}).market(1))
    assert len(ids) == 9
    assert events.Open(**{**base.__dict__, "t": 99}).market(1) == base.market(1)


def test_the_log_is_a_hash_chain():
    court = Court(["alice"])
    head = bytes(32)
    for data in court.log.entries:
        head = keys.keccak(head, data)
    assert court.state.head == head and court.state.count == len(court.log.entries)
    court.replayed()


def test_what_is_refused_is_not_in_the_log():
    log = Log(State(terms_of("test")))
    with pytest.raises(Refused):
        log.extend(written(SAMPLES[3]))
    assert log.entries == [] and log.state.root() == State(terms_of("test")).root()
    log.extend(written(events.Register(actor=WHO, t=START), log.state.terms.chain_id))
    assert log.state.root() != State(terms_of("test")).root()


def test_terms_are_a_part_of_the_root():
    assert State(Terms()).root() != State(Terms(piece_stake=1)).root()
    assert replace(PROFILES["test"], seed=500).whole == 8500 and replace(PROFILES["human"], seed=1).whole == PROFILES["human"].whole + 4
    assert PROFILES["test"].most == 4 * 8000 and PROFILES["human"].whole == (24 + 72) * 3_600_000


def test_apply_gives_the_state_it_changed():
    court = Court(["alice"])
    entry = court.entry(events.Stake(actor=WHO, t=court.t + 1, amount=1), "alice")
    assert apply(court.state, entry) is court.state


def test_a_reason_is_one_of_the_list():
    with pytest.raises(ValueError):
        Refused("because", "no")
