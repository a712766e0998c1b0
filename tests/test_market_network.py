"""Rooms on real networks on loopback: one market, the same state everywhere; hosts that are killed, vanish or cheat; hostile peers; the chain."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import chains
import msgpack
import networks
import pytest
from courts import address, key
from markets import DOMAIN, SWARM, FakeFacts, opening, phase, trade

from judge import events, manifest
from judge.errors import Refused
from judge.ledger import State
from judge.manifest import Manifest
from judge.terms import CREDIT, Durations, Terms
from swarm.keys import address_of
from swarm.market import facts as chain_facts
from swarm.market import page as pages
from swarm.market import post
from swarm.market import reader as readers
from swarm.market.facts import Beacon, Entered, Minted, Standing
from swarm.market.room import Room
from swarm.market.tape import Tape
from swarm.network import Network
from swarm.proof.schedule import Schedule

PACE = Durations(6000, 1, 4000, 4000, 4000)
TERMS = Terms(chain_id=DOMAIN, machine=PACE, human=PACE, seed="beacon")
PEOPLE = ("host", "ann", "ben", "cleo")


class Clock:
    """The time of all rooms of a test, in milliseconds; can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead


def facts_from(start: int, **peers: bytes) -> FakeFacts:
    """The same facts in every process that knows the start, but for who sits where."""
    made = FakeFacts(start)
    made.people(*PEOPLE, peers=peers)
    made.beacons(-3000, 300_000, 500)
    return made


def room(network: Network, facts: FakeFacts, name: str, folder: Path, clock: Clock, scorer=lambda said, texts: 1) -> Room:
    return Room(network, facts, TERMS, address(name), key(name)[0], folder, scorer, now=clock)


@contextlib.contextmanager
def rooms(folder: Path, *names: str) -> Iterator[tuple[dict[str, Room], Clock]]:
    """A room for each name, on networks that know each other."""
    clock, rooms = Clock(), {}
    with contextlib.ExitStack() as stack:
        first = networks.network(folder / names[0])
        stack.enter_context(networks.started(first))
        nets = {names[0]: first}
        for name in names[1:]:
            nets[name] = networks.network(folder / name, tuple(first.addresses()[:1]))
            stack.enter_context(networks.started(nets[name]))
        facts = facts_from(clock(), **{name: net.peer for name, net in nets.items()})
        for name, net in nets.items():
            rooms[name] = room(net, facts, name, folder / name / "market", clock)
            stack.callback(rooms[name].close)
            rooms[name].start()
        yield rooms, clock
        for one in rooms.values():
            one.require_alive()


def open_market(one: Room, name: str, kind: str = "V", nonce: int = 1) -> bytes:
    page = opening(name, one.now(), nonce=nonce, kind=kind)
    return one.open(page.open.event, page.texts)


def phase_of(one: Room, market: bytes) -> str:
    with one.reading() as state:
        return state.markets[market].phase if market in state.markets else ""


def all_at(phase: str, market: bytes, *some: Room) -> bool:
    return all(phase_of(one, market) == phase for one in some)


def root(one: Room) -> bytes:
    with one.reading() as state:
        return state.root()


def state_of(one: Room) -> State:
    with one.reading() as state:
        return state


def buy(one: Room, market: bytes, **fields) -> bytes:
    order = {"nonce": 1, "side": "buy", "outcome": 1, "amount": CREDIT, **fields}
    return one.send(one.sign(events.Trade, market=market, **order))


def becomes(one: Room, id: bytes, state: str) -> None:
    networks.until(lambda: one.sent(id).state == state, 40, f"the entry is {state}")


