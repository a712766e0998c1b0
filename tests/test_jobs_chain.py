"""What a solver and verifiers send, on a real chain from the claim to a settled job with a score: `pytest -m slow tests/test_jobs_chain.py` (60 s).

Their nodes are not there: the epoch is committed and audited by hand, and the blobs lie in one place.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from blake3 import blake3
from jobs import delivered
from test_job_market import home, member, posted, world  # noqa: F401 (fixtures)

from swarm import keys
from swarm.chain.client import Swarm
from swarm.chain.outbox import Intent, Outbox
from swarm.chain.values import JobPhase, Verdict
from swarm.errors import NetworkError
from swarm.jobs import wages
from swarm.jobs.book import Book
from swarm.jobs.solve import Solving
from swarm.jobs.submit import commitment
from swarm.jobs.verify import Verifying
from swarm.network.store import BlobStore
from swarm.policy import model
from swarm.proof.schedule import Schedule
from swarm.taking import Claim, refused

EXAM = b'{"question": "2+3=", "answer": "5", "scorer": "numeric"}\n{"question": "9+9=", "answer": "1", "scorer": "numeric"}'
SALT = b"\x09" * 32


class FakeNetwork:
    """Everybody's blobs in one store."""

    def __init__(self, store: BlobStore):
        self.store = store

    def put(self, data: bytes) -> bytes:
        return self.store.put(data)

    def fetch(self, digest: bytes, size_limit: int, peers: object = None, timeout: float = 0.0) -> bytes:
        data = self.store.get(digest)
        if data is None or len(data) > size_limit:
            raise NetworkError("nobody has it")
        return data


class Desk:
    """One member's outbox, as its duties have it."""

    def __init__(self, chain, folder, who):
        self.chain, self.who = chain, who
        folder.mkdir()
        self.outbox = Outbox(folder / "outbox.json", chain, [who.session])

    def send(self, id, function, contract, args, deadline, goal, lane="") -> bool:
        made = dict(id=id, contract=contract, function=function, args=args, account=self.who.agent, deadline=deadline, goal=goal, lane=lane or id)
        return self.outbox.add(Intent(**made))

    def turn(self, side) -> None:
        side.bring_on(self.chain.head().time)
        self.outbox.pump()
        assert not [each for each in self.outbox.outcomes if each.state == "dropped"], self.outbox.outcomes


