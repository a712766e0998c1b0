"""A match played by one key: one transaction after another, each in a block before the next. (Nodes play by their outbox: `swarm.advocate`.)

    docket = Docket(chain)
    for move in play(docket, id, player, secret): ...

All state is on chain, so whoever was interrupted starts again at the same move.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

from swarm.chain.client import Chain
from swarm.chain.values import Stage
from swarm.disputing import ROLE, Docket
from swarm.errors import ChainRefused
from swarm.proof import dispute_format as form
from swarm.proof.board import Board, Move
from swarm.proof.dispute import Player
from swarm.proof.leaf import Leaf

LOOK_S = 0.2  # between two looks at a match in which it is the other's turn
OVERTAKEN = ("WrongStage", "AlreadyAnswered", "NodesWrong", "CountWrong", "NotAnswered")  # somebody else made the move first


@dataclass(frozen=True)
class Sent:
    """A move that is in a block. `gas` was used by it."""

    move: Move
    gas: int
    tx: str


def open_match(
    chain: Chain, secret: bytes, header: SimpleNamespace, leaf: Leaf, proof: list[bytes], challenger: bytes, said: form.Trace, salt: bytes
) -> tuple[bytes, Sent]:
    """Open a match about a step of a committed epoch (`proof` is its record's place in it). Raises ChainRefused."""
    sealed = said.sealed(challenger, header.key, header.epoch, leaf.step, salt)
    move = Move("open", (vars(header), leaf.step, leaf.encoded(), proof, challenger, sealed))
    return form.match_id(header.key, header.epoch, leaf.step, challenger), send(chain, secret, move)


def send(chain: Chain, secret: bytes, move: Move) -> Sent:
    receipt = chain.send(secret, ROLE, move.function, *move.args)
    return Sent(move, int(receipt["gasUsed"], 16), receipt["transactionHash"])


def play(docket: Docket, id: bytes, player: Player, secret: bytes) -> Iterator[Sent]:
    """Play one side until the match is over, move by move. A move that somebody else made first is passed over."""
    while (board := docket.board(id)).match.stage != Stage.CLOSED:
        move = player.next(board) or _timeout(docket.chain, board, player)
        if move is None:
            time.sleep(LOOK_S)
            continue
        try:
            yield send(docket.chain, secret, move)
        except ChainRefused as refused:
            if refused.name not in OVERTAKEN:
                raise


def _timeout(chain: Chain, board: Board, player: Player) -> Move | None:
    """The end of a match in which the other side's clock has run out."""
    try:
        challengers, spent, left = chain.read(ROLE, "clockOf", board.id)
    except ChainRefused:  # anvil may answer from a state that is younger than the time of its call: the next look sees both
        return None
    return Move("timeout", (board.id,)) if challengers != player.is_challenger and spent > left else None
