"""A swarm that learns from verdicts: `python -m benchmarks.open_answers [--rounds 10] [--voters 4] [--profile local]`, about ten minutes.

Starts `open-answers` (three model peers) and voters without a node, each a process of its own whose program is recipes/clear_judge.py; waits for the
rounds; prints what was judged, trained on and dropped, round by round. Learning is not claimed from one run: see the columns, and the seeds.

    verdicts  groups whose market was FINAL when the round came to learn, own and foreign     reward   their mean reward
    trained   groups in the step         shown  share of a round's own answers that show a working          waiting  for a verdict still
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from swarm import metrics
from swarm.groups import Limits, unpack
from swarm.recipe import load
from swarm.session import Session

ROOT = Path(__file__).resolve().parent.parent
JUDGE = ROOT / "recipes" / "clear_judge.py"
START_S, ROUND_S = 240.0, 150.0


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--voters", type=int, default=4)
    parser.add_argument("--profile", default="local")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the homes of swarm and voters; else a temporary one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openswarm-") as folder:
        place = chosen.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        rows = play(place, chosen)
        log = (place / "swarm.txt").read_text()
    print(table(rows))
    print(audits(log))


def play(place: Path, chosen: argparse.Namespace) -> list[list[dict[str, Any]]]:
    """The rows of every peer's rounds."""
    settings = [f"run.rounds={chosen.rounds}", f"judge.profile={chosen.profile}", f"seed={chosen.seed}"]
    swarm = started(place / "swarm", ["up", "open-answers", *settings, "--plain"], place / "swarm.txt")
    voters: list[subprocess.Popen] = []
    try:
        run = until(lambda: next(iter((place / "swarm" / "runs").glob("*")), None), START_S)
        for number in range(chosen.voters):
            invite = until(lambda: said(place / "swarm", ["invite"]), START_S).strip()
            code = ["--allow-code", str(load("open-answers").tasks[0].digest), "--files", str(JUDGE.parent)]
            command = ["judge", "--invite", invite, *code, "serve", "--json", "--", sys.executable, str(JUDGE)]
            voters.append(started(place / f"voter-{number}", command, place / f"voter-{number}.txt"))
        end = time.monotonic() + START_S + ROUND_S * chosen.rounds
        while swarm.poll() is None and time.monotonic() < end:  # it ends by itself when the last epochs are closed
            time.sleep(1)
        return [with_answers(folder, chosen.rounds) for folder in sorted(run.glob("peer-*"))]
    finally:
        for process in (*voters, swarm):
            stop(process)


def started(home: Path, command: list[str], log: Path) -> subprocess.Popen:
    """A command of this checkout's swarm with a home of its own, in the background."""
    whole = [sys.executable, "-m", "swarm.cli", *command]
    with open(log, "ab") as out:
        return subprocess.Popen(whole, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=around(home), cwd=ROOT)


def said(home: Path, command: list[str]) -> str:
    """What a command says on stdout; empty where it did not succeed."""
    done = subprocess.run([sys.executable, "-m", "swarm.cli", *command], capture_output=True, text=True, env=around(home), cwd=ROOT)
    return done.stdout if done.returncode == 0 else ""


def around(home: Path) -> dict[str, str]:
    return os.environ | {"SWARM_HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def stop(process: subprocess.Popen) -> None:
    """As Ctrl-C does; a process that stays is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(condition: Any, seconds: float) -> Any:
    """The first true value of `condition()`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            sys.exit("the swarm did not come up; look into --keep FOLDER")
        time.sleep(1)
    return found


def audits(log: str) -> str:
    """What auditors said of drawn steps, those that were trained on verdicts among them; and how epochs were closed."""
    said = Counter(re.findall(r"audit of epoch .*: (ok|fault|unavailable|cannot)", log))
    closed = Counter(re.findall(r"epoch \d+ is closed: (\w+)", log))
    return "audits: " + ", ".join(f"{name} {count}" for name, count in (said + closed).items())


def with_answers(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """A peer's rows, each with the share of its answers that show a working (as far as its journal is kept)."""
    limits, rows = Limits.of(load("open-answers")), metrics.read(folder / metrics.FILE)
    me = Session.load(folder / "session.bin").peer
    for row in rows:
        blob = folder / "own" / f"{row['round']:08d}-answer.blob"
        if blob.exists():
            texts = [rollout.text for group in unpack(blob.read_bytes(), limits, me)[3] for rollout in group.rollouts]
            row["shown"] = sum("=" in text for text in texts) / len(texts)
    return rows[:rounds]


def table(peers: list[list[dict[str, Any]]]) -> str:
    """All peers together, round by round, and what was dropped in all."""
    lines = [f"{'round':>5} {'verdicts':>9} {'reward':>7} {'trained':>8} {'own':>4} {'foreign':>8} {'waiting':>8} {'shown':>6}"]
    for rows in zip(*peers, strict=False):
        ruled = sum(row["verdicts"]["ruled"] for row in rows)
        rewards = [row["verdicts"]["reward"] for row in rows if row["verdicts"]["reward"] is not None]
        trained, waiting = [row["trained"] for row in rows], sum(row["verdicts"]["waiting"] for row in rows)
        shown = [row["shown"] for row in rows if "shown" in row]
        mean = f"{sum(rewards) / len(rewards):.3f}" if rewards else "-"
        part = f"{sum(shown) / len(shown):.2f}" if shown else "-"
        groups, own, foreign = (sum(each[name] for each in trained) for name in ("groups", "own", "foreign"))
        lines.append(f"{rows[0]['round']:>5} {ruled:>9} {mean:>7} {groups:>8} {own:>4} {foreign:>8} {waiting:>8} {part:>6}")
    dropped: Counter[str] = Counter()
    for rows in peers:
        for row in rows:
            dropped.update(row["dropped"])
    lines.append("dropped: " + (", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "nothing"))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
