"""The `swarm` command: help, exit codes, dry runs, resuming, joining; with fake nodes where nodes are started."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blake3 import blake3

from swarm import admission, cli, errors, launch, recipe, runs
from swarm.errors import Refused
from swarm.heartbeat import FILE as HEARTBEAT
from swarm.heartbeat import Heartbeat
from swarm.invite import Invite

HERE = Path(__file__).parent
PEER = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
LOOPBACK = f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}"
SMALL = {"name": "small", "tasks": [{"name": "addition", "kind": "builtin", "source": "addition"}], "run": {"rounds": 3, "peers": 2}}
TOML = 'name = "small"\n[[tasks]]\nname = "addition"\nkind = "builtin"\nsource = "addition"\n[run]\nrounds = 3\npeers = 2\n'
HELD: list[runs.Run] = []


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    """Local identities, made once (an RSA key takes seconds) and linked into every test's home."""
    home = tmp_path_factory.mktemp("identities")
    for number in range(2):
        launch.Identity.open_or_create_local(home / f"local-{number}")
    return home


@pytest.fixture
def home(tmp_path, monkeypatch, identities):
    monkeypatch.setenv("SWARM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    monkeypatch.setattr(launch, "NODE", (sys.executable, str(HERE / "fake_node.py")))
    monkeypatch.setattr(launch, "FETCH", (sys.executable, str(HERE / "fake_fetch.py")))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "identities").symlink_to(identities)
    (tmp_path / "small.toml").write_text(TOML)
    lock = runs.Run.try_lock
    monkeypatch.setattr(runs.Run, "try_lock", lambda run: HELD.append(run) or lock(run))
    yield tmp_path / "home"
    let_go()


def swarm(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of a command run inside this process."""
    capsys.readouterr()
    code = 0
    try:
        with errors.boundary():
            cli.app(args=list(words), prog_name="swarm")
    except SystemExit as end:
        code = int(end.code or 0)
    let_go()
    return code, *capsys.readouterr()


def let_go() -> None:
    """What the end of a command's process does: its locks are dropped."""
    while HELD:
        HELD.pop().unlock()


COMMANDS = ["up", "join", "invite", "status", "pause", "resume", "doctor", "eval", "recipes list", "recipes show", "node", "fetch", "measure"]


@pytest.mark.parametrize("command", [*COMMANDS, *(f"identity {word}" for word in ("create", "show", "backup", "restore", "rotate"))])
def test_every_command_has_help_with_an_example(capsys, command):
    code, out, _ = swarm(capsys, *command.split(), "--help")
    assert code == 0 and "Example: swarm" in re.sub(r"\s+", " ", out.replace("│", " "))


def test_help_comes_within_a_second_and_loads_no_giant():
    code = "import sys, time\nfrom swarm.cli import app\n"
    code += "heavy = {'torch', 'transformers', 'trl', 'hivemind', 'datasets', 'matplotlib', 'web3'} & set(sys.modules)\n"
    code += "print(sorted(heavy), time.process_time())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE.parent).stdout.split("] ")
    assert told[0] == "[" and float(told[1]) < 1.0


