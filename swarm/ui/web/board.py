"""The leaderboard: final scores and verified work of every operator."""

from __future__ import annotations

from typing import Any

from swarm.ui.web.scene import Scene

TITLE, TEMPLATE = "Leaderboard", "board.html"


def show(scene: Scene, rest: str) -> dict[str, Any]:
    """As `swarm leaderboard`, and below those with scores the operators that have none yet."""
    picture = scene.picture
    if picture is None:
        return {"part": None}
    scored = {row["operator"] for row in picture.board}
    rows = [{**row, "place": place} for place, row in enumerate(picture.board, 1)]
    rows += [
        {"operator": one.operator, "name": one.title, "score": None, "at_most": None, "epochs": 0, "units": 0, "place": None}
        for one in picture.members
        if one.operator not in scored
    ]
    return {"part": scene.part(rows), "notes": picture.notes}
