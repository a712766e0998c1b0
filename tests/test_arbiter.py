"""The contract that makes a dispute's last move, against the definition: the same word from the packed instruction and opened operands."""

from __future__ import annotations

import random

import numpy as np
import pytest
from blake3 import blake3
from chains import running

from swarm import merkle
from swarm.errors import ChainRefused
from swarm.learn.root import tensor_digest
from swarm.merkle import Tree
from swarm.proof import dispute_format as form
from swarm.proof.blake3_tree import Blake3Tree
from swarm.proof.canonical.definition.codes import FOLD, Code
from swarm.proof.canonical.definition.machine import IMMEDIATE, Kind, Machine
from swarm.proof.dispute import NOTHING, under_place
from swarm.proof.machine import CANONICAL
from swarm.proof.side import address, place_of

WORDS = 5  # tried of each value


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with running(tmp_path_factory.mktemp("arbiter")) as world:
        yield world.chain


@pytest.fixture
def machine():
    """A program with every kind, and views that are cut, turned over, transposed and broadcast."""
    draw = np.random.default_rng(6)
    m = Machine()
    x, y = m.take(draw.standard_normal((3, 4, 5), np.float32)), m.take(draw.standard_normal((5, 4), np.float32))
    index = m.take(np.array([[3, 0], [1, 1], [2, 3]], np.int32))
    m.map(Code.FMA, x.permute(2, 0, 1), y.grown(1, 3), m.constant(-0.0))
    m.map(Code.SUB, x.cut(2, 4, -1, -2), m.coordinate((3, 4, 3), 1))
    total = m.fold(Code.FMA, m.constant(0.0), x.permute(0, 2, 1), y.grown(0, 3))
    m.fold(Code.ADDEQ, m.constant(1.0), y.transpose(0, 1), m.coordinate((4, 5), 1), m.word(3))
    m.fold(Code.MAX, total, x.permute(0, 2, 1))
    picked = m.gather(x, index, 1)
    m.pick(y.transpose(0, 1).cut(1, 0, 4), m.word(-1).expand(4, 4), -1)
    m.update(m.packed(x).cut(1, 1, 4, 2).transpose(0, 2), m.word(0x7FC00001))
    m.update(picked.at(1, 0).cut(2, 1, 4), total.cut(1, 0, 3).grown(1))
    m.noise(bytes(range(32)), 7, 3, 11)
    return m


def test_every_kind_gives_the_definitions_words(chain, machine):
    draw = random.Random(6)
    case = Case(machine)
    kinds = set()
    for number, done in enumerate(machine.instructions):
        words = machine.values[machine.taken + number]
        for element in sorted(draw.sample(range(len(words)), min(WORDS, len(words)))):
            runs = sorted({0, done.length, draw.randrange(done.length + 1)}) if done.kind is Kind.FOLD else [0]
            for run in runs:
                scene, openings, expected = case.asked(number, element, run)
                assert chain.read("arbiter", "wordOf", scene, case.packed[number], openings) == expected, (done, element, run)
        kinds.add(done.kind)
    assert kinds == set(Kind)


def test_wrong_openings_are_refused(chain, machine):
    case = Case(machine)
    scene, openings, _ = case.asked(0, 3, 0)
    bad = [openings[0] | {"chunk": bytes(32)}, openings[0] | {"chunkProof": []}, openings[0] | {"root": bytes(32)}, openings[0] | {"rootProof": []}]
    for opening in bad:
        with pytest.raises(ChainRefused, match="belongs under"):
            chain.read("arbiter", "wordOf", scene, case.packed[0], [opening, *openings[1:]])
    with pytest.raises(ChainRefused, match="2 were shown, 3 belong"):
        chain.read("arbiter", "wordOf", scene, case.packed[0], openings[:2])
    for code in (b"\5" + case.packed[0][1:], b"", case.packed[0][:40], b"\0\4\7\3" + case.packed[0][4:]):
        with pytest.raises(ChainRefused):
            chain.read("arbiter", "wordOf", scene, code, openings)


