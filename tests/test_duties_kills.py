"""A node's duties, killed at random places around commitment and audit: nothing is committed twice, nobody honest is slashed.

Real chain, real contracts, real records, outbox and ballots on disk. A kill is an exception that no code catches, raised before or after a
random write to disk or a random call to the chain; afterwards everything is built anew from what lies on disk. Only the desk is
not real here: it fetches and replays nothing and gives the verdict that honest auditors agree on (`FakeDesk`).
"""

import random
import shutil
import time
from collections import Counter

import pytest
from chains import BASE, CLASS, running

from swarm import disk, keys
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.duties import Duties
from swarm.enrolment import schedule_of
from swarm.epochseeds import EpochSeeds
from swarm.network.store import BlobStore
from swarm.proof import leaf as leaves
from swarm.proof.leaf import Leaf
from swarm.proof.onion import Onion
from swarm.proof.recorder import Recorder
from swarm.proof.schedule import Clock

TIMES = dict(epoch=60, grace=40, beacon=20, audit=30, reveal=20, challenge=10, unbonding=7200, ring=32, segments=1)
EPOCHS, KILLS = 8, 50


class Killed(BaseException):
    """The process is gone; not an Exception, so nothing catches it."""


class FakeDesk:
    """Audits at once and agrees with every other honest auditor."""

    waiting = 0

    def require_alive(self):
        pass

    def open(self, opening):
        opening.done = True

    def rehearse(self, rehearsal):
        rehearsal.verdict = "ok"

    def audit(self, audit):
        audit.verdict, audit.value, audit.told = "ok", keys.keccak(audit.commitment.root), {"cpu_s": 0.0}


class Peer:
    """One member and its folder; `duties` lives until it is killed."""

    def __init__(self, world, swarm, folder, number):
        self.world, self.swarm, self.folder, self.number = world, swarm, folder, number
        folder.mkdir()
        onion = Onion(folder / "onion", length=256)
        self.member = world.member(swarm, stake=0)
        with world.at_once():
            chain, me = world.chain, self.member
            for role, function, *args in (
                ("beacon", "setTip", me.key, onion.tip),
                ("credit", "faucet", 200 * 10**18),
                ("credit", "approve", chain.address("vault"), 200 * 10**18),
                ("vault", "stake", me.key, 200 * 10**18, CLASS),
            ):
                chain.send(me.secret, role, function, *args)
        self.round, self.last, self.deaths = 0, BASE, 0
        self.start()

    def start(self):
        """What a new process does."""
        schedule, clock = schedule_of(self.swarm.terms), Clock(local=lambda: self.world.chain.head().time)
        self.clock = clock
        store = BlobStore(self.folder / "blobs", 2**20)
        self.recorder = Recorder(
            self.folder / "proof", self.swarm.id, self.member.peer, self.member.address, CLASS, store, lambda: schedule.epoch_at(clock.now())
        )
        self.recorder.resume(self.round, self.last, 0)
        seeds = EpochSeeds(self.folder / "seeds.json", bytes(32), lambda: schedule.epoch_at(clock.now()))
        swarm = type(self.swarm)(Chain(self.world.link, timeout_s=5.0), self.swarm.id)
        parts = (schedule, clock, self.recorder, seeds, FakeDesk(), Onion(self.folder / "onion", length=256), self.folder)
        self.duties = Duties(swarm.chain, swarm, self.member.key, self.member.session, *parts, list, say=lambda text: None)

    def learn(self):
        """One recorded step."""
        none, after = bytes(32), keys.keccak(self.last)
        self.round += 1
        head = (self.swarm.id, self.member.peer, 0, none, 0, leaves.LEARN, self.round, 0)
        leaf = Leaf(*head, self.last, none, none, none, CLASS, 0, 1, 1, 100, none, after)
        self.recorder.add(leaf, b"g" * 32, self.recorder.store.put(b"state"), [], True)
        self.last = after
        self.recorder.confirm()


def hazard(monkeypatch):
    """Arm a kill at the n-th dangerous line from now, before or after it; unarmed lines just run."""
    armed = {"left": None, "after": False}

    def dangerous(real):
        def call(*args, **kwargs):
            if armed["left"] is None:
                return real(*args, **kwargs)
            armed["left"] -= 1
            if armed["left"] > 0:
                return real(*args, **kwargs)
            armed["left"] = None
            if armed["after"]:
                real(*args, **kwargs)
            raise Killed

        return call

    from swarm.chain.rpc import Rpc

    monkeypatch.setattr(disk, "replace", dangerous(disk.replace))
    monkeypatch.setattr(Rpc, "call", dangerous(Rpc.call))
    return armed


