"""What a node keeps of the court's events: those of the matches in which it plays."""

from __future__ import annotations

from typing import Any

from swarm.chain.abi import Event
from swarm.chain.logs import Found
from swarm.disputing import Docket

ME, PROVER, OTHER = (bytes([who]) * 32 for who in (1, 2, 3))
MINE, DEFENDED, THEIRS = (bytes([which]) * 32 for which in (7, 8, 9))


class FakeScanner:
    """Reports events once."""

    def __init__(self, *found: Found):
        self.found = list(found)

    def scan(self) -> Found:
        return self.found.pop(0) if self.found else Found()


def event(number: int, name: str, **values: Any) -> Event:
    return Event(name, values, bytes(20), number, bytes([number]) * 32, bytes([number]) * 32, 0)


def opened(number: int, id: bytes, key: bytes, challenger: bytes) -> Event:
    return event(number, "Opened", id=id, key=key, challenger=challenger)


def docket(monkeypatch, member: bytes | None, *found: Found) -> Docket:
    monkeypatch.setattr("swarm.disputing.Scanner", lambda chain, roles: FakeScanner(*found))
    return Docket(None, member)


def test_of_other_members_matches_nothing_is_kept(monkeypatch):
    new = [opened(1, MINE, PROVER, ME), opened(2, THEIRS, PROVER, OTHER), opened(3, DEFENDED, ME, OTHER)]
    later = [event(number, "Revealed", id=id) for number, id in ((4, THEIRS), (5, MINE), (6, DEFENDED))]
    later.append(event(7, "Answered", key=PROVER, epoch=0, step=0))
    found = docket(monkeypatch, ME, Found(new), Found(later))
    assert [each.id for each in found.opened()] == [MINE, DEFENDED]
    assert [each.block for each in found.scan()] == [1, 3, 5, 6]
    everything = docket(monkeypatch, None, Found(new), Found(later))
    assert [len(everything.scan()) for _ in range(2)] == [3, 7]
