"""Matches of the dispute court as a node sees and plays them: read from the chain's events, answered by one transaction after another.

    docket = Docket(chain)
    for move in play(docket, id, player, secret): ...

All state is on chain, so whoever was interrupted starts again at the same move. What a side has shown is in the events.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from swarm import keystore
from swarm.chain.abi import Event
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner, mark
from swarm.chain.values import Ruling, Stage
from swarm.errors import ChainRefused
from swarm.proof import dispute_format as form
from swarm.proof.board import DESCENTS, Board, Move
from swarm.proof.descent import Reveal
from swarm.proof.leaf import Leaf

if TYPE_CHECKING:
    from swarm.proof.dispute import Player

ROLE = "disputes"
SALTS = "disputes.json"
LOOK_S = 1.0  # between two looks at a match in which it is the other's turn
OVERTAKEN = ("WrongStage", "AlreadyAnswered", "NodesWrong", "CountWrong", "NotAnswered")  # somebody else made the move first


@dataclass(frozen=True)
class Sent:
    """A move that is in a block. `gas` was used by it."""

    move: Move
    gas: int
    tx: str


@dataclass
class Docket:
    """The matches of a chain."""

    chain: Chain
    _scanner: Scanner = field(init=False)
    _events: dict[str, Event] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._scanner = Scanner(self.chain, (ROLE,))

    def scan(self) -> list[Event]:
        """All events up to now, in order."""
        found = self._scanner.scan()
        self._events |= {mark(event): event for event in found.new}
        for gone in found.gone:
            self._events.pop(gone, None)
        return sorted(self._events.values(), key=lambda event: (event.block, event.index))

    def opened(self) -> list[SimpleNamespace]:
        """Every match that was opened: id, key, epoch, step, challenger, bond, until."""
        return [SimpleNamespace(**event.values) for event in self.scan() if event.name == "Opened"]

    def board(self, id: bytes) -> Board:
        """A match as it stands; stage NONE where the chain knows none of this id (any more)."""
        match = self.chain.read(ROLE, "matchOf", id)
        step = self.chain.read(ROLE, "stepOf", match.key, match.epoch, match.step)
        return Board(id, match, step, self._descents(id, match))

    def _descents(self, id: bytes, match: SimpleNamespace) -> list[list[Reveal]]:
        descents: list[list[Reveal]] = []
        open_one = False
        for event in self.scan():
            if event.values.get("id") != id or event.name not in ("Revealed", "Descended"):
                continue
            if not open_one:
                descents.append([])
            open_one = not (event.name == "Descended" and event.values["height"] == 0)
            descents[-1] += [_revealed(event)] if event.name == "Revealed" else []
        return descents if open_one or match.stage not in DESCENTS else [*descents, []]


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


def play(docket: Docket, id: bytes, player: Player, secret: bytes, look_s: float = LOOK_S, end: Callable[[], bool] = lambda: False) -> Iterator[Sent]:
    """Play one side until the match is over, move by move. A move that somebody else made first is passed over."""
    while not end():
        board = docket.board(id)
        if board.match.stage == Stage.CLOSED:
            return
        move = player.next(board) or _timeout(docket.chain, board, player)
        if move is None:
            time.sleep(look_s)
            continue
        try:
            yield send(docket.chain, secret, move)
        except ChainRefused as refused:
            if refused.name not in OVERTAKEN:
                raise


def outcome(docket: Docket, id: bytes) -> str:
    """How a match ended, in a word."""
    match = docket.board(id).match
    return Ruling(match.ruling).name.lower().replace("_", " ") if match.stage == Stage.CLOSED else "open"


class Salts:
    """What traces were sealed with, on disk before the seal is on chain: a seal that cannot be opened is a lost match."""

    def __init__(self, folder: Path):
        self.path = folder / SALTS

    def of(self, id: bytes) -> bytes:
        """The salt of a match, the same one after an interruption."""
        known: dict[str, Any] = json.loads(self.path.read_bytes()) if self.path.exists() else {}
        if id.hex() not in known:
            known[id.hex()] = os.urandom(32).hex()
            keystore.write_private(self.path, json.dumps(known).encode())
        return bytes.fromhex(known[id.hex()])


def _revealed(event: Event) -> Reveal:
    told = event.values
    return Reveal(told["byChallenger"], told["height"], told["index"], tuple(told["nodes"]))


def _timeout(chain: Chain, board: Board, player: Player) -> Move | None:
    """The end of a match in which the other side's clock has run out."""
    challengers, spent, left = chain.read(ROLE, "clockOf", board.id)
    return Move("timeout", (board.id,)) if challengers != player.is_challenger and spent > left else None
