"""Averaging among real averager processes: honest ones, a hostile one, a stranger, one that leaves midway."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from learning import tiny_model, weights

from swarm.errors import NetworkError, Refused
from swarm.identity import Identity
from swarm.learn.average import Averager, take_part
from swarm.learn.blend import norm, replay
from swarm.learn.claims import read_claim, write_claim
from swarm.learn.step import trainable
from swarm.sections import Average

SWARM = b"\x07" * 32
SETTING = Average(every=1, timeout=40.0, max_change=0.05)
HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.timeout(300)


class Leaving(Averager):
    command = (sys.executable, str(HERE / "leaving_averager.py"))


def averager(folder, first=None, kind=Averager):
    peers = first.addresses if first else []
    return kind(SWARM, folder, SETTING, initial_peers=peers, host_maddrs=["/ip4/127.0.0.1/tcp/0"])


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    return [Identity.open_or_create_local(tmp_path_factory.mktemp("identity")).session(SWARM, 3600) for _ in range(3)]


@pytest.fixture(scope="module")
def averagers(tmp_path_factory):
    """Two running averagers that know each other."""
    first = averager(tmp_path_factory.mktemp("averager"))
    started = [first]
    try:
        first.ready()
        started.append(averager(tmp_path_factory.mktemp("averager"), first))
        started[1].ready()
        yield started
    finally:
        for each in started:
            each.close()


def models(count=2, apart=0.01):
    """Copies of one model, each a little further from the start."""
    made = [tiny_model() for _ in range(count)]
    for seed, model in enumerate(made):
        torch.manual_seed(seed)
        with torch.no_grad():
            for tensor in model.parameters():
                tensor.add_(torch.randn(tensor.shape) * apart * norm([tensor]) / tensor.numel() ** 0.5)
    return made


def together(*calls):
    """Run calls at the same time; their results, or the NetworkError or Refused each ended with."""

    def settled(call):
        try:
            return call()
        except (NetworkError, Refused) as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(settled, calls))


def all_take_part(averagers, models, sessions, round):
    """Every averager with its model and session, at the same time."""
    trios = zip(averagers, models, sessions, strict=False)
    return together(*(lambda t=trio: take_part(t[0], t[1], None, {"steps": 0}, t[2], round) for trio in trios))


def test_two_peers_meet_in_the_middle_and_the_event_can_be_replayed(averagers, sessions):
    one, two = models()
    before = [{name: t.detach().clone() for name, t in trainable(model).items()} for model in (one, two)]
    results = all_take_part(averagers, (one, two), sessions, 4)
    for name, tensor in trainable(one).items():
        middle = (before[0][name] + before[1][name]) / 2
        torch.testing.assert_close(tensor, middle, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(trainable(two)[name], middle, rtol=1e-4, atol=1e-5)
    for result, start in zip(results, before, strict=True):
        assert {member.peer for member in result.members} == {session.peer for session in sessions[:2]}
        assert result.event.round == 4 and 0.001 < result.change < 0.05
        assert replay(result.event, start, None, {"steps": 0}, result.blob)


def test_a_hostile_members_tensors_change_nothing(averagers, sessions):
    """A member with a valid claim sends 10^30 and, next time, not-a-number."""
    victim = models(1)[0]
    before = weights(victim)
    for poison, reason in ((1e30, "implausible"), (float("nan"), "not finite")):
        garbage = {name: torch.full_like(t, poison) for name, t in trainable(victim).items()}
        claim = write_claim(sessions[1], averagers[1].peer, 0, b"\x00" * 32)
        result, _ = together(
            lambda: take_part(averagers[0], victim, None, {}, sessions[0], 0), lambda g=garbage, c=claim: averagers[1].mean(g, c)
        )
        assert isinstance(result, Refused) and result.reason == reason
        assert weights(victim) == before


def test_a_hostile_member_moves_a_peer_by_no_more_than_the_bound(averagers, sessions):
    """It stays plausible: twice the norm away in a direction of its choice."""
    victim = models(1)[0]
    before = {name: t.detach().clone() for name, t in trainable(victim).items()}
    pull = {name: -t.detach() for name, t in trainable(victim).items()}
    claim = write_claim(sessions[1], averagers[1].peer, 0, b"\x00" * 32)
    result, _ = together(lambda: take_part(averagers[0], victim, None, {}, sessions[0], 0), lambda: averagers[1].mean(pull, claim))
    assert result.change == pytest.approx(0.05, rel=1e-3)
    for name, tensor in trainable(victim).items():
        assert norm([tensor.detach() - before[name]]) <= 0.05 * norm([before[name]]) * 1.001


def test_a_stranger_in_the_group_spoils_only_that_averaging(averagers, sessions):
    victim = models(1)[0]
    before = weights(victim)
    tensors = {name: t.detach().clone() for name, t in trainable(victim).items()}
    stolen = write_claim(sessions[1], b"\x55" * 32, 0, b"\x00" * 32)  # another averager's claim
    result, _ = together(lambda: take_part(averagers[0], victim, None, {}, sessions[0], 0), lambda: averagers[1].mean(tensors, stolen))
    assert isinstance(result, Refused) and weights(victim) == before


@pytest.mark.slow
def test_a_peer_that_leaves_midway_does_not_stop_the_others(averagers, sessions, tmp_path):
    """Three peers form a group; one is killed when the exchange begins. The others end in time, close to the start or
    the middle of the two, and the next averaging works."""
    leaver = averager(tmp_path, averagers[0], Leaving)
    leaver.ready()
    try:
        ours = models(3)
        before = [{name: t.detach().clone() for name, t in trainable(model).items()} for model in ours]
        began = time.monotonic()
        results = all_take_part([*averagers, leaver], ours, sessions, 0)
        assert isinstance(results[2], NetworkError)
        assert time.monotonic() - began < 150
        for model, start in zip(ours[:2], before, strict=False):
            assert all(norm([t.detach() - start[name]]) <= 0.051 * norm([start[name]]) for name, t in trainable(model).items())
        again = all_take_part(averagers, ours, sessions, 1)
        assert [len(result.members) for result in again] == [2, 2]
    finally:
        leaver.close()


@pytest.mark.slow
def test_alone_is_a_sentence_and_a_killed_averager_comes_back(averagers, sessions):
    impatient = averagers[0].setting
    averagers[0].setting = Average(every=1, timeout=4.0)
    model = models(1)[0]
    before = weights(model)
    try:
        with pytest.raises(NetworkError, match="no averaging"):
            take_part(averagers[0], model, None, {}, sessions[0], 0)
        averagers[1]._process.kill()
        averagers[1]._process.wait()
        averagers[1].ready()
        assert averagers[1].addresses and weights(model) == before
    finally:
        averagers[0].setting = impatient


def test_claims_say_who_averages(sessions):
    me, other = sessions[:2]
    claim = write_claim(me, b"\x01" * 32, 7, b"\x02" * 32)
    said = read_claim(claim, SWARM, b"\x01" * 32, time.time())
    assert (said.peer, said.operator, said.round, said.root) == (me.peer, me.operator, 7, b"\x02" * 32)
    forged = write_claim(other, b"\x01" * 32, 7, b"\x02" * 32).replace(other.card, me.card)
    for data, swarm, by, reason in [
        (claim, SWARM, b"\x03" * 32, "malformed"),
        (claim, b"\x08" * 32, b"\x01" * 32, "foreign swarm"),
        (forged, SWARM, b"\x01" * 32, "bad signature"),
        (b"\x00", SWARM, b"\x01" * 32, "malformed"),
        (b"\x95" + b"\xc0" * 5, SWARM, b"\x01" * 32, "malformed"),
        (b"\x00" * 5000, SWARM, b"\x01" * 32, "oversize"),
    ]:
        with pytest.raises(Refused) as refusal:
            read_claim(data, swarm, by, time.time())
        assert refusal.value.reason == reason
