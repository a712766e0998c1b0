"""The chain of a run as its operators meet it: enrolment with and without a voucher, foreign chains, joining, leaving the draws."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time

import pytest
from chains import running
from typer.testing import CliRunner

from swarm import chainhost, enrolment, keys, keystore, recipe, runs
from swarm.chain import anvil, deploy, link, voucher
from swarm.chain.client import Chain, Swarm
from swarm.chain.rpc import Rpc
from swarm.chain.values import WEI
from swarm.cli import app
from swarm.cli import invite as invites
from swarm.enrolment import Hello
from swarm.errors import ChainError, ChainRefused, InputError, Refused
from swarm.heartbeat import Heartbeat
from swarm.identity import Identity
from swarm.invite import Invite, parse
from swarm.launch import ChainChoice, Choices
from swarm.runs import Run

PEER = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
HERE = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"
RULES = recipe.load("local", ["proof.epoch=20", "proof.grace=10", "proof.beacon=5", "proof.audit=15", "proof.reveal=5", "proof.challenge=4"])
HELLO = Hello(keys.keccak(b"class"), keys.keccak(b"base"))


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    home = tmp_path_factory.mktemp("identities")
    return [Identity.create(home / f"local-{number}", None, unencrypted=True) for number in range(2)]


@pytest.fixture
def home(tmp_path, monkeypatch, members):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    (tmp_path / "identities").symlink_to(members[0].folder.parent)
    return tmp_path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Somebody's chain, with the contracts deployed by hand."""
    with running(tmp_path_factory.mktemp("world")) as world, world.at_once():
        yield world


@pytest.fixture
def contracts(world, tmp_path):
    """The file of `swarm chain deploy` for that chain."""
    return world.link.model_copy(update={"embedded": False}).save(tmp_path / "contracts.json")


def begun(kind: str = "up", swarm: bytes = b"", name: str = "a") -> Run:
    info = runs.begin(RULES)
    info = info.model_copy(update={"kind": kind, "identities": ["local-0"]} | ({"swarm": swarm.hex()} if swarm else {}))
    run = Run.create(runs.home() / "runs" / name, info)
    run.keep_recipe(RULES)
    return run


def enrolled(run: Run, members: list[Identity], choices: Choices = Choices(), seconds: float = 40.0) -> list[str]:  # noqa: B008
    """What enrolment says until the last peer has staked, or has been refused."""
    said: list[str] = []
    for index, member in enumerate(members):
        HELLO.write(run.peer(index))
        member.session(bytes.fromhex(run.info.swarm), 3600).save(run.peer(index) / "session.bin")
    before = enrolment.Enrolment.close
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enrolment.Enrolment, "close", lambda self: (self.wait(seconds), before(self)))
        with chainhost.hosted(run, RULES, choices, members, said.append):
            pass
    return said


@pytest.fixture(scope="module")
def local(tmp_path_factory, members):
    """A swarm with a local chain that is on; its creator is enrolled."""
    home = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARM_HOME", str(home))
        (home / "identities").symlink_to(members[0].folder.parent)
        run = begun()
        enrolled(run, members[:1])
        chain = chainhost.LocalChain(run.chain)
        chain.start()
        yield run
        chain.stop()


def invitation(run: Run, **changes) -> Invite:
    ids = (bytes.fromhex(value) for value in (run.info.swarm, run.info.recipe_hash, run.info.recipe_blob))
    found = chainhost.as_others_see(run, [HERE])
    return dataclasses.replace(Invite(*ids, (HERE,), found), **changes)


def vouched(run: Run, by: Identity, expires: int = 0) -> Invite:
    found = link.load(run.chain)
    return invitation(run, voucher=voucher.issue(found, bytes.fromhex(run.info.swarm), by.secret, by.peer, expires or int(time.time()) + 3600))


def weight(run: Run, member: Identity) -> int:
    chain = Chain(link.load(run.chain))
    swarm = Swarm(chain, bytes.fromhex(run.info.swarm))
    return chain.read("vault", "weightAt", swarm.key(member.address, member.peer), swarm.epoch_at(chain.head().time))


def test_the_creator_of_a_local_swarm_stakes_from_the_faucet_and_has_weight(local, members):
    assert weight(local, members[0]) > 0
    told = chainhost.standing(local)
    assert told.height > 0 and told.epoch is not None and "among strangers" in told.line()
    assert told.line().startswith("chain 127.0.0.1:") and not told.why