def test_exit_codes_are_documented_in_help(capsys):
    _, out, _ = swarm(capsys, "--help")
    shown = re.sub(r"\s+", " ", out)
    kinds = (errors.InputError, errors.IdentityError, errors.NetworkError, errors.ResourceError, errors.StateError, Refused)
    codes = {kind.exit_code for kind in kinds}
    assert all(f"{code} " in shown for code in codes) and "130 interrupted" in shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["up", "nowhere"], 2, "no recipe nowhere"),
        (["up", "small.toml", "learn.lr=fast", "--dry-run"], 2, "learn.lr"),
        (["up", "small.toml", "learn.group_size=1", "--dry-run"], 2, "learn.group_size"),
        (["up", "small.toml", "learn.rl=1", "--dry-run"], 2, "unknown key"),
        (["up", "small.toml", "other", "--dry-run"], 2, "two recipes"),
        (["up", "small.toml", "--device", "tpu", "--dry-run"], 2, "tpu"),
        (["up", "small.toml", "--max-memory", "lots", "--dry-run"], 2, "--max-memory"),
        (["up", "small.toml", "--boot", "localhost", "--dry-run"], 2, "localhost"),
        (["up", "small.toml", "--listen", "nonsense:1:2", "--dry-run"], 2, "--listen"),
        (["up", "small.toml", "--ban", "nothing.txt", "--dry-run"], 2, "nothing.txt"),
        (["up", "small.toml", "--report-to", "paper", "--dry-run"], 2, "paper"),
        (["up", "small.toml", "--max-memory", "1MB"], 5, "memory"),
        (["join", "os1_AAAA"], 2, "checksum"),
        (["join", "hello"], 2, "not an invite"),
        (["status"], 2, "no run"),
        (["status", "--run-dir", "nowhere"], 2, "not a run folder"),
        (["invite"], 2, "no run"),
        (["identity", "show", "--identity", "../../etc"], 2, "not a name"),
        (["identity", "show", "--identity", "lost"], 3, "lost"),
        (["identity", "backup", "x", "--identity", "lost"], 3, "lost"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_gets_one_sentence_a_hint_and_its_code(home, capsys, words, code, says):
    found, _, err = swarm(capsys, *words)
    assert found == code and says in err and "Traceback" not in err


def test_dry_run_touches_nothing(home, capsys, monkeypatch):
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *words, **how: pytest.fail("a process was started"))
    code, out, _ = swarm(capsys, "up", "small.toml", "--dry-run", "--peers", "2", "learn.lr=1e-4")
    assert code == 0 and "lr = 0.0001" in out and "memory:" in out and "time:" in out
    code, out, _ = swarm(capsys, "up", "small.toml", "--dry-run", "--json")
    told = json.loads(out)
    assert told["peers"] == 2 and told["memory_bytes"] > 2 * 2**28 and told["recipe"]["name"] == "small"
    assert not (home / "runs").exists()


def test_up_runs_to_the_end_and_the_same_command_begins_anew_only_when_finished(home, capsys):
    code, out, err = swarm(capsys, "up", "small.toml", "--plain")
    assert code == 0, err
    first = home / "runs" / "small-1"
    summary = json.loads((first / "summary.json").read_text())
    assert [peer["steps"] for peer in summary["peers"]] == [3, 3] and summary["alone"] is not None
    assert summary["peers"][0]["alone"] == {"addition": 0.9}
    assert (first / "curves.png").exists() and "0.50→0.90" in out and "0.10" in out
    assert runs.Run.read(first).info.finished and runs.Run.read(first).info.supervisor is None
    code, out, _ = swarm(capsys, "up", "small.toml", "--plain", "--no-alone")
    assert code == 0 and "is finished" in out and json.loads((home / "runs" / "small-2" / "summary.json").read_text())["alone"] is None


def test_an_unfinished_run_is_carried_on_with_the_same_peers(home, capsys):
    where = home / "runs" / "small-1"
    made = runs.Run.create(where, runs.begin(recipe.load("small.toml")))
    made.keep_recipe(recipe.load("small.toml"))
    made.unlock()
    (made.peer(1) / "behave.json").write_text(json.dumps({"exit": {"2": 5}, "once": True}))
    code, out, _ = swarm(capsys, "up", "small.toml", "--plain", "--no-alone")
    assert code == 0 and "did not finish" in out and runs.Run.read(where).info.finished is None
    names = runs.Run.read(where).info.identities
    code, out, _ = swarm(capsys, "up", "small.toml", "--plain", "--no-alone")
    assert code == 0 and "carrying on" in out and "did not finish" not in out
    again = runs.Run.read(where)
    assert again.info.finished and again.info.identities == names and len(list((home / "runs").iterdir())) == 1


def test_no_peer_finishing_is_that_peers_exit_code(home, capsys):
    where = home / "runs" / "small-1"
    made = runs.Run.create(where, runs.begin(recipe.load("small.toml")))
    for index in range(2):
        (made.peer(index) / "behave.json").write_text(json.dumps({"exit": {"1": 6}}))
    let_go()
    code, _, err = swarm(capsys, "up", "small.toml", "--plain")
    assert code == 6 and "it broke on purpose" in err


