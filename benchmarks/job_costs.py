"""What verification costs on top of a job: `python -m benchmarks.job_costs` (about six minutes; --steps, --budget, --keep FOLDER).

Runs a whole job with the commands of docs/market.md, each a process of its own, under a home of its own: submit, verify with two
operators, solve. Then counts, from the chain, how many of the accepted steps were replayed, and, from the nodes' own clocks, the
processor seconds that the solver's node and the verifiers' replays took. The verifiers' standing costs (a node that waits, holds blobs
and looks at the chain) are shown beside it: they do not grow with the job. The odds are those of docs/proof.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from swarm import heartbeat
from swarm.chain import link
from swarm.chain.client import Chain
from swarm.chain.logs import Scanner
from swarm.chain.values import WEI
from swarm.errors import ChainError
from swarm.proof import odds

COMMAND = (sys.executable, "-m", "swarm.cli", "job")
LONGEST_S = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=80, help="steps of the job")
    parser.add_argument("--budget", default="10", help="credits for it")
    parser.add_argument("--keep", type=Path, help="folder for the home, kept; else a temporary one")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.mkdir(parents=True, exist_ok=True)
        submit = ("submit", "local", "--budget", chosen.budget, "--deadline", "2h", "--steps", str(chosen.steps), "--yes")
        with _running(home, submit) as posting:
            _await(lambda: (home / "market" / link.FILE).exists() and _events(home, "market", "Posted"), posting)
            with _running(home, ("verify", "local", "--peers", "2", "--plain")), _running(home, ("solve", "local", "--plain")):
                _await(lambda: _events(home, "market", "Settled"), posting)
                _tell(home)
    return 0


@contextlib.contextmanager
def _running(home: Path, words: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"SWARM_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with open(home / f"{words[0]}.txt", "ab") as out:
        process = subprocess.Popen([*COMMAND, *words], stdout=out, stderr=out, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(120)


def _await(condition, posting: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + LONGEST_S
    while not condition():
        if time.monotonic() > end or posting.poll() not in (None, 0):
            raise SystemExit("the job did not end: see what the commands said (--keep)")
        time.sleep(1.0)


def _events(home: Path, role: str, name: str) -> list[dict]:
    """What a contract told; nothing while the chain changes hands."""
    try:
        found = Scanner(Chain(link.load(home / "market")), (role,)).scan().new
    except ChainError:
        return []
    return [event.values for event in found if event.name == name]


def _tell(home: Path) -> None:
    accepted, verdicts = _events(home, "market", "Accepted"), _events(home, "court", "VerdictRevealed")
    epochs = {(each["key"], each["epoch"]) for each in accepted}
    steps = sum(each["steps"] for each in accepted)
    chain, offer = Chain(link.load(home / "market")), _events(home, "market", "Posted")[0]["offer"]
    drawn = chain.read("registry", "termsOf", accepted[0]["job"]).segments
    replayed = sum(drawn for each in verdicts if (each["key"], each["epoch"]) in epochs)
    solver, *_ = [heartbeat.read(file) for file in home.glob("runs/solver-*/peer-0/heartbeat.json")]
    verifiers = [heartbeat.read(file) for file in home.glob("runs/verifier-*/peer-*/heartbeat.json")]
    replay_s = sum(one.proved.audit_cpu_s for one in verifiers)
    standing_s = sum(one.cpu_s for one in verifiers)
    paid = sum(each["amount"] for each in _events(home, "market", "AuditorPaid"))
    print(f"accepted: {steps} steps in {len(epochs)} epochs, {drawn} drawn of each, {len(verdicts)} verdicts")
    print(f"replayed steps: {replayed}, {replayed / steps:.1%} of those accepted (bound of the offer: {2 * drawn / offer.leastSteps:.1%})")
    print(f"CPU-s: {solver.cpu_s:.0f} of the solver's node, {replay_s:.1f} of all replays ({replay_s / solver.cpu_s:.1%})")
    print(f"standing CPU-s of {len(verifiers)} verifiers' nodes besides: {standing_s:.0f}")
    print(f"paid for verification: {paid / WEI:.4f} of {offer.price / WEI:.4f} credits for training ({paid / offer.price:.1%})")
    print(f"odds in an epoch of {offer.leastSteps} steps: {odds.sentence(offer.leastSteps, drawn, len(epochs))}")


if __name__ == "__main__":
    sys.exit(main())
