"""Shared by the tests of disputes: a match before the model of the court, from its first move to its last."""

from __future__ import annotations

from model_court import ModelCourt

from swarm.proof.dispute import Player
from swarm.proof.side import Side

SALT = bytes(range(32))


def play(prover: Side, challenger: Side) -> tuple[ModelCourt, int]:
    """The match to its end, and how many moves it took."""
    court = ModelCourt(challenger.said.sealed(bytes(32), bytes(32), 0, 0, SALT))
    players = [Player(prover, False), Player(challenger, True, SALT)]
    for moves in range(200):
        found = [move for move in (player.next(court.board) for player in players) if move is not None]
        if not found:
            return court, moves
        assert len(found) == 1, (court.m, found)
        court.call(found[0].function, found[0].args)
    raise AssertionError("the match does not end")
