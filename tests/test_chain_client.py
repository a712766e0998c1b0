"""The client against real contracts: reads, refusals as sentences, what a wrong, dead or lying chain is answered with."""

from __future__ import annotations

import itertools
import json
import re
import socket
import threading
import time
from enum import IntEnum
from pathlib import Path

import pytest
from chains import BASE, CLASS, commitment, elsewhere, running

from swarm import keys
from swarm.chain import check, contracts, deploy, history, link, values
from swarm.chain.abi import raw
from swarm.chain.anvil import free_port
from swarm.chain.client import Chain
from swarm.chain.link import ChainLink
from swarm.chain.logs import Scanner
from swarm.chain.refusal import explain
from swarm.chain.rpc import AnswerTooLarge, Rpc, RpcError
from swarm.chain.sender import Sender
from swarm.chain.sentences import SENTENCES
from swarm.chain.values import WEI, header_of
from swarm.errors import ChainError, ChainRefused, InputError

ROLES = [*contracts.KINDS.values(), *contracts.BEACONS.values()]
INTERFACES = Path(contracts.__file__).parents[2] / "contracts/src/interfaces"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("client")) as world, world.at_once():
        yield world


@pytest.fixture(scope="module")
def swarm(world):
    return world.swarm()


@pytest.fixture(scope="module")
def member(world, swarm):
    return world.member(swarm)


# ---- reads and sends


def test_terms_members_and_time(world, swarm, member):
    assert swarm.terms.epoch == 60 and swarm.terms.faucet is True and swarm.terms.token == world.chain.places["credit"]
    assert swarm.record().base == BASE and swarm.record().number >= 1
    assert world.chain.read("registry", "keyOf", swarm.id, member.address, member.peer) == member.key
    found = swarm.member(member.key)
    assert (found.operator, found.session, found.swarm) == (member.address, keys.address_of(member.session), swarm.id)
    assert swarm.stake(member.key).active == 200 * WEI and getattr(swarm.stake(member.key), "class") == CLASS
    assert member.key in swarm.members()
    now = world.chain.head().time
    assert swarm.end(3) == world.chain.read("registry", "endOf", swarm.id, 3)
    assert swarm.epoch_at(now) == world.chain.read("registry", "epochAt", swarm.id, now) and swarm.epoch_at(0) == 0
    assert swarm.epoch_seed(0) is not None and swarm.epoch_seed(50) is None


def test_a_commitment_by_the_session_and_its_event(world, swarm, member):
    world.to_window(swarm, 0)
    world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    (event,) = (event for event in Scanner(world.chain, ["ledger"]).scan().new if event.name == "Committed" and event.values["key"] == member.key)
    assert event.values["first"] == BASE and event.values["steps"] == 10 and event.values["late"] is False
    header = vars(header_of(event.values))
    assert world.chain.read("ledger", "hashOf", header) == history.header_hash(event.values)
    assert world.chain.read("ledger", "isCommitted", header) is True
    case = swarm.case(member.key, 0)
    assert case.phase == values.Phase.COMMIT and case.finalized is False
    with pytest.raises(ChainRefused, match="epoch 0 was committed") as error:
        world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    assert error.value.name == "EpochTaken" and error.value.values == {"epoch": 0, "next": 1}


def test_refusals_are_sentences_with_numbers(world, swarm, member):
    send = world.chain.send
    with pytest.raises(ChainRefused, match=r"it is chain time \d+, and this is allowed from \d+ to \d+") as error:
        send(member.session, "ledger", "commit", *commitment(member, 9))
    assert error.value.name == "WindowClosed" and error.value.exit_code == 2
    with pytest.raises(ChainRefused, match=r"may take 0 credits and needs 0.000000000000000001"):
        send(member.secret, "vault", "stake", member.key, 1, CLASS)
    with pytest.raises(ChainRefused, match="is not the operator") as error:
        send(member.session, "vault", "unbond", member.key, 5)
    assert "operator's key" in error.value.hint and member.agent in str(error.value)
    with pytest.raises(ChainRefused, match="in all|of the faucet|at once"):
        send(member.secret, "credit", "faucet", 10**30)
    with pytest.raises(ChainRefused, match="is on this chain already"):
        world.chain.simulate("registry", "createSwarm", (swarm.id, bytes(32), bytes(32), swarm.terms, b""), member.agent)
    with pytest.raises(ChainRefused, match="term epoch is 1, the limit is 10"):
        world.swarm(epoch=1)


