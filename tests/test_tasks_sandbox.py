"""Code of others: the sandbox and what tries to leave it, and the rules under which a Python task runs at all."""

import hashlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import unlocked

from swarm import recipe as recipes
from swarm.errors import Refused, TaskError
from swarm.sections import PythonTask
from swarm.tasks import lock, sandbox
from swarm.tasks.mix import Mix
from swarm.tasks.sandbox import Child, Sandbox

GOOD = "def draw(seed):\n    return 'q' + seed.hex(), 'r'\ndef score(question, answer):\n    return answer == question.reference\n"
SEED = b"s" * 32


def run(draw_body: str, *, score_body: str = "return 1.0", head: str = "", **more) -> Sandbox:
    body = "\n    ".join(draw_body.splitlines())
    source = f"{head}\ndef draw(seed):\n    {body}\ndef score(question, answer):\n    {score_body}\n"
    return Sandbox("t", "file", {"source": source, "filename": "own.py"}, Child(**more))


def attempt(code: str) -> str:
    """What became of `code` inside the sandbox: 'done', or the name of the exception."""
    lines = "\n    ".join(code.splitlines())
    task = run(f"try:\n    {lines}\nexcept BaseException as error:\n    return 'q', type(error).__name__\nreturn 'q', 'done'")
    try:
        return task.draw(SEED).reference
    finally:
        task.close()


def test_a_good_task_draws_and_grades():
    task = Sandbox("t", "file", {"source": GOOD, "filename": "own.py"}, Child())
    assert not task.child.unlocked
    question = task.draw(SEED)
    assert (question.prompt, question.reference) == ("q" + SEED.hex(), "r")
    assert task.gold(question) == "r" and task.score(question, "r") == 1 and task.score(question, "x") == 0
    task.close()
    assert task.score(question, "r") == 1, "a closed task opens again when it is asked"
    task.close()


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "key.json"
    file.write_text("operator key")
    return file


def test_no_file_of_the_user_is_read(secret):
    assert attempt(f"open({str(secret)!r}).read()") == "PermissionError"
    assert attempt(f"import os; os.listdir({str(secret.parent)!r})") == "PermissionError"
    assert attempt(f"open({str(Path(__file__))!r}).read()") == "PermissionError"


def test_the_parent_is_out_of_reach(monkeypatch):
    monkeypatch.setenv("SWARM_PASSPHRASE", "hunter2")
    assert attempt(f"open('/proc/{os.getpid()}/environ').read()") == "PermissionError"
    assert attempt(f"import os; os.kill({os.getpid()}, 0)") == "PermissionError"
    task = run("import os\nreturn 'q', ' '.join(os.environ)")
    assert "SWARM_PASSPHRASE" not in task.draw(SEED).reference
    task.close()
    inherited = run("import os\nreturn 'q', ' '.join(str(fd) for fd in range(3, 64) if alive(fd))", head=ALIVE)
    assert len(inherited.draw(SEED).reference.split()) <= 2, "only the two pipes it talks through"
    inherited.close()


ALIVE = "import os\ndef alive(fd):\n    try:\n        os.fstat(fd)\n    except OSError:\n        return False\n    return True\n"


def test_nothing_is_written(secret, tmp_path):
    for target in (str(tmp_path / "new"), "/tmp/openswarm-test", "/dev/shm/openswarm-test", str(secret)):
        assert attempt(f"open({target!r}, 'w')") == "PermissionError"
    assert attempt(f"import os; os.remove({str(secret)!r})") == "PermissionError"
    assert attempt(f"import os; os.chmod({str(secret)!r}, 0o777)") == "PermissionError"
    assert attempt(f"import os; os.symlink('/', {str(tmp_path / 'link')!r})") == "PermissionError"
    assert secret.read_text() == "operator key"


def test_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert attempt(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)") == "PermissionError"
        assert attempt(f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))") == "PermissionError"
    assert attempt("import socket; socket.socket(socket.AF_UNIX)") == "PermissionError"


def test_no_other_process_and_no_way_back():
    assert attempt("import subprocess; subprocess.run(['/bin/sh', '-c', 'exit'])") == "PermissionError"
    assert attempt("import os; os.fork()") == "PermissionError"
    assert attempt("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))") in ("PermissionError", "ValueError")
    assert attempt("import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0") == "AssertionError"
    io_uring = "import ctypes; assert ctypes.CDLL(None).syscall(425, 8, ctypes.create_string_buffer(512)) >= 0"
    assert attempt(io_uring) == "AssertionError"


def test_memory_is_bounded():
    assert attempt(f"bytearray({lock.MEMORY + 1})") == "MemoryError"


