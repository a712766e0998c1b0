"""A market that a person opens: its draft, and how it comes to the person's node, which hosts it.

    draft = Draft.of(question, answers, ...)        raises InputError with one sentence
    Askings(home / "openings").put(draft)           a file; the node's room opens it and writes down what became of it beside it
    Askings(...).ended(draft.market)                Outcome, or None while the node has not taken it

The market's id follows from the draft alone, so a node that is killed between opening it and noting that opens it once. A draft's file is
written whole and goes when its outcome is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from judge import lmsr
from judge.events import QUESTION, Open
from judge.fields import Bad, Text
from judge.terms import CREDIT
from swarm import disk
from swarm.errors import InputError
from swarm.market.page import OPENING_BYTES, TEXT_BYTES
from swarm.market.questions import LABEL, label

KINDS = ("H", "P")
ANSWERS = (2, 20)
FILE_MOST = 2 * OPENING_BYTES  # JSON has more of it
KEPT_S = 3600.0  # outcomes, for who asks for them
_QUESTION, _TEXT, _LABEL = Text(QUESTION, lines=True), Text(TEXT_BYTES, lines=True), Text(LABEL)


@dataclass(frozen=True)
class Draft:
    """What a person asks. `operator` hosts it; `domain` is the terms' chain_id, `b0` wei."""

    domain: int
    operator: str
    nonce: int
    kind: str
    question: str
    answers: tuple[str, ...]
    b0: int

    @classmethod
    def of(cls, question: str, answers: Sequence[str], kind: str, domain: int, operator: bytes, b0: int) -> Draft:
        """A new draft. Raises InputError: too few or many answers, two alike, too long, or with characters that no terminal should get."""
        if kind not in KINDS:
            raise InputError(f"--kind {kind[:20]!r} is none that a person opens", "H has human seats, P those of model judges")
        if not ANSWERS[0] <= len(answers) <= ANSWERS[1]:
            raise InputError(f"a market has {ANSWERS[0]} to {ANSWERS[1]} answers, not {len(answers)}", "give --answer for each")
        _check(_QUESTION, "the question", question)
        for number, answer in enumerate(answers, 1):
            _check(_TEXT, f"answer {number}", answer)
            _check(_LABEL, f"answer {number}", label(answer))
        draft = cls(domain, operator.hex(), secrets.randbits(62), kind, question, tuple(answers), b0)
        labels = [label(answer) for answer in answers]
        if len(set(labels)) < len(labels):
            twice = next(text for text in labels if labels.count(text) > 1)
            raise InputError(f"two answers are shown as {twice[:40]!r}", f"answers differ in their first {LABEL} characters")
        if sum(len(text.encode()) for text in (question, *answers)) > OPENING_BYTES - 16_384:
            raise InputError(f"question and answers have more than {OPENING_BYTES - 16_384} bytes together", "shorten them")
        return draft

    @property
    def market(self) -> bytes:
        """Its id."""
        return self.opening(0)[0].market(self.domain)

    @property
    def subsidy(self) -> int:
        """Wei that its opener pays at most for the market's prices."""
        return lmsr.subsidy(len(self.answers), self.b0)

    def opening(self, t: int) -> tuple[Open, tuple[str, ...]]:
        """What its host signs at `t` ms, with the full texts."""
        outcomes = tuple((label(text), hashlib.sha256(text.encode()).digest(), ()) for text in self.answers)
        actor = bytes.fromhex(self.operator)
        said = Open(actor=actor, t=t, nonce=self.nonce, kind=self.kind, question=self.question, outcomes=outcomes, b0=self.b0)
        return said, self.answers


@dataclass(frozen=True)
class Outcome:
    """What became of a draft: opened, or why not."""

    opened: bool
    sentence: str


class Askings:
    """The folder of a home in which drafts lie: `<market>.json` what is asked, `<market>.ended` what became of it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def put(self, draft: Draft) -> Path:
        """Hand a draft over; on disk when this returns."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{draft.market.hex()}.json"
        disk.replace(path, json.dumps(asdict(draft)).encode())
        return path

    def waiting(self, domain: int, operator: bytes) -> list[Draft]:
        """Drafts of one operator in one swarm that have no outcome, the oldest first. What is no draft is left alone."""
        found = [row for path in self.folder.glob("*.json") if (row := _read(path)) is not None]
        mine = [(at, draft) for at, draft in found if (draft.domain, draft.operator) == (domain, operator.hex())]
        return [draft for _, draft in sorted(mine, key=lambda row: row[0])]

    def end(self, draft: Draft, outcome: Outcome) -> None:
        """Note what became of a draft."""
        path = self.folder / f"{draft.market.hex()}.json"
        disk.replace(path.with_suffix(".ended"), json.dumps(asdict(outcome)).encode())
        path.unlink(missing_ok=True)
        for old in self.folder.glob("*.ended"):
            with contextlib.suppress(FileNotFoundError):  # several nodes of a home sweep
                if time.time() - old.stat().st_mtime > KEPT_S:
                    old.unlink()

    def ended(self, market: bytes) -> Outcome | None:
        """What became of a draft, None while its node has not taken it."""
        try:
            return Outcome(**json.loads((self.folder / f"{market.hex()}.ended").read_bytes()))
        except FileNotFoundError:
            return None


def _read(path: Path) -> tuple[float, Draft] | None:
    """A draft and when it was written; None where the file holds none, or went meanwhile."""
    try:
        told = path.stat()
        if told.st_size > FILE_MOST:
            return None
        value = json.loads(path.read_bytes())
        draft = Draft(**value | {"answers": tuple(value["answers"])})
        good = path.stem == draft.market.hex() and draft.b0 <= 10**6 * CREDIT and draft.kind in KINDS
        return (told.st_mtime, draft) if good else None
    except (OSError, Bad, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _check(codec: Text, what: str, text: str) -> None:
    try:
        codec.pack(text)
    except Bad as error:
        raise InputError(f"{what} {error}", "such text could not be shown safely to everybody") from None
