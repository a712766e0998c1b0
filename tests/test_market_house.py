"""A house: what it takes and refuses, what a kill -9 leaves, and that a phase gets one page for ever. Messages and the file of a room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
from courts import address, key
from markets import DOMAIN, NAMES, START, Fair, FakeFacts, account, opening, sign, trade

from judge import events, manifest
from judge.errors import Refused
from judge.manifest import Receipt
from judge.terms import CREDIT
from swarm import errors
from swarm.market import house as houses
from swarm.market import post
from swarm.market.house import House
from swarm.market.page import Phase
from swarm.market.store import FEED, Store

DEADLINE = START + 2000


class Host:
    """A house with one market in its first round, on a tape of its own."""

    def __init__(self, folder: Path):
        self.facts = FakeFacts()
        self.facts.people("host", *NAMES)
        self.facts.beacons(-3000, 60_000)
        self.fair = Fair(self.facts)
        self.id = self.fair.add(opening("host", START)).market
        self.store = Store(folder / "market.sqlite", DOMAIN)
        self.house = House(self.store, key("host")[0], DOMAIN, self.facts.speaks)
        self.fair.tape.play(START)
        self.house.look(self.fair.tape.state)

    def take(self, entry, now: int = START + 1000) -> Receipt:
        return manifest.read_receipt(self.house.take(entry.data, now))

    def no(self, reason: str, entry, now: int = START + 1000) -> str:
        before = self.store.full(2**62)
        with pytest.raises(Refused) as caught:
            self.take(entry, now)
        assert caught.value.reason == reason, caught.value.sentence
        assert self.store.full(2**62) == before
        return caught.value.sentence


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    yield made
    made.store.close()


def test_an_order_gets_a_signed_receipt_and_comes_on_the_page(host):
    orders = [trade(host.id, name, START + 500) for name in NAMES]
    receipts = [host.house.take(order.data, START + 1000) for order in orders]
    assert {manifest.signer(one, DOMAIN, Receipt) for one in receipts} == {address("host")}
    assert manifest.read_receipt(receipts[0]) == Receipt(host.id, "OPEN", 1, orders[0].id, START + 1000)
    assert host.house.take(orders[0].data, START + 1500) == receipts[0], "the same order has the same receipt"
    assert not host.house.pages(DEADLINE - 1, host.facts.after) and not host.house.pages(DEADLINE, lambda t: None)
    (page,) = host.house.pages(DEADLINE, host.facts.after)
    assert {entry.id for entry in page.entries} == {order.id for order in orders} and page.stage == (host.id, "OPEN", 1)
    assert not host.house.pages(DEADLINE + 10**6, host.facts.after), "a phase has one page"
    host.fair.add(page)
    host.fair.tape.play(START + 3000)
    assert len(host.fair.market(host.id).positions) == 5 and not host.fair.tape.binder.faults and not host.fair.tape.refused


def test_what_comes_too_late_is_refused_with_a_sentence(host):
    assert "too late" in host.no("deadline", trade(host.id, "ann", START + 500), now=DEADLINE)
    assert "too late" in host.no("deadline", trade(host.id, "ann", DEADLINE))
    assert "sign it again" in host.no("deadline", trade(host.id, "ann", START - 1))
    assert "clock" in host.no("early", trade(host.id, "ann", START + 1990), now=START - 500)


def test_what_does_not_belong_here_is_refused(host):
    host.no("unknown", trade(bytes(32), "ann", START + 500))
    host.no("unknown", sign(events.Stake, "ann", START + 500, amount=CREDIT))
    host.no("phase", sign(events.Commit, "ann", START + 500, market=host.id, level=0, roll=0, commit=bytes(32)))
    host.no("phase", sign(events.Claim, "ann", START + 500, market=host.id))
    assert "not in this swarm" in host.no("signature", trade(host.id, "stranger", START + 500))
    forged = events.write(trade(host.id, "ann", START + 500).event, DOMAIN, key("ben")[0])
    host.no("signature", forged)
    foreign = events.write(trade(host.id, "ann", START + 500).event, DOMAIN + 1, key("ann")[0])
    host.no("signature", foreign)
    session = events.write(trade(host.id, "ann", START + 500).event, DOMAIN, key("ann session")[0])
    assert host.take(session).id == session.id
    with pytest.raises(Refused, match="no event"):
        host.house.take(b"\xff" * 100, START)
    with pytest.raises(Refused, match="allowed"):
        host.house.take(trade(host.id, "ann", START).data + bytes(5000), START)


def test_one_operator_cannot_fill_a_phase_and_a_phase_has_an_end(host, monkeypatch):
    monkeypatch.setattr(houses, "EACH", 3)
    for n in range(3):
        host.take(trade(host.id, "ann", START + 500, nonce=n))
    host.no("limit", trade(host.id, "ann", START + 500, nonce=9))
    host.take(trade(host.id, "ben", START + 500))
    monkeypatch.setattr(houses, "ROOM_BYTES", 10)
    assert "full" in host.no("limit", trade(host.id, "cleo", START + 500))


def test_a_panels_phase_without_a_vote_has_a_page_and_a_round_without_an_order_none(host):
    for name in NAMES:
        host.fair.tape.add(account(sign(events.Stake, name, START + 1, amount=100 * CREDIT)))
    panel = host.fair.add(opening("host", START + 10, nonce=2, kind="P")).market
    host.fair.tape.play(START + 3100)
    host.house.look(host.fair.tape.state)
    (page,) = [page for page in host.house.pages(START + 6000, host.facts.after) if page.stage[0] == panel]
    assert page.stage == (panel, "COMMIT", 0) and not page.entries
    host.fair.add(page)
    host.fair.tape.play(START + 9000)
    assert set(host.fair.market(panel).panels[0].dropped), "nobody came, and the host says so: these seats are lost"


KILLED = """
import os, sys
from pathlib import Path
from markets import START, trade
from test_market_house import Host
host = Host(Path(sys.argv[1]))
for name in ("ann", "ben"):
    host.take(trade(host.id, name, START + 500))
