"""How often verdicts of panels are disputed in a live swarm: `python -m benchmarks.watchers [RUN_DIR] [--write]`.

Reads what the nodes of a run counted from their log (heartbeat, `judged`): verdicts whose truth a scorer knows, and how many of them somebody
disputed; the newest run of this machine by default, which may be on or over. `--write` puts the odds where `python -m benchmarks.judges` takes its
--challenged from. A few verdicts say little: the interval is Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.judges.__main__ import MEASURED
from benchmarks.judges.odds import wilson
from swarm import heartbeat, runs
from swarm.heartbeat import Judged

Z = 1.959963984540054  # two-sided 95 %


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
    watched, votes = (sum(getattr(beat.judged, name) for beat in beats) for name in ("watched", "votes"))
    print(f"{len(beats)} nodes, {watched} verdicts judged again, {votes} votes by models")
    if chosen.write:
        MEASURED.write_text(json.dumps(odds) + "\n")
        print(f"written to {MEASURED}")


def row(name: str, seen: int, disputed: int) -> float:
    """One line of the table; the odds."""
    low, high = wilson(disputed, seen, Z)
    odds = disputed / seen if seen else 0.0
    print(f"{name:<10} {seen:>6} {disputed:>9} {odds:>6.2f}   {low:.2f}..{high:.2f}")
    return odds


if __name__ == "__main__":
    main()
