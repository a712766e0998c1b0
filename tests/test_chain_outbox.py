"""What must be sent is sent once: through kills of the chain and of the process, lost seconds, re-orgs, foreign transactions, empty accounts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from chains import Member, World, commitment, running

from swarm import keys
from swarm.chain import outbox, sender
from swarm.chain.client import Chain, Swarm
from swarm.chain.filter import FUND
from swarm.chain.history import History
from swarm.chain.logs import Scanner
from swarm.chain.outbox import Goal, Intent, Outbox
from swarm.chain.rpc import RpcError
from swarm.chain.values import WEI
from swarm.errors import ChainRefused, InputError, StateError

FAR = 2**40  # a deadline that does not come


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("outbox")) as world:
        yield world


@pytest.fixture(autouse=True)
def short_depth(world, monkeypatch):
    monkeypatch.setattr(world.chain, "depth", 3)


@pytest.fixture
def swarm(world):
    return world.swarm()


@pytest.fixture
def member(world, swarm):
    return world.member(swarm)


def commit(member: Member, epoch: int, deadline: int = FAR, goal: bool = True) -> Intent:
    reached = Goal(contract="ledger", function="memberOf", args=[member.key], field="next", op="gt", value=epoch)
    args = list(commitment(member, epoch))
    place = dict(contract="ledger", function="commit", account=member.agent, lane="commit")
    return Intent(id=f"commit:{epoch}", args=args, deadline=deadline, goal=reached if goal else None, **place)


def pump(box: Outbox, until, timeout_s: float = 20.0) -> list[tuple[str, str]]:
    """Pump until a condition holds; every change of state on the way."""
    end, moves = time.monotonic() + timeout_s, []
    while time.monotonic() < end:
        moves += [(intent.id, intent.state) for intent in box.pump()]
        if until():
            return moves
        if all(intent.state in ("flying", "mined") for intent in box._file.intents):
            box.chain.rpc.call("evm_mine")  # nothing but blocks is waited for
        time.sleep(0.1)
    raise AssertionError(f"not in {timeout_s} s: {moves}, trouble {box.trouble!r}, {box.waiting}")


def state(box: Outbox, number: int = 0) -> str:
    everything = [*box._file.outcomes, *box._file.intents]
    return everything[number].state


def commitments(world: World, member: Member) -> list[int]:
    """Epochs committed, by events: each once."""
    return [
        event.values["epoch"]
        for event in Scanner(world.chain, ["ledger"]).scan().new
        if event.name == "Committed" and event.values["key"] == member.key
    ]


def test_an_intent_is_sent_once_and_done_when_it_is_deep(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    assert box.add(commit(member, 0)) is True and box.add(commit(member, 0)) is False
    moves = pump(box, lambda: state(box) == "done")
    assert moves == [("commit:0", "flying"), ("commit:0", "mined"), ("commit:0", "done")]
    assert box.waiting == [] and box.outcomes[-1].transaction and box.trouble == ""
    assert box.add(commit(member, 0)) is False, "what was done is known"
    assert commitments(world, member) == [0] and world.chain.sender(member.session).count("latest") == 1


def test_it_waits_for_its_window_and_keeps_the_order_of_a_lane(world, swarm, member, tmp_path):
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0))
    box.add(commit(member, 1))
    box.add(Intent(id="other", contract="vault", function="pause", args=[member.key], account=member.agent, deadline=FAR, lane="other"))
    pump(box, lambda: state(box, 2) == "mined")  # another lane does not wait
    assert [state(box, 0), state(box, 1)] == ["waiting", "waiting"] and "allowed from" in box.waiting[0].why
    world.to_window(swarm, 1)  # the window of epoch 0 is over: 1 must not pass 0 by itself
    box.pump()
    assert [state(box, 0), state(box, 1)] == ["waiting", "waiting"] and commitments(world, member) == []
    box._file.intents[0].deadline = world.chain.head().time - 1
    pump(box, lambda: box.outcomes and box.outcomes[-1].state == "dropped")
    assert "not done by chain time" in box.outcomes[-1].why and "allowed from" in box.outcomes[-1].why
    pump(box, lambda: commitments(world, member) == [1])


def test_what_is_done_already_is_not_sent(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    with world.at_once():
        world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0))
    assert [(intent.state, intent.why) for intent in box.pump()] == [("mined", "it was done already")]
    assert world.chain.sender(member.session).count("pending") == 1


def test_a_refusal_that_will_stay_is_dropped_at_once(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    with world.at_once():
        world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0, goal=False))
    box.pump()
    assert box.outcomes[-1].state == "dropped" and "was committed" in box.outcomes[-1].why


def pay(secret: bytes, target: str, number: int, wei: int = 1) -> Intent:
    """A transfer: it can be doubled, unlike a commitment, and has no goal: the hardest case."""
    account = keys.checksum(keys.address_of(secret))
    return Intent(id=f"{target}:{number}", contract="credit", function="transfer", args=[target, wei], account=account, deadline=FAR)


def paid(world: World, target: str) -> int:
    return world.chain.read("credit", "balanceOf", bytes.fromhex(target[2:]))


@pytest.fixture
def giver(world):
    secret = world.account()
    with world.at_once():
        world.chain.send(secret, "credit", "faucet", 100)
    return secret


def test_a_chain_killed_before_the_transaction_was_mined(world, giver, tmp_path):
    target = keys.checksum(os.urandom(20))
    world.dumped()
    box = Outbox(tmp_path / "outbox.json", world.chain, [giver])
    box.add(pay(giver, target, 0))
    box.pump()
    assert state(box) == "flying"
    world.kill()
    assert box.pump() == [] and "cannot be reached" in box.trouble and state(box) == "flying"
    world.restart()
    pump(box, lambda: state(box) == "done")
    assert paid(world, target) == 1 and box.trouble == ""


def test_a_chain_killed_after_the_transaction_was_mined_but_not_dumped(world, giver, tmp_path):
    target = keys.checksum(os.urandom(20))
    saved = world.dumped()
    box = Outbox(tmp_path / "outbox.json", world.chain, [giver])
    box.add(pay(giver, target, 0))
    pump(box, lambda: state(box) == "mined")
    box.pump()
    assert state(box) == "mined", "it is not done before it is deep"
    world.kill()
    (world.anvil.folder / "state.json").write_bytes(saved)  # the dump of before: its seconds are lost
    world.restart()
    assert paid(world, target) == 0 and world.chain.sender(giver).count("latest") == 1
    moves = pump(box, lambda: state(box) == "done")
    assert moves[0] == (f"{target}:0", "flying") and paid(world, target) == 1
    assert world.chain.sender(giver).count("latest") == 2


def test_commitments_survive_a_kill_in_their_window(world, tmp_path):
    """Done-when 5, in real time: a chain killed -9 in mid-epoch with commitments of three peers under way."""
    swarm = world.swarm(epoch=10, grace=9, ring=64)
    members = [world.member(swarm) for _ in range(3)]
    boxes = [Outbox(tmp_path / f"{index}.json", world.chain, [member.session]) for index, member in enumerate(members)]
    for box, member in zip(boxes, members, strict=True):
        box.add(commit(member, 0))
    deadline = time.monotonic() + 25
    while not any(state(box) == "flying" for box in boxes) and time.monotonic() < deadline:
        for box in boxes:
            box.pump()
        time.sleep(0.05)
    world.kill()
    for box in boxes:
        box.pump()
    world.restart()
    for box, member in zip(boxes, members, strict=True):
        pump(box, lambda box=box: state(box) == "done")
        assert commitments(world, member) == [0] and world.chain.sender(member.session).count("latest") == 1


def test_many_kills_in_the_middle_of_sending_lose_and_double_nothing(world, tmp_path):
    """Done-when 5: transactions of several accounts in flight, chain and process killed at odd moments, each is mined exactly once."""
    givers = [world.account() for _ in range(4)]
    targets = [keys.checksum(os.urandom(20)) for _ in givers]
    with world.at_once():
        for secret in givers:
            world.chain.send(secret, "credit", "faucet", 100)
    world.dumped()
    box = Outbox(tmp_path / "outbox.json", world.chain, givers)
    for secret, target in zip(givers, targets, strict=True):
        for number in range(3):
            box.add(pay(secret, target, number))
    for wait in (0.35, 1.1, 0.75):
        end = time.monotonic() + wait
        while time.monotonic() < end:
            box.pump()
            time.sleep(0.05)
        world.kill()
        box.pump()
        world.restart()
        box = Outbox(tmp_path / "outbox.json", world.chain, givers)
    pump(box, lambda: not box._file.intents, 60)
    assert [paid(world, target) for target in targets] == [3] * 4
    assert {intent.state for intent in box.outcomes} == {"done"} and len(box.outcomes) == 12


@pytest.mark.parametrize("line", ["before saving", "after saving", "after sending"])
def test_a_process_killed_at_any_line_neither_loses_nor_doubles(world, giver, tmp_path, line):
    path, target = tmp_path / "outbox.json", keys.checksum(os.urandom(20))
    Outbox(path, world.chain, [giver]).add(pay(giver, target, 0, 7))
    world.link.save(tmp_path)
    (tmp_path / "key").write_bytes(giver)
    die = "os.kill(os.getpid(), signal.SIGKILL)"
    code = "import os, signal, sys\nfrom pathlib import Path\nfrom swarm.chain import link, outbox, sender\nfrom swarm.chain.client import Chain\n"
    code += "folder = Path(sys.argv[1])\nbox = outbox.Outbox(folder / 'outbox.json', Chain(link.load(folder)), [(folder / 'key').read_bytes()])\n"
    code += "send, launch = sender.Sender.broadcast, sender.Sender.launch\n"
    code += {
        "before saving": f"def cut(self, *args, **more):\n    launch(self, *args, **more)\n    {die}\nsender.Sender.launch = cut\n",
        "after saving": f"def cut(self, flight):\n    {die}\nsender.Sender.broadcast = cut\n",
        "after sending": f"def cut(self, flight):\n    send(self, flight)\n    {die}\nsender.Sender.broadcast = cut\n",
    }[line]
    done = subprocess.run([sys.executable, "-c", code + "box.pump()", str(tmp_path)], timeout=60, cwd=Path(outbox.__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    box = Outbox(path, world.chain, [giver])
    assert state(box) == ("waiting" if line == "before saving" else "flying")
    pump(box, lambda: state(box) == "done")
    assert paid(world, target) == 7


def test_a_foreign_transaction_in_its_place_is_noticed(world, swarm, member, tmp_path):
    """The same key is used elsewhere: the flight's place is taken, another one is begun, and only then."""
    world.to_window(swarm, 0)
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0))
    box._send = lambda *args: None  # signed and kept, but never sent
    box.pump()
    del box._send
    other = world.chain.sender(member.session)
    with world.at_once():
        other.run(other.address, b"", 1)
    moves = pump(box, lambda: state(box) == "done")
    assert ("commit:0", "waiting") in moves and commitments(world, member) == [0] and other.count("latest") == 2


