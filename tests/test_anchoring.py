"""Members anchor their logs' roots on a real chain: equal ones get final, history closes, a minority and a dead chain decide nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from chains import Member, World, running

from judge import events
from judge.errors import Refused
from judge.terms import CREDIT, terms_of
from swarm import chainhost
from swarm.anchoring import FAULT_PART, TURN_S, Anchoring
from swarm.chain.client import Swarm
from swarm.chain.outbox import Intent, Outbox
from swarm.chain.tally import Entry, Tally
from swarm.chain.values import WEI
from swarm.enrolment import schedule_of
from swarm.errors import ChainError, ChainRefused
from swarm.market import page as pages
from swarm.market.facts import ChainFacts
from swarm.market.history import PATIENCE_S, Root
from swarm.market.tape import Tape


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("anchors")) as world, world.at_once():
        yield world


class Seat:
    """What a node has for this: its own look at the chain, a tape, an outbox on disk and the duty, moved by hand."""

    def __init__(self, swarm: Swarm, member: Member, folder: Path):
        self.swarm, self.member, self.chain, self.folder = swarm, member, swarm.chain, folder
        schedule = schedule_of(swarm.terms)
        self.facts = ChainFacts(swarm, schedule, 100 * CREDIT)
        self.tape = Tape(terms_of("test", chain_id=self.facts.domain, seed="beacon"), self.facts, lambda said, texts: None)
        self.said: list[str] = []
        folder.mkdir(exist_ok=True)
        self.outbox = Outbox(folder / "outbox.json", self.chain, [member.session])
        self.duty = Anchoring(self.chain, swarm, member.key, schedule, self.facts, self.root, self.send, self.said.append)

    def root(self, epoch: int) -> Root | None:
        return None if self.tape.is_behind else self.tape.history.root(epoch)

    def send(self, id, function, contract, args, deadline, goal, lane="") -> bool:
        account = self.member.agent
        intent = Intent(id=id, contract=contract, function=function, args=args, account=account, deadline=deadline, goal=goal, lane=lane or id)
        return self.outbox.add(intent)

    def turn(self) -> None:
        self.facts.look()
        self.tape.play(self.facts.seen)
        self.tape.history.look(self.facts.finals, self.facts.seen / 1000)
        self.duty.bring_on(self.facts.seen // 1000)
        self.outbox.pump()

    def stake(self, t: int, amount: int = CREDIT) -> pages.Account:
        entry = events.write(events.Stake(actor=self.member.address, t=t, amount=amount), self.facts.domain, self.member.secret)
        return pages.account([entry], self.facts.domain)


def seats_of(world: World, swarm: Swarm, folder: Path, count: int = 3) -> list[Seat]:
    return [Seat(swarm, world.member(swarm), folder / str(index)) for index in range(count)]


def go(world: World, until: int) -> None:
    if (wait := until - world.chain.head().time) > 0:
        world.skip(wait)


def all_turn(seats: list[Seat], times: int = 3) -> None:
    for _ in range(times):
        for seat in seats:
            seat.turn()


def decide(world: World, seats: list[Seat], epoch: int) -> None:
    """Through the votes of an epoch and past them."""
    schedule = seats[0].duty.schedule
    for moment in (schedule.anchor_from(epoch), schedule.commit_until(epoch) - 3, schedule.commit_until(epoch) + 1 + TURN_S * len(seats)):
        go(world, moment)
        all_turn(seats)


def votes(seat: Seat, epoch: int) -> set[tuple[bytes, bytes, bytes]]:
    seat.facts.look()
    return set(seat.facts.anchored(epoch).values())


def test_equal_roots_get_final_and_what_lies_before_is_closed(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path)
    go(world, swarm.end(0) + 1)
    all_turn(seats)
    t = (swarm.end(0) + 2) * 1000
    for seat in seats:
        seat.tape.add(seats[0].stake(t))
    late, backdated = seats[1].stake(t + 1), seats[2].stake((swarm.end(1)) * 1000)
    decide(world, seats, 1)
    assert len(votes(seats[0], 1)) == 1 and len(seats[0].facts.anchored(1)) == 3
    assert seats[0].facts.voters(1, seats[0].root(1).head) == {seat.member.peer for seat in seats}
    for seat in seats:
        assert seat.facts.finals == {1: seat.root(1).head} and seat.tape.history.closed == swarm.end(1) * 1000
        for page in (late, backdated):
            with pytest.raises(Refused) as no:
                seat.tape.add(page)
            assert no.value.reason == "late"
        seat.tape.add(seats[0].stake(swarm.end(1) * 1000 + 1))
    finals = [seat for seat in seats if any(each.id.startswith("final") for each in (*seat.outbox._file.intents, *seat.outbox.outcomes))]
    assert len(finals) == 1, "members take turns"
    joiner = Seat(swarm, seats[0].member, tmp_path / "joiner")
    joiner.tape.add(seats[0].stake(t))
    joiner.turn()
    assert joiner.tape.history.closed == swarm.end(1) * 1000 and joiner.tape.history.dissent is None


def test_a_member_that_is_killed_after_it_decided_to_anchor_anchors_once(world, tmp_path):
    swarm = world.swarm(faucet=False)
    (seat,) = seats_of(world, swarm, tmp_path, 1)
    go(world, seat.duty.schedule.anchor_from(1))
    seat.facts.look()
    seat.tape.play(seat.facts.seen)
    seat.duty.bring_on(seat.facts.seen // 1000)  # on disk, and not sent
    again = Seat(swarm, seat.member, tmp_path / "0")
    all_turn([again])
    assert len(again.facts.anchored(1)) == 1
    once_more = Seat(swarm, seat.member, tmp_path / "lost")  # its outbox is gone, too
    all_turn([once_more])
    assert world.chain.read("anchor", "voterOf", seat.member.key)[1] == 2 and not [each for each in once_more.outbox.waiting]


def test_a_minority_with_another_history_decides_nothing_and_the_rest_of_the_weight_counts(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path)
    go(world, swarm.end(0) + 1)
    all_turn(seats)
    seats[0].tape.add(seats[0].stake((swarm.end(0) + 2) * 1000))  # the others never saw it
    decide(world, seats[:2], 1)  # the third is away, but it has weight
    roots = votes(seats[0], 1)
    assert len(roots) == 2 and world.chain.read("anchor", "voterOf", seats[2].member.key)[0] == 200 * WEI
    assert world.chain.read("anchor", "votesOf", swarm.id, 1, *min(roots)) == (200 * WEI, 600 * WEI)
    assert not seats[0].facts.finals and all(seat.tape.history.closed == -1 for seat in seats)
    assert any("epoch 1 of the judge market stays undecided: 2 members anchored" in line for line in seats[0].said)
    with pytest.raises(ChainRefused) as no:
        world.chain.simulate("anchor", "finalize", [swarm.id, 1, *min(roots)], seats[0].member.agent)
    assert no.value.name == "MajorityMissing"
    go(world, seats[0].duty.schedule.commit_until(1) + PATIENCE_S + 1)
    all_turn(seats)
    for seat in seats[1:]:  # the page reaches the others: one history again, and the next root is over all of it
        seat.tape.add(seats[0].stake((swarm.end(0) + 2) * 1000))
    decide(world, seats, 2)
    assert all(set(seat.facts.finals) == {2} and seat.tape.history.closed == swarm.end(2) * 1000 for seat in seats)


def test_a_member_whose_history_is_not_the_final_one_knows_it(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path)
    go(world, swarm.end(0) + 1)
    all_turn(seats)
    page = seats[0].stake((swarm.end(0) + 2) * 1000)
    for seat in seats[:2]:
        seat.tape.add(page)
    decide(world, seats, 1)
    other = seats[2].tape.history
    assert other.dissent.epoch == 1 and other.dissent.final == seats[0].root(1).head != other.dissent.own and other.closed == -1
    seats[2].tape.add(page)
    all_turn(seats)
    assert other.dissent is None and other.closed == swarm.end(1) * 1000


def test_who_only_looks_on_brings_itself_onto_the_roll(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path, 2)
    seats[1].duty.root = lambda epoch: None  # it has no root to anchor
    decide(world, [seats[1]], 1)
    assert world.chain.read("anchor", "voterOf", seats[1].member.key) == (200 * WEI, 0)


def test_a_chain_that_was_down_leaves_the_epoch_undecided_and_the_next_one_is_decided(world, tmp_path, monkeypatch):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path)
    all_turn(seats)
    go(world, seats[0].duty.schedule.anchor_from(1))
    monkeypatch.setattr(world.chain.rpc, "timeout_s", 0.3)
    os.kill(world.anvil.pid, signal.SIGSTOP)
    for seat in seats:
        with pytest.raises(ChainError):
            seat.turn()
    os.kill(world.anvil.pid, signal.SIGCONT)
    monkeypatch.undo()
    go(world, seats[0].duty.schedule.commit_until(1) + 1)  # it is back when the votes are over
    all_turn(seats)
    assert not votes(seats[0], 1) and not any(seat.facts.finals for seat in seats) and not seats[0].said
    decide(world, seats, 2)
    assert all(set(seat.facts.finals) == {2} for seat in seats)


def test_a_hosts_proved_fault_costs_a_tenth_of_the_least_stake_of_its_deposit(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path)
    host, poor, terms = seats[0].member, seats[1].member, swarm.terms
    world.chain.send(host.secret, "credit", "faucet", 15 * WEI)
    world.chain.send(host.secret, "credit", "approve", world.chain.address("anchor"), 15 * WEI)
    world.chain.send(host.secret, "anchor", "deposit", host.key, 15 * WEI)
    for seat in seats:
        roots = seat.root
        seat.duty.root = lambda epoch, roots=roots: (found := roots(epoch)) and Root(found.head, (host.address, host.address, poor.address))
    decide(world, seats, 1)
    go(world, seats[0].duty.schedule.commit_until(1) + TURN_S * 6)
    all_turn(seats)
    each = terms.minStake // FAULT_PART
    tally = Tally.of_faults(swarm.id, 1, (host.address, poor.address, host.address), each)
    assert tally.entries == sorted([Entry(host.address, 0, 2 * each), Entry(poor.address, 0, each)])
    assert world.chain.read("anchor", "roundOf", swarm.id, 1).tallyRoot == tally.root
    assert world.chain.read("anchor", "accountOf", swarm.id, host.address).active == 0, "two faults cost 20, and 15 were there"
    assert world.chain.read("anchor", "roundOf", swarm.id, 1).pot == 15 * WEI
    assert world.chain.read("anchor", "claimOf", swarm.id, 1, poor.address).known




def test_the_newest_final_epoch_is_what_the_chain_says(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path, 1)
    assert swarm.market_final(world.chain.head().time) is None
    decide(world, seats, 1)
    decide(world, seats, 2)
    assert swarm.market_final(world.chain.head().time) == 2
    line = chainhost.Standing("here", 1, False, height=7, epoch=3, market=2).line()
    assert line.endswith("height 7, epoch 3, judge market final up to epoch 2")


def test_who_has_no_weight_sends_nothing_and_an_empty_log_has_no_root(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = [Seat(swarm, world.member(swarm, stake=0), tmp_path / "idle"), *seats_of(world, swarm, tmp_path, 1)]
    seats[1].duty.root = lambda epoch: Root(bytes(32))
    decide(world, seats, 1)
    assert not any(each.function == "anchor" for seat in seats for each in (*seat.outbox._file.intents, *seat.outbox.outcomes))
    assert not votes(seats[0], 1)


def test_a_final_root_that_a_chain_takes_back_closes_nothing(world, tmp_path):
    swarm = world.swarm(faucet=False)
    seats = seats_of(world, swarm, tmp_path)
    go(world, swarm.end(1) + 1)
    before = world.anvil.rpc.call("evm_snapshot")
    decide(world, seats, 1)
    assert seats[0].tape.history.closed == swarm.end(1) * 1000
    world.anvil.rpc.call("evm_revert", before)
    world.mine(40)  # another history, longer than the first
    seats[0].facts.look()
    seats[0].tape.history.look(seats[0].facts.finals, seats[0].facts.seen / 1000)
    assert not seats[0].facts.finals and not seats[0].facts.anchored(1) and seats[0].tape.history.closed == -1
