"""The parts of the network that need no daemon: limits, choices, memory on disk."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import replace

import pytest
from networks import SWARM, network, session, small_recipe, started, until

from swarm.errors import InputError, NetworkError, Refused
from swarm.identity import Identity
from swarm.inbox import Inbox
from swarm.keys import base58_of
from swarm.network import NetworkSettings, boot, frames
from swarm.network.boot import GoodPeers
from swarm.network.daemon import port_of
from swarm.network.directory import MAX_LEVEL, TARGET, Checker, bucket_of, level_for
from swarm.network.frames import EarlyEnd
from swarm.network.line import NO, UNSURE, YES
from swarm.network.members import Member, Members
from swarm.network.quota import BanList, TokenBucket, Upload
from swarm.network.reachability import Reachability, best_address
from swarm.network.settings import Arrival, Tray
from swarm.network.shelf import OwnShelf
from swarm.network.store import BlobStore, digest_of
from swarm.network.wants import FETCHES, FETCHES_FROM_UNPROVEN, Want, Wants
from swarm.records import Card, Entry, Shelf, read


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_store_keeps_what_is_pinned_and_forgets_the_oldest_first(tmp_path):
    store = BlobStore(tmp_path, limit=250)
    blobs = [bytes([number]) * 100 for number in range(4)]
    pinned = store.put(blobs[0])
    store.pin({pinned})
    rest = [store.put(blob) for blob in blobs[1:]]
    assert store.get(pinned) == blobs[0] and store.get(rest[0]) is None and store.get(rest[2]) == blobs[3]
    again = BlobStore(tmp_path, limit=250)
    assert again.get(pinned) == blobs[0] and digest_of(blobs[0]) == pinned


def test_a_damaged_blob_is_not_served_and_a_half_written_one_is_cleaned_up(tmp_path):
    store = BlobStore(tmp_path, limit=1000)
    digest = store.put(b"right")
    (tmp_path / digest.hex()).write_bytes(b"wrong")
    (tmp_path / "abc.part").write_bytes(b"half")
    assert store.get(digest) is None and not (tmp_path / digest.hex()).exists()
    BlobStore(tmp_path, limit=1000)
    assert not list(tmp_path.glob("*.part"))


def test_token_bucket_refills_and_goes_into_debt():
    clock = Clock()
    bucket = TokenBucket(10, 100, clock)
    assert bucket.allows(100) and not bucket.allows(1)
    clock.now += 1
    assert bucket.allows(10) and not bucket.allows(1)
    assert bucket.take(20) == pytest.approx(2.0)
    assert TokenBucket(0, 0, clock).allows(10**12)


def test_upload_quota_is_per_requester():
    clock = Clock()
    upload = Upload(line=0, quota=600, clock=clock)
    assert upload.grants(b"a", 600) and not upload.grants(b"a", 1) and upload.grants(b"b", 600)
    clock.now += 30
    assert upload.grants(b"a", 300) and not upload.grants(b"a", 300)


def test_upload_line_is_paced():
    upload = Upload(line=1_000_000, quota=2**40)

    async def send():
        began = asyncio.get_running_loop().time()
        for _ in range(20):
            await upload.pace(65_536)
        return asyncio.get_running_loop().time() - began

    assert 0.2 < asyncio.run(send()) < 2, "1.3 MB at 1 MB/s, of which 1 MB was saved up"


def test_ban_list_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "bans"
    bans = BanList(file)
    assert not bans.bans("QmX", "0xab")
    file.write_text("0xAB  # capital letters are fine\n\nQmY\n")
    assert bans.bans("QmX", "0xab") and bans.bans("QmY", "0xcd") and not bans.bans("QmX", "0xcd")
    file.unlink()
    assert not bans.bans("QmX", "0xab")


def test_own_shelf_keeps_the_latest_twelve_and_only_grows(tmp_path):
    who = session(tmp_path / "identity")
    store = BlobStore(tmp_path / "blobs", 10)
    shelf = OwnShelf(who, tmp_path / "shelf.json", store)
    digests = [shelf.add(stage, round, f"{stage}{round}".encode()) for round in range(6) for stage in ("answer", "critique", "resolve")]
    first_wire, first = shelf.wire(time.time(), 90)
    assert len(first.entries) == Shelf.ENTRIES and first.entries[-1].digest == digests[-1] and first.round == 5
    assert all(store.get(entry.digest) for entry in first.entries), "on the shelf means on disk, whatever the limit"
    assert len(first_wire) < 1024 and read(first_wire, SWARM, time.time(), kind=Shelf) == first

    again = OwnShelf(who, tmp_path / "shelf.json", store)
    _, second = again.wire(time.time(), 90)
    assert second.entries == first.entries and second.sequence > first.sequence and second.expires > first.expires
    elsewhere = OwnShelf(Identity.open_or_create_local(tmp_path / "identity").session(bytes(32), 900), tmp_path / "shelf.json", store)
    assert elsewhere.wire(time.time(), 90)[1].entries == ()
    (tmp_path / "shelf.json").write_text("{damaged")
    assert OwnShelf(who, tmp_path / "shelf.json", store).wire(time.time(), 90)[1].sequence > 0


def test_a_later_blob_of_the_same_stage_and_round_replaces_the_earlier(tmp_path):
    shelf = OwnShelf(session(tmp_path / "identity"), tmp_path / "shelf.json", BlobStore(tmp_path / "blobs", 100))
    shelf.add("answer", 0, b"first")
    digest = shelf.add("answer", 0, b"second")
    assert [entry.digest for entry in shelf.wire(time.time(), 90)[1].entries] == [digest]


def wants(tmp_path, clock=None):
    who = session(tmp_path / "identity")
    own = read(who.card, SWARM, who.delegation.issued, kind=Card)
    inbox = Inbox(SWARM, own)
    members = Members(own, inbox, Checker(SWARM, inbox.dropped), BanList(None), clock or Clock())
    chooser = Wants(members, random.Random(0))
    chooser.adopt(small_recipe())
    return chooser, members, inbox


def offering(rounds, size=100, delivered=1):
    """A member whose shelf has an answer of each of these rounds."""
    entries = tuple(Entry("answer", round, os.urandom(32), size) for round in rounds)
    return Member(os.urandom(20), os.urandom(32), shelf=Shelf(round=max(rounds), entries=entries), delivered=delivered)


def test_only_fresh_blobs_are_wanted(tmp_path):
    chooser, _, _ = wants(tmp_path)
    member = offering(range(10))
    assert {want.entry.round for want in chooser.choose([member], {})} == {6, 7, 8, 9}, "freshness is 4 rounds of the author's own"


def test_a_round_costs_the_same_in_a_swarm_of_any_size(tmp_path):
    fetched = []
    for peers in (20, 200, 2000):
        chooser, _, _ = wants(tmp_path)
        crowd = [offering([number]) for number in range(peers)]
        for _ in range(10_000):
            chosen = chooser.choose(crowd, {})
            if not chosen:
                break
            for want in chosen:
                chooser.settle(want)
        before = len(chooser._settled)
        chooser.earned()
        while chosen := chooser.choose(crowd, {}):
            for want in chosen:
                chooser.settle(want)
        fetched.append((before, len(chooser._settled) - before))
    assert fetched[1][0] <= fetched[2][0] + 2 and fetched[2][0] < 100 and abs(fetched[1][1] - fetched[2][1]) <= 1, fetched


def test_peers_that_never_delivered_get_only_some_of_the_slots(tmp_path):
    chooser, _, _ = wants(tmp_path)
    strangers, friend = [offering([1], delivered=0) for _ in range(50)], offering([1])
    chosen = chooser.choose([*strangers, friend], {})
    assert sum(want.member.delivered == 0 for want in chosen) == FETCHES_FROM_UNPROVEN and chosen[0].member is friend
    active = {want.key: want for want in chosen}
    assert chooser.choose(strangers, active) == [] and len(active) <= FETCHES


def test_impossible_claims_are_counted_once(tmp_path):
    chooser, _, inbox = wants(tmp_path)
    liar = offering([1, 2], size=2**30)
    assert chooser.choose([liar], {}) == chooser.choose([liar], {}) == []
    assert inbox.dropped == Counter({"oversize": 2})


def test_a_member_that_fails_or_cheats_is_left_alone_for_a_while(tmp_path):
    clock = Clock()
    chooser, members, _ = wants(tmp_path, clock)
    member = offering([1])
    members.failed(member)
    assert not chooser.choose([member], {})
    clock.now += 6
    assert chooser.choose([member], {})
    members.cheated(member)
    clock.now += 200
    assert not members.usable(member)
    clock.now += 200
    assert members.usable(member)


def test_levels_settle_so_that_a_bucket_holds_a_few_dozen_and_neighbours_still_meet():
    for size in (3, 40, 600, 5000):
        rng = random.Random(size)
        peers = [rng.randbytes(32) for _ in range(size)]
        levels = dict.fromkeys(peers, 0)
        for _ in range(14):
            held = Counter((level, bucket_of(SWARM, peer, level)) for peer in peers for level in {levels[peer], max(levels[peer] - 1, 0)})
            for peer in peers:
                seen = [held[levels[peer], index] for index in rng.sample(range(2 ** levels[peer]), min(2, 2 ** levels[peer]))]
                levels[peer] = level_for(sum(seen) / len(seen), levels[peer])
        common, count = Counter(levels.values()).most_common(1)[0]
        assert count > 0.8 * size and max(levels.values()) - min(levels.values()) <= 1, Counter(levels.values())
        assert common == 0 or TARGET / 2 <= size / 2**common <= 2 * TARGET
    assert level_for(10**6, MAX_LEVEL) == MAX_LEVEL and level_for(0, 0) == 0


def test_frames_are_bounded_before_they_are_read():
    async def over(data, limit=100):
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await frames.read_frame(reader, limit, 1.0)

    assert asyncio.run(over(b"\0\0\0\2hi")) == b"hi"
    with pytest.raises(Refused, match="oversize|claimed"):
        asyncio.run(over(b"\xff\xff\xff\xff"))
    with pytest.raises(EarlyEnd):
        asyncio.run(over(b"\0\0\0\5hi"))


@pytest.mark.parametrize("data", [b"\x91\x91\x01", b"\x80", b"\x92\x01", b"\xc1", b"\x91\xc7\x01\x05\x00", b"\x01"])
def test_only_flat_lists_of_the_right_length_are_taken(data):
    async def over():
        reader = asyncio.StreamReader()
        reader.feed_data(len(data).to_bytes(4, "big") + data)
        return await frames.read_list(reader, 100, 1.0, 1)

    with pytest.raises(Refused):
        asyncio.run(over())


def test_reachability_is_what_a_member_found_out(tmp_path):
    state = Reachability(NetworkSettings(listen=("/ip4/0.0.0.0/tcp/0",)))
    assert state.due() and state.verdict([])[0] == "unknown"
    state.learned(UNSURE, "amber-otter", 4001)
    assert state.due()
    state.learned(NO, "amber-otter", 4001)
    assert state.unreachable and "amber-otter could not dial port 4001" in state.verdict([])[1] and not state.due()
    assert state.verdict(["/ip4/1.2.3.4/tcp/1/p2p/QmR/p2p-circuit/p2p/QmS"])[0] == "relayed"
    state.learned(YES, "amber-otter", 4001)
    assert state.verdict([])[0] == "direct"
    assert Reachability(NetworkSettings(client=True)).verdict([])[0] == "no"


def test_dialling_back_goes_only_where_the_connection_comes_from_and_not_often():
    async def ask():
        state = Reachability(NetworkSettings())
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            seen = "/ip4/127.0.0.1/tcp/50000"
            yes, again = await state.answer(b"a", port, seen), await state.answer(b"a", port, seen)
            relayed = await state.answer(b"b", port, "/ip4/127.0.0.1/tcp/1/p2p/QmR/p2p-circuit")
            unknown = await state.answer(b"c", port, "")
        return yes, again, relayed, unknown, await state.answer(b"d", port, seen)

    assert asyncio.run(ask()) == (YES, UNSURE, UNSURE, UNSURE, NO)


def test_good_peers_are_remembered_latest_first_and_damage_is_survived(tmp_path):
    good = GoodPeers(tmp_path / "peers.json")
    for number in range(boot.REMEMBERED + 5):
        good.worked(f"/ip4/1.1.1.1/tcp/{number}/p2p/Qm")
    again = GoodPeers(tmp_path / "peers.json").addresses()
    assert len(again) == boot.REMEMBERED and again[0].endswith(f"tcp/{boot.REMEMBERED + 4}/p2p/Qm")
    (tmp_path / "peers.json").write_text("[1, 2")
    assert GoodPeers(tmp_path / "peers.json").addresses() == []


def test_boot_back_off_ends_with_every_cause_named():
    async def dial(address):
        raise NetworkError(f"cause of {address}")

    with pytest.raises(NetworkError) as caught:
        asyncio.run(boot.dial_patiently(dial, ["/a/p2p/x", "/b/p2p/y"], 0.1))
    assert "cause of /a" in str(caught.value) and "cause of /b" in str(caught.value)


def test_addresses_and_settings():
    me = base58_of(bytes(32))
    addresses = [f"/ip4/127.0.0.1/tcp/5/p2p/{me}", f"/ip4/9.9.9.9/tcp/7/p2p/QmR/p2p-circuit/p2p/{me}", f"/ip4/8.8.8.8/tcp/6/p2p/{me}"]
    assert best_address(addresses, bytes(32)) == addresses[2] and best_address(addresses[:2], bytes(32)) == addresses[1]
    assert best_address(["/ip4/8.8.8.8/tcp/6/p2p/QmOther"], bytes(32)) == "" and port_of(addresses) == 5
    settings = NetworkSettings(listen=("/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/tcp/99"))
    assert settings.listening(7) == ("/ip4/0.0.0.0/tcp/7", "/ip4/0.0.0.0/tcp/99") and not settings.loopback and NetworkSettings().loopback
    for wrong in ({"port": 70_000}, {"poll": 0}, {"lifetime": 0.5}, {"boot": ("/ip4/1.2.3.4/tcp/1",)}):
        with pytest.raises(InputError):
            NetworkSettings(**wrong)
    assert replace(settings, port=5).port == 5


def test_a_shelf_in_deeper_buckets_is_found_and_the_level_comes_down(tmp_path):
    first = network(tmp_path / "a")
    first._host.level = 3
    with started(first):
        second = network(tmp_path / "b", tuple(first.addresses()))
        second._host.level = 3
        with started(second):
            digest = first.publish("answer", 0, b"deep")
            until(lambda: [arrival.digest for arrival in second.arrivals()] == [digest])
            until(lambda: first.status().level == second.status().level == 0)


def test_uncollected_arrivals_are_bounded():
    tray = Tray(limit=250)
    lost = [tray.put(Arrival(None, "answer", round, bytes(32), bytes(100))) for round in range(4)]
    assert lost == [0, 0, 1, 1] and [arrival.round for arrival in tray.take()] == [2, 3] and tray.take() == []
    assert tray.put(Arrival(None, "answer", 9, bytes(32), bytes(1000))) == 0 and len(tray.take()) == 1


def test_a_want_names_its_blob():
    member = offering([1])
    assert Want(member, member.shelf.entries[0], b"wire").key == (member.peer, member.shelf.entries[0].digest)