def test_a_receipt_that_comes_late_doubles_nothing(world, giver, tmp_path, monkeypatch):
    """A busy chain counts a transaction before it shows its receipt: that is no sign of another one in its place."""
    target = keys.checksum(os.urandom(20))
    call, late = world.chain.rpc.call, [6]

    def slow(method, *params):
        found = call(method, *params)
        if method == "eth_getTransactionReceipt" and found and late[0]:
            late[0] -= 1
            return None
        return found

    monkeypatch.setattr(world.chain.rpc, "call", slow)
    box = Outbox(tmp_path / "outbox.json", world.chain, [giver])
    box.add(pay(giver, target, 0))
    box.pump()
    world.mine()
    while late[0]:
        box.pump()
    pump(box, lambda: state(box) == "done")
    assert paid(world, target) == 1 and world.chain.sender(giver).count("latest") == 2


def test_a_place_behind_lost_transactions_is_reached(world, swarm, member, tmp_path, monkeypatch):
    """A restarted chain has forgotten earlier transactions of the account that nobody sends again."""
    monkeypatch.setattr(sender, "AGAIN_S", 0.2)
    monkeypatch.setattr(sender, "GAP_S", 0.5)
    world.to_window(swarm, 0)
    sends = world.chain.sender(member.session)
    flight = sends.launch(world.chain.address("ledger"), world.chain.calldata("ledger", "commit", commitment(member, 0)), gas=200_000, nonce=2)
    sends.broadcast(flight)
    end = time.monotonic() + 15
    while (found := sends.look(flight)) is True and time.monotonic() < end:
        time.sleep(0.1)
    assert int(found["status"], 16) == 1 and sends.count("latest") == 3 and commitments(world, member) == [0]