def test_arguments_that_do_not_fit_are_named(world, member):
    with pytest.raises(InputError, match="no function commit takes 2 arguments") as error:
        world.chain.read("ledger", "commit", 1, 2)
    assert "it takes 7" in error.value.hint
    with pytest.raises(InputError, match="key has 5 bytes"):
        world.chain.read("ledger", "memberOf", b"short")
    with pytest.raises(InputError, match="do not fit") as error:
        world.chain.calldata("ledger", "commit", (member.key, -1, 2, 3, bytes(32), bytes(32), bytes(32)))
    assert "uint32 epoch" in error.value.hint


def test_the_abi_takes_what_json_keeps():
    abi = contracts.artifact("ParticipationLedger").abi
    args = (b"\1" * 32, 2, 3, 4, b"\5" * 32, b"\6" * 32, b"\7" * 32)
    kept = ["0x" + each.hex() if isinstance(each, bytes) else each for each in args]
    assert abi.call("commit", args) == abi.call("commit", kept)
    header = dict(key=args[0], epoch=1, steps=2, units=3, root=args[4], first=args[5], last=args[6], data=bytes(32))
    assert abi.call("settle", [header]) == abi.call("settle", [list(header.values())])


# ---- every error has a sentence


@pytest.mark.parametrize("name", ROLES)
def test_every_error_of_the_abis_has_a_sentence(name):
    import eth_abi

    abi = contracts.artifact(name).abi
    for chosen, entry in abi.errors.items():
        assert entry["name"] in SENTENCES, f"{name}.{entry['name']} has no sentence"
        sample = {"bytes32": b"\x12" * 32, "bytes8": b"\x12" * 8, "address": "0x" + "34" * 20, "string": "grace"}
        sent = [sample.get(each["type"], 3) for each in entry["inputs"]]
        refusal = explain(chosen + eth_abi.encode([each["type"] for each in entry["inputs"]], sent), [abi])
        assert (
            refusal.name == entry["name"]
            and refusal.hint
            and "{" not in str(refusal)
            and set(refusal.values) == {each["name"] for each in entry["inputs"]}
        )


def test_refusals_without_a_name_are_said_too():
    assert "says: 'no'" in str(explain(_error_string("no"), []))
    assert "an overflow" in str(explain(bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big"), []))
    assert "without a reason" in str(explain(b"", [])) and "0xdeadbeef" in str(explain(bytes.fromhex("deadbeef"), []))
    assert "0x08c379a0" in str(explain(bytes.fromhex("08c379a0") + b"\xff" * 40, []))


def _error_string(text: str) -> bytes:
    import eth_abi

    return bytes.fromhex("08c379a0") + eth_abi.encode(["string"], [text])


def test_the_enums_are_those_of_the_contracts():
    found = {}
    for path in INTERFACES.glob("*.sol"):
        for name, body in re.findall(r"enum (\w+) \{(.*?)\}", path.read_text(), re.S):
            words = re.sub(r"//[^\n]*", "", body)
            found[name] = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word.strip()).upper() for word in words.split(",") if word.strip()]
    ours = {name: [each.name for each in kind] for name, kind in vars(values).items() if isinstance(kind, type) and issubclass(kind, IntEnum)}
    ours.pop("IntEnum")
    assert ours == {name: found[name] for name in ours} and set(found) == set(ours)


# ---- the right chain and the right contracts


def test_a_wrong_address_is_named(world):
    empty = "0x" + "77" * 20
    with pytest.raises(ChainRefused, match=f"no contract at .*{empty[2:8]}.*ledger") as error:
        Chain(elsewhere(world.link, ledger=empty)).check()
    assert "--contracts" in error.value.hint
    with pytest.raises(ChainRefused, match="is not the ledger of this version"):
        Chain(elsewhere(world.link, ledger=empty)).read("ledger", "unitsOf", bytes(32))


def test_contracts_in_each_others_place_are_another_version(world):
    swapped = elsewhere(world.link, ledger=world.link.contracts.vault, vault=world.link.contracts.ledger)
    with pytest.raises(ChainRefused, match="another version"):
        Chain(swapped).check()


