"""What a hostile member or stranger can do to a network: every attack is refused, counted by reason, and costs honest peers nothing."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, replace

import msgpack
import pytest
from networks import SWARM, network, session, started, until

from swarm import keys
from swarm.errors import Refused
from swarm.network import directory, line
from swarm.network.directory import Checker, bounded_storage, bucket_key, bucket_of, subkey_of
from swarm.records import Delegation, Entry, Shelf, read, signing_digest, write


@dataclass(frozen=True)
class Sybil:
    """A signer that costs nothing: a fresh operator for an invented peer. It has no peer key, so it can have no card."""

    secret: bytes
    peer: bytes
    delegation: Delegation
    swarm: bytes = SWARM

    @classmethod
    def new(cls, peer: bytes | None = None, swarm: bytes = SWARM) -> Sybil:
        operator, secret, peer = keys.new_secret(), keys.new_secret(), peer or os.urandom(32)
        given = Delegation(keys.address_of(operator), int(time.time()), int(time.time()) + 86_400)
        signature = keys.sign_digest(operator, keys.wallet_digest(given.statement(swarm, peer, keys.address_of(secret))))
        return cls(secret, peer, replace(given, signature=signature), swarm)

    def sign(self, payload: bytes) -> bytes:
        return keys.sign_digest(self.secret, signing_digest(payload))


def shelf_wire(signer, entries=(), life=8, sequence=None):
    shelf = Shelf(round=max((e.round for e in entries), default=0), entries=tuple(entries))
    return write(shelf, signer, sequence=sequence or int(time.time() * 1000), expires=int(time.time()) + life)


def on_loop(one, work, timeout=30):
    """Run a coroutine on a network's own loop."""
    return asyncio.run_coroutine_threadsafe(work, one._loop).result(timeout)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Three honest networks and an attacker whose own node validates nothing."""
    folder = tmp_path_factory.mktemp("hostile")
    first = network(folder / "a", poll=0.3)
    with started(first):
        boot = tuple(first.addresses()[:1])
        rest = [network(folder / name, boot, poll=0.3) for name in "bcx"]
        with started(*rest):
            rest[-1]._host.daemon.node.protocol.record_validator = None
            until(lambda: all(len(one.status().heard) == 3 for one in (first, *rest)), what="everybody met")
            yield first, rest[0], rest[1], rest[2]


def honest_round(networks, round):
    """Each honest peer publishes; all of it must arrive at both others, and nothing else. The arrivals of the attacker are returned."""
    digests = {one.publish("answer", round, os.urandom(20_000)): one.peer for one in networks}
    got = {one.peer: {} for one in networks}

    def complete():
        for one in networks:
            got[one.peer].update({arrival.digest: arrival for arrival in one.arrivals()})
        return all(got[one.peer].keys() >= {d for d, author in digests.items() if author != one.peer} for one in networks)

    until(complete, 30, "honest blobs")
    honest = {one.peer for one in networks}
    return [arrival for found in got.values() for arrival in found.values() if arrival.card.peer not in honest]


def store_at(attacker, victim, key, subkey, value, expires):
    """Ask one node directly to hold a DHT record; what it answers."""
    from hivemind.dht.routing import DHTID
    from hivemind.p2p import PeerID

    node = attacker._host.daemon.node
    target, name = PeerID(b"\x12\x20" + victim.peer), DHTID.generate(key)
    ask = node.protocol.call_store(target, [name], [msgpack.packb(value)], [float(expires)], subkeys=[subkey])
    return on_loop(attacker, ask)


def test_forged_dht_records_are_refused_by_every_node_and_counted(four):
    *honest, attacker = four
    victim, other = honest[0], honest[1]
    before = victim.status().dropped
    now = int(time.time())
    own, stolen = shelf_wire(attacker._host.session), other._host.discovery.wire
    forged = own[:-1] + bytes([own[-1] ^ 1])
    foreign = shelf_wire(Sybil.new(swarm=bytes(32)))
    place = bucket_key(SWARM, 0, 0)

    def names(wire, swarm=SWARM):
        return subkey_of(read(wire, swarm, time.time(), kind=Shelf))

    late = shelf_wire(attacker._host.session, life=10_000)
    attempts = {
        "malformed": (place, b"x" * 52, b"\xc1" * 100, now + 8),
        "oversize": (place, b"x" * 52, bytes(5000), now + 8),
        "bad signature": (place, names(own), forged, now + 8),
        "foreign swarm": (place, names(foreign, bytes(32)), foreign, now + 8),
        "wrong place": (place, b"me" + names(stolen)[2:], stolen, read(stolen, SWARM, now, kind=Shelf).expires),
        "future": (place, names(late), late, now + 10_000),
    }
    for reason, attempt in attempts.items():
        assert store_at(attacker, victim, *attempt) in ([False], None), reason
    outlived = store_at(attacker, victim, place, names(own), own, now + 3000)
    elsewhere = store_at(attacker, victim, bucket_key(SWARM, 5, bucket_of(SWARM, attacker.peer, 5) ^ 1), names(own), own, now + 8)
    assert outlived in ([False], None) and elsewhere in ([False], None)
    dropped = victim.status().dropped - before
    assert dropped.keys() >= attempts.keys() and dropped["wrong place"] == 3
    assert honest_round(honest, 1) == []


def test_claims_of_a_gigabyte_are_never_fetched(four):
    *honest, attacker = four
    before = [one.status() for one in honest]
    entries = [Entry("answer", 2, os.urandom(32), 2**30), Entry("critique", 2, os.urandom(32), 0), Entry("resolve", 2, os.urandom(32), 10**6 * 100)]
    attacker._host.shelf._entries = entries
    attacker._host.published()
    until(lambda: all(one.status().dropped["oversize"] >= was.dropped["oversize"] + 3 for one, was in zip(honest, before, strict=True)))
    assert honest_round(honest, 2) == []
    assert all(one.status().bytes_in - was.bytes_in < 100_000 for one, was in zip(honest, before, strict=True))


@pytest.mark.parametrize("served, reason", [(b"y" * 5000, "wrong digest"), (b"x" * 4_000_000, "wrong size")])
def test_blobs_that_are_not_what_was_signed_for_are_refused_and_their_sender_skipped(tmp_path, served, reason):
    honest = network(tmp_path / "a")
    with started(honest):
        cheat = network(tmp_path / "x", tuple(honest.addresses()))
        with started(cheat):
            cheat._host.store.get = lambda digest: served
            cheat.publish("answer", 0, b"x" * 5000)
            until(lambda: honest.status().dropped[reason] == 1, what=reason)
            cheat.publish("answer", 1, os.urandom(5000))
            time.sleep(1)
            assert honest.arrivals() == [] and honest.status().dropped[reason] == 1, "skipped, not asked again and again"


def hostile_service(attacker, handle):
    """Put another handler behind the attacker's protocol; the honest one."""
    handlers = attacker._host.daemon.p2p._client.control.handlers
    honest, handlers[line.protocol_name(SWARM)] = handlers[line.protocol_name(SWARM)], handle
    return honest