def test_a_market_is_opened_by_one_traded_by_another_and_settled_the_same_by_three(tmp_path):
    with rooms(tmp_path, "host", "ann", "ben") as (all_, clock):
        host, ann, ben = all_.values()
        market = open_market(host, "host")
        networks.until(lambda: all_at("OPEN", market, host, ann, ben), 20, "the opening came")
        said, texts = ben.texts(market)
        assert said.question == "Which?" and texts[0] == "answer one of 1"
        order, own = buy(ann, market), buy(ben, market, outcome=0)
        with pytest.raises(Refused, match="is taken|taken"):
            ann.send(ann.sign(events.Commit, market=market, level=0, roll=0, commit=bytes(32)))
        becomes(ann, order, "receipt")
        becomes(ben, own, "receipt")
        networks.until(lambda: all_at("SETTLED", market, host, ann, ben), 40, "it was settled everywhere")
        networks.until(lambda: root(host) == root(ann) == root(ben), 20, "the roots are equal")
        becomes(ann, order, "included")
        state = state_of(ben)
        assert state.markets[market].verdict.choice == 1 and state.balance() == state.minted
        assert set(state.markets[market].positions) == {address("ann"), address("ben")}
        with pytest.raises(Refused, match="SETTLED"):
            buy(ann, market, nonce=2)
        before = ann.told.free
        claim = ann.send(ann.sign(events.Claim, market=market))
        networks.until(lambda: ann.told.free == before + CREDIT and root(host) == root(ann) == root(ben), 20, "what was claimed is there, everywhere")
        assert ann.sent(claim).state == "included" and ann.told.traded == 1 and ann.told.settled == 1 and host.told.hosted == 0
        assert not any(one.told.refused or one.told.skipped for one in all_.values())
        late = trade(market, "ann", clock(), nonce=5)
        with pytest.raises(Refused) as no:  # straight to the host, past the own room's check
            post.post(lambda message: ann.network.tell(host.network.peer, message), late.data)
        assert no.value.reason == "unknown" and "takes nothing at present" in no.value.sentence


def test_an_order_after_the_deadline_is_refused_with_a_sentence_by_room_and_host(tmp_path):
    with rooms(tmp_path, "host", "ann") as (all_, clock):
        host, ann = all_.values()
        market = open_market(host, "host")
        networks.until(lambda: all_at("OPEN", market, host, ann), 20, "the opening came")
        deadline = state_of(ann).markets[market].deadline
        with pytest.raises(Refused, match="ended at .* too late"):
            buy(ann, market, t=deadline)
        with pytest.raises(Refused) as no:
            post.post(lambda message: ann.network.tell(host.network.peer, message), trade(market, "ann", deadline).data)
        assert no.value.reason == "deadline" and "too late" in no.value.sentence


def test_a_host_that_drops_an_order_with_a_receipt_is_caught(tmp_path):
    with rooms(tmp_path, "host", "ann", "ben") as (all_, _):
        host, ann, ben = all_.values()
        full, close = host._house.store.full, host._house.store.close_phase
        host._house.store.full = lambda now: [dataclasses.replace(taken, data=taken.data[1:]) for taken in full(now)]
        host._house.store.close_phase = lambda stage, page, count: close(stage, page, count + 1)
        market = open_market(host, "host")
        networks.until(lambda: all_at("OPEN", market, host, ann, ben), 20, "the opening came")
        orders = [(ann, buy(ann, market)), (ben, buy(ben, market, outcome=0))]
        for one, id in orders:
            becomes(one, id, "receipt")
        networks.until(lambda: all_at("SETTLED", market, host, ann, ben), 40, "it ended")
        networks.until(lambda: root(host) == root(ann) == root(ben), 20, "the roots are equal")
        networks.until(lambda: {one.sent(id).state for one, id in orders} == {"omitted", "included"}, 20, "who was left out knows it")
        state = state_of(host)
        assert state.markets[market].void_reason == "its host: omitted"
        reporter = next(name for name, (one, id) in zip(("ann", "ben"), orders, strict=True) if one.sent(id).state == "omitted")
        assert state.operators[address(reporter)].free == 1000 * CREDIT + TERMS.bond // 2
        assert state.operators[address("host")].free <= 1000 * CREDIT - TERMS.bond + CREDIT


