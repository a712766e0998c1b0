"""What a view may look at: the run's files as they are now, and the newest picture of its swarm."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from swarm import standing
from swarm.errors import InputError
from swarm.runs import Run
from swarm.supervisor import View

if TYPE_CHECKING:
    from swarm.ui.web.jobs import Listing
    from swarm.ui.web.picture import Picture

ROWS = 40  # of a table on one page


class Missing(InputError):
    """There is nothing under this address."""


@dataclass(frozen=True)
class Part:
    """A page of a long table. Numbers count from 1."""

    rows: Sequence[Any]
    number: int
    last: int
    count: int


@dataclass
class Scene:
    """One request's. `picture` and `listing` are None while the first ones are being taken, or where the view needs none; `run` is None where it
    needs none either. `query` holds what stands behind the path, not checked."""

    run: Run | None = None
    picture: Picture | None = None
    listing: Listing | None = None
    query: dict[str, str] = field(default_factory=dict)

    @cached_property
    def views(self) -> list[View]:
        """The run's peers on this machine."""
        return standing.views(self.run)

    @cached_property
    def now(self) -> float:
        return time.time()

    def part(self, rows: Sequence[Any], most: int = ROWS) -> Part:
        """The page that the query asks for, else the first."""
        said = self.query.get("page", "")
        last = max(1, -(-len(rows) // most))
        number = min(last, max(1, int(said))) if re.fullmatch(r"[0-9]{1,6}", said) else 1
        return Part(rows[(number - 1) * most : number * most], number, last, len(rows))
