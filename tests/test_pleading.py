"""What the replayer process answers about a step that has no trace: it says so and lives on."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3
from test_recorder import a_leaf

from swarm.errors import InputError
from swarm.proof import worker
from swarm.proof.pleading import Pleader
from swarm.proof.replay import Fault


@pytest.mark.parametrize("error", [InputError("it has seven axes"), ValueError("an integer is too wide"), Fault("before", "it is another state")])
def test_a_step_without_a_trace_is_said_to_have_none(tmp_path: Path, monkeypatch, error: Exception):
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Pleader, "plead", fails)
    state = blake3(b"state")
    (tmp_path / state.hexdigest()).write_bytes(b"state")
    worker.write_job(tmp_path, [a_leaf(1, bytes(32), bytes(32))], state=state.hexdigest(), blobs=str(tmp_path), challenger=False, salt="", board=None)
    assert worker.plead(object(), tmp_path)["fault"] == str(error)