def test_code_of_the_file_itself_is_locked_in_too(secret):
    with pytest.raises(TaskError, match=r"own.py line 1: PermissionError"):
        run("return 'q', 'r'", head=f"open({str(secret)!r})")


def test_a_hang_costs_one_error_and_the_next_call_works(monkeypatch):
    monkeypatch.setattr(sandbox, "SCORE", 0.3)
    task = run("return 'q', 'r'", score_body="\n    while answer == 'hang': pass\n    return 1.0")
    question = task.draw(SEED)
    child = task.child._process
    with pytest.raises(TaskError, match="no reply within 0.3 s"):
        task.score(question, "hang")
    assert child.returncode == -signal.SIGKILL, "ended and reaped"
    assert task.score(question, "fine") == 1
    task.close()


def test_a_killed_child_is_started_again():
    task = Sandbox("t", "file", {"source": GOOD, "filename": "own.py"}, Child())
    question = task.draw(SEED)
    os.kill(task.child._process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while task.child._process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert task.score(question, "r") == 1
    task.close()


def test_a_child_that_dies_while_it_works_is_an_error():
    task = run("import os\nos._exit(3)")
    with pytest.raises(TaskError, match="exit code 3"):
        task.draw(SEED)
    task.close()


def test_a_child_that_hangs_up_and_lives_on_is_ended():
    task = run("import os\nos.closerange(3, 20)\nwhile True: pass")
    process = task.child._process
    with pytest.raises(TaskError, match="process ended"):
        task.draw(SEED)
    assert process.returncode is not None
    task.close()


def test_tasks_share_a_process_and_one_that_does_not_open_leaves_the_others():
    child = Child()
    one = Sandbox("one", "file", {"source": GOOD, "filename": "own.py"}, child)
    pid = child._process.pid
    with pytest.raises(TaskError, match="task two: "):
        Sandbox("two", "file", {"source": "draw = 1", "filename": "own.py"}, child)
    three = Sandbox("three", "file", {"source": GOOD.replace("'r'", "'three'"), "filename": "own.py"}, child)
    assert (one.draw(SEED).reference, three.draw(SEED).reference) == ("r", "three") and child._process.pid == pid
    os.kill(pid, signal.SIGKILL)
    child._process.wait()
    assert (one.draw(SEED).reference, three.draw(SEED).reference) == ("r", "three"), "both open again"
    child.close()


@pytest.mark.parametrize(
    "score, message",
    [
        ("return float('nan')", "scorer returned 'nan'"),
        ("return None", "TypeError"),
        ("return 'a lot'", "ValueError"),
        ("raise KeyError('x')", "own.py line 5: KeyError"),
        ("raise SystemExit", "process ended"),
    ],
)
def test_a_failing_scorer_is_an_error_never_a_zero(score, message):
    task = run("return 'q', 'r'", score_body=score)
    with pytest.raises(TaskError, match=message):
        task.score(task.draw(SEED), "x")
    task.close()


def test_scores_beyond_the_range_are_clamped():
    task = run("return 'q', 'r'", score_body="return 1e30")
    assert task.score(task.draw(SEED), "x") == 1
    task.close()


@pytest.mark.parametrize("garbage", ["b'not json\\n'", "b'[1]\\n'", "b'x' * 2_000_000", "b'[' * 900_000 + b'\\n'"])
def test_a_child_that_forges_replies_gets_nowhere(garbage):
    find = "import os\nfor fd in range(3, 20):\n    try:\n        os.write(fd, GARBAGE)\n    except OSError:\n        pass\nos.write\nreturn 'q', 'r'"
    task = run(find, head=f"GARBAGE = {garbage}")
    with pytest.raises(TaskError, match="sent something that is no reply"):
        task.draw(SEED)
    task.close()


@pytest.mark.parametrize("result", ["'q'", "('q', 5)", "(None, 'r')", "('q', 'r' * 100_000)", "('', 'r')"])
def test_what_a_draw_returns_is_checked(result):
    task = run(f"return {result}")
    with pytest.raises(TaskError):
        task.draw(SEED)
    task.close()


def test_prints_do_not_disturb_and_lone_surrogates_pass():
    task = run("print('hello')\nimport sys\nsys.stderr.write('x')\nreturn 'q\\ud800', 'r'")
    assert task.score(task.draw(SEED), "\ud800") == 1
    task.close()


def test_set_order_is_the_same_in_every_process():
    one, two = (run("return ''.join({str(n) for n in range(50)}), 'r'") for _ in range(2))
    assert one.draw(SEED) == two.draw(SEED)
    one.close()
    two.close()


def test_threads_take_turns():
    task = Sandbox("t", "file", {"source": GOOD, "filename": "own.py"}, Child())
    seen: list[bool] = []

    def ask(number: int) -> None:
        seed = number.to_bytes(32, "big")
        seen.extend(task.draw(seed).prompt == "q" + seed.hex() for _ in range(50))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(seen) == 200 and all(seen)
    task.close()


def test_no_lock_means_refused_where_it_is_a_must():
    with pytest.raises(Refused, match="only run in a sandbox") as caught:
        run("return 'q', 'r'", must=True, lock=False)
    assert caught.value.reason == "sandbox"
    own = run("return 'q', 'r'", must=False, lock=False)
    assert own.child.unlocked and own.draw(SEED).prompt == "q"
    own.close()


def test_leaks_are_seen_in_a_process_that_is_not_locked(secret):
    pid = os.fork()
    if pid == 0:
        os._exit(len(lock.leaks(str(secret), os.getppid())))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) >= 9