def greeting(one):
    wire = msgpack.packb([line.OK, one._host.session.card, time.time(), ""])
    return len(wire).to_bytes(4, "big") + wire


def test_frames_without_end_and_silence_do_not_hold_anyone_up(four, monkeypatch):
    *honest, attacker = four
    monkeypatch.setattr(line, "STALL_S", 2.0)
    kinds = iter(["huge", "silent", "huge", "stream"] * 1000)

    async def handle(peer, reader, writer):
        kind = next(kinds)
        if kind == "huge":
            writer.write(b"\xff\xff\xff\xff" + b"z" * 1000)
        elif kind == "silent":
            await asyncio.sleep(5)
        else:
            writer.write(greeting(attacker))
            with_header = msgpack.packb([line.OK, 5000])
            writer.write(len(with_header).to_bytes(4, "big") + with_header)
            for _ in range(200):
                writer.write(os.urandom(65_536))
                await writer.drain()
        writer.close()

    own = hostile_service(attacker, handle)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attacker._host.shelf._entries = [Entry("answer", 3, os.urandom(32), 5000)]
    attacker._host.published()
    try:
        assert honest_round(honest, 3) == []
        until(lambda: sum(one.status().dropped["oversize"] for one in honest) > 0)
    finally:
        hostile_service(attacker, own)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000, "kilobytes"


