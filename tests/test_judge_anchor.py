"""`JudgeAnchor` on a real chain: what a node sends to it, and that tallies built in Python are the trees that it reads."""

from __future__ import annotations

import json

import pytest
from chains import Member, World, running

from swarm import keys
from swarm.chain import abi, contracts
from swarm.chain.client import Swarm
from swarm.chain.refusal import explain
from swarm.chain.rpc import RpcError
from swarm.chain.tally import Entry, Tally, leaf_of, nodes_of
from swarm.chain.values import WEI
from swarm.errors import ChainRefused

LOG, GOLD = keys.keccak(b"log"), keys.keccak(b"gold")


class Judges:
    """A JudgeAnchor of its own beside the world's contracts."""

    def __init__(self, world: World):
        self.rpc, self.made = world.chain.rpc, contracts.artifact("JudgeAnchor")
        self.sender = world.chain.sender
        wired = [world.chain.places[role] for role in ("registry", "ledger", "vault")]
        code = self.made.code + abi.encode(self.made.abi.constructor(), wired, "JudgeAnchor")
        sender = self.sender(world.account(100))
        flight = sender.launch("", code)
        sender.broadcast(flight)
        while not isinstance(receipt := sender.look(flight), dict):
            pass
        self.address = keys.checksum(abi.raw(receipt["contractAddress"]))

    def send(self, secret: bytes, function: str, *args) -> int:
        """Gas used. Raises ChainRefused with the contract's error."""
        data = self.made.abi.call(function, args)
        self._ask(data, keys.checksum(keys.address_of(secret)))
        receipt = self.sender(secret).run(self.address, data)
        assert int(receipt["status"], 16) == 1, function
        return int(receipt["gasUsed"], 16)

    def read(self, function: str, *args):
        return self.made.abi.result(function, len(args), self._ask(self.made.abi.call(function, args), "0x" + "00" * 20))

    def _ask(self, data: bytes, sender: str) -> bytes:
        try:
            return abi.raw(self.rpc.call("eth_call", {"from": sender, "to": self.address, "data": "0x" + data.hex()}, "latest"))
        except RpcError as error:
            raise explain(abi.raw(error.data), [self.made.abi]) from None


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running(tmp_path_factory.mktemp("judges")) as world, world.at_once():
        yield world


@pytest.fixture(scope="module")
def judges(world):
    return Judges(world)


# ---- the tally's tree


def test_the_tree_is_openzeppelins():
    """The example in the README of github.com/OpenZeppelin/merkle-tree."""
    parameters = [{"name": "", "type": "address"}, {"name": "", "type": "uint256"}]
    entries = [["0x" + "11" * 20, 5 * WEI], ["0x" + "22" * 20, 25 * WEI // 10]]
    nodes = nodes_of([leaf_of(parameters, entry) for entry in entries])
    assert nodes[0].hex() == "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"


# ---- an epoch of judging


def deposit(world: World, judges: Judges, member: Member, wei: int) -> None:
    world.chain.send(member.secret, "credit", "faucet", wei)
    world.chain.send(member.secret, "credit", "approve", judges.address, wei)
    judges.send(member.secret, "deposit", member.key, wei)


def decide(world: World, judges: Judges, swarm: Swarm, members: list[Member], epoch: int, tally: bytes) -> None:
    world.to_window(swarm, epoch)
    for member in members:
        judges.send(member.session, "anchor", member.key, epoch, LOG, GOLD, tally)
    _, closes, _ = judges.read("timesOf", swarm.id, epoch)
    world.skip(closes + 1 - world.chain.head().time)
    judges.send(world.account(), "finalize", swarm.id, epoch, LOG, GOLD, tally)


def test_an_epoch_is_anchored_slashed_and_paid(world, judges):
    swarm = world.swarm(faucet=False)
    members = [world.member(swarm) for _ in range(3)]
    voter, other = world.member(swarm, stake=0), world.member(swarm, stake=0)  # they only judge
    for each in (voter, other):
        deposit(world, judges, each, 100 * WEI)
    entries = [(voter.address, 0, 10 * WEI), (other.address, 7 * WEI, 0), (members[0].address, 5 * WEI, 0)]
    tally = Tally(swarm.id, 1, [Entry(*entry) for entry in entries])
    assert judges.read("leafOf", swarm.id, 1, *entries[0]) == tally.leaf(Entry(*entries[0]))
    decide(world, judges, swarm, members, 1, tally.root)
    assert judges.read("votesOf", swarm.id, 1, LOG, GOLD, tally.root) == (600 * WEI, 600 * WEI)
    claims = [(swarm.id, 1, *entry, tally.proof(Entry(*entry))) for entry in entries]
    anyone = world.account()
    with pytest.raises(ChainRefused) as error:
        judges.send(anyone, "claim", *claims[1])
    assert error.value.name == "PotShort" and error.value.values == {"actual": 0, "needed": 7 * WEI}
    for claim in claims:
        judges.send(anyone, "claim", *claim)
    with pytest.raises(ChainRefused) as error:
        judges.send(anyone, "claim", *claims[1])
    assert error.value.name == "AlreadyClaimed"
    assert judges.read("accountOf", swarm.id, voter.address).active == 90 * WEI
    assert judges.read("claimOf", swarm.id, 1, members[0].address).owed == 2 * WEI and judges.read("roundOf", swarm.id, 1).pot == 0
    judges.send(other.secret, "withdraw", swarm.id)
    assert world.chain.read("credit", "balanceOf", other.address) == 7 * WEI


def test_a_minority_decides_nothing_and_a_voter_without_weight_does_not_vote(world, judges):
    swarm = world.swarm(faucet=False)
    members = [world.member(swarm) for _ in range(3)]
    voter = world.member(swarm, stake=0)
    world.to_window(swarm, 1)
    for member in members:
        judges.send(world.account(), "refresh", member.key)
    with pytest.raises(ChainRefused) as error:
        judges.send(voter.session, "anchor", voter.key, 1, LOG, GOLD, LOG)
    assert error.value.name == "NoWeight"
    judges.send(members[0].session, "anchor", members[0].key, 1, LOG, GOLD, LOG)
    world.skip(60)
    with pytest.raises(ChainRefused) as error:
        judges.send(world.account(), "finalize", swarm.id, 1, LOG, GOLD, LOG)
    assert error.value.name == "MajorityMissing" and error.value.values == {"actual": 200 * WEI, "limit": 300 * WEI}


def test_an_anchor_costs_what_the_snapshot_says(world, judges):
    swarm = world.swarm(faucet=False)
    members = [world.member(swarm) for _ in range(3)]
    snapshot = json.loads((contracts.FOLDER.parent / "snapshots/anchor.json").read_text())
    for epoch in (1, 2):
        world.to_window(swarm, epoch)
        used = [judges.send(each.session, "anchor", each.key, epoch, LOG, GOLD, keys.keccak(b"tally")) for each in members]
    assert max(used[1:]) <= int(snapshot["each that agrees"]) + 500 and used[0] <= int(snapshot["first of an epoch"]) + 500
    _, closes, _ = judges.read("timesOf", swarm.id, 2)
    world.skip(closes + 1 - world.chain.head().time)
    final = judges.send(world.account(), "finalize", swarm.id, 2, LOG, GOLD, keys.keccak(b"tally"))
    print("gas of an anchor:", used, "of finalize:", final)
