"""Doctor: every row on real sockets and files, and what stops a start."""

from __future__ import annotations

import http.server
import socket
import threading
import time

import psutil
import pytest

from swarm import doctor, heartbeat, recipe
from swarm.errors import ResourceError
from swarm.heartbeat import Heartbeat, Reach
from swarm.launch import Choices
from swarm.limits import Limits
from swarm.runs import Run, begin
from swarm.settings import NetworkChoice

PEER = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
SMALL = recipe.parse({"name": "small", "tasks": [{"name": "addition", "kind": "builtin", "source": "addition"}]})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def listener():
    """A function that starts a TCP server answering with given bytes; returns its port."""
    lines = []

    def listen(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        lines.append(server)

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()[1]

    yield listen
    for server in lines:
        server.close()


def boot(port: int) -> list[doctor.Row]:
    return list(doctor.boot_peer(f"/ip4/127.0.0.1/tcp/{port}/p2p/{PEER}"))


def test_a_boot_peer_is_tried_by_tcp_then_by_libp2p(listener):
    assert [row.status for row in boot(listener(doctor.MULTISTREAM))] == ["ok", "ok"]
    tcp, libp2p = boot(listener(b"HTTP/1.1 400 Bad Request\r\n"))
    assert (tcp.status, libp2p.status) == ("ok", "fail") and "not in libp2p" in libp2p.value
    tcp, libp2p = boot(listener(b""))
    assert libp2p.status == "fail"


def test_a_dead_boot_peer_is_named_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (row,) = boot(port)
    assert row.status == "fail" and str(port) in row.name and "refused" in row.value and row.fix


def test_a_taken_port_fails_and_stops_the_start():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        choices = Choices(network=NetworkChoice(port=port))
        assert doctor.port(choices).status == "fail"
        with pytest.raises(ResourceError, match=f"{port}.*in use"):
            doctor.require(SMALL, choices)
    assert doctor.port(choices).status == "ok"


def test_memory_is_judged_before_training():
    enough = Choices(peers=1)
    assert doctor.memory(SMALL, enough).status in ("ok", "warn")
    tight = Choices(peers=3, limits=Limits(max_memory=2**28))
    with pytest.raises(ResourceError, match="memory: 0.3 GB allowed"):
        doctor.require(SMALL, tight)
    huge = recipe.parse(SMALL.model_dump() | {"model": {"source": "smollm2", "max_length": 16_000}, "answer": {"max_tokens": 15_000}})
    assert doctor.memory(huge, enough).status == "fail"


def test_disk_is_judged_before_training():
    with pytest.raises(ResourceError, match="disk"):
        doctor.require(SMALL, Choices(limits=Limits(max_disk=1000)))


def test_a_missing_package_fails_only_where_the_recipe_needs_it(monkeypatch):
    installed = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: name != "reasoning-gym" and installed(name))
    (row,) = doctor.packages(SMALL)
    assert row.status == "warn" and "C compiler" in row.fix
    gym = recipe.parse({"name": "gym", "tasks": [{"name": "sums", "kind": "gym", "source": "basic_arithmetic"}]})
    with pytest.raises(ResourceError, match="reasoning-gym"):
        doctor.require(gym, Choices())


@pytest.mark.parametrize(("ahead", "status"), [(0, "ok"), (3600, "warn"), (-3600, "warn")])
def test_a_clock_an_hour_off_is_seen(ahead, status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        hub, clock = doctor.hub_and_clock(f"http://127.0.0.1:{server.server_port}", lambda: time.time() + ahead)
    assert hub.status == "ok" and clock.status == status


def test_no_hub_is_a_warning_only():
    hub, clock = doctor.hub_and_clock("http://127.0.0.1:9")
    assert hub.status == "warn" and clock.status == "unknown"


def test_reachability_is_that_of_the_running_peers(home):
    (row,) = doctor.running_peers()
    assert row.status == "unknown"
    run = Run.create(home / "runs" / "small-1", begin(SMALL))
    beat = Heartbeat(pid=psutil.Process().pid, name="amber-otter", network=Reach(reachable="no", why="nobody could dial back"))
    beat.write(run.peer(0) / heartbeat.FILE)
    (row,) = doctor.running_peers()
    run.unlock()
    assert row.status == "fail" and "nobody could dial back" in row.value and "--announce" in row.fix


def test_all_rows_have_a_way_out_where_something_is_wrong():
    for row in doctor.rows(SMALL, Choices(limits=Limits(max_memory=2**28)), [], offline=True):
        assert row.fix or row.status in ("ok", "unknown"), row


def test_canonical_numerics_need_a_compiler(monkeypatch):
    task = {"name": "addition", "kind": "builtin", "source": "addition"}
    canonical = recipe.parse({"name": "small", "tasks": [task], "proof": {"profile": "canonical"}})
    assert [row.name for row in doctor.kernels(canonical)] == ["kernels"] and not list(doctor.kernels(SMALL))
    monkeypatch.setattr(doctor.build.shutil, "which", lambda name: None)
    (row,) = doctor.kernels(canonical)
    assert row.status == "fail" and "gcc" in row.fix and "pinned" in row.fix
    with pytest.raises(ResourceError, match="compiler"):
        doctor.require(canonical, Choices())
