"""`swarm job solve` with a node that cheats, as `benchmarks.cheats.liar` has it: python tests/cheating_solver.py CHEAT ARGUMENT ..."""

from __future__ import annotations

import sys

from swarm import cli, launch

if __name__ == "__main__":
    launch.NODE = (sys.executable, "-m", "benchmarks.cheats.liar", sys.argv[1])
    sys.argv = ["swarm", "job", "solve", *sys.argv[2:]]
    cli.main()