@pytest.mark.timeout(300)
def test_fifty_kills_double_no_commitment_and_cost_no_honest_peer_anything(tmp_path, monkeypatch):
    rng = random.Random(7)
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peers = [Peer(world, swarm, tmp_path / str(number), number) for number in range(3)]
        armed = hazard(monkeypatch)
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        end = swarm.end(EPOCHS) + 400
        while (now := world.chain.head().time) < end:
            began = time.monotonic()
            if now < swarm.end(EPOCHS) - 60:
                for peer in peers:
                    peer.learn()
            for peer in peers:
                if sum(p.deaths for p in peers) < KILLS:
                    armed.update(left=rng.randint(1, 40), after=rng.random() < 0.5)
                try:
                    peer.duties.turn()
                except Killed:
                    peer.deaths += 1
                    armed["left"] = None
                    peer.start()
                    peer.duties.turn()
                armed["left"] = None
            world.skip(max(1, round(5 - (time.monotonic() - began))))  # a busy machine's turns are long, and the chain's time goes on in them
        deaths = sum(peer.deaths for peer in peers)
        assert deaths >= KILLS, f"only {deaths} kills hit anything"

        events = Scanner(world.chain, ("ledger", "vault", "court")).scan().new
        committed = Counter((e.values["key"], e.values["epoch"]) for e in events if e.name == "Committed")
        assert set(committed.values()) == {1}, "an epoch was committed twice"
        on_time = {(e.values["key"], e.values["epoch"]) for e in events if e.name == "Committed" and not e.values["late"]}
        settled = {(e.values["key"], e.values["epoch"]) for e in events if e.name == "Settled"}
        assert {epoch for _, epoch in committed} >= set(range(EPOCHS - 1))
        assert len(on_time) >= 3 * (EPOCHS - 1) and on_time <= settled, "a commitment was lost, or an honest epoch earned nothing"
        slashed = [(e.values["reason"], e.values["amount"]) for e in events if e.name == "Slashed" and e.values["amount"]]
        assert not slashed, f"honest peers were slashed: {slashed}"


def test_a_peer_that_was_away_pays_once_and_comes_back_by_itself(tmp_path):
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peers = [Peer(world, swarm, tmp_path / str(number), number) for number in range(3)]
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        away = peers[2]
        while (now := world.chain.head().time) < swarm.end(5):
            for peer in peers:
                if peer is away and swarm.end(0) < now < swarm.end(3):
                    continue
                peer.learn()
                peer.duties.turn()
            world.skip(5)
        stake = swarm.stake(away.member.key)
        assert not stake.lapsed and 198 * 10**18 <= stake.active < 200 * 10**18, "absent for two epochs: at most 1 % in all, and back"


@pytest.mark.slow
def test_a_peer_that_could_not_replay_in_time_comes_back_after_longer_and_longer_rests(tmp_path):
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peers = [Peer(world, swarm, tmp_path / str(number), number) for number in range(3)]
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        slow, real = peers[2], peers[2].duties.desk.audit
        slow.duties.desk.audit = lambda audit: (real(audit), setattr(audit, "verdict", "cannot"))
        paused: set[int] = set()
        while (now := world.chain.head().time) < swarm.end(14):
            for peer in peers:
                peer.learn()
                peer.duties.turn()
            if swarm.stake(slow.member.key).paused:
                paused.add(swarm.epoch_at(now))
            world.skip(9)
        stake = swarm.stake(slow.member.key)
        assert paused and not stake.lapsed and stake.active == 200 * 10**18, "not to be able to is no offence"
        events = Scanner(world.chain, ("vault",)).scan().new
        back = [e.values["epoch"] for e in events if e.name == "Resumed" and e.values["key"] == slow.member.key]
        assert len(back) >= 2 and back[1] - back[0] > 2, f"out in {sorted(paused)}, back in {back}"


def test_a_machine_that_does_not_agree_with_itself_commits_late_and_unpaid_instead_of_being_accused(tmp_path):
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peers = [Peer(world, swarm, tmp_path / str(number), number) for number in range(3)]
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        rehearsed = []

        def disagree(rehearsal):
            rehearsed.append(rehearsal.epoch)
            rehearsal.verdict = "fault" if rehearsal.epoch == 1 else "ok"

        peers[0].duties.desk.rehearse = disagree
        while (now := world.chain.head().time) < swarm.end(3) + swarm.terms.grace:
            for peer in peers:
                if now < swarm.end(3) - 5:
                    peer.learn()
                peer.duties.turn()
            world.skip(5)
        events = Scanner(world.chain, ("ledger", "vault")).scan().new
        mine = {e.values["epoch"]: e.values["late"] for e in events if e.name == "Committed" and e.values["key"] == peers[0].member.key}
        assert mine == {0: False, 1: True, 2: False, 3: False} and sorted(rehearsed) == [0, 1, 2, 3]
        assert not [e for e in events if e.name == "Slashed" and e.values["amount"]]