def test_one_changed_byte_of_code_is_found(world):
    place = world.link.contracts.ledger
    code = bytearray(raw(world.anvil.rpc.call("eth_getCode", place, "latest")))
    free = next(at for at in range(len(code)) if not any(spot <= at < spot + 32 for spot in check._places(contracts.artifact("ParticipationLedger"))))
    for at, said in ((free, "another version"), (check._places(contracts.artifact("ParticipationLedger"))[0] + 31, "wired to other")):
        changed = bytearray(code)
        changed[at] ^= 1
        world.anvil.rpc.call("anvil_setCode", place, "0x" + changed.hex())
        with pytest.raises(ChainRefused, match=said):
            world.chain.check()
    world.anvil.rpc.call("anvil_setCode", place, "0x" + code.hex())
    assert world.chain.check() == "commit-reveal"


def test_wiring_to_a_second_set_is_found(world):
    other = deploy.deploy(world.anvil.rpc, world.account(100), embedded=True)
    assert Chain(other).check()
    for role in ("registry", "ledger", "vault", "court", "beacon", "anchor", "pioneer", "distributor"):
        with pytest.raises(ChainRefused, match="wired to other contracts"):
            Chain(elsewhere(world.link, **{role: getattr(other.contracts, role)})).check()


def test_a_court_with_two_of_its_addresses_exchanged_in_one_place_is_found(world):
    made = contracts.artifact("AuditCourt")
    assert any(len(group) > 1 for group in made.immutables), "the artifacts do not tell which places belong to one immutable"
    place = world.link.contracts.court
    code = raw(world.anvil.rpc.call("eth_getCode", place, "latest"))
    group = max(made.immutables, key=len)
    changed = bytearray(code)
    changed[group[-1] + 12 : group[-1] + 32] = next(each for each in world.chain.places.values() if each != code[group[-1] + 12 : group[-1] + 32])
    world.anvil.rpc.call("anvil_setCode", place, "0x" + changed.hex())
    with pytest.raises(ChainRefused, match="wired to other"):
        world.chain.check()
    world.anvil.rpc.call("anvil_setCode", place, "0x" + code.hex())


def test_any_erc20_may_be_the_token(world):
    other = deploy.deploy(world.anvil.rpc, world.account(100), embedded=True)
    assert Chain(elsewhere(world.link, credit=other.contracts.registry)).check() == "commit-reveal"  # not Credit's code: its users judge it


def test_another_chain_is_refused(world):
    with pytest.raises(ChainRefused, match=f"is {world.link.chain_id}, expected 7"):
        Chain(ChainLink.model_validate(world.link.model_dump() | {"chain_id": 7})).check()


@pytest.mark.parametrize("kind", ["block-hash"])
def test_other_beacons_are_known(world, kind):
    found = deploy.deploy(world.anvil.rpc, world.account(100), beacon=kind, embedded=True)
    assert Chain(found).check() == Chain(found).beacon_kind == kind


def test_a_broken_off_deployment_is_carried_on(world):
    secret = world.account(100)
    plan = deploy.plan(world.anvil.rpc, keys.address_of(secret))
    assert plan.first == 0 and plan.cost > 0 and set(plan.places) == set(contracts.ORDER)
    first = Sender(world.anvil.rpc, world.link.chain_id, secret)
    first.broadcast(first.launch("", contracts.creation("credit", plan.places)))  # then it was killed
    link = deploy.deploy(world.anvil.rpc, secret, first=0, embedded=True)
    assert link.contracts.places == plan.places
    again = deploy.deploy(world.anvil.rpc, secret, first=0, embedded=True)
    assert again == link and first.count("latest") == len(contracts.ORDER)
    spent = world.account(100)
    world.chain.send(spent, "credit", "faucet", 1)
    with pytest.raises(ChainRefused, match="something else than credit"):
        deploy.deploy(world.anvil.rpc, spent, first=0)


def test_gas_of_a_deployment_is_enough_without_asking(world):
    """Where the chain cannot estimate (the court before its ledger is mined), arithmetic must not fall short."""
    plan = deploy.plan(world.anvil.rpc, keys.address_of(world.anvil.purse), first=0)
    block = world.anvil.rpc.call("eth_getBlockByNumber", "earliest", False)
    assert max(plan.gas.values()) < int(block["gasLimit"], 16) / 3, "a contract that hardly fits a block"


# ---- the link