# The rules of a Python task on join


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(GOOD)
    digest = hashlib.sha256(GOOD.encode()).hexdigest()
    task = {"kind": "python", "name": "own", "source": "own.py", "digest": digest}
    return recipes.parse({"name": "test", "tasks": [task]}), tmp_path, digest


def test_a_foreign_recipe_runs_no_python_unless_its_digest_is_named(own):
    recipe, folder, digest = own
    for allowed in (None, "", "0" * 64, digest[:-1]):
        with pytest.raises(Refused) as caught:
            Mix(recipe, allow_code=allowed, folder=folder)
        assert caught.value.reason == "code" and digest in str(caught.value) and "--allow-code" in caught.value.hint
    with Mix(recipe, allow_code=digest.upper(), folder=folder) as mix:
        mix.check()


def test_a_foreign_recipe_without_a_digest_is_refused(own):
    recipe = recipes.parse({"name": "test", "tasks": [{"kind": "python", "name": "own", "source": "own.py"}]})
    for allowed in (None, "", "none"):
        with pytest.raises(Refused):
            Mix(recipe, allow_code=allowed, folder=own[1])


def test_a_changed_file_is_not_run(own):
    recipe, folder, digest = own
    (folder / "own.py").write_text(GOOD + "# changed\n")
    with pytest.raises(TaskError, match="the recipe says"):
        Mix(recipe, allow_code=digest, folder=folder)
    (folder / "own.py").unlink()
    with pytest.raises(TaskError, match="no file"):
        Mix(recipe, allow_code=digest, folder=folder)


def test_a_foreign_recipe_stays_in_its_folder(own):
    _, folder, digest = own
    inner = folder / "inner"
    inner.mkdir()
    spec = PythonTask(kind="python", name="own", source="../own.py", digest=digest)
    recipe = recipes.parse({"name": "test", "tasks": [spec.model_dump()]})
    with pytest.raises(Refused) as caught:
        Mix(recipe, allow_code=digest, folder=inner)
    assert caught.value.reason == "path"
    Mix(recipe, trusted=True, folder=inner).close()


def test_allowed_foreign_code_is_refused_without_a_sandbox(own, monkeypatch):
    recipe, folder, digest = own
    monkeypatch.setattr(sandbox, "ROOT", unlocked.package(folder))
    with pytest.raises(Refused) as caught:
        Mix(recipe, allow_code=digest, folder=folder)
    assert caught.value.reason == "sandbox"
    with Mix(recipe, trusted=True, folder=folder) as mix:
        assert "no sandbox here" in mix.notes[0]
        mix.check()


def test_the_shipped_own_task_is_short_and_passes_its_check():
    recipe = recipes.load("own-task")
    file = recipes.FOLDER / "own_task.py"
    assert len(file.read_text().splitlines()) <= 40
    with Mix(recipe, trusted=True, folder=recipes.FOLDER) as mix:
        mix.check()
        assert not mix.notes
        question = mix.question(SEED)
        assert question.prompt.startswith("max ") and mix.score(question, ">" + question.reference) == 1
        assert mix.score(question, question.reference) == 0


def test_a_python_file_that_does_not_load_is_named(tmp_path):
    for text, message in (("def draw(:", "SyntaxError"), ("draw = 1", "no function `draw`"), ("import nothing_there", "ModuleNotFoundError")):
        (tmp_path / "own.py").write_text(text)
        recipe = recipes.parse({"name": "test", "tasks": [{"kind": "python", "name": "own", "source": "own.py"}]})
        with pytest.raises(TaskError, match=message):
            Mix(recipe, trusted=True, folder=tmp_path)
