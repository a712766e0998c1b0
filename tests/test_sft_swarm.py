"""A whole swarm that learns from rows: `swarm up sft`, a joiner who has to fetch them, a kill, commitments, audits, units."""

import os
import signal
import subprocess
import sys
import time

import pytest
from test_swarm import Command, wait_for

from swarm import chainhost
from swarm.chain.logs import Scanner
from swarm.chain.values import Verdict

QUICK = ["run.rounds=100000", "evaluate.every=0", "evaluate.questions=10"]
QUICK += ["proof.epoch=20", "proof.grace=12", "proof.beacon=8", "proof.audit=30", "proof.reveal=8", "proof.challenge=4"]


def invite(host: Command) -> str:
    environment = os.environ | {"SWARM_HOME": str(host.home)}
    said = subprocess.run([sys.executable, "-m", "swarm.cli", "invite"], env=environment, capture_output=True, text=True)
    return said.stdout.split()[0]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_travel_to_a_joiner_who_is_killed_audits_and_earns(tmp_path):
    """`pytest -m slow tests/test_sft_swarm.py`: four minutes on two free cores."""
    commands = [Command(tmp_path / "host", "up", "sft", "--peers", "2", "--plain", *QUICK)]
    try:
        wait_for(lambda: all(commands[0].beat(peer)["round"] >= 1 for peer in (0, 1)), commands)
        commands.append(Command(tmp_path / "joiner", "join", invite(commands[0]), "--plain"))
        joiner = commands[1]
        wait_for(lambda: joiner.beat()["round"] >= 3, commands)
        pid, round = joiner.beat()["pid"], joiner.beat()["round"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: joiner.beat()["pid"] not in (0, pid) and joiner.beat()["round"] > round, commands)
        earned = lambda beat: (beat.get("proved") or {}).get("units", 0)  # noqa: E731
        wait_for(lambda: all(earned(beat) for beat in (commands[0].beat(0), commands[0].beat(1), joiner.beat())), commands, 400)
        time.sleep(2)
    finally:
        codes = [command.stop() for command in commands[::-1]]
    assert codes == [130, 130], [command.said() for command in commands]
    served, fetched = ((command.folder().parent / "rows.jsonl").read_bytes() for command in commands)
    assert served == fetched
    with chainhost.reading(commands[0].folder().parent / "chain") as chain:
        events = Scanner(chain, ("ledger", "court", "vault")).scan().new
    verdicts = [e.values["verdict"] for e in events if e.name == "VerdictRevealed"]
    assert verdicts.count(Verdict.OK) >= 3 and Verdict.FAULT not in verdicts, verdicts
    assert len({e.values["key"] for e in events if e.name == "Settled" and e.values["units"] > 0}) == 3
