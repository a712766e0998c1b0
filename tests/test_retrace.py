"""The trace of a step that a real node recorded: the same in every replayer, and the replayer process answers for it in a match."""

from __future__ import annotations

import dataclasses

import pytest
from games import SALT, play
from model_court import ModelCourt
from proofs import a_recorded_node, a_replayer, packed_before

from swarm.chain.abi import jsonable
from swarm.proof.canonical.trace import Lie
from swarm.proof.dispute import Player
from swarm.proof.pleading import Pleader
from swarm.proof.retrace import Retracer

CANONICAL = "proof.profile=canonical"
pytestmark = pytest.mark.slow  # two minutes: pytest -m slow tests/test_retrace.py


def test_a_recorded_step_is_disputed_by_its_record_alone(tmp_path):
    node, _ = a_recorded_node(tmp_path / "node", 0, CANONICAL)
    for _ in range(2):
        node.play_round()
    recorder = node.scribe.recorder
    way = recorder.way_to(0, 1)
    packed, blobs = recorder.store.get(way[0].state), recorder.store.get
    mine, other = (a_replayer(tmp_path / name, CANONICAL) for name in ("mine", "other"))
    leaf = way[-1].leaf
    said = Pleader(mine).plead([step.leaf for step in way], packed, blobs, {})
    before = packed_before(node, 1, other)
    honest = Retracer(other, leaf, before, blobs).side()
    assert said == jsonable(dataclasses.asdict(honest.said))
    forger = Retracer(mine, leaf, before, blobs, lie=Lie(len(honest.trace.calls) // 2)).side()
    court, moves = play(forger, honest)
    assert court.m.ruling == 1 and moves < 40
    court = ModelCourt(honest.said.sealed(bytes(32), bytes(32), 0, 0, SALT))
    asked = dict(challenger=False, salt="00" * 32, board=court.board.row())
    answer = Pleader(mine).plead([step.leaf for step in way], packed, blobs, asked)
    assert answer == {"function": "answer", "args": jsonable(list(Player(honest, False).next(court.board).args))}
