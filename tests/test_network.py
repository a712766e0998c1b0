"""Networks of real libp2p daemons on loopback: what is published arrives, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
from networks import PeerProcess, network, small_recipe, started, until

from swarm.errors import NetworkError, Refused, ResourceError
from swarm.identity import Identity
from swarm.network import Network, line
from swarm.network.store import digest_of


def trio(folder):
    """Three started networks; the first is everybody's boot peer."""
    first = network(folder / "a")
    first.start()
    boot = tuple(first.addresses()[:1])
    others = [network(folder / name, boot) for name in ("b", "c")]
    try:
        for other in others:
            other.start()
    except BaseException:
        for one in (first, *others):
            one.close()
        raise
    return first, *others


class Pools:
    """What arrived at each network, drained as a node would."""

    def __init__(self, networks):
        self.networks = networks
        self.got = {one.peer: {} for one in networks}

    def holds(self, digests):
        """Whether every network has every digest that another one published."""
        for one in self.networks:
            self.got[one.peer].update({arrival.digest: arrival for arrival in one.arrivals()})
        return all(self.got[one.peer].keys() >= {d for d, author in digests.items() if author != one.peer} for one in self.networks)


def publish_all(networks, round, size=50_000):
    return {one.publish("answer", round, os.urandom(size)): one.peer for one in networks}


def test_three_peers_exchange_blobs_and_survive_the_death_of_a_daemon(tmp_path):
    networks = trio(tmp_path)
    try:
        pools = Pools(networks)
        digests = publish_all(networks, 0)
        until(lambda: pools.holds(digests), what="first round")
        arrival = next(iter(pools.got[networks[0].peer].values()))
        assert arrival.card.name in {heard.name for heard in networks[0].status().heard}
        assert digest_of(arrival.data) == arrival.digest and (arrival.stage, arrival.round) == ("answer", 0)

        port = networks[1].addresses()[0].split("/")[4]
        os.kill(networks[1].daemon_pid, signal.SIGKILL)
        digests |= publish_all(networks, 1)
        until(lambda: pools.holds(digests), what="the round in which a daemon died")
        status = networks[1].status()
        assert status.restarts == 1 and status.running and len(status.heard) == 2
        assert networks[1].addresses()[0].split("/")[4] == port, "the same port again"
        assert not networks[0].status().dropped["stale"], "lagging copies are no replays"
    finally:
        for one in networks:
            one.close()


def test_a_hanging_daemon_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("swarm.network.host.PULSE_S", 0.2)
    monkeypatch.setattr("swarm.network.daemon.CALL_S", 1.0)
    monkeypatch.setattr("swarm.network.host.SILENCES", 2)
    with started(network(tmp_path)) as (one,):
        pid = one.daemon_pid
        os.kill(pid, signal.SIGSTOP)
        until(lambda: one.status().restarts and one.status().running, what="a new daemon")
        assert one.daemon_pid != pid


def test_shelf_and_blobs_survive_the_process(tmp_path):
    first, second = network(tmp_path / "a"), network(tmp_path / "b")
    with started(first):
        digest = first.publish("answer", 0, b"kept" * 1000)
        port = first.addresses()[0].split("/")[4]
    again = Network(first._host.session, tmp_path / "a" / "network", first._host.settings, small_recipe())
    with started(again):
        assert again.addresses()[0].split("/")[4] == port
        second = network(tmp_path / "b", tuple(again.addresses()))
        with started(second):
            until(lambda: [a.digest for a in second.arrivals()] == [digest], what="the blob of the earlier run")
            good = second._host.good.addresses()
        assert good == again.addresses()
        third = Network(second._host.session, tmp_path / "b" / "network", network(tmp_path / "c")._host.settings, small_recipe())
        with started(third):  # no boot peer given: it remembers
            until(lambda: third.status().heard, what="the remembered peer")


def test_a_recipe_is_fetched_by_digest_before_anything_else_is_known(tmp_path):
    first = network(tmp_path / "a")
    with started(first):
        digest = first.put(small_recipe().canonical)
        joiner = network(tmp_path / "b", tuple(first.addresses()))
        with started(joiner):
            assert joiner.fetch(digest, 65_536, timeout=20) == small_recipe().canonical
            with pytest.raises(NetworkError, match="did not come"):
                joiner.fetch(bytes(32), 65_536, timeout=1.5)
            with pytest.raises(NetworkError, match="at most 10"):
                joiner.fetch(digest, 10, timeout=1.5)


