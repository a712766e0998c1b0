"""What is accepted from the wire, and that nothing else is: one test for every reason, and for every signature.

`python tests/test_records.py` writes tests/vectors/records.json again (only needed when the format's version changes).
"""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm import keys, names, records
from swarm.errors import Refused
from swarm.identity import Identity
from swarm.inbox import REVOCATIONS_BY_ONE, Inbox
from swarm.records import AverageEvent, Card, Delegation, Entry, Revocation, Shelf, plain, read, write
from swarm.session import Session

VECTORS = Path(__file__).parent / "vectors" / "records.json"
SWARM = bytes(range(32))
NOW = 1_800_000_000
HOUR = 3600


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    return Identity.open_or_create_local(tmp_path_factory.mktemp("ann"))


@pytest.fixture(scope="module")
def bob(tmp_path_factory):
    return Identity.open_or_create_local(tmp_path_factory.mktemp("bob"))


@pytest.fixture(scope="module")
def session(ann):
    return ann.session(SWARM, 30 * 24 * HOUR, now=NOW)


def full_shelf(round=2**31 - 1):
    return Shelf(round=round, entries=tuple(Entry("resolve", round, bytes([i]) * 32, 2**31 - 1) for i in range(12)))


def full_event():
    return AverageEvent(
        round=2**31 - 1,
        before=b"b" * 32,
        averaged=b"m" * 32,
        rule="trimmed_mean",
        max_change=0.05,
        after=b"a" * 32,
        inputs=((b"p" * 32, b"r" * 32),) * 16,
    )


def shelf(session, sequence=1, expires=NOW + HOUR, record=None):
    return write(record or full_shelf(), session, sequence=sequence, expires=expires)


def reason(data, kind=Shelf, swarm=SWARM, now=NOW, **named):
    with pytest.raises(Refused) as caught:
        read(data, swarm, now, kind=kind, **named)
    assert caught.value.reason in records.REASONS
    return caught.value.reason


def signed(session, payload, delegation=None):
    """The wire form of any payload under a session's true signature."""
    true = session.delegation
    delegation = [true.operator, true.issued, true.expires, true.signature] if delegation is None else delegation
    return msgpack.packb([payload, session.sign(payload), delegation])


def altered(session, place, value):
    """A truly signed shelf whose header or body says something else."""
    fields = msgpack.unpackb(records.payload_of(full_shelf(), SWARM, session.peer, 1, NOW + HOUR))
    fields[place] = value
    return signed(session, msgpack.packb(fields))


def test_round_trip_at_full_size(ann, session):
    for record, limit in ((full_shelf(), 1024), (full_event(), 2048)):
        data = shelf(session, sequence=2**63 - 1, record=record)
        assert len(data) < limit - 8 and limit == record.MAX_BYTES
        got = read(data, SWARM, NOW, kind=type(record))
        assert replace(got, origin=None) == record
        assert (got.peer, got.operator, got.sequence, got.name) == (ann.peer, ann.address, 2**63 - 1, ann.name)


def test_card_vouches_by_both_keys(ann):
    session = ann.session(SWARM, 60, specialty=3, model=b"m" * 32, now=NOW)
    card = read(session.card, SWARM, NOW, kind=Card)
    assert len(session.card) < 1024
    assert (card.specialty, card.model, card.peer, card.operator) == (3, b"m" * 32, ann.peer, ann.address)
    assert card.origin.session == session.address and card.expires == NOW + 60


def test_oversize(session):
    assert reason(shelf(session) + bytes(1024)) == "oversize"
    assert reason(bytes(10**7)) == "oversize"


GARBAGE = [b"", b"\x00", b"\xc1", b"\x93", b"\x90", b"\xdd\xff\xff\xff\xff", b"\x93" * 1000, b"\xc7\x00\x01", b"\x80", None, "text", 7]
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=40) | st.text(max_size=40)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5), max_leaves=10)


@pytest.mark.parametrize("data", GARBAGE)
def test_malformed(data):
    assert reason(data) == "malformed"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | VALUES.map(msgpack.packb))