def test_a_transaction_that_pays_too_little_pays_more(world, swarm, member, monkeypatch):
    monkeypatch.setattr(sender, "AGAIN_S", 0.2)
    monkeypatch.setattr(sender, "BUMP_S", 0.5)
    sends = world.chain.sender(world.account())
    monkeypatch.setattr(sends, "_fees", lambda: (8, 0))  # below the base fee: it is not mined
    flight = sends.launch(sends.address, b"", 1)
    sends.broadcast(flight)
    time.sleep(0.6)
    monkeypatch.undo()
    monkeypatch.setattr(sender, "AGAIN_S", 0.2)
    monkeypatch.setattr(sender, "BUMP_S", 0.5)
    end = time.monotonic() + 10
    while (found := sends.look(flight)) is True and time.monotonic() < end:
        time.sleep(0.1)
    assert int(found["status"], 16) == 1 and len(flight.raws) >= 2 and sends.count("latest") == 1


def test_a_wrong_nonce_is_put_right(world):
    sends = world.chain.sender(world.account())
    with world.at_once():
        sends.run(sends.address, b"")
    old = sends.launch(sends.address, b"", 1, nonce=0)
    sends.broadcast(old)  # nonce too low: no error, but
    assert sends.look(old) is True, "its receipt may be late"
    world.mine(2)
    assert sends.look(old) is False
    with world.at_once():
        assert sends.run(sends.address, b"")["status"] == "0x1" and sends.count("latest") == 2