def test_dead_boot_peers_are_named_in_four_steps(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"/ip4/127.0.0.1/tcp/{unused.getsockname()[1]}/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
    one = network(tmp_path, (dead,), boot_patience=1.2)
    began = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        one.start()
    assert 0.5 <= time.monotonic() - began < 20
    assert dead in str(caught.value) and "refused" in str(caught.value) and "2 attempts" in str(caught.value)
    assert all(f"{step}. " in caught.value.hint for step in (1, 2, 3, 4))
    assert one.daemon_pid is None


def test_one_live_boot_peer_among_dead_ones_is_enough(tmp_path):
    first = network(tmp_path / "a")
    with started(first):
        boot = ("/ip4/127.0.0.1/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", *first.addresses())
        with started(network(tmp_path / "b", boot)) as (second,):
            until(lambda: second.status().heard)


def test_a_taken_port_is_said_and_not_shared(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ResourceError, match="is taken"):
            network(tmp_path, port=other.getsockname()[1]).start()


def test_alone_is_said(tmp_path):
    with started(network(tmp_path)) as (one,):
        one.publish("answer", 0, b"x")
        time.sleep(0.5)
        status = one.status()
        assert status.alone and status.running and status.reachable == "direct"


def test_a_revoked_session_is_forgotten_and_refused(tmp_path):
    networks = trio(tmp_path)
    try:
        until(lambda: all(len(one.status().heard) == 2 for one in networks))
        gone = networks[2]._host.session
        wire = Identity.open(tmp_path / "c" / "identity").revoke(gone.swarm, gone.address)
        networks[0].revoke(wire)
        until(lambda: all(one.status().dropped["revoked"] for one in networks[:2]), what="both refuse what the session says")
        assert all(gone.peer not in {heard.peer for heard in one.status().heard} for one in networks[:2])
    finally:
        for one in networks:
            one.close()


def test_clocks_an_hour_off_are_measured_and_cut_nobody_off(tmp_path):
    """One peer an hour ahead, one an hour behind; both exchange blobs with a right one (two hours apart is beyond what records allow)."""
    middle = network(tmp_path / "a", lifetime=30.0)
    with started(middle):
        place = ("/ip4/127.0.0.1/tcp/0", "auto", *middle.addresses())
        wrong = [PeerProcess(str(tmp_path / str(hours)), *place, clock_ahead=3600.0 * hours) for hours in (1, -1)]
        try:
            middle.publish("answer", 0, os.urandom(1000))
            seen = set()

            def exchanged():
                seen.update(arrival.card.name for arrival in middle.arrivals())
                return len(seen) == 2 and all(one.last.get("seen") for one in wrong)

            until(exchanged, 60, "everybody's blobs")
            assert wrong[0].last["skew"] > 3500 and wrong[1].last["skew"] < -3500
            assert not middle.status().dropped
        finally:
            for one in wrong:
                one.close()


def test_a_member_is_told_something_and_answers(tmp_path):
    first = network(tmp_path / "a")
    with started(first):
        second = network(tmp_path / "b", tuple(first.addresses()[:1]))
        with started(second):
            until(lambda: all(one.status().heard for one in (first, second)), what="they met")
            with pytest.raises(NetworkError, match="not welcome"):
                second.tell(first.peer, b"anybody there?")
            heard = []

            def answer(peer, message):
                heard.append((peer, message))
                if message == b"no":
                    raise Refused("malformed", "not that")
                return b"x" * (line.ANSWER_BYTES + 1) if message == b"more" else message[::-1]

            first.listen(answer)
            assert second.tell(first.peer, b"abc") == b"cba" and heard == [(second.peer, b"abc")]
            assert len(second.tell(first.peer, bytes(line.MESSAGE_BYTES))) == line.MESSAGE_BYTES
            with pytest.raises(NetworkError, match="not welcome"):
                second.tell(first.peer, b"no")
            with pytest.raises(Refused, match="wrong type"):
                second.tell(first.peer, b"more")
            count = len(heard)
            with pytest.raises((NetworkError, Refused)):
                second.tell(first.peer, bytes(line.MESSAGE_BYTES + 1))
            assert len(heard) == count, "a message beyond the bound reached the listener"
            with pytest.raises(NetworkError):
                second.tell(bytes(32), b"nobody", timeout=2.0)