def test_any_bytes_are_refused_and_nothing_else(data):
    for kind in (Card, Shelf, Revocation, AverageEvent):
        reason(data, kind)


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_any_body_of_a_member_is_read_or_malformed(session, value):
    for kind in (Shelf, AverageEvent, Card):
        fields = [kind.TYPE, 1, SWARM, session.peer, 1, NOW + HOUR, value]
        try:
            read(signed(session, msgpack.packb(fields)), SWARM, NOW, kind=kind)
        except Refused as error:
            assert error.reason in ("malformed", "oversize")


def test_every_changed_byte_is_refused(session, bob):
    for data, kind in ((shelf(session), Shelf), (session.card, Card), (bob.revoke(SWARM, session.address, now=NOW), Revocation)):
        for place in range(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1 << place % 8
            reason(bytes(changed), kind)


def test_one_encoding_only(session):
    payload = records.payload_of(full_shelf(), SWARM, session.peer, 1, NOW + HOUR)
    assert payload[0] == 0x97
    wide = b"\xdc\x00\x07" + payload[1:]  # the same list with a longer header
    assert msgpack.unpackb(wide) == msgpack.unpackb(payload)
    assert reason(signed(session, wide)) == "malformed"
    assert reason(signed(session, payload + b"\x00")) == "malformed"


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (0, Card.TYPE, "malformed"),
        (0, True, "malformed"),
        (1, 2, "version"),
        (1, "1", "malformed"),
        (2, bytes(32), "foreign swarm"),
        (2, b"", "malformed"),
        (3, b"short", "malformed"),
        (4, -1, "malformed"),
        (4, 2**63, "malformed"),
        (5, NOW - 2 * HOUR, "expired"),
        (5, NOW + 8 * 86_400, "future"),
        (5, float("nan"), "malformed"),
        (6, {}, "malformed"),
        (6, [0, [[0, 0, b"d" * 32, 0]] * 13], "malformed"),
        (6, [0, [[4, 0, b"d" * 32, 0]]], "malformed"),
        (6, [0, [[-1, 0, b"d" * 32, 0]]], "malformed"),
        (6, [0, [[0, 0, b"d" * 31, 0]]], "malformed"),
        (6, [0, [[0, 0, b"d" * 32, 2**31]]], "malformed"),
        (6, [0, [[0, 1e30, b"d" * 32, 0]]], "malformed"),
        (6, [2**31, []], "malformed"),
        (6, [True, []], "malformed"),
        (6, [0, b""], "malformed"),
        (6, b"\x00\x00", "malformed"),
    ],
)
def test_altered_field(session, place, value, expected):
    assert reason(altered(session, place, value)) == expected


@pytest.mark.parametrize("change", [math.nan, math.inf, -1.0, 0.0, 1e30, 1])
def test_average_event_bounds(session, change):
    body = full_event().body()
    body[4] = change
    fields = [AverageEvent.TYPE, 1, SWARM, session.peer, 1, NOW + HOUR, body]
    assert reason(signed(session, msgpack.packb(fields)), AverageEvent) == "malformed"


@pytest.mark.parametrize("inputs", [b"", [[b"p" * 32, b"r" * 32]] * 17, [[b"p" * 32]], [b"p" * 32], [[b"p" * 31, b"r" * 32]]])
def test_average_event_inputs(session, inputs):
    fields = [AverageEvent.TYPE, 1, SWARM, session.peer, 1, NOW + HOUR, [*full_event().body()[:6], inputs]]
    assert reason(signed(session, msgpack.packb(fields)), AverageEvent) == "malformed"


def test_average_event_names_a_known_rule(session):
    with pytest.raises(ValueError, match="cannot be sent"):
        shelf(session, record=replace(full_event(), rule="believe me"))