def test_a_link_goes_through_file_and_invite(world, tmp_path):
    path = world.link.save(tmp_path)
    assert link.load(tmp_path) == link.load(path) == world.link and path.stat().st_mode & 0o777 == 0o600
    assert ChainLink.from_compact(json.loads(json.dumps(world.link.compact()[:2])) + world.link.compact()[2:]) == world.link
    assert world.link.at("http://10.0.0.1:99").contracts == world.link.contracts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "ftp://x"}, "not the address of a chain"),
        ({"url": "http://x\n"}, "not the address of a chain"),
        ({"url": "http://" + "x" * 600}, "not the address of a chain"),
        ({"url": "http://x:99999"}, "not the address of a chain"),
        ({"chain_id": 0}, "chain_id"),
        ({"since": -1}, "since"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_link_is_a_sentence(world, tmp_path, change, said):
    (tmp_path / link.FILE).write_text(json.dumps(world.link.model_dump() | change))
    with pytest.raises(InputError, match=said):
        link.load(tmp_path)


def test_an_address_with_a_typing_error_is_found(world):
    court = world.link.contracts.court
    at = next(index for index, letter in enumerate(court) if letter in "abcdef" and index > 1)
    with pytest.raises(ValueError, match="typing error"):
        elsewhere(world.link, court=court[:at] + court[at].upper() + court[at + 1 :])
    assert elsewhere(world.link, court=court.lower()).contracts.court == court


@pytest.mark.parametrize(
    "value",
    [None, [], [1, 2, 3, 4, 5], ["http://x", 1, b"", 0, True], ["http://x", True, bytes(120), 0, True], ["gopher://x", 1, bytes(120), 0, True]],
)
def test_a_damaged_invite_is_a_sentence(value):
    with pytest.raises(InputError, match="invite"):
        ChainLink.from_compact(value)


def test_a_missing_or_large_file_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        link.load(tmp_path)
    (tmp_path / link.FILE).write_bytes(b" " * 5000)
    with pytest.raises(InputError, match="more than 4096 bytes"):
        link.load(tmp_path)


def test_chains_with_real_money_need_a_word(world):
    for chain in (1, 10, 8453, 42161):
        with pytest.raises(ChainRefused, match="not been audited") as error:
            link.check_unaudited(chain, accepted=False)
        assert "--i-accept-unaudited" in error.value.hint
        link.check_unaudited(chain, accepted=True)
    link.check_unaudited(world.link.chain_id, accepted=False)
    link.check_unaudited(11155111, accepted=False)  # Sepolia


def test_deploying_to_real_money_is_refused_before_anything_is_sent(world):
    with answering(lambda call: "0x1") as url, pytest.raises(ChainRefused, match="Ethereum"):
        deploy.deploy(Rpc(url), keys.new_secret())


# ---- dead, slow and lying chains


class answering:
    """A server that answers each call with `result(call)`, or with raw bytes where that is bytes."""

    def __init__(self, result, drip_s: float = 0.0):
        self._result, self._drip = result, drip_s
        self._server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(self, *_) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            try:
                while head := list(itertools.takewhile(lambda line: line not in (b"", b"\r\n"), iter(file.readline, None))):
                    length = next(int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length"))
                    self._answer(connection, json.loads(file.read(length)))
            except (OSError, StopIteration, ValueError):
                return

    def _answer(self, connection: socket.socket, call: dict) -> None:
        result = self._result(call)
        body = result if isinstance(result, bytes) else json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 1 if self._drip else len(body)):
            connection.sendall(body[at : at + (1 if self._drip else len(body))])
            time.sleep(self._drip)


def test_a_chain_that_is_not_there(world):
    dead = Chain(world.link.at(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(ChainError, match=r"127.0.0.1:\d+ cannot be reached \(Connection refused\)") as error:
        dead.head()
    assert error.value.exit_code == 4 and error.value.hint


def test_the_key_in_an_address_is_never_shown():
    with pytest.raises(ChainError) as error:
        Rpc(f"http://127.0.0.1:{free_port()}/v2/secret-key?token=abc").call("eth_chainId")
    assert "secret" not in str(error.value) + error.value.hint and "abc" not in str(error.value)


def test_a_chain_that_never_answers_or_drips_is_given_up_in_time():
    for drip, answer in ((0.0, None), (0.2, "0x" + "1" * 500)):

        def result(call, answer=answer):
            if answer is None:
                time.sleep(5)
            return answer

        with answering(result, drip) as url:
            began = time.monotonic()
            with pytest.raises(ChainError, match="no answer in time"):
                Rpc(url, timeout_s=1.0).call("eth_chainId")
            assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"{}", b"[]", b"\xff\xfe", b'{"id":1' + b'[{"a":' * 400])
def test_what_is_no_json_rpc_is_said(answer):
    with answering(lambda call: answer) as url, pytest.raises(ChainError, match="does not speak JSON-RPC"):
        Rpc(url).call("eth_chainId")


def test_an_answer_to_another_call_is_refused():
    with answering(lambda call: b'{"id":77,"result":"0x1"}') as url, pytest.raises(ChainError, match="another call's answer"):
        Rpc(url).call("eth_chainId")


def test_an_oversize_answer_is_cut_off():
    with answering(lambda call: "0x" + "00" * 50_000) as url, pytest.raises(AnswerTooLarge, match="more than 10000 bytes"):
        Rpc(url, max_bytes=10_000).call("eth_getCode")


def test_an_errors_words_are_made_plain():
    said = json.dumps({"id": 1, "error": {"code": "x", "message": "bad\x1b[31m\n" + "y" * 1000}}).encode()
    with answering(lambda call: said) as url, pytest.raises(RpcError) as error:
        Rpc(url).call("eth_chainId")
    assert "\x1b" not in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) <= 300 and error.value.code == 0


