"""`swarm chain`: deployment and state as an operator sees them."""

from __future__ import annotations

import json

import pytest
from chains import running
from typer.testing import CliRunner

from swarm import keys, runs
from swarm.chain import contracts, link
from swarm.chain.client import Chain
from swarm.cli import app
from swarm.errors import ChainError, ChainRefused, InputError
from swarm.identity import Identity
from swarm.runs import Info, Run


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("cli")) as world, world.at_once():
        yield world


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def operator(home):
    return Identity.create(home / "identities" / "default", None, unencrypted=True)


def swarm(*words: str) -> str:
    """What a command prints. Raises what it ends with."""
    done = CliRunner().invoke(app, ["chain", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_dry_run_sends_nothing_and_says_what_it_would(world, operator):
    plan = json.loads(swarm("deploy", "--rpc", world.anvil.url, "--dry-run", "--json"))
    assert plan["deployer"] == keys.checksum(operator.address) and set(contracts.ORDER) <= set(plan) and "at most" in plan["cost"]
    assert "gas" in swarm("deploy", "--rpc", world.anvil.url, "--dry-run")
    assert int(world.anvil.rpc.call("eth_getTransactionCount", plan["deployer"], "pending"), 16) == 0


def test_a_deployment_without_money_says_where_to_send_some(world, operator, tmp_path):
    with pytest.raises(ChainRefused, match="needs") as error:
        swarm("deploy", "--rpc", world.anvil.url, "--contracts", str(tmp_path / "my.json"))
    assert keys.checksum(operator.address) in error.value.hint and not (tmp_path / "my.json").exists()


def test_a_deployment_is_written_down_and_never_over_another(world, operator, tmp_path):
    world.anvil.fund(operator.address, 10**18)
    file = tmp_path / "deep" / "my.json"
    told = json.loads(swarm("deploy", "--rpc", world.anvil.url, "--contracts", str(file), "--beacon", "block-hash", "--json"))
    found = link.load(file)
    assert told["contracts"] == found.contracts.model_dump() and not found.embedded and found.since > 0
    state = json.loads(swarm("status", "--contracts", str(file), "--json"))
    assert state["randomness"] == "block-hash" == Chain(found).check() and "warning" not in state and state["chain_id"] == world.link.chain_id
    with pytest.raises(InputError, match="exists already"):
        swarm("deploy", "--rpc", world.anvil.url, "--contracts", str(file))


def test_the_state_of_a_runs_own_chain(world, home, tmp_path):
    made = world.swarm()
    run = Run.create(home / "runs" / "x-1", Info(recipe="x", recipe_hash="00" * 32, swarm=made.id.hex()))
    world.link.save(run.chain)
    state = json.loads(swarm("status", "--json"))
    assert state["swarm"] == made.id.hex() and state["epoch"] == 0 and state["members"] == 0 and "one process" in state["warning"]
    assert state["operators_needed"]["panel of 2:"] == 3 and "judge_market" not in state
    assert "this version's" in swarm("status") and str(runs.home()) == str(home)
    with pytest.raises(InputError, match="no local chain"):
        swarm("fund", "0x" + "11" * 20)
    (run.chain / "anvil.json").write_text(world.anvil.note.model_dump_json())
    assert "at least 10" in swarm("fund", "0x" + "11" * 20)
    assert int(world.anvil.rpc.call("eth_getBalance", "0x" + "11" * 20, "latest"), 16) == 10 * 10**18
    with pytest.raises(InputError, match="not an address"):
        swarm("fund", "0x12")
    run.unlock()


def test_bad_input_is_a_sentence(world, operator, home, tmp_path):
    with pytest.raises(InputError, match="--rpc is missing"):
        swarm("deploy")
    with pytest.raises(InputError, match="--beacon drand"):
        swarm("deploy", "--rpc", world.anvil.url, "--beacon", "drand")
    with pytest.raises(InputError, match="there is no"):
        swarm("status", "--contracts", str(tmp_path / "none.json"))
    world.link.save(tmp_path / "dead.json")
    with pytest.raises(ChainError, match="cannot be reached"):
        swarm("status", "--contracts", str(tmp_path / "dead.json"), "--rpc", "http://127.0.0.1:1")