def test_nothing_unreadable_is_written(session):
    with pytest.raises(ValueError, match="cannot be sent"):
        shelf(session, record=replace(full_shelf(), round=2**31))
    with pytest.raises(ValueError, match="cannot be sent"):
        shelf(session, record=Shelf(entries=full_shelf().entries * 2))


def test_unread_record_has_no_author():
    with pytest.raises(ValueError, match="nobody said it"):
        _ = full_shelf().peer


def test_a_clock_an_hour_off_is_no_reason(session):
    data = shelf(session)
    for now in (NOW - HOUR, NOW + 2 * HOUR):
        assert read(data, SWARM, now, kind=Shelf).round == 2**31 - 1
    assert reason(data, now=NOW + 3 * HOUR) == "expired"
    assert reason(data, now=NOW - 3 * HOUR) == "future"


def test_foreign_swarm(ann):
    other = ann.session(bytes(32), HOUR, now=NOW)
    assert reason(shelf(other)) == "foreign swarm"
    assert reason(other.card, Card) == "foreign swarm"
    assert reason(altered(other, 2, SWARM)) == "bad signature", "a session speaks in the swarm it was made for"


def test_session_cannot_outlive_its_delegation(ann):
    brief = ann.session(SWARM, HOUR, now=NOW)
    assert read(shelf(brief, expires=NOW + 9 * HOUR), SWARM, NOW, kind=Shelf).expires == NOW + HOUR
    assert reason(altered(brief, 5, NOW + 2 * HOUR)) == "expired"
    given = replace(brief.delegation, expires=NOW + 9 * HOUR)
    longer = [given.operator, given.issued, given.expires, given.signature]
    assert reason(signed(brief, msgpack.packb([2, 1, SWARM, ann.peer, 1, NOW + HOUR, [0, []]]), longer)) == "bad signature"
    endless = ann.session(SWARM, 500 * 86_400, now=NOW)
    assert reason(shelf(endless)) == "future"


def test_shelf_for_another_peer(session, ann, bob):
    """A session speaks for its own peer only; another operator can claim a peer on a shelf, but not on a card."""
    assert reason(altered(session, 3, bob.peer)) == "bad signature"
    claimed = replace(bob, folder=ann.folder, peer=ann.peer, secret=bob.secret)  # what Bob could do with Ann's peer key: nothing less
    stolen = claimed.session(SWARM, HOUR, now=NOW)
    assert read(shelf(stolen), SWARM, NOW, kind=Shelf).operator == bob.address
    statement = stolen.delegation.statement(SWARM, ann.peer, stolen.address)
    proof = keys.peer_sign(bob.peer_key_path.read_bytes(), statement)
    forged = write(Card(public=keys.peer_public(bob.peer_key_path.read_bytes()), proof=proof), stolen, sequence=1, expires=NOW + HOUR)
    assert reason(forged, Card) == "bad signature", "the key that signed is not the peer's"
    unproved = write(Card(public=keys.peer_public(ann.peer_key_path.read_bytes()), proof=proof), stolen, sequence=1, expires=NOW + HOUR)
    assert reason(unproved, Card) == "bad signature", "the peer's key did not sign this session"


def test_forged_delegation(session, bob):
    true = session.delegation
    payload = records.payload_of(full_shelf(), SWARM, session.peer, 1, NOW + HOUR)
    assert reason(signed(session, payload, [bob.address, true.issued, true.expires, true.signature])) == "bad signature"
    assert reason(signed(session, payload, [true.operator, true.issued, true.expires, bytes(65)])) == "bad signature"
    assert reason(signed(session, payload, [true.operator, NOW + 3 * HOUR, true.expires, true.signature])) == "future"
    assert reason(signed(session, payload, [])) == "malformed"


def test_slow_peer_keys_are_refused(session):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=3, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert not keys.peer_signed(public, bytes(256), b"")
    assert not keys.peer_signed(b"nonsense", bytes(256), b"")


def test_stale(session):
    data = shelf(session, sequence=7)
    assert read(data, SWARM, NOW, kind=Shelf, after=6).sequence == 7
    assert reason(data, after=7) == reason(data, after=8) == "stale"


