"""How often verdicts of panels are disputed in a live swarm: `python -m benchmarks.watchers [RUN_DIR] [--write]`.

Reads what the nodes of a run counted from their log (heartbeat, `judged`): verdicts whose truth a scorer knows, and how many of them somebody disputed;
the newest run of this machine by default, which may be on or over. `--write` puts the odds where `python -m benchmarks.judges` takes its
--challenged from. A few verdicts say little: the interval is Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.judges.__main__ import MEASURED
from swarm import heartbeat, runs
from swarm.heartbeat import Judged

Z = 1.96


def main() -> None:
    """Print the table; write the odds where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="the run's folder; else the newest one")
    parser.add_argument("--write", action="store_true", help=f"write {MEASURED.name}")
    chosen = parser.parse_args()
    run = runs.latest(chosen.run)
    beats = [beat for folder in run.peers if (beat := heartbeat.read(folder / heartbeat.FILE)) is not None and beat.judged is not None]
    seen = max((beat.judged for beat in beats), key=lambda judged: judged.wrong + judged.right, default=Judged())  # all count the same log
    print(f"{'verdicts':<10} {'seen':>6} {'disputed':>9} {'odds':>6}   95 %")
    odds = {name: row(name, getattr(seen, name), getattr(seen, f"{name}_disputed")) for name in ("wrong", "right")}
    print(f"{len(beats)} nodes, {sum(beat.judged.watched for beat in beats)} verdicts judged again, {sum(b.judged.votes for b in beats)} votes by models")
    if chosen.write:
        MEASURED.write_text(json.dumps(odds) + "\n")
        print(f"written to {MEASURED}")


def row(name: str, seen: int, disputed: int) -> float:
    """One line of the table; the odds."""
    low, high = wilson(disputed, seen)
    odds = disputed / seen if seen else 0.0
    print(f"{name:<10} {seen:>6} {disputed:>9} {odds:>6.2f}   {low:.2f}..{high:.2f}")
    return odds


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """Wilson's score interval (1927)."""
    if not tries:
        return 0.0, 1.0
    share, spread = hits / tries, Z * Z / tries
    middle, half = share + spread / 2, Z * (share * (1 - share) / tries + spread / (4 * tries)) ** 0.5
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


if __name__ == "__main__":
    main()
