"""Two commands, one chain: `swarm up` with a local chain, `swarm join` of its invite; and both leave the draws when they are stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from chains import running
from test_swarm import QUICK, Command, wait_for

from swarm import chainhost, identity
from swarm.chain import link
from swarm.chain.client import Chain, Swarm
from swarm.chain.values import WEI
from swarm.errors import ChainError
from swarm.runs import Run
from swarm.session import Session

SHORT = ["proof.epoch=20", "proof.grace=10", "proof.beacon=5", "proof.audit=15", "proof.reveal=5", "proof.challenge=4"]
ENDLESS = ["run.rounds=100000", "evaluate.every=0", *QUICK, *SHORT]


def run_of(command: Command) -> Run:
    return Run.read(command.folder().parent)


def stood(command: Command) -> tuple[Swarm, bytes]:
    """The swarm on its chain, and the member key of the command's first peer."""
    run = run_of(command)
    session = Session.load(run.peer(0) / "session.bin")
    swarm = Swarm(Chain(link.load(run.chain)), session.swarm)
    return swarm, swarm.key(session.operator, session.peer)


def committed(command: Command) -> bool:
    try:
        swarm, key = stood(command)
        return swarm.member(key).next > 0
    except (ChainError, FileNotFoundError):
        return False


def told(home: Path, *words: str) -> str:
    environment = os.environ | {"SWARM_HOME": str(home)}
    return subprocess.run([sys.executable, "-m", "swarm.cli", *words], env=environment, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_joiner_of_a_local_chain_commits_and_both_leave_the_draws(tmp_path):
    first = Command(tmp_path / "a", "up", "local", "--peers", "1", "--plain", *ENDLESS)
    commands = [first]
    try:
        wait_for(lambda: first.beat()["round"] >= 1, commands)
        commands.append(second := Command(tmp_path / "b", "join", told(tmp_path / "a", "invite").split()[0], "--plain"))
        wait_for(lambda: all(map(committed, commands)), commands, 240)
        swarm, key = stood(second)
        assert "among strangers" in told(tmp_path / "b", "status")
        assert swarm.chain.read("vault", "weightAt", key, swarm.epoch_at(swarm.chain.head().time)) > 0, "the voucher gave no weight"
        assert second.stop() == 130
        assert swarm.stake(key).paused, "it ended in order and is still drawn"
        theirs, mine = stood(first)
        assert not theirs.stake(mine).paused
        commands.remove(second)
    finally:
        codes = [command.stop() for command in commands]
    assert codes == [130]
    with chainhost.reading(run_of(first).chain) as chain:
        assert Swarm(chain, swarm.id).stake(mine).paused


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_up_and_join_on_a_chain_elsewhere(tmp_path):
    with running(tmp_path / "chain") as world:
        world.link.model_copy(update={"embedded": False}).save(tmp_path / "contracts.json")
        where = ["--rpc", world.anvil.url, "--stake", "1000"]
        first = Command(tmp_path / "a", "up", "local", "--peers", "1", "--plain", *where, "--contracts", str(tmp_path / "contracts.json"), *ENDLESS)
        assert first.process.wait(60) == 2 and "none of the coin" in first.said()
        funded(world, tmp_path / "a")
        first = Command(tmp_path / "a", "up", "local", "--peers", "1", "--plain", *where, "--contracts", str(tmp_path / "contracts.json"), *ENDLESS)
        commands = [first]
        try:
            wait_for(lambda: first.beat()["round"] >= 1 and committed(first), commands, 200)
            assert world.anvil.url in told(tmp_path / "a", "status") or "height" in told(tmp_path / "a", "status")
            invite = told(tmp_path / "a", "invite").split()[0]
            assert "chain:" in told(tmp_path / "b", "join", invite, "--dry-run")
        finally:
            assert [command.stop() for command in commands] == [130]
        swarm, key = stood(first)
        assert swarm.stake(key).paused and swarm.stake(key).active == 1000 * WEI


def funded(world, home: Path) -> None:
    """Coin for the operator that the refused start has made."""
    world.anvil.fund(identity.show(home / "identities" / "local-0").address, 10 * WEI)