def test_an_empty_account_says_how_to_fund_it(world, swarm, member, tmp_path):
    poor = keys.new_secret()
    with pytest.raises(ChainRefused, match=r"has 0 of the coin of chain \d+ and needs 0\.\d+ for gas") as error:
        world.chain.send(poor, "credit", "faucet", 1)
    address = keys.checksum(keys.address_of(poor))
    assert address in error.value.hint and error.value.name == "BalanceTooLow"
    box = Outbox(tmp_path / "outbox.json", world.chain, [poor])
    box.add(Intent(id="x", contract="credit", function="faucet", args=[1], account=address, deadline=FAR))
    assert box.pump() == [] and "needs" in box.trouble and address in box.trouble and state(box) == "waiting"
    world.anvil.fund(keys.address_of(poor), WEI)
    pump(box, lambda: state(box) == "mined")
    assert box.trouble == ""


def test_an_empty_account_does_not_stop_the_others(world, giver, tmp_path):
    poor, target = keys.new_secret(), keys.checksum(os.urandom(20))
    box = Outbox(tmp_path / "outbox.json", world.chain, [poor, giver])
    account = keys.checksum(keys.address_of(poor))
    box.add(Intent(id="x", contract="credit", function="faucet", args=[1], account=account, deadline=FAR))
    box.add(pay(giver, target, 0))
    box.pump()
    assert [state(box, 0), state(box, 1)] == ["waiting", "flying"] and account in box.trouble