def test_a_run_that_is_on_is_not_started_twice(home, capsys):
    runs.Run.create(home / "runs" / "small-1", runs.begin(recipe.load("small.toml")))
    code, _, err = swarm(capsys, "up", "small.toml", "--plain")
    assert code == 5 and "is on already" in err


def test_a_run_of_another_recipe_is_refused_with_both_hashes(home, capsys):
    runs.Run.create(home / "mine", runs.begin(recipe.load("small.toml"))).unlock()
    code, _, err = swarm(capsys, "up", "small.toml", "learn.lr=0.5", "--run-dir", str(home / "mine"))
    assert code == 2 and recipe.load("small.toml").hash.hex()[:16] in err and recipe.load("small.toml", ["learn.lr=0.5"]).hash.hex()[:16] in err


def test_status_names_the_cause_of_a_cut_off_run(home, capsys):
    made = runs.Run.create(home / "runs" / "small-1", runs.begin(recipe.load("small.toml")))
    made.update(supervisor=999_999_999, machine=runs.Machine(boot_id="another boot"))
    Heartbeat(pid=999_999_999, name="amber-otter", state="running", round=7, rounds=40).write(made.peer(0) / HEARTBEAT)
    made.unlock()
    code, out, _ = swarm(capsys, "status")
    assert code == 0 and "the machine was restarted" in out and "round 7/40" in out and "to be started again" in out
    code, out, _ = swarm(capsys, "status", "--json")
    assert json.loads(out)["peers"][0]["alive"] is False


def test_invite_prints_one_string_that_joins(home, capsys):
    made = runs.Run.create(home / "runs" / "small-1", runs.begin(recipe.load("small.toml")))
    made.keep_recipe(recipe.load("small.toml"))
    code, _, err = swarm(capsys, "invite")
    assert code == 4 and "reachable yet" in err
    Heartbeat(pid=os.getpid(), state="running", addresses=[LOOPBACK]).write(made.peer(0) / HEARTBEAT)
    code, out, err = swarm(capsys, "invite")
    assert code == 0 and out.startswith("os1_") and out.count("\n") == 1 and "this machine only" in err
    code, dry, _ = swarm(capsys, "join", out.strip(), "--dry-run")
    assert code == 0 and made.info.swarm in dry and LOOPBACK in dry


def invitation(rules: recipe.Recipe) -> str:
    return Invite(b"s" * 32, rules.hash, blake3(rules.canonical).digest(), (LOOPBACK,)).text()


def served(home: Path, monkeypatch, rules: recipe.Recipe) -> None:
    (home / "served.json").write_bytes(rules.canonical)
    monkeypatch.setenv("FAKE_RECIPE", str(home / "served.json"))


def test_join_says_what_others_see_then_runs_and_resumes(home, capsys, monkeypatch):
    rules = recipe.parse(SMALL)
    served(home, monkeypatch, rules)
    code, out, err = swarm(capsys, "join", invitation(rules), "--plain")
    assert code == 0, err
    assert out.index("Others will see: your IP address") < out.index("fetching the recipe") < out.index("round 3/3")
    (where,) = (home / "runs").iterdir()
    assert json.loads((where / "summary.json").read_text())["peers"][0]["steps"] == 3
    assert LOOPBACK in json.loads((where / "peer-0" / "boot.json").read_text())


def test_join_names_why_the_recipe_did_not_come(home, capsys):
    code, _, err = swarm(capsys, "join", invitation(recipe.parse(SMALL)))
    assert code == 4 and "none of 1 addresses answers" in err


def test_join_refuses_another_recipe_with_both_hashes(home, capsys, monkeypatch):
    rules, other = recipe.parse(SMALL), recipe.parse(SMALL | {"seed": 7})
    served(home, monkeypatch, other)
    code, _, err = swarm(capsys, "join", invitation(rules))
    assert code == 7 and rules.hash.hex() in err and other.hash.hex() in err