def test_a_host_that_vanishes_ends_in_void_with_everybody_refunded(tmp_path):
    with rooms(tmp_path, "host", "ann", "ben", "cleo") as (all_, clock):
        host, ann, ben, cleo = all_.values()
        for one in (ann, ben, cleo):
            one.send(one.sign(events.Stake, amount=100 * CREDIT))
        networks.until(lambda: sum(who.stake > 0 for who in state_of(host).operators.values()) == 3, 20, "the stakes came")
        market = open_market(host, "host", kind="P")
        networks.until(lambda: all_at("COMMIT", market, host, ann, ben, cleo), 30, "judges were drawn")
        assert state_of(ann).operators[address("ann")].locked
        host.close()
        clock.ahead += TERMS.machine.most + 5000
        networks.until(lambda: all_at("SETTLED", market, ann, ben, cleo), 20, "T_max ended it")
        networks.until(lambda: root(ann) == root(ben) == root(cleo), 20, "the roots are equal")
        state = state_of(ann)
        assert state.markets[market].void_reason == "it did not end in time" and not state.treasury
        for name in PEOPLE:
            who = state.operators[address(name)]
            assert who.free + who.stake == 1000 * CREDIT and not who.locked
        del all_["host"]


HOST = """
import sys, time
from pathlib import Path
import networks
from test_market_network import Clock, facts_from, open_market, room
folder, boot, start, market = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
network = networks.network(folder, (boot,))
network.start()
one = room(network, facts_from(start), "host", folder / "market", Clock())
one.start()
print(network.peer.hex(), flush=True)
if market == "open":
    print(open_market(one, "host").hex(), flush=True)
while True:
    time.sleep(0.2)
    one.require_alive()
"""


def host_process(*arguments: str) -> subprocess.Popen:
    tests = Path(__file__).parent
    paths = {"PYTHONPATH": f"{tests}:{tests.parent}"}
    return subprocess.Popen([sys.executable, "-c", HOST, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, **paths})


def test_a_host_that_is_killed_between_receipt_and_page_makes_the_page_when_it_is_back(tmp_path):
    clock, start = Clock(), Clock()()
    net = networks.network(tmp_path / "ann")
    with networks.started(net), contextlib.ExitStack() as stack:
        arguments = (str(tmp_path / "host"), net.addresses()[0], str(start))
        host = host_process(*arguments, "open")
        stack.callback(lambda: (host.kill(), host.wait()))
        peer = bytes.fromhex(host.stdout.readline())
        ann = room(net, facts_from(start, host=peer), "ann", tmp_path / "ann" / "market", clock)
        stack.callback(ann.close)
        ann.start()
        market = bytes.fromhex(host.stdout.readline())
        networks.until(lambda: phase_of(ann, market) == "OPEN", 20, "the opening came")
        order = buy(ann, market)
        becomes(ann, order, "receipt")
        host.kill()
        host.wait()
        networks.until(lambda: phase_of(ann, market) == "CHALLENGE", 20, "the round went by without a page")
        assert not state_of(ann).markets[market].positions and ann.sent(order).state in ("receipt", "gone")
        again = host_process(*arguments, "go on")
        stack.callback(lambda: (again.kill(), again.wait()))
        becomes(ann, order, "included")
        networks.until(lambda: set(state_of(ann).markets[market].positions) == {address("ann")}, 20, "the order was executed where it belongs")
        networks.until(lambda: phase_of(ann, market) == "SETTLED", 20, "it was settled")
        assert ann.told.rewinds and state_of(ann).markets[market].verdict.choice == 1
        ann.require_alive()


def test_hostile_pages_of_a_peer_are_refused_and_counted_and_it_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "FETCH_S", 3.0)
    with rooms(tmp_path, "host", "ann") as (all_, clock):
        host, ann = all_.values()
        market = open_market(host, "host")
        networks.until(lambda: all_at("OPEN", market, host, ann), 20, "the opening came")
        order, foreign = trade(market, "ann", clock()), trade(bytes(32), "ann", clock())
        twice = manifest.sign(Manifest(market, "OPEN", 1, (order.id, order.id)), DOMAIN, key("host")[0])
        other = manifest.sign(Manifest(market, "OPEN", 1, (foreign.id,)), DOMAIN, key("host")[0])
        hostile = [
            os.urandom(1000),
            msgpack.packb([1, "account", [bytes(pages.ACCOUNT_BYTES)]]),
            phase("ann", market, "OPEN", 1, [order]).data,
            msgpack.packb([1, "phase", twice, [order.data, order.data]]),
            msgpack.packb([1, "phase", other, [foreign.data]]),
            opening("stranger", clock()).data,
            opening("host", clock() + 10**7, nonce=7).data,
            bytes(pages.PAGE_BYTES + 1),  # the network takes none of that size: this feed ends here
        ]
        digests = [host.network.put(data) for data in hostile]
        host.network.listen(lambda peer, message: msgpack.packb(["feed", 10**6, digests]))
        reader = ann._reader
        for _ in hostile:
            reader.follow(host.network.peer)
        assert ann._store.cursor(host.network.peer) < 10**6
        assert {reason for reason, count in reader.refused.items() if count} == {"malformed", "oversize", "signature", "duplicate", "mismatch"}
        assert len(reader._waiting) == 2, "a stranger's page and one of the future wait for a while"
        assert host.network.peer not in reader._chosen()
        assert list(state_of(ann).markets) == [market]
        host.network.listen(lambda peer, message: b"\xc1")
        reader.follow(host.network.peer)
        assert reader.refused["malformed"] >= 2