def test_a_joiner_without_a_voucher_registers_and_is_told_then_a_voucher_gives_weight(local, members, home):
    run = begun("join", bytes.fromhex(local.info.swarm), "b")
    late = vouched(local, members[0], expires=int(time.time()) - 100)
    chainhost.joined(run, RULES, late, Choices())
    assert enrolment.read_schedule(run.chain) == enrolment.read_schedule(local.chain)
    said = enrolled(run, members[1:])
    assert any("no voucher counts" in each and "the invite ended" in each and "no draw" in each for each in said), said
    assert weight(run, members[1]) == 0
    stranger = keys.new_secret()
    forged = vouched(local, dataclasses.replace(members[0], secret=stranger))
    chainhost.joined(run, RULES, forged, Choices())
    enrolled(run, members[1:])
    assert weight(run, members[1]) == 0
    chainhost.joined(run, RULES, vouched(local, members[0]), Choices())
    enrolled(run, members[1:])
    assert weight(run, members[1]) > 0
    assert enrolled(run, members[1:]) == [], "a second start has nothing to do and nothing to say"


def test_joining_refuses_another_recipe_other_terms_and_another_swarm(local, home):
    run = begun("join", bytes.fromhex(local.info.swarm), "c")
    with pytest.raises(Refused, match="recipe"):
        chainhost.joined(run, RULES, invitation(local, recipe_hash=b"x" * 32), Choices())
    other = RULES.model_copy(update={"proof": RULES.proof.model_copy(update={"audit": 16})})
    with pytest.raises(Refused, match="audit is 15, by its recipe it is 16"):
        chainhost.joined(run, other, invitation(local), Choices())
    with pytest.raises(ChainRefused, match="no swarm"):
        chainhost.joined(run, RULES, invitation(local, swarm=b"s" * 32), Choices())
    with pytest.raises(InputError, match="names no chain"):
        chainhost.joined(run, RULES, invitation(local, chain=None), Choices())
    assert not (run.chain / link.FILE).exists() and not (run.chain / enrolment.SCHEDULE).exists(), "nothing was believed"


def test_joining_where_the_chain_does_not_answer_is_exit_code_4(local, home):
    run = begun("join", bytes.fromhex(local.info.swarm), "d")
    dead = invitation(local, chain=link.load(local.chain).at(f"http://127.0.0.1:{anvil.free_port()}"))
    with pytest.raises(ChainError, match="cannot be reached") as error:
        chainhost.joined(run, RULES, dead, Choices())
    assert error.value.exit_code == 4 and "--rpc" in error.value.hint
    chainhost.joined(run, RULES, dead, Choices(chain=ChainChoice(rpc=link.load(local.chain).url)))
    assert link.load(run.chain).url == link.load(local.chain).url


def test_the_invite_of_a_local_chain_names_its_door_and_carries_a_voucher(local, monkeypatch, tmp_path):
    monkeypatch.setenv("SWARM_HOME", str(local.folder.parents[1]))
    relayed = f"/ip4/9.9.9.9/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}"
    Heartbeat(addresses=[relayed, f"/ip4/192.168.1.7/tcp/4001/p2p/{PEER}"]).write(local.peer(0) / "heartbeat.json")
    made, why = invites.of(local)
    port = int((local.chain / chainhost.DOOR).read_text())
    assert made.chain.url == f"http://192.168.1.7:{port}" and made.voucher is not None and parse(made.text()) == made
    done = CliRunner().invoke(app, ["invite", "--run-dir", str(local.folder)], catch_exceptions=False)
    assert "among strangers" in done.stderr and "new invite for the next one" in done.stderr and done.stdout.startswith("os1_")
    told = json.loads(CliRunner().invoke(app, ["status", "--run-dir", str(local.folder), "--json"], catch_exceptions=False).stdout)
    assert told["chain"]["answers"] and told["chain"]["embedded"] and told["chain"]["height"] > 0


def test_a_locked_operator_key_makes_no_voucher_without_its_passphrase(local, monkeypatch, members, tmp_path):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    Heartbeat(addresses=[HERE]).write(local.peer(0) / "heartbeat.json")
    where = tmp_path / "identities" / "local-0"
    where.mkdir(parents=True)
    for file in members[0].folder.glob("peer-*.key"):
        keystore.write_private(where / file.name, file.read_bytes())
    stored = json.loads((members[0].folder / "identity.json").read_text())
    stored["operator"] = keystore.lock(members[0].secret, "open sesame", work_factor=2)
    keystore.write_private(where / "identity.json", json.dumps(stored).encode())
    made, why = invites.of(local)
    assert made.voucher is None and "passphrase" in why
    assert any("no voucher" in each and "no draw" in each for each in invites.about_chain(made, why))
    assert invites.of(local, "open sesame")[0].voucher is not None


