"""What binds a market's host, and the three faults that can be proved against it."""

from __future__ import annotations

import msgpack
import pytest
from courts import START, Court, address, key, refused
from hypothesis import strategies as st
from judges import examples

from judge import events, keys, manifest, tree
from judge.errors import Refused
from judge.manifest import Manifest, Receipt, order
from judge.market import Market
from judge.terms import CREDIT, terms_of

PEOPLE = [f"p{i}" for i in range(8)]
IDS = tuple(sorted(keys.keccak(bytes([i])) for i in range(5)))


def a_court(phase: str = "CLOSED", seed: str = "beacon") -> tuple[Court, Market]:
    court = Court(PEOPLE, terms_of("test", seed=seed))
    market = court.market("p0")
    court.trade(market, "p1", 0, CREDIT)
    if phase != "OPEN":
        court.end_rounds(market)
    if phase not in ("OPEN", "CLOSED"):
        court.draw(market)
        court.vote(market, 0)
    return court, market


def signed(court: Court, said: Receipt | Manifest, by: str = "p0") -> bytes:
    return manifest.sign(said, court.terms.chain_id, key(by)[0])


def report(court: Court, market: Market, fault: str, first: bytes, second: bytes = b"", by: str = "p5") -> events.Entry:
    return court.say(events.Fault, by, market=market.id, fault=fault, first=first, second=second)


def in_order(court: Court, market: Market, ids=IDS, phase: str = "OPEN", number: int = 1) -> Manifest:
    seed = market.round_seeds[number - 1] if phase == "OPEN" else b""
    return Manifest(market.id, phase, number, order(ids, phase, seed))


def test_receipts_and_manifests_come_back_as_they_were_signed():
    court, market = a_court()
    receipt, said = Receipt(market.id, "OPEN", 1, IDS[0], START), in_order(court, market)
    assert manifest.read_receipt(signed(court, receipt)) == receipt
    assert manifest.read_manifest(signed(court, said)) == said
    assert manifest.signer(signed(court, said), court.terms.chain_id, Manifest) == address("p0") == market.host_key
    assert manifest.signer(signed(court, said), court.terms.chain_id, Receipt) != address("p0")  # not one for the other
    assert manifest.signer(signed(court, said), court.terms.chain_id + 1, Manifest) != address("p0")


@pytest.mark.parametrize("phase", ["OPEN", "COMMIT", "REVEAL", "CHALLENGE"])
def test_a_stage_is_named_by_phase_and_number(phase):
    court = Court(PEOPLE)
    market = court.market("p0")
    while market.phase != phase:
        if market.phase == "COMMIT" and phase == "REVEAL":
            for judge in court.seated(market):
                court.commit(market, judge, 0)
            court.due(events.Close, market=market.id)
        else:
            court.step(market)
    assert manifest.stage(market) == (phase, 1 if phase == "OPEN" else 0)
    court.run_out(market)
    with pytest.raises(Refused, match="orders nothing"):
        manifest.stage(market)


@examples(st.sets(st.binary(min_size=32, max_size=32), max_size=12), st.randoms(), st.binary(min_size=32, max_size=32))
def test_the_order_does_not_depend_on_who_sends_first(ids, shuffler, seed):
    mixed = list(ids)
    shuffler.shuffle(mixed)
    assert order(mixed, "OPEN", seed) == order(sorted(ids), "OPEN", seed)
    assert order(mixed, "COMMIT") == tuple(sorted(ids))
    assert sorted(order(mixed, "OPEN", seed)) == sorted(ids)


def test_an_order_with_a_receipt_that_is_left_out_costs_the_host_its_bond():
    court, market = a_court()
    receipt = signed(court, Receipt(market.id, "OPEN", 1, keys.keccak(b"left out"), START))
    bond, free, treasury = market.bond, court.free("p5"), court.state.treasury
    report(court, market, "omitted", receipt, signed(court, in_order(court, market)))
    assert (market.phase, market.void_reason) == ("VOID", "its host: omitted")
    assert court.free("p5") == free + bond // 2 and court.state.treasury == treasury + bond - bond // 2
    court.settle(market)
    court.balanced()
    court.replayed()


def test_two_manifests_of_one_phase():
    court, market = a_court("CHALLENGE")
    one, other = (signed(court, in_order(court, market, ids, "COMMIT", 0)) for ids in (IDS, IDS[:3]))
    report(court, market, "twice", one, other)
    assert market.phase == "VOID"
    court.settle(market)
    assert all(operator.locked == 0 for operator in court.state.operators.values())
    court.balanced()


@pytest.mark.parametrize("phase", ["OPEN", "REVEAL"])
def test_a_manifest_in_another_order(phase):
    court, market = a_court()
    right = in_order(court, market, IDS, phase, 1 if phase == "OPEN" else 0)
    report(court, market, "order", signed(court, Manifest(market.id, phase, right.number, right.ids[::-1])))
    assert market.phase == "VOID"


def test_a_manifest_that_names_an_event_twice_is_in_no_order():
    court, market = a_court()
    right = in_order(court, market)
    report(court, market, "order", signed(court, Manifest(market.id, "OPEN", 1, (right.ids[0], *right.ids))))
    assert market.phase == "VOID"


