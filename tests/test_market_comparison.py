"""Rooms whose histories differ when a root is final: what was missing is fetched, what others did not have in time is let go."""

from __future__ import annotations

import contextlib
import time
from types import SimpleNamespace

import msgpack
import networks
import pytest
from courts import address, key
from markets import FakeFacts, account, sign
from test_market_network import PEOPLE, TERMS, Clock

from judge import events
from judge.errors import Refused
from judge.terms import CREDIT
from swarm.market import comparison
from swarm.market.history import Dissent
from swarm.market.room import Room
from swarm.proof.schedule import Schedule


def test_a_room_whose_history_is_not_the_final_one_takes_over_the_pages_that_are(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "PATIENCE_S", 0.5)
    clock, said, rooms = Clock(), {name: [] for name in PEOPLE}, {}
    start = clock() // 1000
    facts = FakeFacts(start * 1000, schedule=Schedule(start, epoch=4, grace=3, beacon=1, audit=5, reveal=3, challenge=3))
    with contextlib.ExitStack() as stack:
        boot: tuple[str, ...] = ()
        for name in ("host", "ann", "ben"):
            net = networks.network(tmp_path / name, boot)
            stack.enter_context(networks.started(net))
            boot = boot or tuple(net.addresses()[:1])
            parts = (net, facts, TERMS, address(name), key(name)[0], tmp_path / name / "market", lambda said, texts: 1, said[name].append)
            rooms[name] = Room(*parts, now=clock)
            stack.callback(rooms[name].close)
        facts.people(*PEOPLE, peers={name: one.network.peer for name, one in rooms.items()})
        host, ann, ben = rooms.values()
        t = clock()
        common, lacking, extra = (account(sign(events.Stake, name, t, amount=CREDIT)) for name in ("host", "cleo", "ann"))
        ben._reader._remember(lacking.digest)  # it never came there
        for one in (host, ben):
            one._reader._remember(extra.digest)  # and this one came too late for the others
        for one in rooms.values():
            one.start()
        for page in (common, lacking):
            host.publish(page)
        ann.publish(extra)
        networks.until(lambda: ann._store.has(lacking.digest) and ben._store.has(common.digest), 20, "the pages came")
        epoch = facts.schedule.epoch_at(t / 1000)
        networks.until(lambda: all(one.root(epoch) for one in rooms.values()), 20, "the epoch is over")
        final = host.root(epoch).head
        assert len({one.root(epoch).head for one in rooms.values()}) == 3
        facts.finals = {epoch: final}
        networks.until(lambda: host.told.final == epoch, 20, "who has the final history knows it")
        networks.until(lambda: ann.told.dissent or ann.told.final == epoch, 20, "who has another one says so")
        networks.until(lambda: all(one.told.final == epoch for one in rooms.values()), 30, "and gets it")
        assert not any(one.told.dissent for one in rooms.values()) and {one.root(epoch).head for one in rooms.values()} == {final}
        for name in ("ann", "ben"):
            told, done = said[name][:2]
            assert told.startswith(f"judge market: epoch {epoch}: this node's history is not the one that is final") and "are taken over" in done
        assert not said["host"] and not ann._store.has(extra.digest) and ben._store.has(lacking.digest)

        late = account(sign(events.Stake, "ben", t + 1, amount=CREDIT))
        with pytest.raises(Refused) as no:
            ben.publish(late)
        assert no.value.reason == "late" and not ben._store.has(late.digest)
        digest = host.network.put(late.data)
        host.network.listen(lambda peer, message: msgpack.packb(["feed", 10**6, [digest]]))
        networks.until(lambda: ann._reader.refused["late"] and ann._reader.answers(host.network.peer), 10, "who has it may have had it in time")
        own, good = (ann.send(ann.sign(events.Unstake, t=when, amount=CREDIT)) for when in (t + 2, clock()))  # they would share a page
        networks.until(lambda: ann.sent(own).state == "late", 15, "an own entry that comes too late is told so")
        assert "final on the chain" in ann.sent(own).sentence
        networks.until(lambda: ann.sent(good).state == "included", 15, "the other one goes on alone")
        for one in rooms.values():
            one.require_alive()


def test_a_peer_whose_pages_do_not_give_the_root_changes_nothing(tmp_path, monkeypatch):
    taken: list[object] = []
    clock, net = Clock(), networks.network(tmp_path)
    facts = FakeFacts(clock(), schedule=Schedule(clock() // 1000 - 8, epoch=4, grace=3, beacon=1, audit=5, reveal=3, challenge=3))
    with networks.started(net), contextlib.ExitStack() as stack:
        one = Room(net, facts, TERMS, address("ann"), key("ann")[0], tmp_path / "market", lambda said, texts: 1, taken.append, now=clock)
        stack.callback(one.close)
        one.publish(account(sign(events.Stake, "ann", clock(), amount=CREDIT)))
        one.turn()
        assert one.root(0) is not None, "it is alone"
        with monkeypatch.context() as patch:
            patch.setattr(net, "status", lambda: SimpleNamespace(heard=[object()]))
            assert one.root(0) is None, "others may have pages, and no feed was read to its end"
            one._reader.caught_up = True
            assert one.root(0) is not None
        found = Dissent(1, bytes(32), b"\1" * 32)
        asked = one._comparison
        assert not asked._gives({}, found) and not asked.settle(found)
        began = time.monotonic()
        asked._known, asked._since, asked._dissent = found, began - 60, lambda: found
        asked.turn()
        assert asked._failed == 1 and len(taken) == 1 and "compares its pages" in taken[0]
        asked._since = time.monotonic() - 1.5 * comparison.PATIENCE_S
        asked.turn()
        assert asked._failed == 1, "it waits longer each time"
        asked._since -= comparison.PATIENCE_S
        asked.turn()
        assert asked._failed == 2 and len(taken) == 1, "it is said once"
