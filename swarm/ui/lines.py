"""One peer's state in words: a single plain line, or a few coloured ones."""

from __future__ import annotations

from rich.text import Text

from swarm.heartbeat import Warned
from swarm.names import plain
from swarm.supervisor import View

BAR = 16
STALE_S = 120.0  # a living node that has not written for this long is said to be silent


def eta(seconds: float | None) -> str:
    """`42 s`, `3 min`, `2.5 h`; a dash where nobody knows."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def warning(warned: Warned) -> str:
    """A warning with what follows from it."""
    consequence = f" → {plain(warned.consequence, 200)}" if warned.consequence else ""
    return f"warning: {plain(warned.text, 200)}{consequence}"


def standing(view: View) -> str:
    """Where a peer stands: its stage, what it waits for, or why it is down."""
    beat = view.beat
    if view.wait_s is not None and view.ended is not None:
        return f"starts again in {view.wait_s:.0f} s: {view.ended.cause}"
    if view.final and view.ended is not None and not view.ended.done:
        return f"down: {view.ended.cause}"
    if view.alive and beat.updated and beat.age_s > STALE_S:
        return f"silent for {eta(beat.age_s)} (see {view.folder / 'log.txt'})"
    if beat.state in ("waiting", "paused") and beat.waits_for:
        return f"{beat.state}: {plain(beat.waits_for, 100)}"
    return beat.state if beat.state != "running" else plain(beat.stage, 40) or "running"


def heard(view: View) -> str:
    """`heard 2 peers, used 14 groups, dropped 3 (zero advantage 3)`; a lone node says so."""
    groups = view.beat.groups
    dropped = "; ".join(f"{plain(reason, 30)} {count}" for reason, count in sorted(groups.dropped.items(), key=lambda item: -item[1])[:3])
    count = view.beat.peers_heard
    who = f"heard {count} peer{'s' * (count != 1)}" if count else "heard nobody: training alone" if view.beat.round else "heard nobody yet"
    return f"{who}, used {groups.used} groups, dropped {sum(groups.dropped.values())}" + (f" ({dropped})" if dropped else "")


def proved(view: View) -> str:
    """What the chain says: `epoch 4: 3 committed, 6 of 6 audits agreed, 2 closed, 60,000 units verified`; empty without a chain."""
    found = view.beat.proved
    if found is None:
        return ""
    if found.trouble:
        return f"chain: {plain(found.trouble, 160)}"
    audits = f"{found.agreed} of {found.audits} audits agreed ({found.audit_cpu_s:.0f} CPU-s)"
    return f"epoch {found.epoch}: {found.commitments} committed, {audits}, {found.settled} closed, {found.units:,} units verified"


def judged(view: View) -> str:
    """The judge market: `judge market: 5 open (3 own), 12 settled, 7 bids, 812.4 credits, 100 staked`; empty without one."""
    found = view.beat.judged
    if found is None:
        return ""
    if found.trouble:
        return f"judge market waits: {plain(found.trouble, 160)}"
    markets = f"{found.open} open ({found.hosted} own), {found.settled} settled, {found.bids} bids"
    verdicts = f", {found.votes} model votes, {found.wrong_disputed} of {found.wrong} wrong verdicts disputed" if found.votes or found.wrong else ""
    final = f", final up to epoch {found.final}" if found.final >= 0 else ""
    return f"judge market: {markets}{verdicts}, {found.credits:,.1f} credits, {found.stake:,.0f} staked{final}"


def figures(view: View) -> list[str]:
    """Reward, accuracies, speed and memory, where known."""
    beat = view.beat
    accuracy = [f"{plain(task, 16)} {_from(beat.accuracy_before.get(task), value)}{value:.2f}" for task, value in beat.accuracy.items()]
    return [
        *([f"reward {beat.reward:.2f}"] if beat.reward is not None else []),
        *([f"loss {beat.loss:.3f}"] if beat.loss is not None else []),
        *accuracy,
        *([f"{beat.tokens_per_s:,.0f} tok/s"] if beat.tokens_per_s is not None else []),
        *([f"{beat.memory_mb:,.0f} MB"] if beat.memory_mb is not None else []),
    ]


def one_line(view: View) -> str:
    """Everything of a peer that fits one plain line."""
    name = plain(view.beat.name, 24) or f"peer-{view.index}"
    stands = standing(view)
    passing = view.alive and view.beat.round > 0 and stands == view.beat.stage  # a stage of a second says nothing in a line that stays
    parts = [f"round {view.beat.round}/{view.beat.rounds}", "" if passing else stands, *figures(view)]
    if view.alive:
        parts.append(heard(view))
    return f"[{view.index}] {name}: " + ", ".join(part for part in parts if part)


def headline(view: View, width: int) -> list[Text]:
    """Five lines: name and stage bar; figures; groups; what the chain says; the last warning, else the last thing that happened."""
    beat = view.beat
    colour = "red" if view.final and beat.state == "failed" else "green" if beat.state == "done" else "yellow" if not view.alive else "cyan"
    first = Text(no_wrap=True, overflow="ellipsis")
    first.append(f"{plain(beat.name, 24) or f'peer-{view.index}'}", style=f"bold {colour}")
    first.append(f"  round {beat.round}/{beat.rounds}  ")
    if view.alive and beat.state in ("running", "evaluating"):
        filled = round(BAR * min(1.0, max(0.0, beat.stage_done)))
        first.append("━" * filled, style=colour).append("━" * (BAR - filled), style="dim")
        first.append(f" {standing(view)}, {eta(beat.stage_eta_s)} to go")
    else:
        first.append(standing(view))
    reach = "" if beat.network.reachable in ("unknown", "") else f", reachable: {plain(beat.network.reachable, 20)}"
    restarts = f", restarted {view.restarts}×" if view.restarts else ""
    second = Text("  " + "  ".join(figures(view)), no_wrap=True, overflow="ellipsis")
    third = Text(f"  {heard(view)}{reach}{restarts}" if view.alive else "", style="dim", no_wrap=True, overflow="ellipsis")
    fourth = Text(f"  {proved(view)}" if proved(view) else "", no_wrap=True, overflow="ellipsis")
    fifth = [Text(f"  {judged(view)}", no_wrap=True, overflow="ellipsis")] if judged(view) else []
    note = f"  {plain(beat.notes[-1].text, 200)}" if beat.notes else ""
    style = "yellow" if beat.warnings else "dim"
    last = Text(f"  {warning(beat.warnings[-1])}" if beat.warnings else note, style=style, no_wrap=True, overflow="ellipsis")
    lines = [first, second, third, fourth, *fifth, last]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _from(before: float | None, now: float) -> str:
    """`0.50→`, or nothing as long as nothing else was measured."""
    return "" if before is None or before == now else f"{before:.2f}→"
