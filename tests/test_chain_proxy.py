"""The door in front of the local chain: what passes, what does not, and the limits that hold for everyone."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest
from chains import running

from swarm import keys
from swarm.chain import filter, proxy
from swarm.chain.client import Chain
from swarm.chain.proxy import Proxy
from swarm.chain.rpc import Rpc, RpcError
from swarm.errors import ResourceError

# Every method that anvil 1.7.1 answers to with anything but "method not found" (found by asking for all names in its binary),
# and what other chains' programs have.
_ANVIL = """
anvil_addBalance anvil_autoImpersonateAccount anvil_dealERC20 anvil_dropAllTransactions anvil_dropTransaction anvil_dumpState anvil_getAutomine
anvil_getBlobByHash anvil_getBlobsByTransactionHash anvil_getGenesisTime anvil_getIntervalMining anvil_impersonateAccount
anvil_impersonateSignature anvil_increaseTime anvil_loadState anvil_metadata anvil_mine anvil_nodeInfo anvil_removeBlockTimestampInterval
anvil_removePoolTransactions anvil_reorg anvil_reset anvil_revert anvil_rollback anvil_setAutomine anvil_setBalance anvil_setBlockGasLimit
anvil_setBlockTimestampInterval anvil_setChainId anvil_setCode anvil_setCoinbase anvil_setERC20Allowance anvil_setFeeAmmLiquidity
anvil_setFeeToken anvil_setIntervalMining anvil_setLoggingEnabled anvil_setMinGasPrice anvil_setNextBlockBaseFeePerGas
anvil_setNextBlockTimestamp anvil_setNonce anvil_setRpcUrl anvil_setStorageAt anvil_setTime anvil_setValidatorFeeToken anvil_snapshot
anvil_stopImpersonatingAccount debug_codeByHash debug_dbGet debug_getRawTransaction debug_traceBlockByHash debug_traceBlockByNumber
debug_traceCall debug_traceTransaction erigon_getHeaderByNumber eth_accounts eth_blobBaseFee eth_coinbase eth_config eth_createAccessList
eth_fillTransaction eth_getAccount eth_getAccountInfo eth_getBlockReceipts eth_getBlockTransactionCountByNumber
eth_getBlockTransactionCountByHash eth_getFilterChanges eth_getFilterLogs eth_getProof eth_getRawTransactionByBlockNumberAndIndex
eth_getRawTransactionByHash eth_getStorageAt eth_getStorageValues eth_getTransactionByBlockNumberAndIndex eth_getTransactionBySenderAndNonce
eth_getUncleCountByBlockNumber eth_getWork eth_hashrate eth_networkId eth_newBlockFilter eth_newFilter eth_newPendingTransactionFilter
eth_protocolVersion eth_requestAccounts eth_sendRawTransactionSync eth_sendTransaction eth_sendTransactionSync eth_sendUnsignedTransaction
eth_sign eth_signTransaction eth_signTypedData eth_signTypedData_v3 eth_signTypedData_v4 eth_simulateV1 eth_submitHashrate eth_submitWork
eth_syncing eth_uninstallFilter evm_increaseTime evm_mine evm_mine_detailed evm_revert evm_setAccountNonce evm_setAutomine evm_setBlockGasLimit
evm_setIntervalMining evm_setNextBlockTimestamp evm_setTime evm_snapshot hardhat_autoImpersonateAccount hardhat_dealERC20
hardhat_dropAllTransactions hardhat_dropTransaction hardhat_getAutomine hardhat_impersonateAccount hardhat_metadata hardhat_mine hardhat_reset
hardhat_setBalance hardhat_setCode hardhat_setCoinbase hardhat_setLoggingEnabled hardhat_setMinGasPrice hardhat_setNextBlockBaseFeePerGas
hardhat_setNonce hardhat_setStorageAt hardhat_stopImpersonatingAccount net_listening ots_getApiLevel ots_getBlockDetails
ots_getBlockDetailsByHash ots_getBlockTransactions ots_getContractCreator ots_getInternalOperations ots_getTransactionBySenderAndNonce
ots_getTransactionError ots_hasCode ots_searchTransactionsAfter ots_searchTransactionsBefore ots_traceTransaction personal_sign trace_block
trace_filter trace_replayBlockTransactions trace_transaction txpool_content txpool_inspect txpool_status web3_sha3
"""
_OTHERS = """
eth_subscribe eth_unsubscribe eth_callMany eth_callBundle eth_resend eth_mining personal_sendTransaction personal_unlockAccount
personal_importRawKey anvil_deal anvil_setBlock anvil_mineDetailed anvil_enableTraces anvil_executeTransaction evm_addAccount
evm_setAccountBalance evm_setAccountCode evm_setAccountStorageAt hardhat_setPrevRandao hardhat_addCompilationResult hardhat_intervalMine
debug_setHead debug_getRawBlock trace_call trace_rawTransaction txpool_contentFrom wallet_sendTransaction wallet_sendCalls net_peerCount
rpc_modules admin_addPeer admin_nodeInfo admin_peers admin_startHTTP miner_start miner_stop clique_propose engine_newPayloadV1 les_serverInfo
db_putString shh_post ETH_CALL eth_call\x00 Eth_Call anvil_reset.eth_call eth_call,anvil_reset __class__
"""
ANVIL, OTHERS = _ANVIL.split(), _OTHERS.split()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("proxy")) as world:
        yield world


@pytest.fixture
def door(world):
    door = Proxy(world.anvil.url, fund=world.anvil.fund)
    door.start()
    yield door
    door.stop()


def post(door: Proxy, body: bytes, headers: dict[str, str] | None = None, method: str = "POST") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.request(method, "/", body, headers or {})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def ask(door: Proxy, value: object) -> object:
    return json.loads(post(door, json.dumps(value).encode())[1])


def state(world) -> tuple:
    """What the forbidden methods would change."""
    rpc = world.anvil.rpc
    place = world.link.contracts.court
    purse = keys.checksum(keys.address_of(world.anvil.purse))
    return rpc.call("eth_getBalance", place, "latest"), rpc.call("eth_getCode", place, "latest"), rpc.call("eth_getTransactionCount", purse, "latest")


@pytest.mark.parametrize("params", [[], [{}], ["0x1"], None])
def test_every_other_method_is_refused_and_changes_nothing(world, door, params):
    before, height = state(world), world.chain.head()
    full = ["0x" + "11" * 20, "0x1234"] if params is None else params
    for method in (*ANVIL, *OTHERS):
        answer = ask(door, {"jsonrpc": "2.0", "id": 1, "method": method, "params": full})
        assert answer["error"]["code"] == -32601 and "not served here" in answer["error"]["message"], method
    assert door.refused == len(ANVIL) + len(OTHERS) and state(world) == before
    assert world.chain.block_hash(height.number) == height.hash and 0 <= world.chain.head().time - height.time < 30


def test_the_refused_methods_are_the_ones_anvil_obeys(world):
    """The list means something: without the door each of these is answered (or refused for its arguments only)."""
    harmless = [method for method in ANVIL if method != "anvil_reset"]
    for method in harmless:
        try:
            world.anvil.rpc.call(method, {"nonsense": 1})
        except RpcError as error:
            assert error.code != -32601, method
    assert not set(ANVIL) & filter.METHODS


def test_a_client_works_through_the_door(world, door):
    chain = Chain(world.link.at(door.url))
    assert chain.check() == "commit-reveal" and chain.head().number >= world.chain.head().number - 1
    poor = keys.new_secret()  # gets gas at the door, sends its own transaction
    receipt = chain.send(poor, "credit", "faucet", 5)
    assert int(receipt["status"], 16) == 1 and chain.read("credit", "balanceOf", keys.address_of(poor)) == 5
    for method in ("eth_chainId", "eth_blockNumber", "eth_gasPrice", "eth_maxPriorityFeePerGas", "net_version", "web3_clientVersion"):
        assert chain.rpc.call(method) == world.anvil.rpc.call(method) or method == "eth_blockNumber"
    assert chain.rpc.call("eth_feeHistory", "0x4", "latest", [50])["oldestBlock"]
    assert chain.rpc.call("eth_getTransactionByHash", receipt["transactionHash"])["hash"] == receipt["transactionHash"]
    assert chain.rpc.call("eth_getBlockByHash", receipt["blockHash"], False)["hash"] == receipt["blockHash"]


CALL = {"to": "0x" + "11" * 20, "data": "0x"}
FORMS = [
    ("eth_call", [CALL, "latest", {"0x" + "11" * 20: {"code": "0x00"}}], "takes 1 to 2"),  # state overrides
    ("eth_call", [CALL, {"blockHash": "0x" + "11" * 32}], "another form"),
    ("eth_call", [{**CALL, "authorizationList": []}, "latest"], "another form"),
    ("eth_call", [{**CALL, "blobs": ["0x"]}, "latest"], "another form"),
    ("eth_call", [{**CALL, "gas": hex(filter.MAX_GAS + 1)}, "latest"], "another form"),
    ("eth_call", [{**CALL, "data": "0x" + "00" * 140_000}, "latest"], "another form"),
    ("eth_call", [{**CALL, "data": "0x0"}, "latest"], "another form"),
    ("eth_estimateGas", [CALL, "latest", {}], "takes 1 to 2"),
    ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": hex(filter.MAX_LOG_BLOCKS)}], "at most 10000"),
    ("eth_getLogs", [{"fromBlock": "earliest", "toBlock": hex(filter.MAX_LOG_BLOCKS)}], "at most 10000"),
    ("eth_getLogs", [{"fromBlock": "0x0", "address": ["0x" + "11" * 20] * 17}], "another form"),
    ("eth_getLogs", [{"topics": [["0x" + "11" * 32] * 65]}], "another form"),
    ("eth_getLogs", [{"blockHash": "0x" + "11" * 32, "fromBlock": "0x0"}], "another form"),
    ("eth_getLogs", [{"limit": 5}], "another form"),
    ("eth_getBalance", ["0x11", "latest"], "another form"),
    ("eth_getBalance", ["0x" + "11" * 20, 5], "another form"),
    ("eth_getBlockByNumber", ["0x" + "f" * 17, False], "another form"),
    ("eth_getBlockByNumber", ["latest", "true"], "another form"),
    ("eth_feeHistory", ["0x400", "latest", [50]], "another form"),
    ("eth_feeHistory", ["0x4", "latest", [50] * 9], "another form"),
    ("eth_sendRawTransaction", [{"from": "0x" + "11" * 20}], "another form"),
    ("eth_chainId", ["x"], "takes 0 to 0"),
    ("eth_chainId", {"a": 1}, "must be a list"),
    ("swarm_fund", [], "takes 1 to 1"),
    ("swarm_fund", ["0x" + "11" * 32], "another form"),
]


@pytest.mark.parametrize(("method", "params", "why"), FORMS)
def test_arguments_of_another_form_are_refused(door, method, params, why):
    error = ask(door, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})["error"]
    assert error["code"] == -32601 and why in error["message"] and door.refused == 1


def test_a_method_named_twice_is_the_one_that_was_checked(world, door):
    body = b'{"jsonrpc":"2.0","id":1,"method":"anvil_setCode","params":[],"method":"eth_chainId"}'
    assert json.loads(post(door, body)[1])["result"] == hex(world.anvil.chain_id)
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[],"method":"anvil_reset"}'
    assert "not served" in json.loads(post(door, body)[1])["error"]["message"]


def test_what_is_no_call_is_an_error(door):
    assert ask(door, 5)["error"]["code"] == ask(door, {"id": 1})["error"]["code"] == -32600
    assert ask(door, {"jsonrpc": "2.0", "id": {"a": 1}, "method": ["eth_chainId"]}) | {"error": 0} == {"jsonrpc": "2.0", "id": None, "error": 0}
    assert json.loads(post(door, b"\xff{")[1])["error"]["code"] == -32700
    assert json.loads(post(door, b"[" * 5000)[1])["error"]["code"] == -32700


def test_a_batch_is_bounded(door):
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    assert len(ask(door, [call] * proxy.MAX_BATCH)) == proxy.MAX_BATCH
    assert "at once" in ask(door, [call] * (proxy.MAX_BATCH + 1))["error"]["message"]
    assert "at once" in ask(door, [])["error"]["message"]
    mixed = ask(door, [call, call | {"method": "evm_mine"}])
    assert "result" in mixed[0] and "error" in mixed[1]


def test_a_request_is_bounded_in_bytes_and_must_be_a_post(door):
    assert post(door, b"", {"Content-Length": str(proxy.MAX_BODY + 1)})[0] == 413
    assert post(door, b"", method="GET")[0] == post(door, b"", method="OPTIONS")[0] == 400
    with socket.create_connection(("127.0.0.1", door.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nX: " + b"a" * (4 * proxy.MAX_HEAD))
        connection.settimeout(5)
        assert closed(connection)
    with socket.create_connection(("127.0.0.1", door.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")
        connection.settimeout(5)
        assert b" 400 " in connection.recv(1000)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has hung up."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_slow_request_is_cut_off(world, monkeypatch):
    monkeypatch.setattr(proxy, "IDLE_S", 0.3)
    monkeypatch.setattr(proxy, "READ_S", 0.3)
    door = Proxy(world.anvil.url)
    door.start()
    try:
        for sent in (b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"):
            with socket.create_connection(("127.0.0.1", door.port)) as connection:
                connection.sendall(sent)
                connection.settimeout(5)
                assert closed(connection)
    finally:
        door.stop()


def test_connections_of_one_address_are_bounded(door, monkeypatch):
    monkeypatch.setattr(proxy, "PER_ADDRESS", 3)
    monkeypatch.setattr(proxy, "_loopback", lambda address: False)
    held = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(3)]
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", door.port)) as one_more:
        one_more.settimeout(5)
        assert closed(one_more)
    for connection in held:
        connection.close()
    time.sleep(0.2)
    assert Rpc(door.url).call("eth_chainId")


def stranger(monkeypatch, world, **limits) -> Proxy:
    """A door with other limits, to which everyone is a stranger."""
    monkeypatch.setattr(proxy, "_loopback", lambda address: False)
    for name, value in limits.items():
        monkeypatch.setattr(proxy, name, value)
    door = Proxy(world.anvil.url)
    door.start()
    return door


def test_calls_of_one_address_are_bounded(world, monkeypatch):
    door = stranger(monkeypatch, world, BURST=10.0, RATE=0.5)
    client = Rpc(door.url)
    with pytest.raises(RpcError, match="calls a second"):
        for _ in range(12):
            client.call("eth_chainId")
    time.sleep(2.5)
    assert client.call("eth_chainId")
    door.stop()


def test_transactions_of_one_address_are_bounded(world, monkeypatch):
    door = stranger(monkeypatch, world, SENDS_AT_ONCE=2.0)
    client = Rpc(door.url)
    for said in ("ecode", "ecode", "transactions a second"):  # none of these can be decoded: a failed one counts
        with pytest.raises(RpcError, match=said):
            client.call("eth_sendRawTransaction", "0x1234")
    assert client.call("eth_chainId")
    door.stop()


def test_one_address_cannot_keep_the_whole_chain_busy(world, monkeypatch):
    door = stranger(monkeypatch, world, PER_ADDRESS_BUSY=2)
    endless = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x5b5f56", "gas": hex(filter.MAX_GAS)}, "latest"]}  # while True
    answers: list[dict] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(door, endless))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if "at once from one address" in answer["error"]["message"]]
    assert refused and len(refused) < 6 and Rpc(door.url).call("eth_chainId")
    door.stop()


def test_an_answer_that_is_too_large_is_refused(world, monkeypatch):
    monkeypatch.setattr(proxy, "MAX_ANSWER", 1000)
    door = Proxy(world.anvil.url)
    door.start()
    try:
        answer = ask(door, {"jsonrpc": "2.0", "id": 7, "method": "eth_getCode", "params": [world.link.contracts.court, "latest"]})
        assert answer["id"] == 7 and "more than 1000 bytes" in answer["error"]["message"]
    finally:
        door.stop()


def test_gas_is_given_a_bounded_number_of_times(world, door, monkeypatch):
    monkeypatch.setattr(proxy, "GRANTS", 2)
    rpc = Rpc(door.url)
    first = keys.checksum(keys.address_of(keys.new_secret()))
    assert rpc.call(filter.FUND, first) is True and int(rpc.call("eth_getBalance", first, "latest"), 16) == proxy.GRANT_WEI
    assert rpc.call(filter.FUND, first) is True and len(door._grants) == 1, "who has gas takes no grant"
    rpc.call(filter.FUND, "0x" + "22" * 20)
    with pytest.raises(RpcError, match="no gas is given"):
        rpc.call(filter.FUND, "0x" + "33" * 20)


def test_a_door_that_gives_no_gas_says_so(world):
    door = Proxy(world.anvil.url)
    door.start()
    try:
        with pytest.raises(RpcError, match="no gas is given"):
            Rpc(door.url).call(filter.FUND, "0x" + "44" * 20)
    finally:
        door.stop()


def test_a_taken_port_is_a_sentence(door):
    with pytest.raises(ResourceError, match="cannot listen"):
        Proxy("http://127.0.0.1:1", port=door.port).start()


def test_a_dead_chain_is_said_through_the_door():
    door = Proxy("http://127.0.0.1:1")
    door.start()
    try:
        with pytest.raises(RpcError, match="cannot be reached"):
            Rpc(door.url).call("eth_chainId")
    finally:
        door.stop()