async def say(attacker, victim, *frames):
    """Send raw frames to a member's service; what it answers until it closes, nothing where it hangs up while we still speak."""
    reader, writer = await attacker._host.daemon.open(victim.peer, line.protocol_name(SWARM))
    try:
        for frame in frames:
            writer.write(frame)
        return await asyncio.wait_for(reader.read(4096), 10)
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        writer.close()


def framed(value):
    data = value if isinstance(value, bytes) else msgpack.packb(value)
    return len(data).to_bytes(4, "big") + data


def test_a_service_answers_only_who_shows_its_own_card(four):
    *honest, attacker = four
    victim, before = honest[0], honest[0].status().dropped
    digest = victim.put(b"secret")
    request = framed([line.GET, digest, 0])
    for first, reason in (
        (framed(b"\x00" * 40), "malformed"),
        (b"\x7f\xff\xff\xff", "oversize"),
        (framed(honest[1]._host.session.card), "foreign card"),
        (framed(session(victim._host._folder / "elsewhere", bytes(32)).card), "foreign swarm"),
    ):
        answer = on_loop(attacker, say(attacker, victim, first, request))
        assert b"secret" not in answer and (victim.status().dropped - before)[reason] >= 1, reason
    hello = framed(attacker._host.session.card)
    for bad in ([line.GET, b"short", 0], [line.GET, digest, -1], [line.SHELF, 5, 0], [99, None, 0], [line.GET, digest], {"a": 1}):
        assert b"secret" not in on_loop(attacker, say(attacker, victim, hello, framed(bad))), bad


def test_a_banned_peer_is_neither_served_nor_read(tmp_path):
    bans = tmp_path / "bans"
    keeper = network(tmp_path / "a", ban_file=bans)
    with started(keeper):
        other = network(tmp_path / "b", tuple(keeper.addresses()))
        with started(other):
            until(lambda: keeper.status().heard)
            bans.write_text(f"# noisy\n{keys.checksum(other._host.session.operator)}\n")
            digest = keeper.publish("answer", 0, b"mine")
            other.publish("answer", 0, b"theirs")
            until(lambda: keeper.status().dropped["banned"] > 1)
            assert keeper.arrivals() == [] and other.arrivals() == []
            bans.write_text("")
            until(lambda: [a.digest for a in other.arrivals()] == [digest], what="welcome again")


def test_a_requester_has_a_quota(tmp_path):
    keeper = network(tmp_path / "a", quota=100_000)
    with started(keeper):
        digests = [keeper.put(os.urandom(60_000)) for _ in range(2)]
        with started(network(tmp_path / "b", tuple(keeper.addresses()))) as (greedy,):
            assert len(greedy.fetch(digests[0], 10**6, timeout=20)) == 60_000
            until(lambda: keeper.status().bytes_out >= 60_000)  # what was sent is counted just after it has left
            before = keeper.status().bytes_out
            with pytest.raises(Exception, match="over quota|did not come"):
                greedy.fetch(digests[1], 10**6, timeout=2)
            assert keeper.status().bytes_out == before


def test_a_flood_of_invented_peers_fills_no_bucket_and_hides_nobody(four):
    *honest, attacker = four
    place = bucket_key(SWARM, 0, 0)
    for _ in range(directory.MAX_ENTRIES + 16):
        sybil = Sybil.new()
        wire = shelf_wire(sybil, [Entry("answer", 4, os.urandom(32), 5000)], life=60)
        shelf = read(wire, SWARM, time.time(), kind=Shelf)
        store_at(attacker, honest[0], place, subkey_of(shelf), wire, shelf.expires)
    from hivemind.dht.routing import DHTID

    held = honest[0]._host.daemon.node.protocol.storage.get(DHTID.generate(place))
    assert len(held.value) <= directory.MAX_ENTRIES
    began = time.monotonic()
    assert honest_round(honest, 4) == [] and honest_round(honest, 5) == []
    assert time.monotonic() - began < 30


