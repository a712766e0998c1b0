"""Own verdicts on disk: written whole before they are committed to the chain, so that each can be opened after any crash."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from swarm import disk


@dataclass(frozen=True)
class Ballot:
    """One verdict about the commitment of member `key`, epoch `epoch`, at a level and roll of its case. `kind` is the contract's number."""

    key: str
    epoch: int
    level: int
    roll: int
    kind: int
    step: int
    value: str
    salt: str
    hash: str = ""

    @property
    def name(self) -> str:
        return name(bytes.fromhex(self.key), self.epoch, self.level, self.roll)


def name(key: bytes, epoch: int, level: int, roll: int) -> str:
    """The seat a ballot is for: one per case, level and roll."""
    return f"{epoch}-{key.hex()[:16]}-{level}-{roll}"


class Ballots:
    """The ballots in one folder. A second one for the same seat is never written: a verdict is given once."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def get(self, seat: str) -> Ballot | None:
        try:
            return Ballot(**json.loads((self._folder / f"{seat}.json").read_bytes()))
        except FileNotFoundError:
            return None

    def put(self, ballot: Ballot) -> None:
        path = self._folder / f"{ballot.name}.json"
        if not path.exists():
            disk.replace(path, json.dumps(asdict(ballot)).encode())

    def all(self) -> list[Ballot]:
        return [Ballot(**json.loads(path.read_bytes())) for path in sorted(self._folder.glob("*.json"))]

    def forget_before(self, epoch: int) -> None:
        for ballot in self.all():
            if ballot.epoch < epoch:
                (self._folder / f"{ballot.name}.json").unlink(missing_ok=True)


def new_salt() -> str:
    return secrets.token_bytes(32).hex()
