"""One side of the games, a process of its own with its own key and its own trace: reads a job a line from stdin, answers a line on stdout.

    {"do": "make", "model": M, "swapped": false, "lie": [call, output, element] or null}      does the step; tells its record and its calls
    {"do": "open", "link": L, "header": H, "secret": S, "challenger": K, "row": R}            opens a match about that record
    {"do": "play", "link": L, "id": I, "secret": S, "challenger": true}                       plays it to its end; tells its moves
"""

from __future__ import annotations

import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

from benchmarks.disputes.match import open_match, play
from benchmarks.disputes.step import Step
from swarm import merkle
from swarm.chain.client import Chain
from swarm.chain.link import ChainLink
from swarm.disputing import Docket
from swarm.keys import keccak
from swarm.proof.canonical.trace import Lie
from swarm.proof.dispute import Player
from swarm.proof.leaf import leaf_of
from swarm.proof.side import Side

SWARM, PEER = keccak(b"benchmarks/disputes"), keccak(b"prover")
SALT = keccak(b"salt")


class Seat:
    """What the process knows between jobs."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, bool], Step] = {}
        self._side: Side | None = None

    def make(self, model: str, swapped: bool, lie: list[int] | None) -> dict[str, Any]:
        begun = time.process_time()
        if (model, swapped) not in self._steps:
            self._steps = {(model, swapped): Step(model, swapped)}
        step = self._steps[model, swapped]
        self._side, after = step.side(None if lie is None else Lie(*lie))
        row = [entry.hex() if isinstance(entry, bytes) else entry for entry in step.leaf(SWARM, PEER, after).row()]
        calls = [[call.name, [int(writing.words) for writing in call.outputs]] for call in self._side.trace.calls]
        root = merkle.root([leaf_of(_bytes(row)).digest]).hex()
        cpu_s = round(time.process_time() - begun, 2)
        return {"row": row, "root": root, "after": after.hex(), "calls": calls, "values": len(self._side.trace.values), "cpu_s": cpu_s}

    def open(self, link: str, header: dict[str, Any], secret: str, challenger: str, row: list[Any]) -> dict[str, Any]:
        said = {key: bytes.fromhex(value) if isinstance(value, str) else value for key, value in header.items()}
        leaf = leaf_of(_bytes(row))
        chain = Chain(ChainLink.model_validate_json(link))
        who = bytes.fromhex(challenger)
        id, sent = open_match(chain, bytes.fromhex(secret), SimpleNamespace(**said), leaf, [], who, self._side.said, SALT)
        return {"id": id.hex(), "gas": sent.gas}

    def play(self, link: str, id: str, secret: str, challenger: bool) -> dict[str, Any]:
        begun = time.process_time()
        docket = Docket(Chain(ChainLink.model_validate_json(link)))
        player = Player(self._side, challenger, SALT)
        sent = [[each.move.function, each.gas] for each in play(docket, bytes.fromhex(id), player, bytes.fromhex(secret))]
        match = docket.board(bytes.fromhex(id)).match
        where = {name: getattr(match, name) for name in ("value", "position", "element", "run", "ruling")}
        return {"moves": sent, **where, "cpu_s": round(time.process_time() - begun, 2)}


def _bytes(row: list[Any]) -> list[Any]:
    return [bytes.fromhex(entry) if isinstance(entry, str) else entry for entry in row]


def main() -> None:
    out = os.fdopen(os.dup(1), "w")  # whatever libraries print goes elsewhere
    os.dup2(2, 1)
    seat = Seat()
    for line in sys.stdin:
        job = json.loads(line)
        found = getattr(seat, job.pop("do"))(**job)
        out.write(json.dumps(found) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
