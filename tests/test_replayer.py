"""The replayer as a process: jobs over files, verdicts that only replaying gives, and what it does when data is missing or it is killed."""

import os
import signal
import time

import pytest
import torch
from proofs import SMALL, a_recorded_node, hand_over

from swarm import recipe
from swarm.errors import ResourceError
from swarm.keys import keccak
from swarm.learn.record import digest_of
from swarm.proof.leaf import sealed
from swarm.proof.replayer import ReplayerProcess
from swarm.proof.worker import write_job
from swarm.settings import NodeSettings

ROUNDS = 4


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("recorded")
    members = [a_recorded_node(folder / str(number), number) for number in (1, 2)]
    for round in range(1, ROUNDS + 1):
        for one, session in members:
            one.play_round()
            hand_over(one, session, [other for other, _ in members if other is not one], round)
    return members[0][0]


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    (folder / "recipe.json").write_bytes(recipe.load("local", SMALL).canonical)
    settings = NodeSettings(recipe=folder / "recipe.json", recipe_blob="0" * 64, session=folder / "none", swarm="0" * 64, rounds=1, cache=folder)
    settings.save(folder)
    process = ReplayerProcess(folder)
    process.start()
    until(lambda: process.ready)
    yield process
    process.close()


def until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def _write(node, folder, leaves, states):
    write_job(folder, leaves, states=states, seeds=[node.stages.epoch_seed.hex()], operator=node.operator.hex())


def a_job(node, folder, places):
    """A folder as an auditor would fill it: the drawn steps' leaves, states and blobs; states are opened by the prover's own replayer."""
    steps = [node.scribe.recorder.steps(0)[place] for place in places]
    folder.mkdir()
    for step in steps:
        for digest in step.blobs:
            (folder / digest.hex()).write_bytes(node.scribe.recorder.store.get(digest))
    _write(node, folder, [step.leaf for step in steps], [step.state.hex() for step in steps])
    return steps


def open_states(process, node, folder, places):
    for place in places:
        way = node.scribe.recorder.way_to(0, place)
        out = folder / f"open-{place}"
        write_job(out, [step.leaf for step in way], state=way[0].state.hex(), blobs=str(node.scribe.recorder.store.folder))
        process.give("open", out)
        answer = until(process.answer)
        assert answer["digest"] == way[-1].state.hex(), "the state that was made again is another one"
        os.replace(out / answer["digest"], folder / answer["digest"])


def test_drawn_steps_are_opened_and_replayed_by_another_process(node, process, tmp_path):
    steps = a_job(node, tmp_path / "job", (1, 3))
    open_states(process, node, tmp_path / "job", (1, 3))
    process.give("replay", tmp_path / "job")
    with pytest.raises(ResourceError, match="not ready"):
        process.give("replay", tmp_path / "job")
    answer = until(process.answer)
    assert answer["verdict"] == "ok" and answer["cpu_s"] > 0
    gradients = [bytes.fromhex(root) for root in answer["gradients"]]
    assert [sealed(step.salt, root) for step, root in zip(steps, gradients, strict=True)] == [step.leaf.gradient for step in steps]
    assert answer["value"] == keccak(*gradients).hex()


def test_missing_and_damaged_data_is_cannot_audit_and_never_guilt(node, process, tmp_path):
    a_job(node, tmp_path / "job", (0,))
    process.give("replay", tmp_path / "job")
    answer = until(process.answer)
    assert (answer["verdict"], answer["where"], answer["step"]) == ("cannot", "data", 0)
    step = node.scribe.recorder.steps(0)[0]
    (tmp_path / "job" / step.state.hex()).write_bytes(b"not the state")
    process.give("replay", tmp_path / "job")
    assert until(process.answer)["verdict"] == "cannot"


def test_a_forged_step_is_a_fault_that_says_where(node, process, tmp_path):
    import dataclasses

    step = node.scribe.recorder.steps(0)[0]
    a_job(node, tmp_path / "job", (0,))
    (tmp_path / "job" / step.state.hex()).write_bytes(node.scribe.recorder.store.get(step.state))
    forged = dataclasses.replace(step.leaf, after=digest_of(b"another"))
    _write(node, tmp_path / "job", [forged], [step.state.hex()])
    process.give("replay", tmp_path / "job")
    answer = until(process.answer)
    assert (answer["verdict"], answer["where"], answer["step"]) == ("fault", "after", 0)


def test_a_killed_replayer_is_started_again(process):
    known = process.hello
    os.kill(process._process.pid, signal.SIGKILL)
    until(lambda: not process.ready)
    process.start()
    until(lambda: process.ready)
    assert process.hello["class"] == known["class"], "the class of one machine is always the same"
