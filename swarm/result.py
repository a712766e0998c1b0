"""What a node reports when it is done (`result.json`), and the summary of a run made from such reports.

The schema is described in docs/summary.md and kept stable: keys are added, never renamed or removed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm.errors import StateError
from swarm.heartbeat import GroupCounts

FILE = "result.json"
MAX_BYTES = 2**20


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    def write(self, path: Path) -> None:
        """Replace the file at `path` whole, on disk before this returns."""
        part = path.with_suffix(".part")
        with open(part, "w") as file:
            file.write(self.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)


class Heldout(_Part):
    """Greedy accuracy on held-out questions by task, and that of the best constant answer."""

    before: dict[str, float] = {}
    after: dict[str, float] = {}
    constant: dict[str, float] = {}
    loss: dict[str, float] = Field({}, description="nats a token on held-out rows, before and after, where the recipe has rows")


class Trained(_Part):
    """Groups that entered training batches."""

    own: int = 0
    foreign: int = 0
    by_stage: dict[str, int] = {}
    by_author: dict[str, int] = Field({}, description="foreign groups by their author's name")


class PeerResult(_Part):
    """One peer's report."""

    name: str = Field(max_length=80)
    steps: int = Field(0, description="optimizer steps")
    rounds: int = 0
    heldout: Heldout = Heldout()
    groups: GroupCounts = GroupCounts()
    trained: Trained = Trained()
    resolve_gain: float | None = Field(None, description="mean reward of resolutions minus that of the answers they reconsider")
    critique_accuracy: float | None = Field(None, description="share of critiques whose label is right")
    critique_constant: float | None = Field(None, description="the same share for the best constant label")
    heard_two: float | None = Field(None, description="share of rounds after the third in which two others or more were heard")
    cpu_s: float = Field(0.0, description="processor seconds, over all starts of this peer")
    alone: dict[str, float] | None = Field(None, description="held-out accuracy of the comparison run, by task")
    failed: str | None = Field(None, description="why the peer did not finish; its figures are then those of its last heartbeat")


class Summary(_Part):
    """`summary.json`: a finished run."""

    version: Literal[1] = 1
    recipe: str
    recipe_hash: str
    swarm: str
    seed: int
    peers: list[PeerResult]
    alone: PeerResult | None = Field(None, description="the comparison run: same seed and processor seconds, nothing shared")
    started: float
    finished: float


def read(folder: Path) -> PeerResult | None:
    """The report in a peer's folder, or None where there is none. Raises StateError where it is damaged."""
    path = folder / FILE
    try:
        with open(path, "rb") as file:
            return PeerResult.model_validate_json(file.read(MAX_BYTES))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        what = f"{path} is damaged: {error.errors()[0]['msg']}"
        raise StateError(what, "delete it and run the same command: the evaluation is made again") from None
