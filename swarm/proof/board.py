"""A match as it stands, and a move in it: what passes between the chain, a node and its replayer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

from swarm.chain.abi import jsonable
from swarm.chain.values import Stage
from swarm.proof.descent import Reveal

DESCENTS = (Stage.VALUES, Stage.PROGRAM, Stage.ELEMENTS, Stage.RUN)


@dataclass(frozen=True)
class Move:
    """A call of the court."""

    function: str
    args: tuple[Any, ...]


@dataclass
class Board:
    """A match as it stands: `match` and `step` are the court's own records; `descents` are the reveals of each descent so far, in order."""

    id: bytes
    match: SimpleNamespace
    step: SimpleNamespace
    descents: list[list[Reveal]] = field(default_factory=list)

    @property
    def challengers_turn(self) -> bool:
        """Whose turn it is. While traces are waited for, the prover's until it has answered."""
        return self.step.answeredAt != 0 if self.match.stage == Stage.ANSWER else bool(self.match.challengersTurn)

    def row(self) -> dict[str, Any]:
        """As JSON has it."""
        descents = [[asdict(reveal) for reveal in reveals] for reveals in self.descents]
        return jsonable({"id": self.id, "match": self.match, "step": self.step, "descents": descents})


def board_of(row: dict[str, Any]) -> Board:
    """What `Board.row` gave."""
    descents = [[Reveal(**(_plain(each) | {"nodes": tuple(map(_plain, each["nodes"]))})) for each in reveals] for reveals in row["descents"]]
    return Board(_plain(row["id"]), SimpleNamespace(**_plain(row["match"])), SimpleNamespace(**_plain(row["step"])), descents)


def _plain(value: Any) -> Any:
    """Text beginning with 0x is bytes."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value
