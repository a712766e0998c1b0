"""The committed ABI and bytecode are what the sources give: rebuilds and compares (needs `npm ci` in contracts/)."""

import shutil
import subprocess
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[1] / "contracts"


@pytest.mark.skipif(
    not (CONTRACTS / "node_modules/.bin/forge").exists() or shutil.which("npm") is None, reason="forge comes with `npm ci` in contracts/"
)
def test_artifacts_are_those_of_the_sources():
    done = subprocess.run(["npm", "run", "--silent", "check"], cwd=CONTRACTS, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