def test_revoked(session):
    assert reason(shelf(session), revoked={(session.operator, session.address)}) == "revoked"
    assert reason(session.card, Card, revoked={(session.operator, session.address)}) == "revoked"


def test_revocation_is_the_operators(ann, bob, session):
    said = read(ann.revoke(SWARM, session.address, now=NOW), SWARM, NOW, kind=Revocation)
    assert (said.operator, said.session) == (ann.address, session.address)
    inbox = Inbox(SWARM)
    inbox.read(bob.revoke(SWARM, session.address, now=NOW), Revocation, NOW)
    assert inbox.read(shelf(session), Shelf, NOW), "nobody revokes another operator's session"
    inbox.read(ann.revoke(SWARM, bytes(20), now=NOW + 1), Revocation, NOW)
    inbox.read(ann.revoke(SWARM, session.address, now=NOW), Revocation, NOW)  # older, and counts all the same
    assert inbox.take(shelf(session, 2), Shelf, NOW) is None
    assert inbox.dropped == Counter({"revoked": 1})
    assert inbox.take(ann.session(SWARM, HOUR, now=NOW).card, Card, NOW), "the next session is heard again"


def test_wire_of_the_wrong_shape(session, bob):
    payload, signature, delegation = msgpack.unpackb(shelf(session))
    for wrong in ([payload, signature[:64], delegation], [payload, signature.hex(), delegation], ["text", signature, delegation]):
        assert reason(msgpack.packb(wrong)) == "malformed"
    for other in (b"four", "four", None, {}, [*delegation, 0]):
        assert reason(msgpack.packb([payload, signature, other])) == "malformed"
    assert reason(msgpack.packb([payload, bytes(64) + b"\x1b", delegation])) == "bad signature"
    payload, signature, _ = msgpack.unpackb(bob.revoke(SWARM, session.address, now=NOW))
    assert reason(msgpack.packb([payload, signature, [1]]), Revocation) == "malformed", "nothing unsigned rides along"


def test_session_key_cannot_revoke(session):
    payload = records.payload_of(Revocation(by=session.operator, session=session.address), SWARM, session.peer, 1, NOW + HOUR)
    assert reason(signed(session, payload, []), Revocation) == "bad signature"


def test_inbox_counts_by_reason_and_goes_forward_only(session, bob):
    inbox = Inbox(SWARM)
    assert inbox.take(shelf(session, 5), Shelf, NOW).sequence == 5
    assert inbox.take(shelf(session, 5), Shelf, NOW).sequence == 5, "the DHT repeats itself"
    assert inbox.take(shelf(session, 4), Shelf, NOW) is None
    assert inbox.take(shelf(session, 5, record=Shelf(round=1)), Shelf, NOW) is None, "two truths under one number"
    assert inbox.take(shelf(bob.session(SWARM, HOUR, now=NOW), 1), Shelf, NOW).sequence == 1, "sequences are each author's own"
    assert inbox.take(b"garbage", Shelf, NOW) is None
    assert inbox.dropped == Counter({"stale": 2, "malformed": 1})


def test_inbox_memory_is_bounded(session, ann, bob, monkeypatch):
    monkeypatch.setattr("swarm.inbox.AUTHORS", 1)
    inbox = Inbox(SWARM)
    inbox.read(shelf(session, 5), Shelf, NOW)
    inbox.read(shelf(bob.session(SWARM, HOUR, now=NOW), 5), Shelf, NOW)
    assert len(inbox._newest) == 1
    inbox.read(bob.revoke(SWARM, b"b" * 20, now=NOW), Revocation, NOW)
    for i in range(REVOCATIONS_BY_ONE + 5):
        inbox.read(ann.revoke(SWARM, bytes([i]) * 20, now=NOW - i), Revocation, NOW)
    assert len(inbox._revoked) == REVOCATIONS_BY_ONE + 1
    assert (bob.address, b"b" * 20) in inbox._revoked, "a flood pushes out its own author's only"


