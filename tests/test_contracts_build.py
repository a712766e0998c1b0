"""The contracts: committed artifacts are those of the sources, and their own tests pass (both need `npm ci` in contracts/)."""

import shutil
import subprocess
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[1] / "contracts"
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (CONTRACTS / "node_modules/.bin/forge").exists() or shutil.which("npm") is None, reason="forge comes with `npm ci` in contracts/"
    ),
]


def npm(*script: str) -> str:
    done = subprocess.run(["npm", "run", "--silent", *script], cwd=CONTRACTS, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def test_artifacts_are_those_of_the_sources():
    npm("check")


def test_unit_fuzz_invariant_and_threat_tests_pass_within_the_gas_limits():
    said = npm("test")
    assert " 0 failed" in said and "tests passed" in said, said[-3000:]
    print(said[said.rfind("Ran ") :])
