"""Two peers behind NAT, in namespaces that cannot dial each other, learn from each other through a third member's relay.

    swarm0 ── veth ── swarm1 (11.22.33.44, reachable by both) ── veth ── swarm2

Nothing is forwarded between the two links, so only the member in the middle can connect the ends. Needs root.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from networks import PeerProcess, until

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]
PUBLIC = "11.22.33.44"


def space_peer(space: str, *arguments: str) -> PeerProcess:
    return PeerProcess(*arguments, before=("ip", "netns", "exec", space))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def spaces():
    """Names of three namespaces: end, middle, end. Removed afterwards, with everything in them."""
    names = [f"swarm{os.getpid()}-{place}" for place in ("left", "middle", "right")]
    left, middle, right = names
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", middle, "addr", "add", f"{PUBLIC}/32", "dev", "lo")
        for number, end in ((1, left), (2, right)):
            ip("-n", end, "link", "add", "wan", "type", "veth", "peer", "name", f"lan{number}", "netns", middle)
            ip("-n", end, "addr", "add", f"10.77.{number}.2/24", "dev", "wan")
            ip("-n", middle, "addr", "add", f"10.77.{number}.1/24", "dev", f"lan{number}")
            ip("-n", end, "link", "set", "wan", "up")
            ip("-n", middle, "link", "set", f"lan{number}", "up")
            # Like a NAT, the ends answer nobody who comes from the inner side of the router, only what they called themselves.
            ip("-n", end, "route", "add", "default", "via", f"10.77.{number}.1")
            ip("-n", end, "route", "add", "blackhole", f"10.77.{number}.1/32")
        subprocess.run(["ip", "netns", "exec", middle, "sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)



@pytest.mark.timeout(180)
@pytest.mark.parametrize("ends", ["private", "auto"])
def test_peers_behind_nat_learn_through_a_members_relay(spaces, tmp_path, ends):
    left, middle, right = spaces
    peers = []
    try:
        relay = space_peer(middle, str(tmp_path / "c"), f"/ip4/{PUBLIC}/tcp/4001", "public")
        peers.append(relay)
        until(lambda: relay.last.get("addresses"), 60, "the member in the middle")
        boot = relay.last["addresses"][0]
        for name, space in (("a", left), ("b", right)):
            peers.append(space_peer(space, str(tmp_path / name), "/ip4/0.0.0.0/tcp/4001", ends, boot))
        first, second = peers[1:]
        until(lambda: first.last.get("name") and second.last.get("name"), 60, "both ends")
        pairs = ((first, second), (second, first))
        until(lambda: all(one.last["seen"].get(other.last["name"], 0) >= 3 for one, other in pairs), 90, "each other's blobs")
        until(lambda: first.last["reachable"] == second.last["reachable"] == "relayed", 30, "being told so")
        assert any("/p2p-circuit" in address for address in first.last["addresses"])
        until(lambda: first.last["relaying"] + second.last["relaying"] >= 1, 30, "seeing the other through the relay")
    finally:
        for peer in peers:
            print(peer.last)
            peer.close()


def test_the_ends_cannot_reach_each_other(spaces):
    """Without this, the test above would prove nothing."""
    left, _, right = spaces
    server = "import socket; s = socket.create_server(('0.0.0.0', 4001)); s.settimeout(20); s.accept()"
    dial = "import socket, sys; sys.exit(0 if socket.socket().connect_ex((sys.argv[1], 4001)) == 0 else 1)"
    listening = subprocess.Popen(["ip", "netns", "exec", right, sys.executable, "-c", server])
    try:
        blocked = subprocess.run(["ip", "netns", "exec", left, "timeout", "3", sys.executable, "-c", dial, "10.77.2.2"], capture_output=True)
        assert blocked.returncode != 0
    finally:
        listening.kill()
        listening.wait()
