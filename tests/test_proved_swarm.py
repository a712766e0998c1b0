"""All of it: `swarm up` with three peers and their chain, commitments, audits by others over the network, scores; again from records alone."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from swarm import chainhost
from swarm.chain.logs import Scanner
from swarm.chain.values import Verdict

QUICK = ["run.rounds=12", "evaluate.questions=10", "evaluate.every=0", "answer.questions=4", "critique.groups=2", "resolve.groups=2"]
QUICK += ["sharing.own=5", "sharing.foreign=3", "sharing.operator_share=0.5"]
QUICK += ["proof.epoch=20", "proof.grace=12", "proof.beacon=8", "proof.audit=30", "proof.reveal=8", "proof.challenge=4", "proof.units=20000"]


def swarm(home: Path, *arguments: str, code: int = 0) -> str:
    environment = os.environ | {"SWARM_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    done = subprocess.run([sys.executable, "-m", "swarm.cli", *arguments], capture_output=True, text=True, env=environment, timeout=400)
    assert done.returncode == code, (done.stdout[-4000:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("proved")
    said = swarm(home, "up", "local", *QUICK, "--no-alone", "--plain")
    (folder,) = (home / "runs").iterdir()
    with chainhost.reading(folder / "chain") as chain:
        events = Scanner(chain, ("ledger", "court", "vault")).scan().new
    return home, folder, said, events


@pytest.mark.timeout(420)
def test_every_peer_commits_is_audited_by_the_others_and_earns(run):
    _, _, said, events = run
    committed = Counter((e.values["key"], e.values["epoch"]) for e in events if e.name == "Committed")
    members = {key for key, _ in committed}
    assert len(members) == 3 and set(committed.values()) == {1}, said[-3000:]
    verdicts = [e.values for e in events if e.name == "VerdictRevealed"]
    assert verdicts and all(v["auditorKey"] != v["key"] for v in verdicts), "an audit by its own prover"
    assert Counter(v["verdict"] for v in verdicts)[Verdict.FAULT] == 0, "honest work was called a fault"
    settled = {e.values["key"] for e in events if e.name == "Settled" and e.values["units"] > 0}
    assert settled == members, said[-3000:]
    assert not [e for e in events if e.name == "Slashed" and e.values["reason"] not in (b"absence".ljust(32, b"\0"), "absence")]
    assert "CPU-s replayed" in said and "closed: clean" in said


@pytest.mark.timeout(120)
def test_scores_come_out_the_same_from_chain_and_records_alone(run):
    home, folder, _, _ = run
    before = swarm(home, "score", "--json")
    rows = json.loads(before)
    earned = {row["operator"] for row in rows if row["score"] is not None and row["score"] > 50 and row["units"] > 0 and row["transactions"]}
    assert len(earned) == 3, rows
    explained = swarm(home, "explain", "0")
    assert "1000 ×" in explained
    for peer in folder.glob("peer-*"):  # everything but the public records
        for name in ("audits", "replays", "own", "checkpoints", "model", "proof"):
            shutil.rmtree(peer / name, ignore_errors=True)
    assert swarm(home, "score", "--json") == before and swarm(home, "explain", "0") == explained