print("receipts are out", flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_has_a_receipt_is_on_the_page_of_a_host_that_was_killed(tmp_path):
    tests = Path(__file__).parent
    paths = {"PYTHONPATH": f"{tests}:{tests.parent}"}
    run = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, env={**os.environ, **paths}, timeout=60)
    assert run.returncode == -9 and "receipts are out" in run.stdout, run.stderr
    again = Host(tmp_path)
    (page,) = again.house.pages(DEADLINE, again.facts.after)
    assert {entry.event.actor for entry in page.entries} == {address("ann"), address("ben")}
    assert [Phase] == [type(page)] and again.store.pages() == [page.data], "the page is on disk before anybody sees it"
    again.store.close()
    third = Host(tmp_path)
    assert not third.house.pages(DEADLINE, third.facts.after)
    assert "page already" in third.no("deadline", trade(third.id, "cleo", START + 500))
    third.store.close()


def test_an_order_taken_while_its_page_is_made_comes_on_the_page(host):
    host.take(trade(host.id, "ann", START + 500))
    full = host.store.full
    host.store.full = lambda now: (full(now), host.take(trade(host.id, "ben", START + 500)))[0]  # the network's thread is faster
    assert not host.house.pages(DEADLINE, host.facts.after)
    host.store.full = full
    (page,) = host.house.pages(DEADLINE, host.facts.after)
    assert len(page.entries) == 2


# ---- messages


def test_an_entry_longer_than_a_message_comes_in_parts(host):
    desk = post.Desk(lambda data: host.house.take(data, START + 1000), host.store.feed)
    long = sign(events.Evidence, "ann", START + 500, market=host.id, text="ж€" * 2000)
    assert len(long.data) > 8192
    for entry in (long, trade(host.id, "ann", START + 500)):
        receipt = post.post(lambda message: desk.answer(b"peer", message), entry.data)
        assert manifest.read_receipt(receipt).id == entry.id
    with pytest.raises(Refused) as no:
        post.post(lambda message: desk.answer(b"peer", message), sign(events.Evidence, "ben", START - 5, market=host.id, text="ж€" * 2000).data)
    assert no.value.reason == "deadline"


def test_messages_that_make_no_sense_are_refused_and_parts_are_bounded(host):
    desk = post.Desk(lambda data: host.house.take(data, START + 1000), host.store.feed)
    bad = [b"", b"\xc1", bytes(9000), *map(msgpack.packb, ([], [1], {"post": 1}, ["post"], ["post", 5], ["feed", -1], ["feed", "x"], ["song", 1]))]
    for message in bad:
        with pytest.raises(errors.Refused):
            desk.answer(b"peer", message)
    assert msgpack.unpackb(desk.answer(b"a", msgpack.packb(["part", 0, 10**6, b"x"])))[1] == "oversize"
    assert msgpack.unpackb(desk.answer(b"a", msgpack.packb(["part", 5, 10, b"x"])))[1] == "malformed"
    for n in range(200):
        desk.answer(n.to_bytes(2, "big"), msgpack.packb(["part", 0, 1000, b"x"]))
    assert len(desk._parts) == post.SENDERS


def test_answers_that_make_no_sense_are_refused():
    for answer in (b"", b"\xc1", *map(msgpack.packb, (["receipt", 5], ["no", "because", "x"], ["yes"], ["feed", 1, [b"short"]], ["feed", 1, 2]))):
        with pytest.raises(errors.Refused):
            post.post(lambda message, answer=answer: answer, b"entry")
        with pytest.raises(errors.Refused):
            post.feed(lambda message, answer=answer: answer, 0)
    with pytest.raises(Refused, match=r"^a\?\[2Jb$"):
        post.post(lambda message: msgpack.packb(["no", "limit", "a\x1b[2Jb"]), b"entry")


# ---- the file


def test_a_feed_goes_on_where_it_was_left_and_begins_again_where_the_file_was_lost(tmp_path):
    store = Store(tmp_path / "a.sqlite", DOMAIN)
    pages = [opening("host", START + n, nonce=n) for n in range(FEED + 5)]
    for page in pages:
        store.add(page)
        store.add(page)
    cursor, first = store.feed(0)
    assert first == [page.digest for page in pages[:FEED]]
    cursor, rest = store.feed(cursor)
    assert rest == [page.digest for page in pages[FEED:]] and store.feed(cursor) == (cursor, [])
    store.add(opening("host", START, nonce=999), instead=[pages[0].digest])
    assert len(store.feed(cursor)[1]) == 1 and not store.has(pages[0].digest)
    assert len(store.feed(10**9)[1]) == FEED
    store.follow(b"peer", 7)
    store.close()
    assert Store(tmp_path / "a.sqlite", DOMAIN).cursor(b"peer") == 7
    with pytest.raises(errors.StateError, match="another swarm"):
        Store(tmp_path / "a.sqlite", DOMAIN + 1)
    (tmp_path / "b.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(errors.StateError, match="damaged"):
        Store(tmp_path / "b.sqlite", DOMAIN)
