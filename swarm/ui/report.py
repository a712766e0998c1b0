"""The end of a run: summary.json, the final table, curves.png, and where model, card and metrics lie."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from swarm import metrics, result
from swarm.names import plain
from swarm.result import Heldout, PeerResult, Summary
from swarm.runs import Run
from swarm.supervisor import View

SUMMARY = "summary.json"
CURVES = "curves.png"


def summarise(run: Run, views: list[View], alone: PeerResult | None) -> Summary:
    """The run's summary, written to `summary.json`."""
    peers = [_peer(view) for view in views]
    if alone is not None:
        peers = [peer.model_copy(update={"alone": alone.heldout.after}) for peer in peers]
    summary = Summary(
        recipe=run.info.recipe,
        recipe_hash=run.info.recipe_hash,
        swarm=run.info.swarm,
        seed=run.info.seed,
        peers=peers,
        alone=alone,
        started=run.info.created,
        finished=time.time(),
    )
    summary.write(run.folder / SUMMARY)
    return summary


def _peer(view: View) -> PeerResult:
    """A peer's own report; where it has none, what its last heartbeat said, and why."""
    reported = result.read(view.folder)
    why = None if view.ended is None or view.ended.done else view.ended.cause
    if reported is not None:
        return reported.model_copy(update={"failed": why})
    beat = view.beat
    heldout = Heldout(before=beat.accuracy_before)
    why = why or "it ended without a report"
    return PeerResult(name=beat.name, steps=beat.round, rounds=beat.round, heldout=heldout, groups=beat.groups, failed=why)


def table(summary: Summary) -> Table:
    """One row per peer, then the comparison run and the best constant answer; fits 80 columns with three tasks."""
    tasks = list(dict.fromkeys(task for peer in summary.peers for task in (*peer.heldout.before, *peer.heldout.after)))
    shown = Table(title="Held-out accuracy (greedy), before → after", title_justify="left", box=None, padding=(0, 1, 0, 0))
    shown.add_column("peer", no_wrap=True)
    for task in [*tasks, "mean"]:
        shown.add_column(plain(task, 20), justify="right", no_wrap=True)
    shown.add_column("own/used/drop", justify="right", no_wrap=True)
    shown.add_column("steps", justify="right", no_wrap=True)
    for peer in summary.peers:
        shown.add_row(plain(peer.name, 20), *_accuracies(peer.heldout, tasks), _groups(peer), str(peer.steps))
    shown.add_row("")
    if summary.alone is not None:
        shown.add_row("alone", *_accuracies(summary.alone.heldout, tasks), _groups(summary.alone), str(summary.alone.steps))
    constant = next((peer.heldout.constant for peer in summary.peers if peer.heldout.constant), {})
    shown.add_row("best constant", *(_figure(constant.get(task)) for task in tasks), _figure(_mean(constant, tasks)), "", "")
    return shown


def _accuracies(heldout: Heldout, tasks: list[str]) -> Iterator[str]:
    for task in tasks:
        yield f"{_figure(heldout.before.get(task))}→{_figure(heldout.after.get(task))}"
    yield f"{_figure(_mean(heldout.before, tasks))}→{_figure(_mean(heldout.after, tasks))}"


def _mean(accuracy: dict[str, float], tasks: list[str]) -> float | None:
    values = [accuracy[task] for task in tasks if task in accuracy]
    return sum(values) / len(values) if values and len(values) == len(tasks) else None


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _groups(peer: PeerResult) -> str:
    return f"{peer.groups.own}/{peer.groups.used}/{sum(peer.groups.dropped.values())}"


def closing(summary: Summary, run: Run, console: Console) -> None:
    """Print the table, what needs a sentence, and where everything lies."""
    console.print(table(summary))
    for peer in summary.peers:
        for line in _remarks(peer):
            console.print(f"{plain(peer.name, 24)}: {line}", markup=False, highlight=False, soft_wrap=True)
    places = [
        (f"{run.folder / SUMMARY}", "all figures of this table and more (docs/summary.md)"),
        (f"{run.folder / CURVES}", "the curves"),
        (f"{run.folder}/peer-*/{metrics.FILE}", "every round of every peer"),
        (f"{run.folder}/peer-*/model", "the models, with their cards; they load with from_pretrained"),
    ]
    for place, what in places:
        console.print(f"{place}  {what}", markup=False, highlight=False, soft_wrap=True)


def _remarks(peer: PeerResult) -> Iterator[str]:
    if peer.failed:
        yield f"did not finish: {plain(peer.failed, 400)}"
    if peer.groups.dropped:
        yield "dropped " + "; ".join(f"{count} {plain(reason, 40)}" for reason, count in sorted(peer.groups.dropped.items()))
    if peer.critique_accuracy is not None:
        flat = f" (best constant label {peer.critique_constant:.2f})" if peer.critique_constant is not None else ""
        gain = f", resolving changed the reward by {peer.resolve_gain:+.2f}" if peer.resolve_gain is not None else ""
        yield f"critiques right {peer.critique_accuracy:.2f}{flat}{gain}"


def curves(run: Run, summary: Summary) -> Path | None:
    """Draw reward (loss, where the recipe has rows) and held-out accuracy over rounds to `curves.png`; None where there is nothing to draw."""
    series = [(peer, metrics.read(folder / metrics.FILE)) for peer, folder in zip(summary.peers, run.peers, strict=False)]
    if not any(rows for _, rows in series):
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rewarded = not any("rows" in row.get("trained", {}) for _, rows in series for row in rows)
    for peer, rows in series:
        name = plain(peer.name, 24)
        points = [(row["round"], value) for row in rows if (value := row.get("reward") if rewarded else row["learn"]["loss"]) is not None]
        if points:
            left.plot(*zip(*points, strict=True), label=name)
        for task, measured in accuracies(peer.heldout, peer.rounds, rows).items():
            right.plot(*zip(*measured, strict=True), marker="o", markersize=3, label=f"{name} {plain(task, 20)}")
    left.set(title="reward of own answers" if rewarded else "loss on the rows of the round, nats a token")
    right.set(title="held-out accuracy (greedy)")
    for axes in (left, right):
        axes.set(xlabel="round", **({"ylim": (-0.02, 1.02)} if rewarded or axes is right else {}))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=6)
    figure.savefig(run.folder / CURVES, dpi=120)
    return run.folder / CURVES


def accuracies(heldout: Heldout, rounds: int, rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """(round, held-out accuracy) by task: before, on the way where the recipe asks for it, and after."""
    found: dict[str, list[tuple[int, float]]] = {}
    measured = [(0, heldout.before), *((row["round"], row.get("accuracy") or {}) for row in rows), (rounds, heldout.after)]
    for round, accuracy in measured:
        for task, value in accuracy.items():
            found.setdefault(task, []).append((round, value))
    return found