def test_twin_is_noticed_by_the_older(ann):
    older, newer = ann.session(SWARM, HOUR, now=NOW), ann.session(SWARM, HOUR, now=NOW + 1)
    inbox = Inbox(SWARM, own=read(older.card, SWARM, NOW, kind=Card))
    assert inbox.take(shelf(older), Shelf, NOW) and inbox.twin is None
    assert inbox.take(shelf(newer, 2), Shelf, NOW) is None
    assert inbox.twin.session == newer.address and inbox.dropped == Counter({"duplicate": 1})
    other = Inbox(SWARM, own=read(newer.card, SWARM, NOW, kind=Card))
    assert other.take(shelf(older), Shelf, NOW) and other.twin is None, "an earlier session of one's own is no twin"


def test_plain_text():
    assert plain("a\x1b[31mb\x07\u202ec\u200bd\ud800") == "a\ufffd[31mb\ufffd\ufffdc\ufffdd\ufffd"
    assert plain("two\nlines\tand\r\nmore") == "two lines and  more"
    assert plain("x" * 300, 10) == "x" * 9 + "…" and plain("x" * 10, 10) == "x" * 10
    assert plain("größe 7 − 3 = 4") == "größe 7 − 3 = 4"


def test_names_are_derived_not_claimed(ann, session):
    assert read(session.card, SWARM, NOW, kind=Card).name == names.name_of(ann.address, ann.peer) == ann.name
    assert session.name == ann.name


def vectors(given):
    """Everything that follows from fixed keys: signatures here are deterministic."""
    operator, secret, peer_key = (bytes.fromhex(given[k]) for k in ("operator_secret", "session_secret", "peer_key_file"))
    public = keys.peer_public(peer_key)
    peer, address = keys.peer_of(public), keys.address_of(operator)
    unsigned = Delegation(address, NOW, NOW + HOUR)
    statement = unsigned.statement(SWARM, peer, keys.address_of(secret))
    signer = Identity(Path("."), address, peer, False, secret=operator)
    session = Session(secret, SWARM, peer, replace(unsigned, signature=signer.sign_statement(statement)), b"", Path("."))
    card = Card(specialty=1, model=b"m" * 32, public=public, proof=keys.peer_sign(peer_key, statement))
    return {
        "address": keys.checksum(address),
        "session": keys.checksum(session.address),
        "peer": peer.hex(),
        "peer_id": keys.base58_of(peer),
        "name": session.name,
        "delegation_statement": statement.hex(),
        "delegation_signature": session.delegation.signature.hex(),
        "card": write(card, session, sequence=1, expires=NOW + HOUR).hex(),
        "shelf": write(Shelf(round=7, entries=(Entry("critique", 7, b"d" * 32, 1000),)), session, sequence=2, expires=NOW + HOUR).hex(),
        "average_event": write(replace(full_event(), inputs=full_event().inputs[:2]), session, sequence=3, expires=NOW + HOUR).hex(),
        "revocation": signer.revoke(SWARM, session.address, now=NOW, lifetime_s=HOUR).hex(),
    }


def test_vectors():
    stored = json.loads(VECTORS.read_text())
    assert vectors(stored["given"]) == stored["expected"]
    for name, kind in (("card", Card), ("shelf", Shelf), ("average_event", AverageEvent), ("revocation", Revocation)):
        assert keys.checksum(read(bytes.fromhex(stored["expected"][name]), SWARM, NOW, kind=kind).operator) == stored["expected"]["address"]


if __name__ == "__main__":
    fixed = json.loads(VECTORS.read_text())["given"] if VECTORS.exists() else {
        "about": "keys made for these tests; nothing is behind them",
        "swarm": SWARM.hex(),
        "now": NOW,
        "operator_secret": "11" * 32,
        "session_secret": "22" * 32,
        "peer_key_file": keys.new_peer_key().hex(),
    }
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.write_text(json.dumps({"given": fixed, "expected": vectors(fixed)}, indent=1) + "\n")
