"""Three real nodes, one of which forges a bit of every step and stands by it: the others dispute it, and all of them play the matches themselves."""

from __future__ import annotations

import pytest

TIMES = ["proof.epoch=30", "proof.grace=16", "proof.beacon=8", "proof.audit=50", "proof.reveal=10", "proof.challenge=16"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_forger_among_three_nodes_loses_its_matches(tmp_path, monkeypatch):
    """Four minutes: pytest -m slow tests/test_dispute_swarm.py"""
    from benchmarks.cheats import live

    monkeypatch.setenv("SWARM_HOME", str(tmp_path))
    found = live.play("ulp", rounds=6, peers=3, more=TIMES)
    forger, *honest = found.standings
    assert any(prover == forger.name and end == "prover lost" for prover, _, end in found.matches), found.text
    assert all(prover == forger.name and end in ("prover lost", "late") for prover, _, end in found.matches), found.text
    assert forger.slashed > 0 and "fault" in forger.ends, found.text
    assert all(one.rewarded >= one.slashed for one in honest), found.text  # a challenger's bond is taken, and paid back
