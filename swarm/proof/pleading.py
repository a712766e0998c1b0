"""The replayer's part in a dispute: it has the trace, so it says what to do next; it holds no key and asks no chain.

    {"do": "plead", "folder": F}    F/job.json: the way from a stored state to the disputed step, blobs, the side, and the match as it stands
                                    -> {"function": ..., "args": [...]}, function null where there is nothing to do
                                    without a match -> {"count": ..., "structure": ..., "values": ...}: what a challenger seals

A trace is kept until another step is asked about.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from swarm.chain.abi import jsonable
from swarm.proof.board import board_of
from swarm.proof.dispute import Player

if TYPE_CHECKING:
    from swarm.proof.leaf import Leaf
    from swarm.proof.replay import Blobs, Replayer
    from swarm.proof.side import Side

Key = tuple[bytes, bytes]  # leaf, state


class Pleader:
    """Answers for one replayer."""

    def __init__(self, replayer: Replayer):
        self._replayer = replayer
        self._kept: tuple[Key, Side] | None = None

    def plead(self, way: list[Leaf], packed: bytes, blobs: Blobs, job: dict[str, Any]) -> dict[str, Any]:
        """`packed` is the state before the first leaf of the way. Raises Fault where it does not lead to the last one."""
        side = self._side(way, packed, blobs)
        if job.get("board") is None:
            return jsonable(asdict(side.said))
        move = Player(side, job["challenger"], bytes.fromhex(job["salt"])).next(board_of(job["board"]))
        return {"function": None, "args": []} if move is None else {"function": move.function, "args": jsonable(list(move.args))}

    def _side(self, way: list[Leaf], packed: bytes, blobs: Blobs) -> Side:
        from swarm.learn import state
        from swarm.proof.retrace import Retracer

        key = way[-1].digest, way[-1].before
        if self._kept is None or self._kept[0] != key:
            self._replayer.load(packed, way[0])
            for leaf in way[:-1]:
                self._replayer.advance(leaf, blobs)
            trainee = self._replayer.trainee
            before = state.pack(trainee.tensors, trainee.scalars) if len(way) > 1 else packed
            self._kept = key, Retracer(self._replayer, way[-1], before, blobs).side()
        return self._kept[1]