def test_pause_and_resume_say_from_when_and_may_be_repeated(local, members):
    where = ["--run-dir", str(local.folder)]
    say = lambda word: CliRunner().invoke(app, [word, *where], catch_exceptions=False).stdout  # noqa: E731
    assert "out of the draws from epoch" in say("pause") and "already" in say("pause")
    chain = Chain(link.load(local.chain))
    swarm = Swarm(chain, bytes.fromhex(local.info.swarm))
    assert swarm.stake(swarm.key(members[0].address, members[0].peer)).paused
    assert "again from epoch" in say("resume") and "already" in say("resume")
    say("pause")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chainhost.LocalChain, "start", lambda self: link.load(self.folder))
        patch.setattr(chainhost.LocalChain, "stop", lambda self: None)
        patch.setattr(chainhost.LocalChain, "fund", lambda self, address: None)
        enrolled(local, members[:1])  # the next start of the run
    assert not swarm.stake(swarm.key(members[0].address, members[0].peer)).paused


def test_a_foreign_chain_enrols_stakes_only_what_is_asked_and_pays_the_sessions_gas(world, members, home, contracts):
    run, member = begun(name="e"), members[0]
    choices = Choices(chain=ChainChoice(rpc=world.anvil.url, contracts=contracts))
    with pytest.raises(ChainRefused, match="none of the coin"):
        enrolled(run, [member], choices)
    world.anvil.fund(member.address, 10 * WEI)
    said = enrolled(run, [member], choices)
    swarm = Swarm(Chain(link.load(run.chain)), bytes.fromhex(run.info.swarm))
    key, session = swarm.key(member.address, member.peer), keys.address_of(enrolment.session_key(run.peer(0)))
    assert any("capacity is 0" in each for each in said) and swarm.member(key).capacity == 0 and swarm.stake(key).active == 0
    assert int(world.anvil.rpc.call("eth_getBalance", keys.checksum(session), "latest"), 16) > 0
    assert swarm.terms.faucet and not link.load(run.chain).embedded
    staking = dataclasses.replace(choices, chain=dataclasses.replace(choices.chain, stake=1500 * WEI))
    said = enrolled(run, [member], staking)
    assert swarm.stake(key).active == 1500 * WEI, said
    assert swarm.member(key).capacity >= RULES.proof.steps
    assert not (run.chain / anvil.FILE).exists(), "no local chain was started"
    kept = chainhost.as_others_see(run, [HERE])
    assert kept.url == world.anvil.url and chainhost.voucher_of(run, kept) is None


def test_an_access_key_in_the_chains_address_stays_here(world, home, contracts):
    run = begun(name="f")
    link.load(contracts).at("http://user:word@127.0.0.1:8545/v3/secret?key=1").save(run.chain)
    assert chainhost.as_others_see(run, [HERE]).url == "http://127.0.0.1:8545"


def test_a_token_that_is_not_ours_makes_stake_scarce(world, members, home, contracts):
    """Any ERC-20 may stand in Credit's place: then draws follow stake, and nothing comes from a faucet."""
    found = link.load(contracts)
    token = link.load(deployed_token(world, found).save(contracts.with_name("token.json")))
    run, member = begun(name="g"), members[1]
    world.anvil.fund(member.address, 10 * WEI)
    choices = Choices(chain=ChainChoice(contracts=contracts.with_name("token.json"), stake=1000 * WEI))
    said = enrolled(run, [member], choices)
    swarm = Swarm(Chain(token), bytes.fromhex(run.info.swarm))
    assert not swarm.terms.faucet and any("is to stake 1000" in each for each in said), said


def deployed_token(world, found: link.ChainLink) -> link.ChainLink:
    """The link with a token whose code differs from Credit's by one byte of its metadata."""
    place = "0x" + "77" * 20
    code = bytearray.fromhex(world.anvil.rpc.call("eth_getCode", found.contracts.credit, "latest")[2:])
    code[-1] ^= 1
    world.anvil.rpc.call("anvil_setCode", place, "0x" + code.hex())
    return link.ChainLink.model_validate(found.model_dump() | {"contracts": found.contracts.model_dump() | {"credit": place}})