@pytest.mark.parametrize("size", [1, 250, 600])
def test_words_of_a_state(chain, size):
    import torch

    tensor = torch.arange(size, dtype=torch.float32) / 3
    name = "model.layers.0.weight"
    head = form_head(name, tensor)
    tree = Blake3Tree(head + tensor.numpy().tobytes())
    digests = [blake3(bytes([n])).digest() for n in range(3)] + [tensor_digest(name, tensor)] + [bytes(32)]
    entry = form.initial(size, 3, len(digests), len(head))
    for element in {0, size // 2, size - 1, (1024 - len(head)) // 4 % size}:
        opening = opened(tree, len(head) + 4 * element) | {"digest": digests[3], "proof": merkle.proof(digests, 3)}
        word = chain.read("arbiter", "stateWordOf", merkle.root(digests), entry, element, opening)
        assert word == int(tensor.numpy().view(np.uint32)[element])
    with pytest.raises(ChainRefused, match="belongs under"):
        chain.read("arbiter", "stateWordOf", merkle.root(digests), entry, 0, opening | {"digest": digests[2]})
    with pytest.raises(ChainRefused, match="not chunk 0"):
        chain.read("arbiter", "stateWordOf", merkle.root(digests), entry, 0, opening | {"first": {"chunk": bytes(1024), "siblings": []}})


def test_canonical_classes_begin_as_the_court_wants(chain):
    assert chain.read("disputes", "CLASS") == CANONICAL


class Case:
    """A program whose inputs are the values 1, 3, 5, ... of a step."""

    def __init__(self, machine: Machine):
        self.machine = machine
        sizes = [len(words) for words in machine.values]
        self.packed = [form.instruction(each, sizes) for each in machine.instructions]
        roots = [form.value_root(words) for words in machine.values]
        self.inputs = [2 * n + 1 for n in range(machine.taken)]
        self.values = Tree([roots[n // 2] if n % 2 else bytes(32) for n in range(2 * machine.taken)])
        self.program = Tree(roots[machine.taken :])

    def asked(self, number: int, element: int, run: int) -> tuple[dict, list, int]:
        """Scene, openings, and the word that the definition gives."""
        done = self.machine.instructions[number]
        scene = dict(values=self.values.root, count=len(self.values.digests), inputs=self.inputs, program=self.program.root)
        scene |= dict(length=len(self.packed), running=bytes(32), element=element, run=run, acc=0)
        words = int(self.machine.values[self.machine.taken + number][element])
        if done.kind is Kind.UPDATE:
            return scene, self._of_update(done, element), words
        place = place_of(element, done.dims)
        if done.kind is not Kind.FOLD:
            operands = list(done.operands) + ([done.start] if done.start else [])
            places = [address(each, place) for each in operands]
            if done.kind is Kind.GATHER:
                places[0] += int(np.uint32(self.word(done.start, place)).view(np.int32)) * done.scale
            return scene, [self.opening(*each) for each in zip(operands, places, strict=True)], words
        running = self.running(done, place)
        assert running[-1] == words
        openings = [self.opening(each, address(each, (*place, run - 1))) if run else NOTHING for each in done.operands]
        tree = Tree(form.chunks(running))
        last = self.opening(done.start, address(done.start, place)) if run == 0 else NOTHING
        if run and run % form.CHUNK == 0:
            last = NOTHING | {"chunk": tree.digests[run // 8 - 1], "chunkProof": tree.path(run // 8 - 1)}
        scene |= {"running": tree.root, "acc": int(running[run - 1]) if run % form.CHUNK else 0}
        return scene, [*openings, last], int(running[run])

    def running(self, done, place) -> np.ndarray:
        acc, words = np.array([self.word(done.start, place)], np.uint32), []
        for k in range(done.length + 1):
            words.append(acc[0])
            if k < done.length:
                acc = FOLD[done.code](acc, *(np.array([self.word(each, (*place, k))], np.uint32) for each in done.operands))
        return np.array(words, np.uint32)

    def _of_update(self, done, element: int) -> list:
        under, source = done.operands
        place = under_place(under, done.dims, element)
        if place is None:
            return [self.opening(under, element), NOTHING]
        return [NOTHING, self.opening(source, address(source, place))]

    def word(self, operand, place) -> int:
        at = address(operand, place)
        if operand.number == IMMEDIATE:
            return at % 2**32
        words = self.machine.values[operand.number]
        return int(words[at]) if 0 <= at < len(words) else 0

    def opening(self, operand, at: int) -> dict:
        if operand.number == IMMEDIATE or not 0 <= at < len(self.machine.values[operand.number]):
            return NOTHING
        taken = self.machine.taken
        known = self.values if operand.number < taken else self.program
        place = self.inputs[operand.number] if operand.number < taken else operand.number - taken
        chunks = Tree(form.chunks(self.machine.values[operand.number]))
        proofs = {"rootProof": known.path(place), "chunkProof": chunks.path(at // form.CHUNK)}
        return {"root": known.digests[place], "chunk": chunks.digests[at // form.CHUNK]} | proofs


def form_head(name: str, tensor) -> bytes:
    import msgpack

    return msgpack.packb([name, "float32", list(tensor.shape)])


def opened(tree, position: int) -> dict:
    """Chunks that hold the four bytes at a position."""
    first, last = position // 1024, (position + 3) // 1024
    shown = [{"chunk": tree.chunk(n), "siblings": tree.siblings(n)} for n in (first, last)]
    return {"first": shown[0], "second": shown[1]}