def test_join_refuses_code_before_any_node_starts(home, capsys, monkeypatch):
    digest = "ab" * 32
    rules = recipe.parse(SMALL | {"tasks": [{"name": "evil", "kind": "python", "source": "evil.py", "digest": digest}]})
    served(home, monkeypatch, rules)
    code, _, err = swarm(capsys, "join", invitation(rules))
    assert code == 7 and digest in err and "--allow-code" in err
    (where,) = (home / "runs").iterdir()
    assert not (where / "peer-0" / "log.txt").read_text().strip(), "nothing but the fetching child ran"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": {"source": "path:/etc"}}, "path"),
        ({"tasks": [{"name": "x", "kind": "dataset", "source": "path:/etc/x.csv", "digest": "ab" * 32}]}, "path"),
        ({"tasks": [{"name": "x", "kind": "dataset", "source": "some/data"}]}, "hub"),
        ({"tasks": [{"name": "x", "kind": "verifiers", "source": "x"}]}, "code"),
        ({"tasks": [{"name": "x", "kind": "python", "source": "x.py"}]}, "code"),
        ({"tasks": [{"name": "x", "kind": "python", "source": "x.py", "digest": "ab" * 32}]}, "code"),
        ({"tasks": [{"name": "x", "kind": "python", "source": "../x.py", "digest": "cd" * 32}]}, "code"),
        ({"tasks": [{"name": "x", "kind": "python", "source": "y.py", "digest": "cd" * 32}]}, "code"),
    ],
)
def test_what_a_recipe_from_the_network_may_not_name(tmp_path, change, reason):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.py").write_text("")
    (tmp_path / "x.py").write_text("")
    with pytest.raises(Refused) as caught:
        admission.admit(recipe.parse(SMALL | change), allow_code="cd" * 32, folder=tmp_path / "files")
    assert caught.value.reason == reason and caught.value.hint


def test_what_a_recipe_from_the_network_may_name(tmp_path):
    (tmp_path / "x.py").write_text("")
    gym = {"name": "g", "kind": "gym", "source": "chain_sum"}
    code = {"name": "x", "kind": "python", "source": "x.py", "digest": "cd" * 32}
    data = {"name": "d", "kind": "dataset", "source": "some/data"}
    admission.admit(recipe.parse(SMALL | {"tasks": [*SMALL["tasks"], gym]}))
    admission.admit(recipe.parse(SMALL | {"tasks": [code]}), allow_code="cd" * 32, folder=tmp_path)
    admission.admit(recipe.parse(SMALL | {"tasks": [data]}), allow_hub=True)


def test_a_job_s_recipe_may_draw_from_tables_that_come_by_digest_and_lie_beside_it():
    def admitted(source: str, **more: str) -> None:
        task = {"name": "d", "kind": "dataset", "source": source} | more
        admission.admit(recipe.parse(SMALL | {"tasks": [task]}), tables=True)

    admitted("path:data/sums.jsonl", digest="ab" * 32)
    for source, more in (("path:sums.jsonl", {}), ("path:/etc/x.csv", {"digest": "ab" * 32}), ("path:../x.csv", {"digest": "ab" * 32})):
        with pytest.raises(Refused, match="local file"):
            admitted(source, **more)


def test_libraries_keep_their_files_below_swarm_home(home, monkeypatch):
    for variable in ("HF_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, "")  # so that it is put back after the test
        monkeypatch.delenv(variable)
    monkeypatch.setattr(sys, "argv", ["swarm", "--version"])
    with pytest.raises(SystemExit):
        cli.main()
    assert all(os.environ[variable].startswith(str(home)) for variable in ("HF_HOME", "MPLCONFIGDIR"))


def test_no_command_ever_asks(home):
    started = time.monotonic()
    for words in (["identity", "create"], ["identity", "create", "--ask-passphrase"]):
        told = subprocess.run([sys.executable, "-m", "swarm.cli", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
        assert told.returncode == 3 and "passphrase" in told.stderr
    assert time.monotonic() - started < 30
