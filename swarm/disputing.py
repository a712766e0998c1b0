"""Matches of the dispute court as a node sees them: read from the chain, what a side has shown from its events; and what traces were sealed with.

All state is on chain, so whoever was interrupted starts again at the same move (`swarm.advocate` plays).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swarm import keystore
from swarm.chain.abi import Event
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner, mark
from swarm.chain.values import Ruling, Stage
from swarm.proof.board import DESCENTS, Board
from swarm.proof.descent import Reveal

ROLE = "disputes"
SALTS = "disputes.json"


@dataclass
class Docket:
    """The matches of a chain, or those in which `member` (a key) plays: of others, whose number nobody bounds, nothing is kept."""

    chain: Chain
    member: bytes | None = None
    _ids: set[bytes] = field(init=False, default_factory=set)
    _scanner: Scanner = field(init=False)
    _events: dict[str, Event] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._scanner = Scanner(self.chain, (ROLE,))

    def scan(self) -> list[Event]:
        """All events up to now, in order."""
        found = self._scanner.scan()
        self._events |= {mark(event): event for event in found.new if self._concerns(event)}
        for gone in found.gone:
            self._events.pop(gone, None)
        return sorted(self._events.values(), key=lambda event: (event.block, event.index))

    def _concerns(self, event: Event) -> bool:
        if self.member is None:
            return True
        if event.name == "Opened" and self.member in (event.values["key"], event.values["challenger"]):
            self._ids.add(event.values["id"])
        return event.values.get("id") in self._ids

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
