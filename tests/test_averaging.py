"""Averaging inside the round: hostile addresses, an averager that will not start, recipes without it, and two real nodes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import msgpack
import psutil
import pytest
from test_swarm import PATIENCE_S, QUICK, Command, wait_for

from swarm import addresses, metrics, recipe, records
from swarm.averaging import MEMBERS, STARTS, Averaging, open_averager
from swarm.errors import Refused
from swarm.heartbeat import Heartbeat
from swarm.identity import Identity
from swarm.journal import Journal
from swarm.learn.average import Averager
from swarm.learn.root import state_root
from swarm.learn.state import MODEL, Checkpoints
from swarm.network import Arrival
from swarm.network.members import Member
from swarm.network.shelf import OwnShelf
from swarm.network.store import BlobStore, digest_of
from swarm.network.wants import Wants
from swarm.presence import Presence
from swarm.records import AverageEvent, Card, Entry, Shelf
from swarm.sections import Average
from swarm.seeds import AVERAGE

SWARM = b"\x07" * 32
ID, OTHER = "QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
GOOD = f"/ip4/127.0.0.1/tcp/4001/p2p/{ID}"
TASK = {"name": "addition", "kind": "builtin", "source": "addition"}


class Broken(Averager):
    command = (sys.executable, "-c", "raise SystemExit(1)")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return Identity.open_or_create_local(tmp_path_factory.mktemp("identity")).session(SWARM, 3600)


@pytest.fixture
def averaging(tmp_path, session):
    """One whose averager is not started; nothing here gets as far as the network."""
    presence = Presence(tmp_path / "heartbeat.json", Heartbeat())
    setting = Average(every=2, timeout=4.0)
    return Averaging(Broken(SWARM, tmp_path / "averager", setting, initial_peers=[], host_maddrs=[]), session, None, presence)


def arrival(session, data, peer=None):
    card = records.read(session.card, SWARM, time.time(), kind=Card)
    if peer is not None:
        object.__setattr__(card.origin, "peer", peer)
    return Arrival(card, AVERAGE, 1, digest_of(data), data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (b"\xc1" * 40, "malformed"),
        (b"\x91" * 200, "malformed"),
        (bytes(addresses.PACKED + 1), "oversize"),
        (msgpack.packb([]), "malformed"),
        (msgpack.packb(GOOD), "malformed"),
        (msgpack.packb({"a": GOOD}), "malformed"),
        (msgpack.packb([GOOD.encode()]), "malformed"),
        (msgpack.packb([7]), "malformed"),
        (msgpack.packb([GOOD] * (addresses.FEW + 1)), "malformed"),
        (msgpack.packb(["/ip4/127.0.0.1/tcp/4001"]), "malformed"),
        (msgpack.packb(["/unix/etc/passwd"]), "malformed"),
        (msgpack.packb([f"/ip4/999.0.0.1/tcp/4001/p2p/{ID}"]), "malformed"),
        (msgpack.packb([f"{GOOD}\n--flag"]), "malformed"),
        (msgpack.packb([GOOD, GOOD.replace(ID, OTHER)]), "malformed"),
        (msgpack.packb([f"/dns4/{'a.' * 200}x/tcp/4001/p2p/{ID}"]), "malformed"),
        (msgpack.packb(["\udc80".encode("utf-8", "surrogatepass").decode("latin-1")]), "malformed"),
    ],
)
def test_hostile_addresses_are_refused_and_counted(averaging, session, data, reason):
    refused = Counter()
    averaging.hear(arrival(session, data), refused)
    assert refused == {reason: 1} and not averaging._heard
    with pytest.raises(Refused):
        addresses.unpack(data)


def test_addresses_travel_and_only_a_few_members_are_remembered(averaging, session):
    sent = [GOOD, f"/ip4/192.0.2.7/tcp/9/p2p/{ID}"]
    assert addresses.unpack(addresses.pack(sent)) == sent
    assert len(addresses.unpack(addresses.pack([GOOD] * 9))) == addresses.FEW
    refused = Counter()
    for number in range(MEMBERS + 5):
        averaging.hear(arrival(session, addresses.pack(sent), bytes([number]) * 32), refused)
    assert len(averaging._heard) == MEMBERS and not refused
    assert bytes([MEMBERS + 4]) * 32 in averaging._heard and bytes(32) not in averaging._heard


def test_an_averager_that_never_starts_is_given_up_with_a_warning(averaging, tmp_path):
    journal = Journal(tmp_path / "own", b"\x01" * 32, None, 4)
    journal.keep_average(2, b"of a round that was cut off")
    averaging.start(0)
    rows = [averaging.after_step(round, None, journal) for round in range(1, 6)]
    assert [bool(row) for row in rows] == [False, True, False, True, False]
    assert all(row["average"]["change"] == 0.0 and row["average"]["failed"] for row in rows if row)
    assert "given up" in rows[3]["average"]["failed"]
    said = [(warned.text, warned.consequence) for warned in averaging.presence.beat.warnings]
    assert len(said) == 2 and "weights stay" in said[0][1] and "given up" in said[1][1]
    assert averaging._vain == STARTS and not list((tmp_path / "own").iterdir())


def test_addresses_are_wanted_only_where_the_recipe_averages(tmp_path):
    class Usable:
        refusals: Counter[str] = Counter()

        def usable(self, member):
            return True

        def refused(self, reason):
            self.refusals[reason] += 1

    entries = (Entry(AVERAGE, 1, b"a" * 32, 200), Entry("answer", 30, b"b" * 32, 200))
    for every, wanted in ((0, ["answer"]), (5, [AVERAGE, "answer"])):
        wants = Wants(Usable(), random.Random(0))
        wants.adopt(recipe.parse({"name": "small", "tasks": [TASK], "average": {"every": every}}))
        member = Member(b"o" * 20, b"p" * 32, shelf=Shelf(round=30, entries=entries))
        assert sorted(want.entry.stage for want in wants.choose([member], {})) == sorted(wanted)


def test_new_addresses_take_the_place_of_old_ones_on_the_shelf(tmp_path, session):
    shelf = OwnShelf(session, tmp_path / "shelf.json", BlobStore(tmp_path / "blobs", 10_000))
    for round in range(3):
        shelf.add("answer", round, b"answers %d" % round)
        shelf.add(AVERAGE, round, b"addresses")
    data, _ = shelf.wire(time.time(), 60.0)
    read = records.read(data, SWARM, time.time(), kind=Shelf)
    assert [(entry.stage, entry.round) for entry in read.entries] == [("answer", 0), ("answer", 1), ("answer", 2), (AVERAGE, 2)]


def test_the_averager_listens_where_the_node_does(tmp_path):
    listen = ["/ip4/0.0.0.0/tcp/4001", "/ip6/::1/udp/5/quic", "/ip4/0.0.0.0/tcp/0"]
    start = open_averager(SWARM, tmp_path, Average(every=1), listen)._start
    assert start["host_maddrs"] == ["/ip4/0.0.0.0/tcp/0", "/ip6/::1/tcp/0"]


def test_a_node_that_does_not_average_imports_nothing_of_it():
    code = "import sys, swarm.peer, swarm.node, swarm.trainee\nprint([name for name in sys.modules if 'averag' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def averagers_of(command, peer):
    node = psutil.Process(command.beat(peer)["pid"])
    return [child for child in node.children() if "swarm.learn.averager" in " ".join(child.cmdline())]


def averagings(command, peer):
    """Rows of the averagings of one peer that came about, by round."""
    rows = metrics.read(command.folder(peer) / metrics.FILE)
    return {row["round"]: row["average"] for row in rows if "event" in row.get("average", {})}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_nodes_average_survive_a_killed_averager_and_a_lone_one_goes_on(tmp_path):
    rounds = ["run.rounds=100000", "average.every=1", "average.timeout=10", *QUICK]
    swarm = Command(tmp_path, "up", "local", "--peers", "2", "--plain", *rounds)
    try:
        wait_for(lambda: all(len(averagings(swarm, peer)) >= 2 for peer in (0, 1)), [swarm], 2 * PATIENCE_S)
        beats = [swarm.beat(peer) for peer in (0, 1)]
        for peer in (0, 1):
            for row in averagings(swarm, peer).values():
                assert row["with"] == [beats[1 - peer]["name"]] and 0 < row["change"] <= 0.05

        averager = averagers_of(swarm, 1)[0]
        averager.kill()
        done = swarm.beat(1)["round"]
        wait_for(lambda: any(round > done + 1 for round in averagings(swarm, 1)), [swarm], 2 * PATIENCE_S)
        assert "ended" in (swarm.folder(1) / "log.txt").read_text()
        assert [swarm.beat(peer)["pid"] for peer in (0, 1)] == [beat["pid"] for beat in beats], "a node was restarted"

        helpers = averagers_of(swarm, 1)
        os.kill(beats[1]["pid"], signal.SIGSTOP)  # it leaves without a word
        alone = swarm.beat(0)["round"]
        wait_for(lambda: swarm.beat(0)["round"] >= alone + 3, [swarm])
        os.kill(beats[1]["pid"], signal.SIGCONT)
        before = [max(averagings(swarm, peer)) for peer in (0, 1)]
        wait_for(lambda: all(max(averagings(swarm, peer)) > before[peer] for peer in (0, 1)), [swarm], 2 * PATIENCE_S)
    finally:
        assert swarm.stop() == 130, swarm.said()
    assert not any(helper.is_running() for helper in helpers)
    assert sum(_saved_state_is_the_events(swarm.folder(peer)) for peer in (0, 1)) > 0


def _saved_state_is_the_events(folder):
    """Whether the newest checkpoint's round averaged; its event must then verify, name the saved state, and its mean must be served."""
    saved, _ = Checkpoints(folder / "checkpoints").load()
    path = folder / "own" / f"{saved.round:08d}-average.blob"
    if not path.exists():
        return False
    swarm = msgpack.unpackb(msgpack.unpackb(path.read_bytes())[0])[2]
    event = records.read(path.read_bytes(), swarm, time.time(), kind=AverageEvent)
    tensors = {MODEL + name: tensor for name, tensor in saved.tensors.items()} | (saved.optimizer or {})
    assert event.after == state_root(tensors, {"round": saved.round, "steps": saved.meta["steps"]}) != event.before
    assert len(event.inputs) == 2 and (folder / "network" / "blobs" / event.averaged.hex()).is_file()
    return True
