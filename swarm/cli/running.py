"""What `up` and `join` share: run the children to the end on a screen, then compare, summarise and draw."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable

from rich.console import Console

from swarm import chainhost, launch, result
from swarm.ending import Machine, explain_previous
from swarm.errors import SwarmError
from swarm.identity import Identity
from swarm.launch import Choices
from swarm.recipe import Recipe
from swarm.result import PeerResult
from swarm.runs import Run
from swarm.supervisor import Screen, Supervisor, View
from swarm.ui import dashboard, report
from swarm.ui.tracker import Tracker

WIDTH = 120  # of the final table where stdout is no terminal


class Unfinished(SwarmError):
    """No peer of the run reached its end."""


def run_to_the_end(
    run: Run,
    recipe: Recipe,
    choices: Choices,
    members: list[Identity],
    note: str,
    *,
    alone: bool,
    plain: bool,
    report_to: str,
    finish: Callable[[list[View]], None] | None = None,
) -> None:
    """Start every peer and return when all are done; the run is then marked finished. `finish` closes it in another way than with a table.

    Raises SwarmError with the first cause where no peer finished, KeyboardInterrupt after an orderly stop.
    """
    cut_off = explain_previous(run.info.machine, run.info.supervisor, Machine.now())
    children = launch.prepare(run, recipe, choices, members)
    run.update(supervisor=os.getpid(), machine=Machine.now(), finished=None)
    title = f"{recipe.name}  {choices.peers} peer{'s' * (choices.peers != 1)}  swarm {run.info.swarm[:8]}  {run.folder}"
    try:
        with Tracker(report_to, run) as tracker, dashboard.screen(title, plain) as screen, contextlib.ExitStack() as stack:
            for sentence in filter(None, (note, cut_off)):
                screen.say(sentence)
            if recipe.proof.profile != "none":
                stack.enter_context(chainhost.hosted(run, recipe, choices, members, screen.say))
            views = Supervisor(children, tracker.watching(screen), choices.limits, run.folder).run()
            compared = _compare(run, recipe, choices, views, screen) if alone and not recipe.has_judged and recipe.learn.method == "grpo" else None
    finally:
        run.update(supervisor=None)
    _require_one(views)
    if finish is not None:
        return finish(views)
    _finish(run, report.summarise(run, views, compared), all(view.ended is not None and view.ended.done for view in views))


def _compare(run: Run, recipe: Recipe, choices: Choices, views: list[View], screen: Screen) -> PeerResult | None:
    """Train peer 0 again alone for as many processor seconds as a peer of the swarm used on average."""
    used = [peer.cpu_s for view in views if (peer := result.read(view.folder)) is not None and peer.cpu_s > 0]
    if not used:
        return None
    share = sum(used) / len(used)
    screen.say(f"to compare: the same seed alone, nothing shared, {share:.0f} processor seconds")
    child = launch.prepare_alone(run, recipe, choices, share)
    Supervisor([child], screen, choices.limits, run.folder).run()
    return result.read(child.folder)


def _require_one(views: list[View]) -> None:
    """Raise the first cause where nobody finished."""
    if any(view.ended is not None and view.ended.done for view in views):
        return
    view = views[0]
    cause = view.ended.cause if view.ended else "it never started"
    error = Unfinished(f"no peer finished; the first one {cause}", f"its log is {view.folder / 'log.txt'}; the same command tries again")
    error.exit_code = view.ended.code if view.ended else Unfinished.exit_code
    raise error


def _finish(run: Run, summary: result.Summary, whole: bool) -> None:
    """Draw and print; a run of which a peer failed stays unfinished, so that the same command resumes that peer."""
    if whole:
        run.update(finished=time.time())
    report.curves(run, summary)
    report.closing(summary, run, Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH))
