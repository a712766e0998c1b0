"""One peer's history: its operator's scores epoch by epoch with what they follow from, and its curves where it runs on this machine."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from swarm.names import plain
from swarm.ui import lines, scores
from swarm.ui.web import curves
from swarm.ui.web.picture import Picture, Value
from swarm.ui.web.scene import Missing, Scene

TITLE, TEMPLATE = "Peer", "peer.html"
EPOCHS = 12  # on one page


def show(scene: Scene, rest: str) -> dict[str, Any]:
    """`rest`: a peer's name or an operator's address."""
    picture = scene.picture or Picture()
    member = picture.member(rest)
    names = {rest, *(member.names if member is not None else ())}
    views = [view for view in scene.views if curves.name(view) in names]
    if member is None and not views:
        raise Missing(f"no peer of this swarm is called {plain(rest, 60)!r} here", "the leaderboard has all of them")
    told = picture.told.get(member.operator, ()) if member is not None else ()
    part = scene.part(told, EPOCHS)
    return {
        "name": member.title if member is not None else plain(rest, 60),
        "member": member,
        "total": next((row for row in picture.board if member is not None and row["operator"] == member.operator), None),
        "stands": [(curves.name(view), lines.one_line(view), lines.proved(view)) for view in views],
        "charts": curves.charts(views)[0],
        "part": part,
        "epochs": [_epoch(value) for value in part.rows],
    }


def _epoch(value: Value) -> dict[str, Any]:
    return {
        "epoch": value["epoch"],
        "score": scores.score_of(value),
        "parts": scores.parts_of(value),
        "units": value["units"],
        "transactions": value["transactions"],
        "why": value["why"],
        "pairs": _grouped(scores.pairs_of(value)),
    }


def _grouped(pairs: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Each label with all its sentences."""
    count, numbered = 0, []
    for label, text in pairs:
        count += bool(label)
        numbered.append((count, label, text))
    return [(rows[0][1], [text for _, _, text in rows]) for _, group in groupby(numbered, key=lambda row: row[0]) if (rows := list(group))]