def turns(sides: list[tuple[Desk, object]], condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, [(intent.function, intent.state, intent.why) for desk, _ in sides for intent in desk.outbox.waiting]
        for desk, side in sides:
            desk.turn(side)
        time.sleep(0.1)


def identity_of(who) -> SimpleNamespace:
    return SimpleNamespace(address=who.address, peer=who.peer, secret=who.secret, name="a solver")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_part_whose_solver_is_gone_is_taken_over_from_its_accepted_state(world, member, home):  # noqa: F811
    chain, said = world.chain, []
    mine = posted(world, member, steps=20)
    swarm = Swarm(chain, mine.id)
    first, second, *others = (world.member(swarm, mine.posting.offer.solverStake) for _ in range(4))
    for who in others:
        chain.send(who.session, "market", "seed", mine.id, who.key)
    claim = Claim(chain, mine.id, said.append)
    assert claim(identity_of(first), home)
    ok = (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32))
    header, _ = world.audited(swarm, first, others, ok, (first.key, 0, 10, 1000, *(keys.keccak(word) for word in (b"root", b"last", b"data"))))
    world.skip(swarm.times(0)[3] + 1 - chain.head().time)
    chain.send(first.session, "market", "accept", mine.id, 0, vars(header), b"\x0c" * 32)
    assert claim(identity_of(second), home) and "can claim no part" in said[-1] and "every part has a solver" in refused(home)
    world.skip(mine.posting.offer.patience + 1)
    assert claim(identity_of(second), home) and "taken back from a solver" in said[-2]
    desk = Desk(chain, home / "second", second)
    recorder = SimpleNamespace(abandon=lambda committed: None, since=lambda epoch: [], head=b"")
    schedule = Schedule(swarm.terms.start, swarm.terms.epoch, 1, 1, 1, 1, 1)
    solving = Solving(chain, swarm, second.key, schedule, recorder, None, None, desk.send, lambda: desk.outbox.waiting, None, 2**30, said.append)
    solving._wanted = header.last
    turns([(desk, solving)], lambda: solving._cleared == header.last)
    assert swarm.member(second.key).last == header.last == solving.now.part.root and solving.now.left == 10
    late = Solving(chain, swarm, first.key, schedule, recorder, None, None, desk.send, list, None, 2**30, said.append)
    late.bring_on(chain.head().time)
    assert late.number is None and "was taken back while this node was off" in said[-1]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_part_is_claimed_paid_delivered_attested_scored_and_settled(world, member, home):  # noqa: F811
    chain = world.chain
    mine = posted(world, member, steps=10, target=0.4, evaluation=commitment(blake3(EXAM).digest(), SALT))
    swarm, rules = Swarm(chain, mine.id), mine.recipe
    made = delivered(rules, home)
    store = BlobStore(home / "blobs", 2**30)
    network = FakeNetwork(store)
    checkpoint = store.put(made.checkpoint.read_bytes())
    solver, *others = (world.member(swarm, mine.posting.offer.solverStake) for _ in range(3))
    recorder = SimpleNamespace(store=store, hold=lambda digest: None, let_go=lambda digest: None, since=lambda epoch: [], head=b"")
    policy, said = model.load(rules, home / "cache", "cpu"), []
    verifying = []
    for number, who in enumerate(others):
        desk = Desk(chain, home / f"verifier-{number}", who)
        around = (recorder, network, policy, desk.send, 2**30, lambda: chain.head().time, said.append, rules, who.session)
        verifying.append((desk, Verifying(chain, swarm, who.key, who.address, *around)))
    turns(verifying, lambda: chain.read("market", "phaseOf", mine.id) == JobPhase.WORKING)
    claim = Claim(chain, mine.id, said.append)
    assert claim(identity_of(solver), home) and claim(identity_of(solver), home), "a second look claims again"
    assert chain.read("market", "partOf", mine.id, 0).key == solver.key
    ok = (int(Verdict.OK), 0, keys.keccak(b"value"), bytes(32))
    work = (solver.key, 0, 10, 1000, keys.keccak(b"root"), made.root, keys.keccak(b"data"))
    world.audited(swarm, solver, others, ok, work)
    world.skip(swarm.times(0)[3] + 1 - chain.head().time)
    desk = Desk(chain, home / "solver", solver)
    schedule = Schedule(swarm.terms.start, swarm.terms.epoch, 1, 1, 1, 1, 1)
    solving = Solving(chain, swarm, solver.key, schedule, recorder, None, network, desk.send, list, None, 2**30, said.append)
    solving._packed[made.root] = checkpoint  # what the node's records give
    turns([(desk, solving)], lambda: solving.now is not None and solving.now.complete)
    assert solving.deliver(made.model.parent) == made.digest
    turns([(desk, solving)], lambda: chain.read("delivery", "deliveryOf", mine.id, 0).model == made.digest)

    def looked() -> bool:
        for _, side in verifying:
            for wanted in [*side.checkpoints.values()]:
                side._hold(wanted)
            for wanted in [*side.models.values()]:
                side._check(wanted)
        desk.turn(solving)
        return solving.attested

    turns(verifying, looked)
    assert solving.waits == "", said
    world.skip(mine.posting.offer.openWindow + 1)
    assert chain.read("delivery", "isDelivered", mine.id, 0)
    chain.send(member.secret, "delivery", "openEvaluation", mine.id, blake3(EXAM).digest(), SALT)
    store.put(EXAM)

    def scored() -> bool:
        for _, side in verifying:
            if side.phase == JobPhase.SCORING and side.evaluation is not None:
                side._score(*side.evaluation)
        return all(chain.read("delivery", "voteOf", mine.id, 0, 0, who.address)[0] != bytes(32) for who in others)

    turns(verifying, scored)
    world.skip(mine.posting.offer.openWindow)
    turns(verifying, lambda: all(chain.read("delivery", "voteOf", mine.id, 0, 0, who.address)[2] for who in others))
    world.skip(mine.posting.offer.openWindow)
    turns(verifying, lambda: all(side.done for _, side in verifying))
    decided, score = chain.read("delivery", "scoreOf", mine.id, 0)
    assert decided and {side.scoring.scores[0] for _, side in verifying} == {score}
    assert all(all(chain.read("delivery", "isWinner", mine.id, 0, who.address)) for who in others)
    mine_too = {who.address: who for who in (solver, *others)}
    shares = wages.uncollected(chain, Book(chain).jobs(), mine_too)
    assert sorted(shares) == sorted((who.address, mine.id, 0) for who in others), "the solver has none"
    token, before = chain.places["credit"], chain.read("market", "held", chain.places["credit"])
    for operator, job, part in shares:
        due = chain.read("market", "due", token, operator)
        chain.send(mine_too[operator].secret, "market", "collect", job, part)
        assert chain.read("market", "due", token, operator) > due
    assert not wages.uncollected(chain, Book(chain).jobs(), mine_too) and chain.read("market", "held", token) == before, "each is there once"
