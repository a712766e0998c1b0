"""The judge markets as the web page shows them: to nobody in particular, so that whoever looks may still be drawn as a judge.

`judge.views` hides prices and standing verdicts from everyone who may get a seat; an operator that is nobody is always one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from judge import plain
from judge.market import ARCHIVED, SETTLED
from judge.views import Case, cases_of

if TYPE_CHECKING:
    from swarm.market.tape import Tape

NOBODY = bytes(20)
OVER = 400  # markets that are over and still listed


@dataclass(frozen=True)
class Texts:
    """A market's texts, cleaned and cut: answers by the ledger's outcome, evidence by piece."""

    question: str
    answers: tuple[str, ...]
    evidence: dict[bytes, str]


class Hall:
    """All markets of a tape that will not be played any further. `at`: up to when it was, in milliseconds."""

    def __init__(self, tape: Tape, cases: tuple[Case, ...], older: int):
        self._tape, self.cases, self.older = tape, cases, older
        self._by_id = {case.id: case for case in cases}

    @classmethod
    def of(cls, tape: Tape, names: dict[bytes, str]) -> Hall:
        """`names` of operators; others are shown by their addresses."""
        state, papers = tape.state, _Papers(tape)
        over = [one for one in state.markets.values() if one.phase in (SETTLED, ARCHIVED)]
        old = {one.id for one in sorted(over, key=lambda one: one.since)[:-OVER]}
        shown = SimpleNamespace(terms=state.terms, markets={id: one for id, one in state.markets.items() if id not in old})
        name: Callable[[bytes], str] = lambda operator: names.get(operator) or plain.short(operator)  # noqa: E731
        return cls(tape, cases_of(shown, NOBODY, papers, name), len(old))

    def find(self, market: bytes) -> Case | None:
        return self._by_id.get(market)

    @property
    def running(self) -> int:
        """Markets that are not over."""
        return sum(case.state not in (SETTLED, ARCHIVED) for case in self.cases)

    def texts(self, case: Case) -> Texts:
        """The beginnings of the texts of a market, as long as a page of the terminal's pager."""
        opening = self._tape.opening(case.id)
        answers = opening.texts if opening is not None else ()
        question = opening.open.event.question if opening is not None else case.question
        evidence = {one.id: self._tape.piece(one.id) or one.first for one in case.exhibits}
        return Texts(_page(question), tuple(map(_page, answers)), {id: _page(text) for id, text in evidence.items()})


def _page(text: str) -> str:
    """The first page of a text; how much more there is stands below it."""
    first = plain.clean(text[: plain.PAGE])
    return first + (f"\n[{len(text) - plain.PAGE:,} characters more are not shown here]" if len(text) > plain.PAGE else "")


class _Papers:
    """Texts as the tape has them (`judge.views.Papers`)."""

    def __init__(self, tape: Tape):
        self._tape = tape

    def question(self, market: bytes) -> str | None:
        opening = self._tape.opening(market)
        return opening.open.event.question if opening is not None else None

    def piece(self, piece: bytes) -> str | None:
        return self._tape.piece(piece)

    def text(self, digest: bytes) -> str | None:
        return None