# ---- the chain


def test_what_the_chain_says_becomes_facts(tmp_path):
    with chains.running(tmp_path) as world:
        swarm = world.swarm(faucet=False)
        member = world.member(swarm)
        other = world.member(swarm, stake=0)
        terms = swarm.terms
        schedule = Schedule(terms.start, terms.epoch, terms.grace, terms.beacon, terms.audit, terms.reveal, terms.challenge)
        facts = chain_facts.ChainFacts(swarm, schedule, 7 * CREDIT)
        assert facts.domain == chain_facts.domain_of(world.link.chain_id, swarm.id) != chain_facts.domain_of(world.link.chain_id, SWARM)
        facts.look()
        came = {fact.operator: fact for _, fact in facts.news(0) if isinstance(fact, Entered)}
        assert set(came) == {member.address, other.address} and facts.seen == world.chain.head().time * 1000
        session = address_of(member.session)
        assert came[member.address].session == session and facts.speaks(member.address, session) and facts.speaks(member.address, member.address)
        assert not facts.speaks(member.address, address_of(other.session)) and facts.peers(session) == [member.peer] == facts.peers(member.address)
        assert facts.after(0) is None
        known = len(facts.news(0))
        world.skip(schedule.beacon_until(0) - world.chain.head().time + 1)
        facts.look()
        news = [fact for _, fact in facts.news(known)]
        minted = {fact.number: fact for fact in news if isinstance(fact, Minted)}
        assert minted[1].t == (terms.start + terms.epoch) * 1000
        assert dict(minted[1].mints) == {member.address: 7 * CREDIT}, "entering costs nothing, so it earns nothing"
        (beacon,) = [fact for fact in news if isinstance(fact, Beacon)]
        value, ready = world.chain.read("beacon", "value", swarm.id, 1)
        assert ready and beacon.value == value and beacon.opens == schedule.commit_until(0) * 1000
        assert facts.after(beacon.opens) == (beacon.t, value) and facts.after(beacon.opens + 1) is None
        assert not [fact for _, fact in facts.news(0) if isinstance(fact, Standing)]
        changes = len(facts.news(0))
        facts.look()
        assert len(facts.news(0)) == changes, "what was said is not said again"
        tape = Tape(Terms(chain_id=facts.domain, seed="beacon"), facts, lambda said, texts: None)
        tape.play(facts.seen)
        assert tape.state.operators[member.address].session == session and tape.state.operators[member.address].free == 7 * CREDIT
        assert tape.state.operators[other.address].free == 0


def test_a_hosts_own_page_waits_for_the_outcome_of_a_vote_and_is_not_lost(tmp_path):
    with rooms(tmp_path, "host", "ann") as (both, clock):
        host = both["host"]
        market = open_market(host, "host")
        networks.until(lambda: all_at("OPEN", market, *both.values()))
        sent = both["ann"].send(both["ann"].sign(events.Trade, market=market, nonce=1, side="buy", outcome=1, amount=CREDIT))
        networks.until(lambda: both["ann"].sent(sent).state == "receipt")
        publish, voting = host.publish, [True]

        def held(page):
            if voting and isinstance(page, pages.Phase):
                raise Refused("early", "the root of this page's epoch is being voted on")
            publish(page)

        host.publish = held
        networks.until(lambda: host._early, what="its page never had to wait")
        voting.clear()
        networks.until(lambda: all_at("SETTLED", market, *both.values()))
        assert both["ann"].sent(sent).state == "included" and not host._early