def test_a_kept_connection_that_was_closed_is_opened_again(world):
    client = Rpc(world.anvil.url)
    client.call("eth_chainId")
    world.anvil.stop()
    world.anvil.start()
    assert client.call("eth_chainId") == hex(world.link.chain_id)


def test_a_view_that_answers_nonsense_is_refused(world):
    def result(call):
        return {"eth_call": "0x1234", "eth_getBlockByNumber": {"number": "0x1"}}.get(call["method"])

    with answering(result) as url:
        lying = Chain(world.link.at(url))
        with pytest.raises(ChainRefused, match="is not the ledger"):
            lying.read("ledger", "memberOf", bytes(32))
        with pytest.raises(ChainError, match="no newest block"):
            lying.head()


# ---- events


def test_the_scanner_reads_in_pieces_where_a_chain_bounds_them(world, swarm, member):
    whole = Scanner(world.chain).scan().new
    assert whole
    small = Scanner(world.chain)
    ask, asked = world.chain.rpc.call, []

    def bounded(method, *params):
        if method == "eth_getLogs":
            asked.append(int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1)
            if asked[-1] > 3:
                raise RpcError(-32005, "query returned more than 10000 results")
        return ask(method, *params)

    world.chain.rpc.call = bounded
    try:
        assert small.scan().new[: len(whole)] == whole and max(asked[-4:]) <= 3
    finally:
        del world.chain.rpc.call


def test_the_scanners_cursor_survives_and_reports_each_event_once(world, swarm, tmp_path):
    scanner = Scanner(world.chain, path=tmp_path / "cursor.json")
    assert scanner.scan().new
    scanner.save()
    again = Scanner(world.chain, path=tmp_path / "cursor.json")
    assert again.scan().new == []
    late = world.member(swarm, stake=0)
    found = again.scan()
    assert [event.name for event in found.new] == ["PeerRegistered", "Entered"] and found.new[0].values["key"] == late.key and not found.gone
    assert again.scan().new == []


def test_a_reorg_of_a_few_blocks_is_followed(world, swarm, tmp_path):
    scanner = Scanner(world.chain)
    scanner.scan()
    snapshot = world.anvil.rpc.call("evm_snapshot")
    lost = world.member(swarm, stake=0)
    found = scanner.scan()
    assert lost.key in [event.values.get("key") for event in found.new]
    world.anvil.rpc.call("evm_revert", snapshot)
    kept = world.member(swarm, stake=0)
    world.mine(3)
    found = scanner.scan()
    assert kept.key in [event.values.get("key") for event in found.new] and lost.key not in [event.values.get("key") for event in found.new]
    assert len(found.gone) == 2, "both events of the lost blocks are reported as gone"


def test_damaged_events_are_a_chain_error(world):
    topic = contracts.artifact("SwarmRegistry").abi.topic("SessionChanged")
    log = {"address": world.link.contracts.registry, "topics": [topic, "0x" + "11" * 32], "data": "0x12"}

    def result(call):
        block = {"number": "0x5", "timestamp": "0x5", "hash": "0x" + "11" * 32}
        return {"eth_getLogs": [log], "eth_getBlockByNumber": block, "eth_call": "0x"}.get(call["method"])

    with answering(result) as url, pytest.raises(ChainError, match="damaged events"):
        Scanner(Chain(world.link.at(url)), ["registry"]).scan()
