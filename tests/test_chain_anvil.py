"""The local chain: what survives a restart, a kill and a damaged file; whose process it is."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time

import psutil
import pytest
from chains import running

from swarm import keys
from swarm.chain import anvil, deploy
from swarm.chain.anvil import Anvil
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.rpc import RpcError
from swarm.errors import ChainError, ResourceError, StateError


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("anvil")) as world:
        yield world


def test_it_answers_only_on_loopback_and_has_no_accounts_of_its_own(world):
    process = psutil.Process(world.anvil.pid)
    assert {connection.laddr.ip for connection in process.net_connections() if connection.status == "LISTEN"} == {"127.0.0.1"}
    assert world.anvil.rpc.call("eth_accounts") == []
    assert world.anvil.purse.hex() not in " ".join(process.cmdline())
    assert stat.S_IMODE((world.anvil.folder / anvil.PURSE).stat().st_mode) == 0o600


def test_every_swarm_has_a_chain_id_of_its_own(tmp_path):
    first, again, other = Anvil(tmp_path / "a"), Anvil(tmp_path / "a"), Anvil(tmp_path / "b")
    first._save(0)
    assert Anvil(tmp_path / "a").chain_id == first.chain_id != other.chain_id
    assert anvil.FIRST_CHAIN <= again.chain_id < anvil.FIRST_CHAIN + anvil.CHAINS


def test_blocks_logs_and_transactions_survive_stop_and_start(world):
    swarm = world.swarm()
    member = world.member(swarm, stake=0)
    before = Scanner(world.chain).scan().new
    block = world.chain.head()
    port, chain_id = world.anvil.note.port, world.anvil.chain_id
    world.anvil.stop()
    world.anvil.start()
    assert (world.anvil.note.port, world.anvil.chain_id) == (port, chain_id)
    assert world.chain.block_hash(block.number) == block.hash
    assert Scanner(world.chain).scan().new == before and {"SwarmCreated", "PeerRegistered", "Entered"} <= {event.name for event in before}
    assert all(world.chain.rpc.call("eth_getTransactionReceipt", "0x" + event.tx.hex()) for event in before)
    assert swarm.member(member.key).operator == member.address


def test_chain_time_is_wall_time_after_a_pause(world):
    world.anvil.stop()
    time.sleep(2.2)
    world.anvil.start()
    height = world.chain.head().number
    while world.chain.head().number == height:
        time.sleep(0.05)
    assert abs(world.chain.head().time - time.time()) < 2.5


def test_a_killed_chain_comes_back_with_port_and_id_and_loses_at_most_the_last_seconds(world):
    height, pid = world.chain.head().number, world.anvil.pid
    world.dumped()
    world.kill()
    with pytest.raises(ChainError, match="cannot be reached"):
        world.chain.head()
    said = world.restart()
    assert "started again" in said and "code -9" in said and world.anvil.pid != pid
    assert world.chain.head().number >= height and int(world.chain.rpc.call("eth_chainId"), 16) == world.anvil.chain_id
    assert world.chain.check() == "commit-reveal"


def test_contracts_that_a_kill_took_come_back_at_the_same_addresses(tmp_path):
    with running(tmp_path) as world:
        world.kill()
        os.remove(tmp_path / anvil.STATE)  # as if nothing had been dumped yet
        world.restart()
        with pytest.raises(ChainError, match="no contract"):
            world.chain.check()
        again = deploy.deploy(world.anvil.rpc, world.anvil.purse, first=0, embedded=True)
        assert again == world.link and Chain(again).check()


def test_questions_are_answered_while_blocks_come(world):
    """anvil looks the newest block up first and its state afterwards: the state must still be there then."""
    place, end = world.link.contracts.court, time.monotonic() + 3.0
    failed: list[Exception] = []

    def ask() -> None:
        while time.monotonic() < end:
            try:
                world.chain.rpc.call("eth_call", {"to": place, "data": "0x"}, "latest")
            except RpcError as error:
                failed.extend([error] if "OutOfRange" in str(error) else [])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        world.mine()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_restart_that_fails_is_tried_again(tmp_path, monkeypatch):
    local = Anvil(tmp_path)
    local.start()
    os.kill(local.pid, 9)
    local._process.wait()
    monkeypatch.setattr(anvil, "START_S", 1.0)
    now = time.monotonic() + 100
    with socket.create_server(("127.0.0.1", local.note.port)):  # somebody has taken the port meanwhile
        assert "tried again" in local.watch(now)
    assert "started again" in local.watch(now + 100) and local.rpc.call("eth_chainId")
    local.stop()


def test_a_chain_that_keeps_ending_is_given_up(tmp_path, monkeypatch):
    local = Anvil(tmp_path)
    local.start()
    local.stop()
    now = time.monotonic()
    for _ in range(anvil.FAILURES):
        now += 120
        assert local.watch(now)
        assert local.watch(now) is None
        os.kill(local.pid, 9)
        local._process.wait()
    with pytest.raises(ChainError, match="in a row"):
        local.watch(now + 120)
    local.stop()


def test_a_dump_cut_short_is_replaced_by_its_copy(world):
    world.dumped()
    world.anvil.watch(time.monotonic() + 10**5)
    height = json.loads((world.anvil.folder / anvil.KEPT).read_bytes())["block"]["number"]
    world.kill()
    path = world.anvil.folder / anvil.STATE
    whole = path.read_bytes()
    cut = whole[: whole.rindex(b"}", 0, len(whole) // 2) + 1]  # at a brace, as a chance would have it
    path.write_bytes(cut)
    anvil.keep(world.anvil.folder)
    assert (world.anvil.folder / anvil.KEPT).read_bytes() != cut, "a damaged dump must never replace the good copy"
    world.restart()
    assert world.chain.head().number >= int(height, 16) and world.chain.check()


def test_without_the_copy_a_cut_dump_is_a_sentence(tmp_path):
    (tmp_path / anvil.STATE).write_bytes(b'{"block":')
    with pytest.raises(StateError, match="damaged"):
        Anvil(tmp_path).start()
    (tmp_path / anvil.STATE).write_bytes(b"")  # killed while it wrote its very first dump
    local = Anvil(tmp_path)
    local.start()
    local.stop()


def test_a_grown_dump_is_written_less_often(world, monkeypatch):
    monkeypatch.setattr(anvil, "STEP_BYTES", 10_000)
    world.dumped()
    said = world.anvil.watch(time.monotonic() + 10**6)
    assert "written every" in said and "--state-interval" in " ".join(psutil.Process(world.anvil.pid).cmdline())
    assert world.anvil._interval > 1 and world.chain.check()
    monkeypatch.undo()
    world.anvil.stop()
    world.anvil.start()


def test_what_a_killed_owner_left_running_is_ended_by_the_next(world):
    old = psutil.Process(world.anvil.pid)
    other = Anvil(world.anvil.folder)  # its owner was killed, this is the next start
    other.start()
    assert world.anvil._process.wait(5) is not None and not (old.is_running() and old.status() != psutil.STATUS_ZOMBIE)
    assert other.rpc.call("eth_blockNumber")
    other.stop()
    world.anvil._process = None
    world.anvil.start()


def test_a_foreign_process_under_the_noted_id_is_left_alone(tmp_path):
    local = Anvil(tmp_path)
    local._save(os.getpid())
    local.start()  # would have ended this very process
    local.stop()


def test_a_taken_port_is_exchanged_at_the_start(tmp_path):
    local = Anvil(tmp_path)
    with socket.create_server(("127.0.0.1", local.note.port)):
        taken = local.note.port
        local.start()
        assert local.note.port != taken and local.rpc.call("eth_chainId")
    local.stop()


def test_a_missing_anvil_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(anvil, "BINARY", tmp_path / "anvil")
    with pytest.raises(ResourceError, match="not installed") as error:
        Anvil(tmp_path).start()
    assert "npm ci" in error.value.hint and "--rpc" in error.value.hint


def test_a_program_that_is_no_anvil_is_named_with_its_words(tmp_path, monkeypatch):
    wrong = tmp_path / "bin" / "anvil"
    wrong.parent.mkdir()
    wrong.write_text("#!/bin/sh\necho unexpected argument --state-interval >&2; exit 2\n")
    wrong.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrong.parent}:/bin:/usr/bin")
    with pytest.raises(ChainError, match="code 2: unexpected argument"):
        Anvil(tmp_path).start()


def test_the_purse_is_filled_and_an_account_too(world):
    address = os.urandom(20)
    world.anvil.fund(address, 5)
    world.anvil.fund(address, 3)  # never takes away
    assert int(world.chain.rpc.call("eth_getBalance", "0x" + address.hex(), "latest"), 16) == 5
    purse = keys.checksum(keys.address_of(world.anvil.purse))
    assert int(world.chain.rpc.call("eth_getBalance", purse, "latest"), 16) > 10**23
