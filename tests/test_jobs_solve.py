"""A solver's part brought on by a real node with real records, against a chain of a few dicts: paid in a row, and back again where an epoch fails."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from proofs import a_recorded_node, parts

from swarm.beat import Beat
from swarm.chain.values import HEADER, JobPhase, Outcome
from swarm.jobs.solve import Solving
from swarm.proof.schedule import Schedule

KEY, MARKET = b"\x0a" * 32, b"\x07" * 32
STEPS, EACH = 6, 2  # of the part, of an epoch
IDLE = 30  # turns without a new record after which an epoch ends


class FakeChain:
    """Ledger, court and market as far as a solver sees them; of the committed epochs the `bad` ones come out unaudited."""

    def __init__(self, base: bytes, bad: set[int]):
        self.base, self.bad, self.id, self.link = base, bad, MARKET, SimpleNamespace(since=0)
        self.part = SimpleNamespace(key=KEY, steps=0, own=0, root=base, checkpoint=bytes(32), kept=0, moved=0)
        self.last, self.next, self.epoch = base, 0, 0
        self.events = [SimpleNamespace(name="Claimed", values={"job": MARKET, "part": 0, "key": KEY})]
        self.outcomes: dict[int, Outcome] = {}
        self.made: list[int] = []  # committed epochs
        self.seen = self.idle = 0
        self.sent: list[str] = []
        self.paid: list[SimpleNamespace] = []

    def read(self, role: str, function: str, *args: object) -> object:
        answers = {
            "offerOf": lambda: SimpleNamespace(stepsEach=STEPS, steps=STEPS, leastSteps=EACH, patience=10**6),
            "partOf": lambda: SimpleNamespace(**vars(self.part)),
            "jobOf": lambda: SimpleNamespace(phase=JobPhase.WORKING, steps=self.part.steps, deadline=2**40),
            "nextOf": lambda: self.next,
            "outcomeOf": lambda: self.outcomes.get(args[1], Outcome.OPEN),
            "isDelivered": lambda: False,
        }
        return answers[function]()

    def member(self, key: bytes) -> SimpleNamespace:
        return SimpleNamespace(last=self.last)

    def scan(self) -> SimpleNamespace:
        new, self.events = self.events, []
        return SimpleNamespace(new=new)

    def send(self, id: str, function: str, contract: str, args: list, *_, **__) -> bool:
        if id in self.sent:
            return False
        self.sent.append(id)
        if function == "adoptRoot":
            self.last = args[1]
        elif function == "accept":
            header = SimpleNamespace(**args[2])
            assert header.first == self.part.root and args[3] != bytes(32), "paid out of its row, or without a checkpoint"
            self.paid.append(header)
            self.part = SimpleNamespace(**vars(self.part) | dict(root=header.last, steps=self.part.steps + header.steps, checkpoint=args[3]))
            self.next = header.epoch + 1
        return True

    def commit(self, recorder) -> None:
        """End the epoch once it has its steps or nobody works any more, commit it, and close the case of the one before."""
        self.idle = 0 if recorder.pending or len(recorder.all_steps) != self.seen else self.idle + 1
        self.seen = len(recorder.all_steps)
        if len(recorder.steps(self.epoch)) < EACH and self.idle < IDLE:
            return
        if self.made and self.made[-1] not in self.outcomes:
            self.outcomes[self.made[-1]] = Outcome.UNAUDITED if len(self.made) - 1 in self.bad else Outcome.CLEAN
        ended, self.epoch, self.idle = self.epoch, self.epoch + 1, 0  # first, as a clock does: what is written now is of the next one
        while recorder.pending:
            time.sleep(0.01)
        made = recorder.close(ended, [])
        if made is not None and ended in recorder.unsettled:
            assert made.first == self.last, "an auditor would call it a fault: the records do not begin where the ledger stands"
            header = (KEY, ended, len(made.leaves), made.units, made.root, self.last, made.last, made.digest)
            self.events.append(SimpleNamespace(name="Committed", values=dict(zip(HEADER, header, strict=True)) | {"late": False}))
            self.last = made.last
            self.made.append(ended)


class FakeSeeds:
    """Every epoch has a seed of its own, known at once."""

    usable: set[bytes] = set()

    def __init__(self, chain: FakeChain):
        self.chain = chain

    @property
    def newest(self) -> bytes:
        return bytes([self.chain.epoch]) * 32

    def fresh(self, seed: bytes) -> bool:
        return True


def played(folder, bad: set[int]):
    chain = FakeChain(b"", bad)
    node, _ = a_recorded_node(folder, 0, epoch_now=lambda: chain.epoch)
    recorder = node.scribe.recorder
    recorder.restores, recorder.limit = False, EACH
    chain.base = chain.last = chain.part.root = node.trainee.root
    node.presence.proving = SimpleNamespace(duties=SimpleNamespace(require_alive=lambda: beat.require_alive()), come_first=lambda presence: None)
    node.epoch_seeds, node.scribe.every = FakeSeeds(chain), 1
    start = parts(folder / "start")[1]
    desk = SimpleNamespace(open=lambda opening: opened(node, opening), now=lambda: 10 * chain.epoch)
    around = (Schedule(0, 10, 5, 2, 5, 2, 2), recorder, desk, None, chain.send, list)
    solving = Solving(chain, chain, KEY, *around, lambda: (start.tensors, start.scalars), 2**30, lambda text: None)
    solving._scanner = chain
    turn = threading.Lock()

    def work() -> None:
        with turn:
            chain.commit(recorder)
            solving.bring_on(0)

    beat = Beat("duties", 0.05, work)
    beat.start()
    try:
        solving.play(node)
    finally:
        beat.stop()
        beat.await_end(10)
    return node, chain


def opened(node, opening) -> None:
    """The state before a step that is not stored would be made again by the replayer: here every state is."""
    raise AssertionError("the state before a step is not in the store")


def test_a_part_is_paid_epoch_by_epoch_and_stops_when_its_steps_are_done(tmp_path):
    node, chain = played(tmp_path, set())
    assert sum(header.steps for header in chain.paid) == chain.part.steps == STEPS
    assert [header.first for header in chain.paid] == [chain.base, *(header.last for header in chain.paid[:-1])]
    assert node.trainee.root == chain.part.root and node.trainee.round == STEPS and not [id for id in chain.sent if id.startswith("adopt")]


def test_after_an_epoch_that_came_out_badly_it_goes_back_and_is_paid_for_all_steps_all_the_same(tmp_path):
    node, chain = played(tmp_path, {1})
    assert sum(header.steps for header in chain.paid) == STEPS
    assert chain.made[1] not in [header.epoch for header in chain.paid], "an epoch was paid that nobody audited"
    assert [id for id in chain.sent if id.startswith("adopt")], "nothing told the ledger where it goes on"
    roots = [chain.base, *(header.last for header in chain.paid)]
    assert [header.first for header in chain.paid] == roots[:-1] and node.trainee.root == roots[-1]


def test_an_epoch_is_not_begun_that_could_not_pay_its_auditors():
    recorder = SimpleNamespace(epoch_now=lambda: 3, since=lambda epoch: [])
    desk = SimpleNamespace(now=lambda: 36)
    chain = FakeChain(b"", set())
    solving = Solving(chain, chain, KEY, Schedule(0, 10, 5, 2, 5, 2, 2), recorder, desk, None, None, list, None, 0, print)
    far, near = SimpleNamespace(left=STEPS), SimpleNamespace(left=1)
    assert solving._is_late(far), "its pace is not known, and more than half of the epoch is over"
    solving._step_s = 3.0
    assert solving._is_late(far) and not solving._is_late(near), "two steps of 3 s do not fit into 4 s, one does"
    solving._step_s = 30.0
    desk.now = lambda: 34
    assert not solving._is_late(far), "a slow machine would never begin"
    recorder.since, desk.now = lambda epoch: ["a step"], lambda: 39
    assert not solving._is_late(far), "what was begun is gone on with"