def test_a_chain_out_of_reach_for_a_whole_window_costs_the_epoch_and_breaks_no_row_of_states(tmp_path):
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peers = [Peer(world, swarm, tmp_path / str(number), number) for number in range(3)]
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        cut_off, terms = peers[0], swarm.terms
        pump = cut_off.duties.outbox.pump
        while (now := world.chain.head().time) < swarm.end(4) + terms.grace + terms.beacon + terms.audit + terms.reveal + terms.challenge + 30:
            out = swarm.end(1) - 2 <= now <= swarm.end(1) + terms.grace + 10  # it closes epoch 1 and keeps its commitment, but nothing gets out
            cut_off.duties.outbox.pump = list if out else pump
            for peer in peers:
                if now < swarm.end(4) - 5:
                    peer.learn()
                peer.duties.turn()
            world.skip(5)
        events = Scanner(world.chain, ("ledger", "vault")).scan().new
        mine = [e.values for e in events if e.name == "Committed" and e.values["key"] == cut_off.member.key]
        assert [(one["epoch"], one["late"]) for one in mine] == [(0, False), (1, True), (2, False), (3, False), (4, False)]
        epochs = [cut_off.recorder.epoch(number) for number in range(5)]
        assert [(one["first"], one["last"]) for one in mine] == [(epoch.first, epoch.last) for epoch in epochs], "an honest row of states is broken"
        settled = {e.values["epoch"] for e in events if e.name == "Settled" and e.values["key"] == cut_off.member.key}
        assert settled >= {0, 2, 3} and 1 not in settled
        slashed = [e.values["reason"].rstrip(b"\0") for e in events if e.name == "Slashed" and e.values["amount"]]
        assert set(slashed) <= {b"absence"}, slashed


@pytest.mark.parametrize("loss", ["everything", "an older copy"])
def test_a_peer_whose_state_was_lost_commits_late_once_and_never_what_would_look_forged(tmp_path, loss):
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peers = [Peer(world, swarm, tmp_path / str(number), number) for number in range(3)]
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        unlucky, copied, lost = peers[0], tmp_path / "copy", False
        while (now := world.chain.head().time) < swarm.end(4) + swarm.terms.grace:
            if not copied.exists() and now > swarm.end(0) - 10:
                shutil.copytree(unlucky.folder, copied)
                kept = unlucky.round, unlucky.last
            if not lost and now > swarm.end(2) - 20:
                lost = True
                onion = (unlucky.folder / "onion").read_bytes()
                shutil.rmtree(unlucky.folder)
                if loss == "everything":
                    unlucky.folder.mkdir()
                    (unlucky.folder / "onion").write_bytes(onion)
                    unlucky.round, unlucky.last = 0, BASE
                else:
                    shutil.copytree(copied, unlucky.folder)
                    unlucky.round, unlucky.last = kept
                unlucky.start()
            for peer in peers:
                if now < swarm.end(4) - 5:
                    peer.learn()
                peer.duties.turn()
            world.skip(5)
        events = Scanner(world.chain, ("ledger",)).scan().new
        mine = [e.values for e in events if e.name == "Committed" and e.values["key"] == unlucky.member.key]
        late = [one["epoch"] for one in mine if one["late"]]
        assert len(late) == 1 and late[0] in (1, 2) and max(one["epoch"] for one in mine) == 4
        for one in mine[mine.index(next(one for one in mine if one["late"])) + 1 :]:
            epoch = unlucky.recorder.epoch(one["epoch"])
            assert (one["first"], one["root"]) == (epoch.first, epoch.root), "an honest peer's commitment looks forged"


def test_a_chain_that_was_rewritten_is_reported(tmp_path):
    with running(tmp_path / "chain") as world:
        swarm = world.swarm(**TIMES, faucet=False)
        peer = Peer(world, swarm, tmp_path / "0", 0)
        said: list[str] = []
        peer.duties.say = said.append
        world.anvil.rpc.call("evm_setIntervalMining", 0)
        before = world.anvil.rpc.call("evm_snapshot")
        peer.learn()
        world.to_window(swarm, 0)
        for _ in range(4):
            peer.duties.turn()
            world.skip(2)
        world.mine(world.chain.depth + 2)
        world.skip(60)
        peer.duties.turn()
        assert not any("rewritten" in text for text in said)
        world.anvil.rpc.call("evm_revert", before)
        world.mine(world.chain.depth + 60)
        world.skip(600)
        peer.duties.turn()
        assert any("rewritten" in text for text in said), said


def test_a_peer_that_stays_paused_is_told_so_once(tmp_path):
    with running(tmp_path / "chain") as world, world.at_once():
        swarm = world.swarm(**TIMES, faucet=False)
        peer = Peer(world, swarm, tmp_path / "0", 0)
        said: list[str] = []
        peer.duties.say = said.append
        world.chain.send(peer.member.session, "vault", "pause", peer.member.key)
        peer.duties.turn()
        assert not any("paused" in text for text in said), "a start resumes, and that takes a moment"
        for _ in range(2):
            world.to_window(swarm, swarm.epoch_at(world.chain.head().time))
            peer.duties.turn()
        (told,) = [text for text in said if "this peer is paused" in text]
        assert "has no weight" in told and "`swarm resume`" in told