def test_two_hands_on_one_key_both_get_through(world, giver):
    """A command line and a node send for one account at the same moment: the loser of the place takes the next."""
    target = keys.checksum(os.urandom(20))
    threads = [threading.Thread(target=lambda wei=wei: Chain(world.link).send(giver, "credit", "transfer", target, wei)) for wei in (1, 2, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paid(world, target) == 7


def test_gas_is_asked_for_on_a_local_chain_only(world, monkeypatch):
    asked = []
    call = world.chain.rpc.call

    def watched(method, *params):
        if method == FUND:
            asked.append(params)
            world.anvil.fund(bytes.fromhex(params[0][2:]), WEI)
            return True
        return call(method, *params)

    monkeypatch.setattr(world.chain.rpc, "call", watched)
    with world.at_once():
        assert world.chain.send(keys.new_secret(), "credit", "faucet", 1)["status"] == "0x1" and len(asked) == 1
    public = Chain(world.link.model_copy(update={"embedded": False}))
    monkeypatch.setattr(public.rpc, "call", watched)
    with pytest.raises(ChainRefused, match="needs"):
        public.send(keys.new_secret(), "credit", "faucet", 1)
    assert len(asked) == 1


def test_a_price_that_is_a_trick_is_refused(world, monkeypatch):
    call = world.chain.rpc.call
    monkeypatch.setattr(
        world.chain.rpc, "call", lambda method, *params: hex(10**15) if method == "eth_maxPriorityFeePerGas" else call(method, *params)
    )
    with pytest.raises(ChainRefused, match="gwei"):
        world.chain.send(world.account(), "credit", "faucet", 1)


def test_a_chain_without_base_fees_is_paid_its_price(world, monkeypatch):
    call = world.chain.rpc.call

    def old(method, *params):
        found = call(method, *params)
        return {name: each for name, each in found.items() if name != "baseFeePerGas"} if method == "eth_getBlockByNumber" else found

    monkeypatch.setattr(world.chain.rpc, "call", old)
    with world.at_once():
        receipt = world.chain.send(world.account(), "credit", "faucet", 1)
    assert receipt["status"] == "0x1" and receipt["type"] == "0x0"


def test_a_reorg_brings_an_intent_back(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    snapshot = world.anvil.rpc.call("evm_snapshot")
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0))
    pump(box, lambda: state(box) == "mined")
    world.anvil.rpc.call("evm_revert", snapshot)
    moves = pump(box, lambda: state(box) == "done")
    assert moves[0] == ("commit:0", "flying") and commitments(world, member) == [0]


def test_a_refusal_in_the_block_is_tried_again(world, swarm, member, tmp_path, monkeypatch):
    world.to_window(swarm, 0)
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    intent = commit(member, 7)  # not its time: refused
    box.add(intent)
    monkeypatch.setattr(world.chain, "simulate", lambda *args: None)  # as if it had been allowed a moment ago
    sends = box._senders[member.agent]
    launch = sends.launch
    monkeypatch.setattr(sends, "launch", lambda to, data: launch(to, data, gas=200_000))
    moves = pump(box, lambda: "refused in the block" in box.waiting[0].why)
    assert moves == [("commit:7", "flying"), ("commit:7", "waiting")]


def test_what_can_never_be_sent_is_refused_at_once(world, member, tmp_path):
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    intent = commit(member, 0)
    with pytest.raises(InputError, match="no key for account"):
        box.add(intent.model_copy(update={"account": "0x" + "11" * 20}))
    with pytest.raises(InputError, match="do not fit"):
        box.add(intent.model_copy(update={"args": [*intent.args[:-1], "0x12"]}))
    assert not (tmp_path / "outbox.json").exists()


def test_the_outbox_is_bounded(world, member, tmp_path, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_INTENTS", 2)
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0))
    box.add(commit(member, 1))
    with pytest.raises(InputError, match="at most"):
        box.add(commit(member, 2))


def test_a_damaged_outbox_is_a_sentence(world, tmp_path):
    (tmp_path / "outbox.json").write_text('{"intents": 5}')
    with pytest.raises(StateError, match="damaged"):
        Outbox(tmp_path / "outbox.json", world.chain, [])


def test_an_intent_whose_key_is_gone_is_dropped(world, member, tmp_path):
    Outbox(tmp_path / "outbox.json", world.chain, [member.session]).add(commit(member, 0))
    box = Outbox(tmp_path / "outbox.json", world.chain, [])
    box.pump()
    assert "no longer has the key" in box.outcomes[-1].why


