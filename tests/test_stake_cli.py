"""`swarm stake` on a real chain: money goes in, cannot come out too early, and comes back to the wei."""

from __future__ import annotations

import json
import re
import shutil
from types import SimpleNamespace

import pytest
from chains import CLASS, Member, commitment, elsewhere, running

from swarm import calls, cli, errors, identity, keys, recipe, runs, times
from swarm.chain import link
from swarm.chain.client import Swarm
from swarm.chain.values import WEI, amount
from swarm.enrolment import Hello
from swarm.identity import Identity
from swarm.invite import Invite

UNBONDING = 3600


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("stake")) as world, world.at_once():
        yield world


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mine(world, home):
    """An operator with 1000.5 credits and gas whose one peer has entered a swarm without a faucet; and the run of that swarm."""
    return owner(world, home, world.swarm(faucet=False))


def owner(world, home, swarm: Swarm, name: str = "default") -> SimpleNamespace:
    made = Identity.create(home / "identities" / name, None, unencrypted=True)
    world.anvil.fund(made.address, 10 * WEI)
    member = Member(made.secret, world.account(), made.peer)
    member.key = swarm.key(member.address, member.peer)
    chain = world.chain
    chain.send(made.secret, "registry", "register", swarm.id, made.peer, member.agent)
    chain.send(made.secret, "ledger", "enter", swarm.id, made.address, made.peer)
    for wei in (1000 * WEI, WEI // 2):
        chain.send(made.secret, "credit", "faucet", wei)
    return SimpleNamespace(swarm=swarm, identity=made, member=member, run=a_run(world, home, swarm))


def a_run(world, home, swarm: Swarm) -> runs.Run:
    rules = recipe.load("local", [])
    run = runs.Run.create(runs.next_folder("local"), runs.begin(rules).model_copy(update={"swarm": swarm.id.hex()}))
    run.keep_recipe(rules)
    run.unlock()
    world.link.save(run.chain)
    Hello(CLASS, bytes(32)).write(run.peer(0))
    return run


def command(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of `swarm stake ...`."""
    capsys.readouterr()
    code = 0
    try:
        with errors.boundary():
            cli.app(args=["stake", *words], prog_name="swarm")
    except SystemExit as end:
        code = int(end.code or 0)
    return code, *capsys.readouterr()


def value(capsys, *words: str):
    code, out, err = command(capsys, *words, "--json")
    assert (code, err) == (0, ""), err
    return json.loads(out)


def refused(capsys, *words: str) -> tuple[int, str]:
    """The exit code and the one sentence with its hint; nothing else is printed."""
    code, out, err = command(capsys, *words)
    assert code and out == "" and re.fullmatch(r"error: .+\nhint: .+\n", err), (out, err)
    return code, err


def too_dear(told: dict) -> dict[str, int]:
    """Gas that was used beyond what a dry run says where it cannot try."""
    used = {call["call"].split(".")[1]: call["gas"] for call in told["calls"]}
    return {name: gas for name, gas in used.items() if gas > calls.ROUGH[name]}


def as_court(world, function: str, *args: object) -> None:
    """What only the court may tell the vault."""
    rpc, court = world.anvil.rpc, world.chain.address("court")
    rpc.call("anvil_setBalance", court, hex(WEI))
    rpc.call("anvil_impersonateAccount", court)
    data = "0x" + world.chain.calldata("vault", function, args).hex()
    sent = rpc.call("eth_sendTransaction", {"from": court, "to": world.chain.address("vault"), "data": data})
    world.mine()
    assert int(rpc.call("eth_getTransactionReceipt", sent)["status"], 16) == 1
    rpc.call("anvil_stopImpersonatingAccount", court)


def balance(world, who: bytes) -> int:
    return world.chain.read("credit", "balanceOf", who)


def sent_by(world, who: bytes) -> int:
    return int(world.anvil.rpc.call("eth_getTransactionCount", keys.checksum(who), "latest"), 16)


def test_money_goes_in_and_comes_back_to_the_wei(world, mine, capsys):
    who, key = mine.identity.address, mine.member.key
    assert balance(world, who) == 1000 * WEI + WEI // 2
    told = value(capsys, "add", "300.000000000000000001")
    assert told["sent"] and [call["call"] for call in told["calls"]] == ["credit.approve", "vault.stake"]
    assert not too_dear(told), "the estimates of a dry run are too low"
    assert mine.swarm.stake(key).active == 300 * WEI + 1 and told["stake"]["stake"] == "300.000000000000000001"
    assert told["stake"]["wallet"] == "700.499999999999999999" and told["stake"]["draws"] == "in the draws"

    value(capsys, "unbond", "100.000000000000000001")
    (found,) = value(capsys, "show")
    shown = [found[name] for name in ("stake", "unbonding", "withdrawable", "exposed")]
    assert shown == ["200", "100.000000000000000001", "0", "300.000000000000000001"]
    released = mine.swarm.stake(key).releaseAt
    assert found["releases_at"] == released and 0 < released - found["chain_time"] <= UNBONDING
    code, err = refused(capsys, "withdraw")
    assert code == 2 and f"still locked until {times.date(released)}" in err and "run the same command in " in err
    code, out, _ = command(capsys, "unbond", "all", "--dry-run")
    assert code == 0 and f"locked until about {times.date(world.chain.head().time + UNBONDING)[:15]}" in out, "the date moves, and it was not said"
    assert mine.swarm.stake(key).active == 200 * WEI

    world.skip(UNBONDING)
    code, err = refused(capsys, "unbond", "all")
    assert code == 2 and "would lock them again" in err and "`swarm stake withdraw` first" in err
    code, out, err = command(capsys, "withdraw")
    assert code == 0 and err == "" and re.search(r"pay 100\.000000000000000001 credits to 0x\w{40}: [\d,]+ gas, transaction 0x\w{64}", out)
    assert balance(world, who) == 800 * WEI + WEI // 2
    value(capsys, "unbond", "all")
    assert "in no draw" in value(capsys, "show")[0]["draws"]
    world.skip(UNBONDING)
    assert value(capsys, "withdraw")["stake"]["exposed"] == "0"
    assert balance(world, who) == 1000 * WEI + WEI // 2, "not all of it is back"
    code, err = refused(capsys, "withdraw")
    assert code == 2 and "nothing to withdraw" in err and "`swarm stake add`" in err


def test_a_dry_run_says_what_and_how_much_gas_and_sends_nothing(world, mine, capsys):
    before = sent_by(world, mine.identity.address)
    told = value(capsys, "add", "500", "--dry-run")
    assert not told["sent"] and [call["call"] for call in told["calls"]] == ["credit.approve", "vault.stake"]
    assert all(call["gas"] > 20_000 and "transaction" not in call for call in told["calls"]) and float(told["cost"]) > 0
    code, out, _ = command(capsys, "add", "500", "--dry-run")
    assert code == 0 and "let the vault take 500 credits" in out and "at most 800,000 gas" in out and "nothing was sent" in out
    assert sent_by(world, mine.identity.address) == before and mine.swarm.stake(mine.member.key).active == 0


def test_what_cannot_be_is_one_sentence_with_a_hint(world, mine, capsys, tmp_path):
    for words, said in (
        (["add", "99"], "less than the least stake of this swarm, 100"),
        (["add", "2000"], "has 1000.5 credits and is to stake 2000"),
        (["add", "some"], "not an amount"),
        (["add", "0.0"], "not an amount"),
        (["add", "1.0000000000000000001"], "not an amount"),
        (["unbond", "all"], "nothing staked"),
        (["claim"], "no rewards to claim"),
        (["withdraw", "--member", "nobody-here"], "none of these members"),
    ):
        code, err = refused(capsys, *words, "--dry-run")
        assert code == 2 and said in err, (words, err)
    value(capsys, "add", "100")
    assert "100 credits staked, 101 are more" in refused(capsys, "unbond", "101")[1]
    Identity.create(mine.identity.folder.with_name("other"), None, unencrypted=True)
    code, err = refused(capsys, "withdraw", "--identity", "other")
    assert code == 3 and "other (0x" in err and "is no member of swarm" in err
    code, err = refused(capsys, "show", "--identity", "none")
    assert code == 3
    code, err = refused(capsys, "show", "--rpc", "http://127.0.0.1:1")
    assert code == 4 and "127.0.0.1:1" in err
    elsewhere(world.link, vault=world.link.contracts.court).save(tmp_path / "wrong.json")
    code, err = refused(capsys, "withdraw", "--contracts", str(tmp_path / "wrong.json"))
    assert code == 2 and "is wired to other contracts" in err
    (mine.run.peer(0) / "hello.json").unlink()
    shutil.rmtree(mine.run.chain)
    code, err = refused(capsys, "show")
    assert code == 2 and "nothing is staked" in err


def test_a_locked_key_is_opened_only_to_send_and_never_asked_for_by_itself(world, mine, home, capsys, tmp_path):
    (tmp_path / "phrase").write_text("seven of nine\n")
    identity.rotate(mine.identity.folder, "seven of nine", work_factor=2)
    assert value(capsys, "add", "100", "--dry-run")["sent"] is False
    code, err = refused(capsys, "add", "100")
    assert code == 3 and "--passphrase-file" in err
    (tmp_path / "wrong").write_text("six\n")
    assert refused(capsys, "add", "100", "--passphrase-file", str(tmp_path / "wrong"))[0] == 3
    assert mine.swarm.stake(mine.member.key).active == 0
    value(capsys, "add", "100", "--passphrase-file", str(tmp_path / "phrase"))  # by the key that was in use when the peer entered
    assert mine.swarm.stake(mine.member.key).active == 100 * WEI
    value(capsys, "unbond", "all", "--passphrase-file", str(tmp_path / "phrase"))
    world.skip(UNBONDING)
    value(capsys, "withdraw", "--passphrase-file", str(tmp_path / "phrase"))
    assert balance(world, mine.identity.address) == 1000 * WEI + WEI // 2


def test_without_the_run_an_invite_or_the_contracts_file_is_enough(world, mine, home, capsys, tmp_path):
    value(capsys, "add", "150")
    shutil.rmtree(home / "runs")
    given = Invite(mine.swarm.id, bytes(32), bytes(32), ("/ip4/127.0.0.1/tcp/1/p2p/" + keys.base58_of(mine.identity.peer),), world.link).text()
    assert value(capsys, "show", "--invite", given)[0]["stake"] == "150"
    world.link.save(tmp_path / "contracts.json")
    where = ["--contracts", str(tmp_path / "contracts.json")]
    assert [each["swarm"] for each in value(capsys, "show", *where)] == [mine.swarm.id.hex()]
    assert value(capsys, "unbond", "all", *where)["stake"]["unbonding"] == "150"
    first = Invite(mine.swarm.id, bytes(32), bytes(32), ("/ip4/127.0.0.1/tcp/1/p2p/" + keys.base58_of(mine.identity.peer),)).text()
    assert "names no chain" in refused(capsys, "show", "--invite", first)[1]


def test_where_there_are_several_one_has_to_be_named(world, mine, home, capsys):
    second = owner(world, home, mine.swarm, "second")
    shutil.rmtree(second.run.folder)
    assert len(value(capsys, "show")) == 2
    code, err = refused(capsys, "add", "100")
    assert code == 2 and "there are 2 members" in err and "second" in err and "--member" in err
    for chosen, count in ((["--identity", "second"], 1), (["--member", second.identity.name], 2), (["--member", second.member.key.hex()[:12]], 3)):
        value(capsys, "add", "100", *chosen)
        assert mine.swarm.stake(second.member.key).active == count * 100 * WEI
    assert mine.swarm.stake(mine.member.key).active == 0


def test_exposure_and_pauses_are_shown(world, mine, capsys):
    swarm, member = mine.swarm, mine.member
    value(capsys, "add", "300")
    world.to_window(swarm, 0)
    world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    world.chain.send(member.session, "vault", "pause", member.key)
    code, out, _ = command(capsys, "show")
    assert code == 0 and "not settled yet: epochs 0" in out and "paused: it is in no draw until `swarm resume`" in out
    assert f"exposed       {amount(300 * WEI)} credits" in out and "claimable     0 credits" in out
    (found,) = value(capsys, "show")
    assert found["unsettled_epochs"] == [0] and found["paused"] and not found["lapsed"] and found["capacity"] == 40
    as_court(world, "absent", member.key, 0, False)
    (found,) = value(capsys, "show")
    assert found["lapsed"] and found["capacity"] == 0 and found["stake"] == "297" and "lapsed: it missed a duty" in found["draws"]
    value(capsys, "unbond", "all")
    as_court(world, "slash", member.key, 97 * WEI, b"lie".ljust(32, b"\0"))
    world.skip(UNBONDING)
    told = value(capsys, "withdraw")
    assert told["stake"]["wallet"] == amount(balance(world, mine.identity.address)) == "900.5"


def test_rewards_are_claimed_to_the_wei(world, mine, capsys):
    who = mine.identity.address
    for function, args in (("approve", (world.chain.address("vault"), 5 * WEI)), ("faucet", (5 * WEI,))):
        world.chain.send(mine.identity.secret, "credit", function, *args)
    world.chain.send(mine.identity.secret, "vault", "fund", mine.swarm.id, 5 * WEI)
    as_court(world, "payFee", mine.swarm.id, who, 3 * WEI + 7)
    assert value(capsys, "show")[0]["claimable"] == "3.000000000000000007"
    assert value(capsys, "claim")["stake"]["claimable"] == "0"
    assert balance(world, who) == 1003 * WEI + WEI // 2 + 7
    assert refused(capsys, "claim")[0] == 2


def test_a_faucet_gives_what_is_missing(world, home, capsys):
    owner(world, home, world.swarm())
    told = value(capsys, "add", "1500")
    assert [call["call"] for call in told["calls"]] == ["credit.faucet", "credit.approve", "vault.stake"] and told["stake"]["stake"] == "1500"
    assert not too_dear(told)


def test_where_money_is_real_only_putting_it_in_has_to_be_accepted(world, mine, capsys, monkeypatch):
    monkeypatch.setitem(link.VALUABLE, world.link.chain_id, "a chain with real money")
    code, err = refused(capsys, "add", "100")
    assert code == 2 and "have not been audited" in err and "--i-accept-unaudited" in err
    value(capsys, "add", "100", "--i-accept-unaudited")
    assert value(capsys, "unbond", "all")["stake"]["unbonding"] == "100"


@pytest.mark.parametrize("word", ["show", "add", "unbond", "withdraw", "claim"])
def test_help_has_an_example(capsys, word):
    code, out, _ = command(capsys, word, "--help")
    assert code == 0 and f"Example: swarm stake {word}" in " ".join(out.split())


def test_a_judging_deposit_goes_in_and_comes_back_when_the_longest_market_is_over(world, mine, capsys):
    who, swarm, delay = mine.identity.address, mine.swarm, 16 * 86_400 + 4 * 60
    code, err = refused(capsys, "judge", "unbond", "all", "--dry-run")
    assert code == 2 and "has no judging deposit" in err and "`swarm stake judge deposit` makes one" in err
    assert "has 1000.5 credits and is to stake 2000" in refused(capsys, "judge", "deposit", "2000", "--dry-run")[1]
    before = sent_by(world, who)
    told = value(capsys, "judge", "deposit", "50.5", "--dry-run")
    assert not told["sent"] and [call["call"] for call in told["calls"]] == ["credit.approve", "anchor.deposit"] and sent_by(world, who) == before
    told = value(capsys, "judge", "deposit", "50.5")
    assert told["sent"] and told["stake"]["deposit"] == "50.5" and "a proved fault" in told["note"] and not too_dear(told)
    assert world.chain.read("anchor", "accountOf", swarm.id, who).active == 505 * WEI // 10
    assert "50.5 credits, 51 are more" in refused(capsys, "judge", "unbond", "51")[1]
    value(capsys, "judge", "unbond", "20.5")
    (found,) = value(capsys, "judge", "show")
    assert (found["deposit"], found["unbonding"], found["withdrawable"], found["delay_s"]) == ("30", "20.5", "0", delay)
    assert 0 < found["releases_at"] - found["chain_time"] <= delay
    code, err = refused(capsys, "judge", "withdraw")
    assert code == 2 and "still locked until" in err and "run the same command in 16 d" in err
    world.skip(delay)
    assert "`swarm stake judge withdraw` first" in refused(capsys, "judge", "unbond", "all")[1]
    code, out, err = command(capsys, "judge", "withdraw")
    assert code == 0 and err == "" and re.search(r"pay 20\.5 credits to 0x\w{40}", out) and "deposited     30 credits; unbonding takes 16 d" in out
    assert balance(world, who) == 1000 * WEI + WEI // 2 - 30 * WEI