def test_a_huge_answer_to_a_dht_question_is_bounded(four):
    from hivemind.dht.storage import DictionaryDHTValue
    from hivemind.utils.timed_storage import ValueWithExpiration

    *honest, attacker = four
    huge = DictionaryDHTValue()
    for _ in range(3000):
        huge.store(os.urandom(52), os.urandom(1000), time.time() + 60)
    storage = attacker._host.daemon.node.protocol.storage
    storage.get = lambda key: ValueWithExpiration(huge, time.time() + 60)
    try:
        began = time.monotonic()
        sight = on_loop(honest[0], honest[0]._host.discovery.directory.look(random.Random(0)))
        assert len(sight.shelves) <= 3 * directory.MAX_ENTRIES and time.monotonic() - began < directory.GET_S + 5
        assert honest_round(honest, 6) == []
    finally:
        del storage.get


def test_an_answer_above_the_message_limit_never_reaches_us(tmp_path, monkeypatch):
    """The attacker's daemon is built with a limit of its own; ours refuses what is above ours."""
    from hivemind.dht.routing import DHTID
    from hivemind.p2p import PeerID

    honest = network(tmp_path / "a")
    with started(honest):
        monkeypatch.setattr("swarm.network.daemon.MAX_MESSAGE", 2**28)
        attacker = network(tmp_path / "x", tuple(honest.addresses()))
        with started(attacker):
            from hivemind.dht.storage import DictionaryDHTValue
            from hivemind.utils.timed_storage import ValueWithExpiration

            huge = DictionaryDHTValue()
            for _ in range(8):
                huge.store(os.urandom(52), os.urandom(2**20), time.time() + 60)
            attacker._host.daemon.node.protocol.storage.get = lambda key: ValueWithExpiration(huge, time.time() + 60)
            ask = honest._host.daemon.node.protocol.call_find(PeerID(b"\x12\x20" + attacker.peer), [DHTID.generate(b"key")])
            assert on_loop(honest, ask) is None
            attacker._host.daemon.node.protocol.storage.get = lambda key: None
            digest = attacker.publish("answer", 0, b"still")
            until(lambda: [arrival.digest for arrival in honest.arrivals()] == [digest], 40)


def test_storage_makes_room_at_the_expense_of_the_crowd():
    from hivemind.dht.routing import DHTID

    storage, key = bounded_storage(), DHTID.generate(b"key")
    crowd, lone = os.urandom(20), os.urandom(20)
    assert storage.store_subkey(key, lone + os.urandom(32), b"honest", time.time() + 5)
    for _ in range(3 * directory.MAX_ENTRIES):
        assert storage.store_subkey(key, crowd + os.urandom(32), b"noise", time.time() + 60)
    names = [name for name, _ in storage.get(key).value.items()]
    assert len(names) == directory.MAX_ENTRIES and sum(name.startswith(lone) for name in names) == 1


def test_a_replayed_old_shelf_is_stale_and_a_lagging_copy_is_not(tmp_path):
    one = network(tmp_path)
    sybil, now = Sybil.new(), int(time.time())
    old = write(Shelf(), sybil, sequence=1, expires=now - 60)
    lagging = write(Shelf(), sybil, sequence=2, expires=now + 5)
    new = write(Shelf(round=7), sybil, sequence=3, expires=now + 9)
    members = one._host.members
    assert members.announce(new).shelf.round == 7
    assert members.announce(lagging).shelf.round == 7 and not one.status().dropped
    with pytest.raises(Refused):
        members.announce(old)
    assert one.status().dropped == Counter({"stale": 1})


def test_the_checker_counts_a_record_once():
    dropped: Counter[str] = Counter()
    checker = Checker(SWARM, dropped)
    for _ in range(5):
        with pytest.raises(Refused):
            checker.shelf(b"garbage")
    assert dropped == Counter({"malformed": 1})