def test_wrong_contracts_another_chain_and_missing_files_are_one_sentence(world, home, contracts, tmp_path):
    given = lambda **how: chainhost.require(RULES, Choices(chain=ChainChoice(**how)))  # noqa: E731
    given(rpc=world.anvil.url, contracts=contracts)
    with pytest.raises(InputError, match="without --contracts"):
        given(rpc=world.anvil.url)
    with pytest.raises(InputError, match="there is no"):
        given(contracts=tmp_path / "none.json")
    places = link.load(contracts).contracts.model_dump()
    swapped = link.load(contracts).model_dump() | {"contracts": places | {"vault": places["court"], "court": places["vault"]}}
    link.ChainLink.model_validate(swapped).save(tmp_path / "swapped.json")
    with pytest.raises(ChainRefused, match="another version|wired to other"):
        given(contracts=tmp_path / "swapped.json")
    empty = link.load(contracts).model_dump() | {"contracts": places | {"ledger": "0x" + "99" * 20}}
    link.ChainLink.model_validate(empty).save(tmp_path / "empty.json")
    with pytest.raises(ChainRefused, match="no contract"):
        given(contracts=tmp_path / "empty.json")
    link.load(contracts).model_copy(update={"chain_id": 4242}).save(tmp_path / "other.json")
    with pytest.raises(ChainRefused, match="expected 4242"):
        given(contracts=tmp_path / "other.json")
    with pytest.raises(ChainError, match="cannot be reached"):
        given(rpc=f"http://127.0.0.1:{anvil.free_port()}", contracts=contracts)
    unproved = RULES.model_copy(update={"proof": RULES.proof.model_copy(update={"profile": "none"})})
    with pytest.raises(InputError, match="not proved"):
        chainhost.require(unproved, Choices(chain=ChainChoice(contracts=contracts)))


def test_a_run_keeps_to_its_chain(local, contracts):
    with pytest.raises(InputError, match="local chain of its own"):
        ChainChoice(contracts=contracts).link(local.chain)


def test_a_chain_whose_money_is_real_needs_the_flag(home, tmp_path):
    """A chain that says it is number 1, with the contracts on it."""
    port = anvil.free_port()
    words = [anvil.find(), "--host", "127.0.0.1", "--port", port, "--chain-id", 1, "--quiet", "--no-mining", "--accounts", 0]
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        rpc = Rpc(f"http://127.0.0.1:{port}")
        until(lambda: int(rpc.call("eth_chainId"), 16) == 1)
        rpc.call("evm_setAutomine", True)
        secret = keys.new_secret()
        rpc.call("anvil_setBalance", keys.checksum(keys.address_of(secret)), hex(10 * WEI))
        with pytest.raises(ChainRefused, match="Ethereum"):
            deploy.deploy(rpc, secret)
        deploy.deploy(rpc, secret, accept_unaudited=True).save(tmp_path / "one.json")
        with pytest.raises(ChainRefused, match="money there is real") as error:
            chainhost.require(RULES, Choices(chain=ChainChoice(contracts=tmp_path / "one.json")))
        assert "--i-accept-unaudited" in error.value.hint
        chainhost.require(RULES, Choices(chain=ChainChoice(contracts=tmp_path / "one.json", accept_unaudited=True)))
        run = begun("join", b"s" * 32, "h")
        invited = Invite(b"s" * 32, RULES.hash, b"b" * 32, (HERE,), link.load(tmp_path / "one.json"))
        with pytest.raises(ChainRefused, match="money there is real"):
            chainhost.joined(run, RULES, invited, Choices())
    finally:
        process.kill()
        process.wait()


def until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except ChainError:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_the_door_opens_only_as_far_as_the_swarm_listens(tmp_path):
    hosts = lambda *texts: chainhost._hosts([f"/ip{6 if ':' in text else 4}/{text}/tcp/0" for text in texts])  # noqa: E731
    assert hosts("127.0.0.1") == ["127.0.0.1"] and hosts("0.0.0.0", "192.168.1.4") == ["0.0.0.0"]
    assert hosts("192.168.1.4") == ["127.0.0.1", "192.168.1.4"] and hosts("0.0.0.0", "::") == ["0.0.0.0", "::"]
    port = anvil.free_port()
    for chosen in (port, 0):
        door = chainhost.LocalChain(tmp_path / "chain", ["0.0.0.0"], chosen)
        assert door.start().url == f"http://127.0.0.1:{port}", "0 keeps the port over restarts"
        door.stop()


def test_a_peers_keys_are_there_before_its_node_starts(local, members, home):
    """Node and supervisor both look for them: two that make one at the same time would go on with different ones."""
    run = begun("join", bytes.fromhex(local.info.swarm), "i")
    chainhost.joined(run, RULES, invitation(local), Choices())
    with chainhost.hosted(run, RULES, Choices(), members[1:], print):
        assert (run.peer(0) / enrolment.SESSION_KEY).exists() and (run.peer(0) / enrolment.ONION).exists()
