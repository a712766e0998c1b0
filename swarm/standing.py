"""Where a run and its peers stand, out of the files of the run: for `swarm status` and for the web page."""

from __future__ import annotations

import psutil

from swarm import heartbeat
from swarm.ending import Machine, explain_previous
from swarm.heartbeat import Heartbeat
from swarm.runs import Run
from swarm.supervisor import View


def views(run: Run) -> list[View]:
    """What the heartbeats of a run say, whether or not a process is behind them. Raises StateError where one is damaged."""
    found = []
    for index, folder in enumerate(run.peers):
        beat = heartbeat.read(folder / heartbeat.FILE) or Heartbeat()
        alive = bool(beat.pid) and psutil.pid_exists(beat.pid)
        if not alive and beat.state not in ("done", "failed"):
            beat.state, beat.waits_for = "waiting", "to be started again"
        found.append(View(index, beat, alive, None, 0, None, folder))
    return found


def word(run: Run) -> str:
    """on, finished or stopped."""
    return "on" if run.on else "finished" if run.info.finished is not None else "stopped"


def sentence(run: Run) -> str:
    """The same, with why it stopped where that can be told."""
    if (found := word(run)) != "stopped":
        return found
    return explain_previous(run.info.machine, run.info.supervisor, Machine.now()) or "stopped; the command that started it carries on"