def test_what_is_no_fault():
    court, market = a_court()
    said = in_order(court, market)
    receipt = Receipt(market.id, "OPEN", 1, IDS[0], START)
    good, proof = signed(court, said), signed(court, receipt)
    refused(court, "mismatch", report, court, market, "omitted", proof, good)
    refused(court, "mismatch", report, court, market, "order", good)
    refused(court, "mismatch", report, court, market, "twice", good, good)
    missing = Receipt(market.id, "OPEN", 1, keys.keccak(b"x"), START)
    for other in ({"phase": "COMMIT"}, {"number": 2}):
        refused(court, "mismatch", report, court, market, "omitted", signed(court, Receipt(**{**missing.__dict__, **other})), good)
    refused(court, "mismatch", report, court, market, "omitted", signed(court, Receipt(**{**missing.__dict__, "market": bytes(32)})), good)
    refused(court, "signature", report, court, market, "omitted", signed(court, missing, by="p5"), good)
    refused(court, "signature", report, court, market, "omitted", signed(court, missing), signed(court, said, by="p5"))
    refused(court, "mismatch", report, court, market, "twice", good, signed(court, Manifest(market.id, "OPEN", 2, IDS)))
    refused(court, "signature", report, court, market, "twice", good, signed(court, Manifest(market.id, "OPEN", 1, IDS[:2]), by="p5"))
    refused(court, "early", report, court, market, "order", signed(court, Manifest(market.id, "OPEN", 2, IDS)))
    refused(court, "early", report, court, market, "order", signed(court, Manifest(market.id, "OPEN", 0, IDS)))
    refused(court, "conflict", report, court, market, "omitted", signed(court, missing), good, by="p0")
    assert market.phase == "CLOSED"


def test_rounds_of_a_single_machine_run_in_the_order_of_arrival():
    court, market = a_court(seed="head")
    right = in_order(court, market)
    refused(court, "mismatch", report, court, market, "order", signed(court, Manifest(market.id, "OPEN", 1, right.ids[::-1])))


def test_what_is_no_receipt_and_no_manifest():
    court, market = a_court()
    good = signed(court, in_order(court, market))
    root = tree.root(list(IDS))
    lists = [
        [market.id, "OPEN", 1, [b"short"], root],
        [market.id, "OPEN", 1, list(IDS), bytes(32)],
        [market.id, "DRAFT", 1, list(IDS), root],
        [market.id, "OPEN", -1, list(IDS), root],
        [market.id, "OPEN", True, list(IDS), root],
        [b"m", "OPEN", 1, list(IDS), root],
        [market.id, "OPEN", 1, "ids", root],
        [market.id, "OPEN", 1],
    ]
    no_lists = [b"", bytes(65), b"\x91" * 500 + bytes(65), good[:-66] + good[-65:], b"\xc1" + bytes(65)]
    for bad in [msgpack.packb(one) + bytes(65) for one in lists] + no_lists:
        refused(court, "malformed", report, court, market, "order", bad)
    for bad in ([market.id, "OPEN", 1, b"short", 1], [market.id, "OPEN", 1, bytes(32), "now"]):
        refused(court, "malformed", report, court, market, "omitted", msgpack.packb(bad) + bytes(65), good)
    refused(court, "oversize", report, court, market, "omitted", bytes(400), good)
    long = signed(court, Manifest(market.id, "OPEN", 1, tuple(sorted(keys.keccak(i.to_bytes(2, "big")) for i in range(4096)))))
    assert len(long) < 140_000
    report(court, market, "order", long)
    assert market.phase == "VOID"


def test_the_key_that_funded_the_market_binds_the_host():
    court = Court(PEOPLE, terms_of("test", seed="beacon"))
    court.say(events.Session, "p0", session=address("phone"))
    market = court.draft("p0")
    court.take(events.Fund(actor=address("p0"), t=court.t, market=market.id), "phone")
    court.say(events.Session, "p0", session=address("another"))  # takes nothing back
    court.end_rounds(market)
    missing = Receipt(market.id, "OPEN", 1, keys.keccak(b"x"), START)
    report(court, market, "omitted", signed(court, missing, by="phone"), signed(court, in_order(court, market), by="phone"))
    assert market.phase == "VOID"


def test_when_the_host_vanishes_receipts_make_the_manifest_and_time_ends_the_market():
    court, market = a_court("OPEN")
    receipts = [Receipt(market.id, "OPEN", 1, id, START) for id in reversed(IDS)] + [Receipt(market.id, "OPEN", 2, bytes(32), START)]
    seed = b"s" * 32
    assert manifest.from_receipts(receipts, market.id, "OPEN", 1, seed) == Manifest(market.id, "OPEN", 1, order(IDS, "OPEN", seed))
    bond = court.free("p0")
    court.t = market.ends
    court.due(events.Timeout, market=market.id)
    assert market.phase == "VOID" and court.free("p0") == bond + court.terms.bond  # to vanish is no provable fault
    court.settle(market)
    court.claim_all(market)
    court.balanced()


@examples(st.integers(0, 40), st.data())
def test_a_merkle_proof_fits_one_place(count, data):
    digests = [keys.keccak(bytes([i])) for i in range(count)]
    top = tree.root(digests)
    if not count:
        assert top == bytes(32) and not tree.verify(top, 0, 0, bytes(32), [])
        return
    index = data.draw(st.integers(0, count - 1))
    path = tree.proof(digests, index)
    assert tree.verify(top, count, index, digests[index], path)
    assert not tree.verify(top, count, index, keys.keccak(b"other"), path)
    assert not tree.verify(top, count, count, digests[index], path)
    assert not tree.verify(top, count, index, digests[index], [*path, bytes(32)])
    assert not path or not tree.verify(top, count, index, digests[index], path[:-1])
