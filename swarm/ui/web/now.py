"""The swarm now: where the run, its chain and every peer of this machine stand."""

from __future__ import annotations

from typing import Any

from swarm import chainhost, standing
from swarm.chainhost import Standing
from swarm.errors import SwarmError
from swarm.heartbeat import Warned
from swarm.names import plain
from swarm.runs import Run
from swarm.supervisor import View
from swarm.ui import lines
from swarm.ui.web import curves
from swarm.ui.web.scene import Scene

TITLE, TEMPLATE = "Swarm now", "now.html"
EVENTS = 24
EVERY = ("10", "60")  # seconds between two looks, where the query asks for it


def show(scene: Scene, rest: str) -> dict[str, Any]:
    """What `swarm status` says, and the last things that happened."""
    run, (chain, chain_line) = scene.run, _chain(scene.run)
    every = scene.query.get("every", "")
    return {
        "state": standing.word(run),
        "why": standing.sentence(run),
        "chain": chain,
        "chain_line": chain_line,
        "peers": [_peer(view) for view in scene.views],
        "heard": max((view.beat.peers_heard for view in scene.views if view.alive), default=0),
        "rounds": max((view.beat.round for view in scene.views), default=0),
        "events": _events(scene.views),
        "refresh": int(every) if every in EVERY else 0,
        "every": EVERY,
    }


def _chain(run: Run) -> tuple[Standing | None, str]:
    """Where the chain stands, and a sentence of it: peers are shown whatever is wrong with the chain's files."""
    try:
        found = chainhost.standing(run)
    except SwarmError as error:
        return None, f"its chain cannot be looked at: {error}"
    return found, found.line() if found is not None else ""


def _peer(view: View) -> dict[str, Any]:
    beat = view.beat
    tasks = [(plain(task, 24), beat.accuracy_before.get(task), value, beat.accuracy_constant.get(task)) for task, value in beat.accuracy.items()]
    return {
        "name": curves.name(view),
        "alive": view.alive,
        "word": beat.state if view.alive or beat.state in ("done", "failed") else "off",
        "stands": lines.standing(view),
        "share": min(1.0, max(0.0, beat.stage_done)) if view.alive and beat.state in ("running", "evaluating") else None,
        "round": beat.round,
        "rounds": beat.rounds,
        "heard": lines.heard(view) if view.alive else "",
        "peers_heard": beat.peers_heard,
        "reward": beat.reward,
        "tasks": tasks[:24],
        "speed": beat.tokens_per_s,
        "memory": beat.memory_mb,
        "reach": plain(beat.network.reachable, 20),
        "proved": lines.proved(view),
        "judged": lines.judged(view),
    }


def _events(views: list[View]) -> list[dict[str, Any]]:
    """Notes and warnings of all peers, the newest first."""
    found: list[tuple[View, Warned, bool]] = [(view, one, False) for view in views for one in view.beat.notes]
    found += [(view, one, True) for view in views for one in view.beat.warnings]
    newest = sorted(found, key=lambda row: -row[1].at)[:EVENTS]
    return [
        {"at": one.at, "who": curves.name(view), "text": lines.warning(one) if warned else plain(one.text, 300), "warned": warned}
        for view, one, warned in newest
    ]
