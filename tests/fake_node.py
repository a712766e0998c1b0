"""A child that behaves like a node towards its supervisor, without a model or a network.

Started as `python tests/fake_node.py --folder RUN/peer-0`. Its recipe says how it behaves, through settings that a real
node obeys too (`run.rounds`), and a file `behave.json` in its folder: {"round_s": 0.05, "die": {"2": "SIGKILL"},
"exit": {"3": 4}, "eat_mb": 200, "once": true}.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from swarm import heartbeat, result, settings
from swarm.heartbeat import GroupCounts, Heartbeat
from swarm.result import Heldout, PeerResult


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    folder = parser.parse_args().folder
    told = settings.load(folder)
    behave_file = folder / "behave.json"
    behave = json.loads(behave_file.read_text()) if behave_file.exists() else {}
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(130))
    beat = heartbeat.read(folder / heartbeat.FILE) or Heartbeat()
    beat.pid, beat.state, beat.rounds = os.getpid(), "running", told.rounds
    beat.addresses = [f"/ip4/127.0.0.1/tcp/{4000 + told.index}/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"]
    (folder / "boot.json").write_text(json.dumps(told.boot_addresses(10)))
    beat.write(folder / heartbeat.FILE)
    eaten = bytearray(os.urandom(1) * (behave.get("eat_mb", 0) * 2**20))
    while beat.round < told.rounds:
        beat.round += 1
        play(folder, beat, behave, behave_file)
    print(f"done, held {len(eaten)} bytes")
    accuracy = {"addition": 0.9}
    report = PeerResult(name=beat.name, steps=beat.round, heldout=Heldout(before={"addition": 0.5}, after=accuracy, constant={"addition": 0.1}))
    report.cpu_s, report.groups = 1.0, GroupCounts(own=beat.round, used=2, dropped={"zero advantage": 1})
    report.write(folder / result.FILE)
    beat.state = "done"
    beat.write(folder / heartbeat.FILE)


def play(folder: Path, beat: Heartbeat, behave: dict, behave_file: Path) -> None:
    """One round: wait, misbehave as told, and say so."""
    time.sleep(behave.get("round_s", 0.02))
    number = str(beat.round)
    if behave.get("once") and behave_file.exists():
        behave_file.unlink()
    if number in behave.get("exit", {}):
        print("error: it broke on purpose\nhint: mend it", file=sys.stderr, flush=True)
        sys.exit(behave["exit"][number])
    if number in behave.get("die", {}):
        os.kill(os.getpid(), getattr(signal, behave["die"][number]))
        time.sleep(10)
    beat.stage, beat.stage_done, beat.peers_heard, beat.reward = "answer", 0.5, 2, 0.1 * beat.round
    with open(folder / "metrics.jsonl", "a") as file:
        row = {"round": beat.round, "answer": {"reward": beat.reward}}
        file.write(json.dumps(row | ({"accuracy": {"addition": 0.5}} if beat.round == 1 else {})) + "\n")
    beat.write(folder / heartbeat.FILE)


if __name__ == "__main__":
    main()
