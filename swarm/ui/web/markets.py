"""The judge markets: all of them, and one with its answers, evidence and verdict."""

from __future__ import annotations

import re
from typing import Any

from judge import plain
from judge.events import ABSTAIN
from judge.terms import WAD
from judge.views import Case
from swarm.ui.web.scene import Missing, Scene

TITLE, TEMPLATE = "Judge markets", "markets.html"
KINDS = {"V": "code", "P": "model judges", "H": "people"}
PIECES = 40  # of evidence, on one page


def show(scene: Scene, rest: str) -> dict[str, Any]:
    """The list, what runs first."""
    hall = scene.picture.hall if scene.picture is not None else None
    if hall is None:
        return {"part": None, "judged": scene.run.recipe().has_market}
    part = scene.part(hall.cases)
    return {"part": part, "rows": [_row(case) for case in part.rows], "running": hall.running, "older": hall.older, "judged": True}


def one(scene: Scene, rest: str) -> dict[str, Any]:
    """A market by its id (64 hex digits)."""
    hall = scene.picture.hall if scene.picture is not None else None
    case = hall.find(bytes.fromhex(rest)) if hall is not None and re.fullmatch("[0-9a-f]{64}", rest) else None
    if case is None or hall is None:
        raise Missing("there is no market with this id here", "the list of markets has those that are known")
    texts = hall.texts(case)
    answers = [(option, texts.answers[option.outcome] if option.outcome < len(texts.answers) else "") for option in case.options]
    part = scene.part(case.exhibits, PIECES)
    return {
        **_row(case),
        "case": case,
        "full": texts.question,
        "answers": [_answer(case, option, text) for option, text in answers],
        "part": part,
        "pieces": [(piece, texts.evidence.get(piece.id, ""), plain.share(piece.quality)) for piece in part.rows],
        "panel": _panel(case),
        "depth": f"{plain.share(case.b0, 1)} → {plain.share(case.b, 1)}",
    }


def _row(case: Case) -> dict[str, Any]:
    return {
        "id": case.id.hex(),
        "name": case.name,
        "question": case.question,
        "by": KINDS.get(case.kind, case.kind),
        "phase": case.phase,
        "ends": case.deadline / 1000 if case.deadline else None,
        "verdict": _verdict(case),
        "evidence": len(case.exhibits),
    }


def _verdict(case: Case) -> str:
    if case.void_reason:
        return f"void: {plain.line(case.void_reason, 80)}"
    if case.ruling is None:
        return "" if case.shown else "not before its end"
    said = case.ruling
    of = f", {100 * said.behind // said.spoken} % of the weight" if said.spoken and said.by != "code" else ""
    return f"{'abstain' if said.choice == ABSTAIN else case.called(said.choice)} (by {said.by}{of})"


def _panel(case: Case) -> str:
    if not case.size:
        return "no panel yet" if case.kind != "V" else "none: the task's own scorer decides"
    small = ", small: fewer operators than seats" if case.small else ""
    return f"level {case.level}, {case.size} seats, quorum {case.quorum}{small}"


def _answer(case: Case, option: Any, text: str) -> dict[str, Any]:
    return {
        "number": option.number,
        "label": option.label,
        "authors": option.authors,
        "price": None if option.price is None else plain.share(option.price),
        "share": 0 if option.price is None else max(0, min(100, 100 * option.price // WAD)),
        "volume": None if option.volume is None else plain.credits(option.volume),
        "text": text if text.strip() != option.label else "",
        "won": case.ruling is not None and case.ruling.choice == option.outcome,
    }