def test_a_chain_that_errs_is_trouble_not_an_end(world, swarm, member, tmp_path, monkeypatch):
    world.to_window(swarm, 0)
    box = Outbox(tmp_path / "outbox.json", world.chain, [member.session])
    box.add(commit(member, 0))
    call = world.chain.rpc.call

    def limited(method, *params):
        if method == "eth_sendRawTransaction":
            raise RpcError(-32005, "insufficient funds for gas * price + value")
        return call(method, *params)

    monkeypatch.setattr(world.chain.rpc, "call", limited)
    box.pump()  # a chain behind a balancer may say so wrongly: the balance is looked at, and it is sent again
    assert state(box) == "flying"
    monkeypatch.setattr(world.chain.rpc, "call", lambda *args: (_ for _ in ()).throw(RpcError(-32005, "too many requests")))
    assert box.pump() == [] and box.trouble == "too many requests"
    monkeypatch.undo()
    pump(box, lambda: state(box) == "mined")


# ---- history


def rewritten(world: World, swarm: Swarm, member: Member, path: Path, change) -> tuple[History, list]:
    """A history with one settled commitment, and what a check finds after the change of the chain."""
    snapshot = world.anvil.rpc.call("evm_snapshot")
    with world.at_once():
        world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    seen = History(path, world.chain)
    assert seen.add(Scanner(world.chain, ["ledger"]).scan().new) >= 1
    world.mine(4)
    assert seen.check() == [] and all(row.settled for row in seen.seen)
    change(snapshot)
    world.mine(5)
    again = History(path, world.chain)
    return again, again.check()


def test_history_that_stays_is_not_reported(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    seen, found = rewritten(world, swarm, member, tmp_path / "seen.json", lambda snapshot: None)
    assert found == [] and seen.add(Scanner(world.chain, ["ledger"]).scan().new) == 0


def test_a_commitment_that_vanished_is_reported_once(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    seen, found = rewritten(world, swarm, member, tmp_path / "seen.json", lambda snapshot: world.anvil.rpc.call("evm_revert", snapshot))
    assert [each.kind for each in found if each.seen.key == "0x" + member.key.hex()] == ["vanished"]
    assert "history was rewritten" in found[-1].sentence and "epoch 0" in found[-1].sentence
    assert not [each for each in History(tmp_path / "seen.json", world.chain).check() if each.seen.key == "0x" + member.key.hex()]


def test_a_commitment_in_another_block_is_reported(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)

    def again(snapshot):
        world.anvil.rpc.call("evm_revert", snapshot)
        world.mine(2)
        with world.at_once():
            world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))

    _, found = rewritten(world, swarm, member, tmp_path / "seen.json", again)
    assert [each.kind for each in found if each.seen.key == "0x" + member.key.hex()] in (["moved"], ["vanished"])


def test_another_commitment_in_its_place_is_reported(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)

    def other(snapshot):
        world.anvil.rpc.call("evm_revert", snapshot)
        with world.at_once():
            world.chain.send(member.session, "ledger", "commit", *commitment(member, 0, steps=11))

    _, found = rewritten(world, swarm, member, tmp_path / "seen.json", other)
    assert [each.kind for each in found if each.seen.key == "0x" + member.key.hex()] == ["vanished"]


def test_what_a_kill_took_before_it_was_settled_is_no_rewriting(world, swarm, member, tmp_path):
    world.to_window(swarm, 0)
    snapshot = world.anvil.rpc.call("evm_snapshot")
    with world.at_once():
        world.chain.send(member.session, "ledger", "commit", *commitment(member, 0))
    seen = History(tmp_path / "seen.json", world.chain)
    seen.add(Scanner(world.chain, ["ledger"]).scan().new)
    world.anvil.rpc.call("evm_revert", snapshot)
    world.mine(6)
    assert not [each for each in seen.check() if each.seen.key == "0x" + member.key.hex()]
    assert "0x" + member.key.hex() not in [row.key for row in seen.seen]


def test_a_damaged_history_is_a_sentence(world, tmp_path):
    (tmp_path / "seen.json").write_text("{")
    with pytest.raises(StateError, match="damaged"):
        History(tmp_path / "seen.json", world.chain)
